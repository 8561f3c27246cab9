"""The batch as the programs see it: one part a core, and few sizes, so that few programs are compiled.

Sequences are independent: no core need wait for another at every step. A program is compiled for one number of rows,
about 0.5 s and 5 MiB each, kept for as long as the process runs. So a batch whose size only the run tells (the last of
an epoch, any in eager mode) is filled up with rows of zeros to one of few sizes; a size known in a graph stays.
"""

import itertools

import tensorflow as tf

# A batch of known size is split only when each part keeps this many sequences.
ROWS_PER_PART = 8

# Rows that programs are compiled for where a batch is filled up: at most a quarter more than needed from 16 on.
SIZES = (1, 2, 4, 8, 12, *(step * 2**octave for octave in range(7) for step in (16, 20, 24, 28)))
_STEP_BEYOND = 512


class Batch:
    """How many sequences there are, and how many the programs get.

    Args:
        known: the size of the batch, or None where only the run tells.
        size: the same as a tensor.
    """

    def __init__(self, known, size):
        self.known, self._size = known, size
        if known is None:
            count = _number_of_parts(size)
            self.padded = count * _fitting(-(-size // count))
        elif tf.executing_eagerly():
            count = _number_of_parts(known)
            self.padded = count * fitting(-(-known // count))
        else:
            self.padded = known

    def pad(self, value, axis):
        """`value` with zeros (False) after the batch's last sequence; a copy only where some are missing."""
        if value is None or self.known == self.padded:
            return value
        sides = [[0, 0]] * len(value.shape)
        sides[axis] = [0, self.padded - self._size]
        return tf.pad(value, sides)

    def cut(self, value, axis):
        """`value` without what `pad` added on axis 0 or 1."""
        if self.known == self.padded:
            return value
        return value[: self._size] if axis == 0 else value[:, : self._size]


def parts(h0):
    """Slices of a padded batch, one a core; of two that only the run tells, the second may be empty."""
    rows = tf.shape(h0)[0] if h0.shape[0] is None else h0.shape[0]
    first = -(-rows // _number_of_parts(rows))
    return [slice(0, rows)] if isinstance(rows, int) and first == rows else [slice(0, first), slice(first, rows)]


def fitting(rows):
    """The size of a program that takes so many rows."""
    return next((size for size in SIZES if size >= rows), -(-rows // _STEP_BEYOND) * _STEP_BEYOND)


def _number_of_parts(size):
    """1 or 2, of an int or a tensor."""
    is_split = size >= 2 * ROWS_PER_PART
    return 1 + (tf.cast(is_split, tf.int32) if tf.is_tensor(is_split) else int(is_split))


def _fitting(rows):
    """`fitting` of a tensor, by sums alone: XLA, outside, knows their value, but not that of a choice."""
    steps = tf.constant([after - before for before, after in itertools.pairwise(SIZES)])
    listed = SIZES[0] + tf.reduce_sum(steps * tf.cast(rows > tf.constant(SIZES[:-1]), tf.int32))
    beyond = tf.cast(rows > SIZES[-1], tf.int32)
    return listed + beyond * (-(-rows // _STEP_BEYOND) * _STEP_BEYOND - SIZES[-1])
