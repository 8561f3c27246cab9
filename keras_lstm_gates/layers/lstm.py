"""`GatedLSTM`: an LSTM over a sequence, a drop-in for `keras.layers.LSTM` that can return its gates."""

import collections

import keras
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers.cell import GatedLSTMCell
from keras_lstm_gates.recurrence import recurrence


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
        gate_regularizer: dict of a regularizer (or its name) for any of "i", "f", "g", "o", "c", "h", for example
            {"f": keras.regularizers.L1(1e-4)}. Each is called with that gate of the whole batch, (batch, time,
            units), masked steps set to 0, and joins the layer's losses, as `activity_regularizer` does.
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
        step all are 0, as Keras does for h even where an initial state is given. With `go_backwards` time runs as
        the layer read it: the last input comes first.

    Raises:
        ValueError: "units must be a positive int; received units=0".
        ValueError: "gate_regularizer must have keys among ('i', 'f', 'g', 'o', 'c', 'h'); received 'forget'".
        ValueError: "initial_state must be [h, c], each of shape (2, 4); received shapes [(2, 4)]".
        ValueError: "mask must have the shape (batch, time) = (2, 10) of the sequences; received (2, 9)".
        ValueError: "keras.layers.Bidirectional cannot carry the dict of return_gates=True; ...".

    Cost: with training=True, as `fit` calls it, all paths of `keras_lstm_gates.recurrence` store h, c and the gates of
    every step for the gradient; returning them adds one pass over memory. With training=False the compiled paths store
    only what is returned, and a gradient, with return_gates=False, runs the forward loop again: pass training=True in
    a training loop of your own.

    Example:
        >>> import numpy as np
        >>> out = GatedLSTM(4, return_sequences=True, return_gates=True)(np.zeros((2, 10, 3), "float32"))
        >>> sorted(out)
        ['c', 'f', 'g', 'h', 'i', 'o', 'output']
        >>> tuple(out["f"].shape)
        (2, 10, 4)

    Where Keras is silent or surprising: a dropout rate outside [0, 1), which Keras clamps (and takes 1 as no dropout
    at all), is refused here. `implementation`, which Keras's `get_config` forgets, is kept. Keras draws dropout masks
    in inference too and so moves the seed on; here only training does. `activity_regularizer` means the output alone,
    so with `return_gates=True`, where Keras would apply it to every gate, it is refused in favour of
    `gate_regularizer`.

    Source: Hochreiter & Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber & Cummins 2000, Learning to
    forget, for the forget gate.
    """

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        *,
        implementation=2,
        return_gates=False,
        gate_regularizer=None,
        **kwargs,
    ):
        if return_gates and activity_regularizer is not None:
            raise ValueError(
                "with return_gates=True expected gate_regularizer={'h': ...} instead of an activity_regularizer, which "
                f"would apply to every gate; received activity_regularizer={activity_regularizer!r}"
            )
        # Bidirectional sets zero_output_for_mask, as RNN's constructor does: only the former must find gates.
        self.return_gates = False
        super().__init__(
            GatedLSTMCell(
                units,
                activation=activation,
                recurrent_activation=recurrent_activation,
                use_bias=use_bias,
                kernel_initializer=kernel_initializer,
                recurrent_initializer=recurrent_initializer,
                bias_initializer=bias_initializer,
                unit_forget_bias=unit_forget_bias,
                kernel_regularizer=kernel_regularizer,
                recurrent_regularizer=recurrent_regularizer,
                bias_regularizer=bias_regularizer,
                kernel_constraint=kernel_constraint,
                recurrent_constraint=recurrent_constraint,
                bias_constraint=bias_constraint,
                dropout=dropout,
                recurrent_dropout=recurrent_dropout,
                seed=seed,
                implementation=implementation,
                dtype=kwargs.get("dtype"),
                trainable=kwargs.get("trainable", True),
                name="cell",
            ),
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.return_gates = return_gates
        self.gate_regularizer = _regularizers(gate_regularizer)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def call(self, sequences, initial_state=None, mask=None, training=False):
        h0, c0 = self._initial_state(sequences, initial_state)
        mask = _checked_mask(mask, sequences)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        last_only = not (self.return_sequences or self.return_gates or self.gate_regularizer)
        gates = self._gates(sequences, h0, c0, mask, training, last_only)
        state_h, state_c = (gates.h, gates.c) if last_only else (_last(gates.h), _last(gates.c))
        if self.stateful:
            for variable, value in zip(self.states, (state_h, state_c)):
                variable.assign(ops.cast(value, variable.dtype))

        # Keras shows zeros, not the state it was given, until the first real step; so do all our outputs.
        carried = initial_state is not None or self.stateful
        begun = ops.cumsum(ops.cast(mask, "int32"), axis=1) > 0 if mask is not None and carried else None
        shown = mask if self.zero_output_for_mask else begun
        if last_only:
            output = _only(gates.h, shown if shown is None else shown[:, -1])
        else:
            gates = Gates(*(_only(values, begun) for values in gates))
            for name, regularizer in self.gate_regularizer.items():
                self.add_loss(regularizer(_only(getattr(gates, name), mask)))
            output = _only(gates.h, shown)
            output = output if self.return_sequences else output[:, -1]
        if self.return_gates:
            named = {"output": output, **gates._asdict()}
            return {**named, "state_h": state_h, "state_c": state_c} if self.return_state else named
        return (output, state_h, state_c) if self.return_state else output

    def _gates(self, sequences, h0, c0, mask, training, last_only):
        cell = self.cell
        z = cell.input_product(ops.transpose(sequences, (1, 0, 2)), training)
        dropped = None
        if training and cell.recurrent_dropout:
            dropped = ops.stack(cell.get_recurrent_dropout_mask(h0))
        outputs = {"h", *(["c"] if self.return_state or self.stateful else []), *self.gate_regularizer}
        gates = recurrence(
            z,
            h0,
            c0,
            ops.cast(cell.recurrent_kernel, self.compute_dtype),
            mask=mask,
            activation=cell.activation,
            recurrent_activation=cell.recurrent_activation,
            recurrent_dropout_mask=dropped,
            unroll=self.unroll,
            last_only=last_only,
            outputs=Gates._fields if self.return_gates else outputs,
            training=training,
            hidden=(lambda: self._hidden_by_keras(sequences, h0, c0, training)) if self._keras_is_fused() else None,
        )
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
        return gates

    def _keras_is_fused(self):
        """Whether Keras's cuDNN kernel can serve: it takes one dropout mask for all gates, and a bias."""
        return self.cell.use_bias and not self.cell.recurrent_dropout and self.cell.implementation == 2

    def _hidden_by_keras(self, sequences, h0, c0, training):
        """h of all steps by `keras.layers.LSTM`, on a GPU its cuDNN kernel, with this very cell and its dropout."""
        stock = keras.layers.LSTM(self.units, return_sequences=True, dtype=self.dtype_policy)
        stock.cell = self.cell
        stock.built = True
        return stock(sequences, initial_state=[h0, c0], training=training)

    def _initial_state(self, sequences, initial_state):
        batch = sequences.shape[0]
        if initial_state is None and self.stateful:
            initial_state = self.states
            if batch is not None and batch != self.states[0].shape[0]:
                raise ValueError(
                    f"stateful=True: expected the batch size {self.states[0].shape[0]} of the first batch; "
                    f"received {batch}"
                )
        if initial_state is None:
            initial_state = self.get_initial_state(ops.shape(sequences)[0])
        shapes = [tuple(getattr(state, "shape", ())) for state in keras.tree.flatten(initial_state)]
        wanted = (batch, self.units)
        if len(shapes) != 2 or not all(_fits(shape, wanted) for shape in shapes):
            raise ValueError(f"initial_state must be [h, c], each of shape {wanted}; received shapes {shapes}")
        return [ops.cast(ops.convert_to_tensor(state), self.compute_dtype) for state in initial_state]

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, time = sequences_shape[:2]
        state = (batch, self.units)
        sequence = (batch, time, self.units)
        output = sequence if self.return_sequences else state
        if self.return_gates:
            named = {"output": output, **dict.fromkeys(Gates._fields, sequence)}
            named = {**named, "state_h": state, "state_c": state} if self.return_state else named
            # A wrapper that expects one shape asks for its first axis.
            return collections.defaultdict(_expects_one_output, named)
        return (output, state, state) if self.return_state else output

    def compute_mask(self, sequences, mask=None):
        mask = keras.tree.flatten(mask)[0] if mask is not None else None
        output = mask if self.return_sequences else None
        if self.return_gates:
            named = {"output": output, **dict.fromkeys(Gates._fields, mask)}
            return {**named, "state_h": None, "state_c": None} if self.return_state else named
        return [output, None, None] if self.return_state else output

    def gate_weights(self):
        """The weights of each gate by name: {"i": `GateWeights(W, R, b)`, ...}; see `GatedLSTMCell.gate_weights`."""
        return self.cell.gate_weights()

    def set_gate_weights(self, weights):
        """Set the weights of one or more gates by name; see `GatedLSTMCell.set_gate_weights`."""
        self.cell.set_gate_weights(weights)

    @property
    def zero_output_for_mask(self):
        """0 or 1: whether the output, not the gates, is 0 at masked steps."""
        return self._zero_output_for_mask

    @zero_output_for_mask.setter
    def zero_output_for_mask(self, value):
        # Only keras.layers.Bidirectional sets it on a finished layer: the place to say what it cannot do.
        if self.return_gates:
            raise ValueError(
                "keras.layers.Bidirectional cannot carry the dict of return_gates=True; expected "
                "keras_lstm_gates.layers.Bidirectional, which can"
            )
        # An int: TensorFlow skips a setter whose attribute already is the very object False.
        self._zero_output_for_mask = int(value)

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        of_cell = self.cell.get_config()
        return {
            **config,
            **{name: of_cell[name] for name in _OF_CELL},
            "zero_output_for_mask": bool(self.zero_output_for_mask),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "return_gates": self.return_gates,
            "gate_regularizer": {
                name: keras.regularizers.serialize(regularizer) for name, regularizer in self.gate_regularizer.items()
            },
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


_OF_CELL = (
    "units activation recurrent_activation use_bias unit_forget_bias "
    "kernel_initializer recurrent_initializer bias_initializer "
    "kernel_regularizer recurrent_regularizer bias_regularizer "
    "kernel_constraint recurrent_constraint bias_constraint "
    "dropout recurrent_dropout implementation seed"
).split()


def _of_cell(name):
    return property(lambda layer: getattr(layer.cell, name), doc=f"`{name}` of the cell.")


# As keras.layers.LSTM, the layer shows its cell's arguments as its own.
for _name in _OF_CELL:
    setattr(GatedLSTM, _name, _of_cell(_name))


def _expects_one_output():
    raise ValueError(
        "this wrapper expects a layer with one output and cannot carry the dict of return_gates=True; expected a layer "
        "with return_gates=False in it"
    )


def _regularizers(by_gate):
    by_gate = by_gate or {}
    for name in by_gate:
        if name not in Gates._fields:
            raise ValueError(f"gate_regularizer must have keys among {Gates._fields}; received {name!r}")
    return {name: keras.regularizers.get(regularizer) for name, regularizer in by_gate.items()}


def _checked_mask(mask, sequences):
    if mask is None:
        return None
    mask = keras.tree.flatten(mask)[0]
    if not _fits(tuple(mask.shape), tuple(sequences.shape[:2])):
        raise ValueError(
            f"mask must have the shape (batch, time) = {tuple(sequences.shape[:2])} of the sequences; "
            f"received {tuple(mask.shape)}"
        )
    return ops.cast(mask, "bool")


def _fits(shape, wanted):
    """Whether two static shapes agree, None being any size."""
    return len(shape) == len(wanted) and all(
        size is None or want is None or size == want for size, want in zip(shape, wanted, strict=True)
    )


def _last(values):
    return None if values is None else values[:, -1]


def _only(values, steps):
    """The values where steps (batch, [time]) is True, else 0; steps None stands for everywhere."""
    return values if values is None or steps is None else values * ops.cast(steps, values.dtype)[..., None]
