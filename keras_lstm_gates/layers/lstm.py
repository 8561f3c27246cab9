"""`GatedLSTM`: an LSTM over a sequence, a drop-in for `keras.layers.LSTM` that can return its gates."""

import collections
import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.interventions import kept, serialized
from keras_lstm_gates.layers.cell import GatedLSTMCell, GateWeights
from keras_lstm_gates.layers.sequences import fits, last, of_sizes, only
from keras_lstm_gates.layers.steered import numbers_of
from keras_lstm_gates.recurrence import cudnn_obstacles, recurrence


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class GatedLSTM(keras.layers.LSTM):
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
        interventions: dict of what acts on any of "i", "f", "g", "o", "c", "h" at every call, for example
            {"i": Set(1.0)} for an LSTM without an input gate: `Set`, `Scale`, `Shift`, `Replace`, `Mean` of
            `keras_lstm_gates.steering`, or a list of them. All later steps feel them, and so does training.
        **kwargs: every other argument of `keras.layers.LSTM`, with its meaning, its default and its position;
            `return_sequences`, `return_state`, `go_backwards`, `stateful`, `unroll` and `use_cudnn` among them.

    Call arguments:
        inputs: float, (batch, time, features). Unitless: scale first.
        initial_state: [h, c], each (batch, units). Zeros where not given.
        mask: bool, (batch, time). True = a real step; any pattern.
        training: bool, whether dropout applies.
        interventions: dict likewise, for this call and after those of the layer; or of (scale, shift), two tensors
            each that broadcast to (batch, time, units), with gradients. With tensors, Keras hands the mask of the
            inputs on as `sequences_mask`, which is not for the user.

    Returns:
        Without `return_gates`, exactly what `keras.layers.LSTM` returns. With it a dict:
            "output"                        what the LSTM would have returned first
            "i", "f", "g", "o", "c", "h"    (batch, time, units), each differentiable
            "state_h", "state_c"            (batch, units), only with `return_state`
        A masked step repeats the last real step in every one of them, as Keras does for h; before the first real
        step all are 0, as Keras does for h even where an initial state is given. With `go_backwards` time runs as
        the layer read it: the last input comes first; so do the steps of interventions.

    Raises:
        ValueError: "units must be a positive int; received units=0".
        ValueError: "gate_regularizer must have keys among ('i', 'f', 'g', 'o', 'c', 'h'); received 'forget'".
        ValueError: the same of interventions; "interventions on 'f' expected units in [-4, 4); received 7".
        ValueError: "layer 'lstm': initial_state must be [h, c], each of shape (2, 4); received shapes [(2, 4)]".
        ValueError: "layer 'lstm': mask must have the shape (batch, time) = (2, 10) of the sequences; received (2, 9)".
            In a graph that learns these sizes only when it runs, an InvalidArgumentError with both shapes and the
            layer's name.
        ValueError: "layer 'lstm': use_cudnn=True expected a GPU, received none; ...", as Keras where it is called.
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

    Where Keras is silent or surprising: a dropout rate outside [0, 1], which Keras clamps, is refused here; 1 drops
    nothing, as in Keras. `implementation`, which Keras's `get_config` forgets, is kept; `use_cudnn`, which belongs to
    the machine, is not, as in Keras. Keras draws dropout masks in inference too and so moves the seed on; here only
    training does. An initial state or a mask of one row, which Keras stretches over the batch in some modes and not in
    others, is refused. Keras 3.16 ends a mask at its LSTMs; here it goes on. `activity_regularizer` means the output
    alone, so with `return_gates=True`, where Keras would apply it to every gate, it is refused in favour of
    `gate_regularizer`.

    Source: Hochreiter & Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber & Cummins 2000, Learning to
    forget, for the forget gate.
    """

    def __init__(
        self,
        units: int,
        activation: str | Callable | None = "tanh",
        recurrent_activation: str | Callable | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | keras.random.SeedGenerator | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        *,
        implementation: int = 2,
        return_gates: bool = False,
        gate_regularizer: dict[str, Any] | None = None,
        interventions: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if return_gates and activity_regularizer is not None:
            raise ValueError(
                "with return_gates=True expected gate_regularizer={'h': ...} instead of an activity_regularizer, which "
                f"would apply to every gate; received activity_regularizer={activity_regularizer!r}"
            )
        if use_cudnn not in ("auto", True, False):
            raise ValueError(f"use_cudnn must be 'auto', True or False; received use_cudnn={use_cudnn!r}")
        # Bidirectional sets zero_output_for_mask, as RNN's constructor does: only the former must find gates.
        self.return_gates = False
        # Not the constructor of LSTM, which would make a cell of its own.
        keras.layers.RNN.__init__(
            self,
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
        self.interventions = kept(interventions)
        self.use_cudnn = use_cudnn
        self.input_spec = keras.layers.InputSpec(ndim=3)
        # Keras 3.16 sets it to False in every RNN, which would end the mask here.
        self.supports_masking = True
        if use_cudnn and not self._cudnn_obstacles():
            self.supports_jit = False  # XLA knows no cuDNN kernel

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = False,
        *,
        interventions: dict[str, Any] | None = None,
        sequences_mask: Any = None,
    ) -> Any:
        if self.use_cudnn is True and (obstacles := self._cudnn_obstacles()):
            raise ValueError(
                f"layer {self.name!r}: use_cudnn=True expected {'; '.join(obstacles)}: cuDNN is not supported for this "
                "layer on this machine; use_cudnn='auto' takes it where it is"
            )
        h0, c0 = self._initial_state(sequences, initial_state)
        mask = self._mask(sequences_mask if mask is None and initial_state is None else mask, sequences)
        act = numbers_of(self.interventions, interventions, self.units, sequences)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        last_only = not (self.return_sequences or self.return_gates or self.gate_regularizer)
        gates = self._gates(sequences, h0, c0, mask, training, act, last_only)
        state_h, state_c = (gates.h, gates.c) if last_only else (last(gates.h), last(gates.c))
        if self.stateful:
            for variable, value in zip(self.states, (state_h, state_c)):
                variable.assign(ops.cast(value, variable.dtype))

        # Keras shows zeros, not the state it was given, until the first real step; so do all our outputs.
        carried = initial_state is not None or self.stateful
        begun = ops.cumsum(ops.cast(mask, "int32"), axis=1) > 0 if mask is not None and carried else None
        shown = mask if self.zero_output_for_mask else begun
        if last_only:
            output = only(gates.h, shown if shown is None else shown[:, -1])
        else:
            gates = Gates(*(only(values, begun) for values in gates))
            for name, regularizer in self.gate_regularizer.items():
                self.add_loss(regularizer(only(getattr(gates, name), mask)))
            output = only(gates.h, shown)
            output = output if self.return_sequences else output[:, -1]
        if self.return_gates:
            named = {"output": output, **gates._asdict()}
            return {**named, "state_h": state_h, "state_c": state_c} if self.return_state else named
        return (output, state_h, state_c) if self.return_state else output

    def _gates(self, sequences, h0, c0, mask, training, act, last_only):
        cell = self.cell
        z = cell.input_product(ops.transpose(sequences, (1, 0, 2)), training)
        dropped = None
        if training and 0 < cell.recurrent_dropout < 1:
            dropped = ops.stack(cell.get_recurrent_dropout_mask(h0))
        # Of a mask only the user, who then asks for cuDNN, knows that it pads on the right, as the kernel needs it.
        hides = self.use_cudnn is True or (self.use_cudnn and mask is None and not self._kernel_obstacles())
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
            interventions=act,
            unroll=self.unroll,
            last_only=last_only,
            outputs=Gates._fields if self.return_gates else outputs,
            training=training,
            hidden=(lambda: self._hidden_by_keras(sequences, h0, c0, mask, training)) if hides else None,
        )
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
        return gates

    def _kernel_obstacles(self):
        """What keeps Keras's cuDNN kernel, which takes a bias and one dropout mask for all gates, from this layer."""
        obstacles = []
        if not self.use_bias:
            obstacles.append("use_bias=True, received use_bias=False")
        if self.recurrent_dropout:
            obstacles.append(f"no recurrent dropout, received recurrent_dropout={self.recurrent_dropout}")
        if self.dropout and self.implementation == 1:
            obstacles.append(f"implementation=2, received implementation=1 with dropout={self.dropout}")
        if self.interventions:
            obstacles.append(f"no interventions, received those on {[*self.interventions]}")
        return obstacles

    def _cudnn_obstacles(self):
        """The same, with what keeps any layer on this machine from it."""
        return [*self._kernel_obstacles(), *cudnn_obstacles(self.activation, self.recurrent_activation, self.unroll)]

    def _hidden_by_keras(self, sequences, h0, c0, mask, training):
        """h of all steps by `keras.layers.LSTM`, on a GPU its cuDNN kernel, with this very cell and its dropout."""
        stock = keras.layers.LSTM(
            self.units, return_sequences=True, use_cudnn=self.use_cudnn, dtype=self.dtype_policy, name="hidden"
        )
        stock.cell = self.cell
        stock.built = True
        return stock(sequences, initial_state=[h0, c0], mask=mask, training=training)

    def _initial_state(self, sequences, initial_state):
        batch = sequences.shape[0]
        if self.stateful and not fits((batch,), self.states[0].shape[:1]):
            raise ValueError(
                f"layer {self.name!r} with stateful=True: expected the batch size {self.states[0].shape[0]} of the "
                f"first batch; received {batch}"
            )
        if initial_state is None and not self.stateful:
            return self.get_initial_state(ops.shape(sequences)[0])
        states = self.states if initial_state is None else initial_state
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        shapes = [tuple(getattr(state, "shape", ())) for state in states]
        expected = (batch, self.units)
        if len(shapes) != 2 or not all(fits(shape, expected) for shape in shapes):
            raise ValueError(
                f"layer {self.name!r}: initial_state must be [h, c], each of shape {expected}; received shapes {shapes}"
            )
        states = [ops.cast(ops.convert_to_tensor(state), self.compute_dtype) for state in states]
        return [of_sizes(state, ops.shape(sequences)[:1], "initial_state_has_another_batch") for state in states]

    def _mask(self, mask, sequences):
        if mask is None:
            return None
        mask = keras.tree.flatten(mask)[0]
        expected = tuple(sequences.shape[:2])
        if not fits(tuple(mask.shape), expected):
            raise ValueError(
                f"layer {self.name!r}: mask must have the shape (batch, time) = {expected} of the sequences; "
                f"received {tuple(mask.shape)}"
            )
        mask = ops.expand_dims(ops.cast(mask, "bool"), -1)
        return of_sizes(mask, ops.shape(sequences)[:2], "mask_has_another_size")[..., 0]

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, time = sequences_shape[:2]
        state = (batch, self.units)
        sequence = (batch, time, self.units)
        output = sequence if self.return_sequences else state
        if self.return_gates:
            named = {"output": output, **dict.fromkeys(Gates._fields, sequence)}
            named = {**named, "state_h": state, "state_c": state} if self.return_state else named
            # A wrapper that expects one shape asks for its first axis.
            return collections.defaultdict(functools.partial(expects_one_output, self.name), named)
        return (output, state, state) if self.return_state else output

    def compute_mask(self, sequences: Any, mask: Any = None) -> Any:
        mask = keras.tree.flatten(mask)[0] if mask is not None else None
        output = mask if self.return_sequences else None
        if self.return_gates:
            named = {"output": output, **dict.fromkeys(Gates._fields, mask)}
            return {**named, "state_h": None, "state_c": None} if self.return_state else named
        return [output, None, None] if self.return_state else output

    def gate_weights(self) -> dict[str, GateWeights]:
        """The weights of each gate by name: {"i": `GateWeights(W, R, b)`, ...}; see `GatedLSTMCell.gate_weights`."""
        return self.cell.gate_weights()

    def set_gate_weights(self, weights: dict[str, GateWeights]) -> None:
        """Set the weights of one or more gates by name; see `GatedLSTMCell.set_gate_weights`."""
        self.cell.set_gate_weights(weights)

    @property
    def zero_output_for_mask(self) -> int:
        """0 or 1: whether the output, not the gates, is 0 at masked steps."""
        return self._zero_output_for_mask

    @zero_output_for_mask.setter
    def zero_output_for_mask(self, value: int) -> None:
        # Only keras.layers.Bidirectional sets it on a finished layer: the place to say what it cannot do.
        if self.return_gates:
            raise ValueError(
                "keras.layers.Bidirectional cannot carry the dict of return_gates=True; expected "
                "keras_lstm_gates.layers.Bidirectional, which can"
            )
        # An int: TensorFlow skips a setter whose attribute already is the very object False.
        self._zero_output_for_mask = int(value)

    implementation = property(lambda layer: layer.cell.implementation, doc="`implementation` of the cell.")
    seed = property(lambda layer: layer.cell.seed, doc="`seed` of the cell.")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "implementation": self.implementation,
            "zero_output_for_mask": bool(self.zero_output_for_mask),
            "return_gates": self.return_gates,
            "gate_regularizer": {
                name: keras.regularizers.serialize(regularizer) for name, regularizer in self.gate_regularizer.items()
            },
            "interventions": serialized(self.interventions),
        }


def expects_one_output(name):
    """Refuse a wrapper that takes the dict of shapes of the layer `name` for the shape of one output."""
    raise ValueError(
        f"layer {name!r}: this wrapper expects a layer with one output and cannot carry the dict of "
        "return_gates=True; expected a layer with return_gates=False in it"
    )


def _regularizers(by_gate):
    by_gate = by_gate or {}
    for name in by_gate:
        if name not in Gates._fields:
            raise ValueError(f"gate_regularizer must have keys among {Gates._fields}; received {name!r}")
    return {name: keras.regularizers.get(regularizer) for name, regularizer in by_gate.items()}
