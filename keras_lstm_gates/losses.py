"""Losses of the four tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keras_lstm_gates.recipes import Recipe

__all__ = ["Pinball", "SummedCrossEntropy"]


@keras.saving.register_keras_serializable("keras_lstm_gates")
class SummedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of each step, summed over time, in nats a sequence; the mean over the batch.

    Args of the call:
        y_true: int (batch, time).
        y_pred: probabilities (batch, time, classes).
        sample_weight: (batch, time), 0 for a masked step; or (batch,). The mask of y_pred is applied too.

    Example:
        >>> import numpy as np
        >>> loss = SummedCrossEntropy()(np.array([[0, 1]]), np.array([[[0.5, 0.5], [0.5, 0.5]]]))
        >>> round(float(loss), 3)  # 2 ln 2
        1.386
    """

    def __init__(
        self, name: str = "summed_cross_entropy", reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        steps = ops.cast(keras.losses.sparse_categorical_crossentropy(y_true, y_pred), "float32")
        for weights in (getattr(y_pred, "_keras_mask", None), sample_weight):
            if weights is not None:
                weights = ops.cast(weights, "float32")
                # A weight per sequence: without a time axis it would broadcast over the steps.
                steps = steps * (ops.expand_dims(weights, 1) if len(weights.shape) == 1 else weights)
        return ops.mean(ops.sum(steps, axis=1))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sum(keras.losses.sparse_categorical_crossentropy(y_true, y_pred), axis=1)


@keras.saving.register_keras_serializable("keras_lstm_gates")
class Pinball(keras.losses.Loss):
    """The quantile loss: max(q e, (q - 1) e) with e = y - forecast, the mean over steps and quantiles.

    Args:
        quantiles: floats in (0, 1), one per forecast in the last axis of y_pred (batch, horizon, quantiles).

    Source: Koenker & Bassett 1978, Regression quantiles.

    Example:
        >>> import numpy as np
        >>> float(Pinball([0.9])(np.array([[2.0]]), np.array([[[1.0]]]))).__round__(4)
        0.9
    """

    def __init__(
        self,
        quantiles: Iterable[float],
        name: str = "pinball",
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.quantiles = list(quantiles)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = ops.expand_dims(y_true, -1) - y_pred
        q = ops.convert_to_tensor(self.quantiles, y_pred.dtype)
        return ops.mean(ops.maximum(q * error, (q - 1) * error), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"quantiles": self.quantiles}


def loss_of(recipe: Recipe) -> keras.losses.Loss:
    """The Keras loss of a recipe's task."""
    if recipe.task == "forecasting":
        return Pinball(recipe.quantiles) if recipe.quantiles else keras.losses.MeanAbsoluteError()
    if recipe.task == "classification":
        return keras.losses.SparseCategoricalCrossentropy()
    return SummedCrossEntropy()
