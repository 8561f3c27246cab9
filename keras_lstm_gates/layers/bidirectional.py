"""`Bidirectional`: `keras.layers.Bidirectional` that carries the gates of both directions by name."""

import contextlib

import keras
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers.lstm import GatedLSTM

MERGES = {
    "concat": lambda forward, backward: ops.concatenate([forward, backward], axis=-1),
    "sum": ops.add,
    "ave": lambda forward, backward: (forward + backward) / 2,
    "mul": ops.multiply,
    None: lambda forward, backward: (forward, backward),
}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class Bidirectional(keras.layers.Bidirectional):
    """`keras.layers.Bidirectional` that can also carry a `GatedLSTM(return_gates=True)`.

    Args:
        layer, merge_mode, weights, backward_layer, **kwargs: of `keras.layers.Bidirectional`.

    Returns:
        What `keras.layers.Bidirectional` returns, unless the layer returns gates. Then a dict:
            "output"                               the merged outputs, as `keras.layers.Bidirectional`
            "forward/i" … "forward/h"              (batch, time, units)
            "backward/i" … "backward/h"            (batch, time, units), in the time of the input: step t of the
                                                   backward direction has read the inputs from the last down to t
            "forward/state_h", "backward/state_h"  (batch, units), and state_c, only with `return_state`

    Example:
        >>> import numpy as np
        >>> both = Bidirectional(GatedLSTM(4, return_sequences=True, return_gates=True))
        >>> out = both(np.zeros((2, 10, 3), "float32"))
        >>> tuple(out["output"].shape), tuple(out["backward/f"].shape)
        ((2, 10, 8), (2, 10, 4))
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        with _gates_put_aside(layer) as gated, _gates_put_aside(backward_layer) as backward_gated:
            super().__init__(layer, merge_mode=merge_mode, weights=weights, backward_layer=backward_layer, **kwargs)
        if backward_layer is not None and gated != backward_gated:
            raise ValueError(
                "expected return_gates to be the same in layer and backward_layer; "
                f"received {gated} and {backward_gated}"
            )
        self.return_gates = gated
        if gated:
            self.forward_layer.return_gates = self.backward_layer.return_gates = True

    def call(self, sequences, initial_state=None, mask=None, training=None):
        if not self.return_gates:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        half = 2 if initial_state is not None else None
        states = (None, None) if initial_state is None else (initial_state[:half], initial_state[half:])
        layers = (self.forward_layer, self.backward_layer)
        forward, backward = (
            layer(sequences, initial_state=state, mask=mask, training=training)
            for layer, state in zip(layers, states, strict=True)
        )
        for name in (*Gates._fields, *(["output"] if self.return_sequences else [])):
            backward[name] = ops.flip(backward[name], axis=1)
        named = {"output": MERGES[self.merge_mode](forward.pop("output"), backward.pop("output"))}
        for direction, values in (("forward", forward), ("backward", backward)):
            named.update({f"{direction}/{name}": value for name, value in values.items()})
        return named

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        if not self.return_gates:
            return super().compute_output_shape(sequences_shape, initial_state_shape)
        forward, backward = (
            layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)
        )
        output = forward.pop("output")
        del backward["output"]
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        elif self.merge_mode is None:
            output = (output, output)
        named = {"output": output}
        for direction, shapes in (("forward", forward), ("backward", backward)):
            named.update({f"{direction}/{name}": shape for name, shape in shapes.items()})
        return named

    def compute_mask(self, sequences, mask=None):
        if not self.return_gates:
            return super().compute_mask(sequences, mask)
        masks = self.forward_layer.compute_mask(sequences, mask)
        output = masks.pop("output")
        named = {"output": (output, output) if self.merge_mode is None else output}
        for direction in ("forward", "backward"):
            named.update({f"{direction}/{name}": value for name, value in masks.items()})
        return named


@contextlib.contextmanager
def _gates_put_aside(layer):
    """Keras's constructor refuses a layer with gates (see `GatedLSTM.zero_output_for_mask`): without them meanwhile."""
    gated = isinstance(layer, GatedLSTM) and layer.return_gates
    if gated:
        layer.return_gates = False
    try:
        yield gated
    finally:
        if gated:
            layer.return_gates = True
