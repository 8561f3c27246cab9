"""`GatedLSTM`: an LSTM over a sequence, a drop-in for `keras.layers.LSTM` that can return its gates."""

import keras
from keras import ops

from keras_lstm_gates.cell import GatedLSTMCell
from keras_lstm_gates.gates import Gates
from keras_lstm_gates.recurrence import recurrence_from_z

_CELL_ARGUMENTS = (
    "activation recurrent_activation use_bias unit_forget_bias "
    "kernel_initializer recurrent_initializer bias_initializer "
    "kernel_regularizer recurrent_regularizer bias_regularizer "
    "kernel_constraint recurrent_constraint bias_constraint "
    "dropout recurrent_dropout implementation seed dtype trainable"
).split()


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class GatedLSTM(keras.layers.RNN):
    """LSTM over a sequence that can also return its gates, step by step.

    For step t, with x_t (batch, features):

        i_t = sigmoid(x_t W_i + h_{t-1} R_i + b_i)   input gate,              (0, 1)
        f_t = sigmoid(x_t W_f + h_{t-1} R_f + b_f)   forget gate,             (0, 1), 1 = remember everything
        g_t = tanh(x_t W_g + h_{t-1} R_g + b_g)      input modulation gate,   (-1, 1)
        o_t = sigmoid(x_t W_o + h_{t-1} R_o + b_o)   output gate,             (0, 1)
        c_t = i_t * g_t + f_t * c_{t-1}              cell state
        h_t = o_t * tanh(c_t)                        hidden state,            (-1, 1)

    Weights, columns in the order i, f, g, o (as `keras.layers.LSTM`, so `set_weights` works both ways):
        kernel            (features, 4 * units)
        recurrent_kernel  (units, 4 * units)
        bias              (4 * units,), absent with `use_bias=False`

    Args:
        units: int > 0. Width of h, c and every gate.
        return_gates: bool. True: return a dict that also holds every gate at every step (see Returns).
        **kwargs: every other argument of `keras.layers.LSTM`, with its meaning and its default; `return_sequences`,
            `return_state`, `go_backwards`, `stateful` and `unroll` among them.

    Call arguments:
        inputs: float, (batch, time, features). Unitless: scale first.
        initial_state: [h, c], each (batch, units). Zeros where not given.
        mask: bool, (batch, time). True = a real step; any pattern.
        training: bool, whether dropout applies.

    Returns:
        Without `return_gates`, exactly what `keras.layers.LSTM` returns. With it a dict:
            "output"                        what the LSTM would have returned first
            "i", "f", "g", "o", "c", "h"    (batch, time, units), each differentiable
            "state_h", "state_c"            (batch, units), only with `return_state`
        A masked step repeats the last real step in every one of them, as Keras does for h; before the first real
        step all are 0. With `go_backwards` time runs as the layer read it: the last input comes first.

    Raises:
        ValueError: "units must be a positive int; received units=0".

    Example:
        >>> import numpy as np
        >>> out = GatedLSTM(4, return_sequences=True, return_gates=True)(np.zeros((2, 10, 3), "float32"))
        >>> sorted(out)
        ['c', 'f', 'g', 'h', 'i', 'o', 'output']
        >>> tuple(out["f"].shape)
        (2, 10, 4)

    Source: Hochreiter & Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber & Cummins 2000, Learning to
    forget, for the forget gate.
    """

    def __init__(self, units, *, return_gates=False, **kwargs):
        of_cell = {name: kwargs[name] for name in _CELL_ARGUMENTS if name in kwargs}
        of_layer = {name: value for name, value in kwargs.items() if name not in _CELL_ARGUMENTS}
        for name in ("dtype", "trainable"):
            if name in kwargs:
                of_layer[name] = kwargs[name]
        super().__init__(GatedLSTMCell(units, name="cell", **of_cell), **of_layer)
        self.return_gates = return_gates
        self.input_spec = keras.layers.InputSpec(ndim=3)

    @property
    def units(self):
        return self.cell.units

    def call(self, sequences, initial_state=None, mask=None, training=False):
        h0, c0 = self._initial_state(sequences, initial_state)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        z = self.cell.input_product(sequences, training)
        gates = recurrence_from_z(
            z,
            h0,
            c0,
            self.cell.recurrent_kernel,
            mask=mask,
            activation=self.cell.activation,
            recurrent_activation=self.cell.recurrent_activation,
            recurrent_dropout_mask=None,
            unroll=self.unroll,
        )
        state_h, state_c = gates.h[:, -1], gates.c[:, -1]
        output = gates.h if self.return_sequences else state_h
        if self.return_gates:
            named = {"output": output, **gates._asdict()}
            return {**named, "state_h": state_h, "state_c": state_c} if self.return_state else named
        return (output, state_h, state_c) if self.return_state else output

    def _initial_state(self, sequences, initial_state):
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(ops.shape(sequences)[0])
        return [ops.cast(ops.convert_to_tensor(state), self.compute_dtype) for state in initial_state]

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, time = sequences_shape[:2]
        state = (batch, self.units)
        sequence = (batch, time, self.units)
        output = sequence if self.return_sequences else state
        if self.return_gates:
            named = {"output": output, **dict.fromkeys(Gates._fields, sequence)}
            return {**named, "state_h": state, "state_c": state} if self.return_state else named
        return (output, state, state) if self.return_state else output

    def compute_mask(self, sequences, mask=None):
        mask = keras.tree.flatten(mask)[0] if mask is not None else None
        output = mask if self.return_sequences else None
        if self.return_gates:
            named = {"output": output, **dict.fromkeys(Gates._fields, mask)}
            return {**named, "state_h": None, "state_c": None} if self.return_state else named
        return [output, None, None] if self.return_state else output

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        of_cell = self.cell.get_config()
        return {
            **config,
            **{name: of_cell[name] for name in of_cell if name in _CELL_ARGUMENTS and name not in config},
            "units": self.units,
            "return_gates": self.return_gates,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)
