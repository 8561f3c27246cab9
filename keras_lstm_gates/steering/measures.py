"""What is measured of a model's answers, a number a sample, and how far the mean of it may be from what it would be."""

import hashlib

import keras
import numpy as np
from keras import ops

DRAWS = 1000
"""Of the samples, with replacement, for a spread."""
INTERVAL = (2.5, 97.5)
"""Percentiles: of a hundred other sets of samples the mean of 95 would lie between them, if these are like those."""


class Metric:
    """A metric of predictions, a number a sample.

    Args:
        model: whose loss is taken where `metric` is None.
        metric: the name of a Keras loss, a `keras.losses.Loss`, "accuracy", a function of (y, predictions) to a number
            a sample, lower is better; or None.
        y: the targets, array (sample, ...).
        mask: bool (sample, time), the real steps, which alone count where the metric gives a number a step.

    Attributes:
        name: str.
        higher_is_better: bool.

    Raises:
        ValueError: "expected a metric or a compiled model with one loss; received metric=None and loss=None"; a
            name that Keras does not know.
    """

    def __init__(self, model, metric, y, mask):
        if metric is None:
            loss = model.loss if model.compiled else None
            if not (isinstance(loss, (str, keras.losses.Loss)) or callable(loss)):
                raise ValueError(
                    f"expected a metric or a compiled model with one loss; received metric=None and loss={loss}"
                )
            metric = loss
        elif isinstance(metric, str) and metric not in _ACCURACIES:
            _check_known(metric)
        self._y, self._mask, self._metric = y, mask, metric
        self.higher_is_better = metric in _ACCURACIES
        self.name = metric if isinstance(metric, str) else getattr(metric, "name", None) or metric.__name__
        self._is_function = callable(metric) and not isinstance(metric, keras.losses.Loss)

    def __call__(self, predictions):
        if self._is_function and not _is_of_keras(self._metric):
            return self._metric(self._y, predictions)
        if not isinstance(predictions, np.ndarray):
            raise ValueError(
                "expected a model with one output, or a function for a metric; received several outputs and "
                f"{self.name}"
            )
        values = np.asarray(self._of_each(predictions), np.float64)
        if len(values) != len(predictions):
            raise ValueError(f"expected targets for {len(predictions)} samples; received {np.shape(self._y)}")
        values = values.reshape(*values.shape[:2], -1).mean(-1) if values.ndim > 1 else values[:, None]
        if values.shape == self._mask.shape:
            real = self._mask.sum(axis=1)
            return np.where(self._mask, values, 0).sum(axis=1) / np.maximum(real, 1)
        return values.mean(axis=1)

    def _of_each(self, predictions):
        y = np.asarray(self._y)
        if self.higher_is_better:
            return _right(y, predictions)
        loss = keras.losses.get(self._metric)
        y = ops.convert_to_tensor(y if y.dtype.kind in "iu" else y.astype(predictions.dtype))
        if isinstance(loss, keras.losses.Loss):
            return loss.call(y, ops.convert_to_tensor(predictions))
        return loss(y, ops.convert_to_tensor(predictions))


_ACCURACIES = ("accuracy", "acc")


def _check_known(metric):
    try:
        keras.losses.get(metric)
    except ValueError:
        raise ValueError(
            "expected accuracy, or the name of a loss of Keras such as mse or sparse_categorical_crossentropy; "
            f"received {metric!r}"
        ) from None


def _is_of_keras(function):
    return getattr(function, "__module__", "").startswith("keras.")


def _right(y, predictions):
    """Whether each prediction is right: of one probability, or of one a class with targets as ids or one-hot."""
    if predictions.shape[-1] == 1:
        return (predictions > 0.5) == (y.reshape(predictions.shape) > 0.5)
    y = y[..., 0] if y.ndim == predictions.ndim and y.shape[-1] == 1 else y
    return predictions.argmax(-1) == (y.argmax(-1) if y.ndim == predictions.ndim else y)


def mean_and_spread(values, weights=None, seed=0):
    """The weighted mean over samples of each row, and between what it varies where the samples are drawn anew.

    Args:
        values: (row, sample).
        weights: (sample,), 0 or more; None: all alike.

    Returns:
        mean, low, high, each (row,): the percentiles 2.5 and 97.5 of the means of 1000 draws of the samples with
        replacement (bootstrap); of one sample alone they are NaN.

    Example:
        >>> mean_and_spread(np.array([[1.0, 1.0, 1.0]]))
        (array([1.]), array([1.]), array([1.]))
    """
    samples = values.shape[1]
    weights = np.ones(samples) if weights is None else np.asarray(weights, np.float64)
    mean = values @ weights / weights.sum()
    if samples < 2:
        return mean, np.full(len(values), np.nan), np.full(len(values), np.nan)
    drawn = np.random.default_rng(seed).multinomial(samples, np.full(samples, 1 / samples), DRAWS) * weights
    drawn = drawn[drawn.sum(axis=1) > 0]
    drawn = drawn / drawn.sum(axis=1, keepdims=True)
    # A block at a time, so that thousands of rows do not take gigabytes.
    blocks = [np.percentile(drawn @ values[at : at + 4096].T, INTERVAL, axis=0) for at in range(0, len(values), 4096)]
    return mean, *np.concatenate(blocks, axis=1)


def hash_of(arrays):
    """The sha256 of arrays, shapes and numbers, in the order of `keras.tree.flatten`."""
    digest = hashlib.sha256()
    for array in map(np.asarray, keras.tree.flatten(arrays)):
        digest.update(f"{array.shape}{array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
