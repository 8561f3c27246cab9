"""The batch as the programs see it: at most one part a core, and few sizes, so that few programs are compiled.

Sequences are independent: no core need wait for another at every step. A program is compiled for one number of rows,
about 0.5 s and 5 MiB each, kept for as long as the process runs. So a batch whose size only the run tells (the last of
an epoch, any in eager mode) is filled up with rows of zeros to one of few sizes; a size known in a graph stays.
"""

import functools
import itertools
import os

import tensorflow as tf

# A batch is split only when each part keeps this many sequences.
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


@functools.cache
def cores():
    """How many parts TensorFlow may run side by side: 1 on a GPU, where another part is only another kernel."""
    if tf.config.list_physical_devices("GPU"):
        return 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, tf.config.threading.get_inter_op_parallelism_threads() or allowed)


def parts(h0):
    """Slices of a padded batch, at most one a core; of a batch that only the run tells the last may be empty."""
    if h0.shape[0] is None:
        rows = tf.shape(h0)[0]
        size = -(-rows // _number_of_parts(rows))
        bounds = [0, *[tf.minimum(part * size, rows) for part in range(1, cores())], rows]
    else:
        rows = h0.shape[0]
        bounds = [*range(0, rows, max(1, -(-rows // _number_of_parts(rows)))), rows] if rows else [0, 0]
    return list(itertools.starmap(slice, itertools.pairwise(bounds)))


def fitting(rows):
    """The size of a program that takes so many rows."""
    return next((size for size in SIZES if size >= rows), -(-rows // _STEP_BEYOND) * _STEP_BEYOND)


def _number_of_parts(size):
    """The most of 1, 2, 4, ... and the number of cores that leave each part its `ROWS_PER_PART`; of an int or a tensor.

    So what `pad` adds never changes the number to one whose parts have a size of their own.
    """
    counts = (*(2**power for power in range(cores().bit_length()) if 2**power < cores()), cores())
    if isinstance(size, int):
        return max(count for count in counts if count == 1 or size >= ROWS_PER_PART * count)
    return _step(size, counts, [ROWS_PER_PART * count for count in counts[1:]])


def _fitting(rows):
    """`fitting` of a tensor."""
    beyond = tf.cast(rows > SIZES[-1], tf.int32)
    listed = _step(rows, SIZES, [size + 1 for size in SIZES[:-1]])
    return listed + beyond * (-(-rows // _STEP_BEYOND) * _STEP_BEYOND - SIZES[-1])


def _step(number, values, begins):
    """The last of `values` whose begin, which the first has not, a tensor reaches.

    By sums alone: XLA, outside, knows their value, but not that of a choice.
    """
    steps = tf.constant([after - before for before, after in itertools.pairwise(values)], tf.int32)
    return values[0] + tf.reduce_sum(steps * tf.cast(number >= tf.constant(begins, tf.int32), tf.int32))
