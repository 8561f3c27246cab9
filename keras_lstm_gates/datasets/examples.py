"""Examples in memory, and batches of them in an order that is a pure function of seed and epoch."""

import numpy as np
import tensorflow as tf


class Sequences:
    """Sequences of any length, each with one target; a batch is padded with zeros to its longest.

    Args:
        inputs: list of arrays, (time, features) float or (time,) int.
        targets: list of int, one per sequence; or of arrays (time,), one per step: then a batch has weights too,
            1 for a real step and 0 for padding.
    """

    def __init__(self, inputs, targets):
        self.size = len(inputs)
        self._per_step = np.ndim(targets[0]) == 1
        self._inputs = _ragged(inputs, np.float32 if np.ndim(inputs[0]) == 2 else np.int32)
        self._targets = _ragged(targets, np.int32) if self._per_step else tf.constant(targets, tf.int32)

    def batch(self, numbers):
        """The batch (inputs, targets) or (inputs, targets, weights) of the examples with these numbers."""
        inputs, targets = tf.gather(self._inputs, numbers), tf.gather(self._targets, numbers)
        if self._per_step:
            return inputs.to_tensor(), targets.to_tensor(), tf.ones_like(targets, tf.float32).to_tensor()
        return inputs.to_tensor(), targets


class Windows:
    """Windows of a series, made on demand: `window` steps of inputs, and the targets.

    Args:
        inputs: (time, features) float or (time,) int.
        targets: (time,), of which window + 1 ... window + horizon are a window's targets; None where a window's
            targets are its inputs one step later.
        starts: (number,) int, the first step of each window.
        window, horizon: int > 0.
        weights: (number,) float, of each window, or None. With weights a batch has them as (batch, 1).
    """

    def __init__(self, inputs, targets, starts, window, horizon=1, weights=None):
        self.size = len(starts)
        self._inputs, self._starts = tf.constant(inputs), tf.constant(starts, tf.int64)
        self._targets = None if targets is None else tf.constant(targets)
        self._window, self._horizon = window, horizon
        self._weights = None if weights is None else tf.constant(weights[:, None], tf.float32)

    def batch(self, numbers):
        """The batch (inputs, targets), or (inputs, targets, weights), of the windows with these numbers."""
        starts = tf.gather(self._starts, numbers)[:, None]
        steps = tf.range(self._window, dtype=tf.int64)
        inputs = tf.gather(self._inputs, starts + steps)
        if self._targets is None:
            return inputs, tf.gather(self._inputs, starts + steps + 1)
        targets = tf.gather(self._targets, starts + self._window + tf.range(self._horizon, dtype=tf.int64))
        return (inputs, targets) if self._weights is None else (inputs, targets, tf.gather(self._weights, numbers))


def in_order(source, batch_size):
    """One pass over a source in its order, as batches."""
    return _batched(source, tf.data.Dataset.range(source.size), batch_size)


def some(source, most):
    """At most `most` examples of a source, evenly spaced, as arrays."""
    numbers = np.unique(np.linspace(0, source.size - 1, min(source.size, most)).astype(np.int64))
    return tuple(np.asarray(part) for part in source.batch(numbers))


def shuffled(source, batch_size, seed, epoch, most=None):
    """One pass over a source, or over `most` of it, as batches, in an order that depends on seed and epoch alone."""
    order = np.random.default_rng((seed, epoch)).permutation(source.size)[:most]
    return _batched(source, tf.data.Dataset.from_tensor_slices(order), batch_size)


def _batched(source, numbers, batch_size):
    return numbers.batch(batch_size).map(source.batch).prefetch(1)


def _ragged(arrays, dtype):
    values = np.concatenate(arrays).astype(dtype, copy=False)
    return tf.RaggedTensor.from_row_lengths(values, [len(array) for array in arrays])
