"""The loops as programs: compiled for all steps at once, or for a chunk of them that is run again and again.

Both kinds answer to `forward` and `backward` of one part of the batch, so that nothing else knows them apart.
"""

import tensorflow as tf

from keras_lstm_gates.recurrence.compiled.loops import (
    Carry,
    History,
    backward_loop,
    batch_major,
    forward_loop,
    intervention_gradients,
)
from keras_lstm_gates.recurrence.interventions import mapped

# Steps in one chunk: long enough that starting it costs little, short enough that the last, which is padded, wastes
# little.
CHUNK = 32


class WholeSequence:
    """Programs for the number of steps at hand: a new number costs a compilation."""

    def __init__(self):
        self._forward, self._backward = _compiled(forward_loop), _compiled(backward_loop)
        # One program an output, not one for all: those that nobody uses are then left out of a graph.
        self.batch_major = _compiled(batch_major)
        self.intervention_gradients = _compiled(intervention_gradients)

    def forward(self, z, first, carry, R, mask, dropout, act, stored):
        """The `stored` histories by name and the last `Carry`, of the rows of z that begin at `first`."""
        return self._forward(z, first, carry, R, mask, dropout, act, None, stored)

    def backward(self, history, c_before, R, mask, dropout, act, d_outputs, d_carry, time):
        """What `backward_loop` returns."""
        return self._backward(history, c_before, R, mask, dropout, act, d_outputs, d_carry, None)


class Chunks:
    """Programs for `CHUNK` steps: sequences of all lengths share them. Histories are as long as whole chunks."""

    def __init__(self):
        self._forward, self._backward = _compiled(forward_loop), _compiled(backward_loop)
        # No program, which would be compiled for each number of steps.
        self.batch_major = batch_major

    def forward(self, z, first, carry, R, mask, dropout, act, stored):
        """The `stored` histories by name and the last `Carry`, of the rows of z that begin at `first`."""
        time, rows, known_rows = tf.shape(z)[0], tf.shape(carry.h)[0], carry.h.shape[0]
        count = -(-time // CHUNK)
        z, mask = _pad_time(z[:, first : first + rows], count * CHUNK), _pad_time(mask, count * CHUNK)
        act = _pad_changing(act, count * CHUNK)
        widths = History(z.shape[2], carry.c.shape[1], carry.h.shape[1], z.shape[2])
        histories = {
            name: tf.TensorArray(z.dtype, count, element_shape=[CHUNK, known_rows, getattr(widths, name)])
            for name in stored
        }

        def body(k, carry, histories):
            z_k, mask_k, steps = _chunk(z, k, known_rows), _chunk(mask, k), tf.minimum(CHUNK, time - k * CHUNK)
            act_k = _chunk_of_changing(act, k)
            of_chunk, carry = self._forward(z_k, tf.constant(0), carry, R, mask_k, dropout, act_k, steps, stored)
            return k + 1, carry, {name: chunks.write(k, of_chunk[name]) for name, chunks in histories.items()}

        _, carry, histories = tf.while_loop(lambda k, *_: k < count, body, (0, carry, histories))
        return {name: _joined(chunks) for name, chunks in histories.items()}, carry

    def backward(self, history, c_before, R, mask, dropout, act, d_outputs, d_carry, time):
        """What `backward_loop` returns, histories as long as whole chunks."""
        activated = history.activated
        padded = tf.shape(activated)[0]
        mask, act = _pad_time(mask, padded), _pad_changing(act, padded)
        d_outputs = {name: _pad_time(value, padded) for name, value in d_outputs.items()}
        count, repeats = padded // CHUNK, tf.is_tensor(d_carry.gates)
        widths = [activated, *([history.c, history.c] if act else []), *([activated] if act and repeats else [])]
        chunks = [tf.TensorArray(one.dtype, count, element_shape=[CHUNK, *one.shape[1:]]) for one in widths]

        def body(k, d_carry, chunks):
            dz, d_history, d_carry = self._backward(
                History(*[_chunk(value, k) for value in history]),
                _chunk(c_before, k),
                R,
                _chunk(mask, k),
                dropout,
                _chunk_of_changing(act, k),
                {name: _chunk(value, k) for name, value in d_outputs.items()},
                d_carry,
                tf.minimum(CHUNK, time - k * CHUNK),
            )
            of_chunk = tf.nest.flatten([dz, d_history])
            return k - 1, d_carry, [one.write(k, value) for one, value in zip(chunks, of_chunk, strict=True)]

        _, d_carry, chunks = tf.while_loop(lambda k, *_: k >= 0, body, (count - 1, d_carry, chunks))
        dz, *d_history = map(_joined, chunks)
        return dz, Carry(*d_history) if act else (), d_carry

    def intervention_gradients(self, history, c_before, mask, act, d_history, d_outputs):
        """What the function of this name returns, of histories that are as long as whole chunks."""
        time = tf.shape(history.c)[0]
        padded = {name: _pad_time(value, time) for name, value in d_outputs.items()}
        return intervention_gradients(
            history, c_before, _pad_time(mask, time), _pad_changing(act, time), d_history, padded
        )


def _compiled(function):
    return tf.function(function, autograph=False, jit_compile=True)


def _pad_time(value, time):
    """`value`, whose first axis is time, with zeros (False) after its end."""
    if value is None:
        return None
    return tf.pad(value, [[0, time - tf.shape(value)[0]], *[[0, 0]] * (len(value.shape) - 1)])


def _chunk(value, k, rows=None):
    """Chunk k of a value whose first axis is time. (A slice of known size: XLA, outside, accepts no other.)"""
    if value is None:
        return None
    after = len(value.shape) - 1
    piece = tf.slice(value, [k * CHUNK, *[0] * after], [CHUNK, *[-1] * after])
    return tf.ensure_shape(piece, [CHUNK, value.shape[1] if rows is None else rows, *value.shape[2:]])


def _pad_changing(act, time):
    """Interventions, those that change from step to step with zeros after their end."""
    return mapped(act, lambda number: number if number.shape[0] == 1 else _pad_time(number, time))


def _chunk_of_changing(act, k):
    return mapped(act, lambda number: number if number.shape[0] == 1 else _chunk(number, k))


def _joined(chunks):
    stacked = chunks.stack()
    return tf.reshape(stacked, tf.concat([[-1], tf.shape(stacked)[2:]], 0))
