"""A GRU whose gates can be read: its hidden states as Keras computes them, its gates from these."""

import keras
from keras import ops

from keras_lstm_gates.gates import GRUGates, gru_step


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class GRUWithGates(keras.layers.RNN):
    """A `keras.layers.RNN` over a `GRUCell` that returns its gates too; for reading, it has no path of its own.

    Args:
        cell: `keras.layers.GRUCell`.
        gives_sequences: bool, whether `output` is that of every step.
        **kwargs: of `keras.layers.RNN`, without return_sequences.

    Returns:
        A dict: `output`, with return_state `state_h`, and z, r, candidate and h as `keras_lstm_gates.gates.GRUGates`
        describes them, (batch, time, units), in the order in which the layer reads. A masked step repeats the last real
        one; before the first real step the gates are 0 and h is the initial state.

    Raises:
        ValueError: "the gates of the layer 'gru' are for reading: ..." in training with dropout, whose masks they
            would not have.

    Example:
        >>> import numpy as np
        >>> layer = GRUWithGates(keras.layers.GRUCell(2), gives_sequences=False)
        >>> {name: tuple(value.shape) for name, value in layer(np.ones((1, 5, 3), "float32")).items()}
        {'output': (1, 2), 'z': (1, 5, 2), 'r': (1, 5, 2), 'candidate': (1, 5, 2), 'h': (1, 5, 2)}
    """

    def __init__(self, cell, gives_sequences=True, **kwargs):
        kwargs.pop("return_sequences", None)
        super().__init__(cell, return_sequences=True, **kwargs)
        self.gives_sequences = gives_sequences
        # Keras 3.16 sets it to False in every RNN, which would end the mask here.
        self.supports_masking = True

    def call(self, sequences, initial_state=None, mask=None, training=False):
        cell = self.cell
        if training and (cell.dropout or cell.recurrent_dropout):
            raise ValueError(
                f"the gates of the layer {self.name!r} are for reading: expected training=False, because it has "
                f"dropout; received training={training}"
            )
        mask = None if mask is None else ops.cast(keras.tree.flatten(mask)[0], "bool")
        if initial_state is None:
            batch = ops.shape(sequences)[0]
            initial_state = [one + 0 for one in self.states] if self.stateful else self.get_initial_state(batch)
        (before,) = keras.tree.flatten(initial_state)
        outputs = super().call(sequences, initial_state=[before], mask=mask, training=training)
        every, *states = outputs if self.return_state else (outputs,)
        gates = self._gates(sequences, mask, every, ops.cast(before, self.compute_dtype))
        named = {"output": every if self.gives_sequences else every[:, -1], **gates._asdict()}
        return {**named, "state_h": states[0]} if states else named

    def _gates(self, x, mask, h, h0):
        """`GRUGates` in the order of reading, by one product over all steps: every h is known."""
        if self.go_backwards:
            x, mask = ops.flip(x, axis=1), None if mask is None else ops.flip(mask, axis=1)
        h = ops.concatenate([h0[:, None], h], axis=1)
        if mask is None:
            return gru_step(self.cell, ops.cast(x, self.compute_dtype), h[:, :-1])._replace(h=h[:, 1:])
        # 1 + the last real step up to each step, 0 before the first: an index into the states with the first in front.
        steps, count = ops.shape(x)[1], ops.cumsum(ops.cast(mask, "int32"), axis=1)
        time = ops.arange(steps, dtype="int32")
        real_first = ops.argsort(ops.where(mask, time, time + steps), axis=1)
        latest = ops.cast(ops.take_along_axis(real_first, ops.maximum(count - 1, 0), axis=1), "int32")
        last_real = ops.where(count > 0, latest + 1, 0)
        before = ops.concatenate([ops.zeros_like(last_real[:, :1]), last_real[:, :-1]], axis=1)
        gates = gru_step(self.cell, ops.cast(x, self.compute_dtype), _at(h, before))
        first = ops.zeros_like(h[:, :1])
        shown = (_at(ops.concatenate([first, values], axis=1), last_real) for values in gates[:-1])
        return GRUGates(*shown, h=_at(h, last_real))

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, time = sequences_shape[:2]
        sequence, state = (batch, time, self.cell.units), (batch, self.cell.units)
        named = {"output": sequence if self.gives_sequences else state, **dict.fromkeys(GRUGates._fields, sequence)}
        return {**named, "state_h": state} if self.return_state else named

    def compute_mask(self, sequences, mask=None):
        mask = keras.tree.flatten(mask)[0] if mask is not None else None
        named = {"output": mask if self.gives_sequences else None, **dict.fromkeys(GRUGates._fields, mask)}
        return {**named, "state_h": None} if self.return_state else named

    def get_config(self):
        return {**super().get_config(), "gives_sequences": self.gives_sequences}


def gru_with_gates(layer, name, path):
    """A `GRUWithGates` that computes what a layer computes, with the very cell of it.

    Raises:
        ValueError: "cannot open the layer 'own': expected GRU, or RNN over GRUCell; received the class OwnGRU, ...".
    """
    if type(layer) not in LAYERS or type(layer.cell) is not keras.layers.GRUCell:
        custom = layer if type(layer) not in LAYERS else layer.cell
        raise ValueError(
            f"cannot open the layer {path!r}: expected GRU, or RNN over GRUCell; received the class "
            f"{type(custom).__name__}, whose step may differ. Leave it out with layers=[...]"
        )
    return GRUWithGates(
        layer.cell,
        gives_sequences=layer.return_sequences,
        return_state=layer.return_state,
        go_backwards=layer.go_backwards,
        stateful=layer.stateful,
        unroll=layer.unroll,
        zero_output_for_mask=getattr(layer, "zero_output_for_mask", False),
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
        name=name,
    )


LAYERS = (keras.layers.GRU, keras.layers.RNN)


def _at(values, steps):
    return ops.take_along_axis(values, steps[:, :, None], axis=1)
