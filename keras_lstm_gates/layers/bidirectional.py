"""`Bidirectional`: `keras.layers.Bidirectional` that carries the gates of both directions by name."""

from __future__ import annotations

import collections
import contextlib
import functools
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers.lstm import GatedLSTM, expects_one_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


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
        layer, merge_mode, backward_layer, **kwargs: of `keras.layers.Bidirectional`.
        weights: arrays that the layer starts with, those of the forward layer first; None for fresh ones. (Keras 3
            stores them and never uses them.)

    Returns:
        What `keras.layers.Bidirectional` returns, unless the layer returns gates. Then a dict:
            "output"                               the merged outputs, as `keras.layers.Bidirectional`
            "forward/i" … "forward/h"              (batch, time, units)
            "backward/i" … "backward/h"            (batch, time, units), in the time of the input: step t of the
                                                   backward direction has read the inputs from the last down to t
            "forward/state_h", "backward/state_h"  (batch, units), and state_c, only with `return_state`

    Raises:
        ValueError: "expected return_gates to be the same in layer and backward_layer; received True and False".
        ValueError: "layer 'both': initial_state must be [h, c, h, c], forward first; received 2 states".

    Masks go on behind it in every version of Keras (3.16 ends them at its own).

    Example:
        >>> import numpy as np
        >>> both = Bidirectional(GatedLSTM(4, return_sequences=True, return_gates=True))
        >>> out = both(np.zeros((2, 10, 3), "float32"))
        >>> tuple(out["output"].shape), tuple(out["backward/f"].shape)
        ((2, 10, 8), (2, 10, 4))
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        merge_mode: str | None = "concat",
        weights: Sequence[ArrayLike] | None = None,
        backward_layer: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        with _gates_put_aside(layer) as gated, _gates_put_aside(backward_layer) as backward_gated:
            super().__init__(layer, merge_mode=merge_mode, weights=weights, backward_layer=backward_layer, **kwargs)
        if backward_layer is not None and gated != backward_gated:
            raise ValueError(
                "expected return_gates to be the same in layer and backward_layer; "
                f"received {gated} and {backward_gated}"
            )
        self.return_gates = gated
        self.supports_masking = True
        self._first_weights = weights
        if gated:
            self.forward_layer.return_gates = self.backward_layer.return_gates = True

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        if self.return_gates:
            self.compute_output_shape(sequences_shape)  # refuses directions that cannot be merged, in eager mode too
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        if not self.return_gates:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        if initial_state is not None and len(initial_state) != 4:
            raise ValueError(
                f"layer {self.name!r}: initial_state must be [h, c, h, c], forward first; "
                f"received {len(initial_state)} states"
            )
        states = (None, None) if initial_state is None else (initial_state[:2], initial_state[2:])
        forward, backward = (
            layer(sequences, initial_state=state, mask=mask, training=training)
            for layer, state in zip((self.forward_layer, self.backward_layer), states, strict=True)
        )
        for name in (*Gates._fields, *(["output"] if self.return_sequences else [])):
            backward[name] = ops.flip(backward[name], axis=1)
        named = self._named(forward, backward, MERGES[self.merge_mode])
        return keras.tree.map_structure(lambda value: ops.cast(value, self.compute_dtype), named)

    def _named(self, forward, backward, merge):
        """{"output": merged, "forward/i": ..., "backward/i": ...} of what both layers have by name."""
        named = {"output": merge(forward["output"], backward["output"])}
        for direction, values in (("forward", forward), ("backward", backward)):
            named.update({f"{direction}/{name}": value for name, value in values.items() if name != "output"})
        return named

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        if not self.return_gates:
            return super().compute_output_shape(sequences_shape, initial_state_shape)
        forward, backward = (
            layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)
        )
        named = self._named(forward, backward, self._merged_shape)
        # A wrapper that expects one shape asks for its first axis.
        return collections.defaultdict(functools.partial(expects_one_output, self.name), named)

    def _merged_shape(self, forward, backward):
        if self.merge_mode is None:
            return forward, backward
        if self.merge_mode == "concat":
            return (*forward[:-1], forward[-1] + backward[-1])
        if forward[-1] != backward[-1]:
            raise ValueError(
                f"layer {self.name!r}: merge_mode={self.merge_mode!r} expected the units of both directions to be the "
                f"same; received {forward[-1]} and {backward[-1]}"
            )
        return forward

    def compute_mask(self, sequences: Any, mask: Any = None) -> Any:
        if not self.return_gates:
            return super().compute_mask(sequences, mask)
        masks = self.forward_layer.compute_mask(sequences, mask)
        return self._named(masks, masks, lambda output, _: (output, output) if self.merge_mode is None else output)


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
