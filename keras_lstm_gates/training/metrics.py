"""Metrics of the four tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import keras

    from keras_lstm_gates.recipes import Recipe


def evaluate(model: keras.Model, recipe: Recipe, part: Iterable[tuple]) -> dict[str, float]:
    """The metrics of a task over one part of its data, computed in NumPy from the model's predictions.

    Args:
        model: `keras.Model`.
        recipe: `Recipe`, for its task and quantiles.
        part: batches as of `keras_lstm_gates.datasets.Data`.

    Returns:
        dict: classification and labelling: "accuracy" and "cross_entropy" (nats a sequence, or a step); language:
        "bits_per_character" and "accuracy"; forecasting: "mae", "rmse" (of the median where there are quantiles) and
        with quantiles "pinball" and "coverage", the share of targets between the lowest and the highest.
        Padding is left out.
    """
    columns = []
    for x, y, *weights in part:
        predicted = np.asarray(model(x, training=False), "float64")
        y = np.asarray(y)
        if recipe.task == "forecasting":
            middle = predicted
            row = {}
            if recipe.quantiles:
                q = np.array(recipe.quantiles)
                error = y[..., None] - predicted
                row["coverage"] = ((y >= predicted[..., 0]) & (y <= predicted[..., -1])).astype(float).ravel()
                row["pinball"] = np.maximum(q * error, (q - 1) * error).mean(-1).ravel()
                middle = predicted[..., int(np.argmin(np.abs(q - 0.5)))]
            columns.append({"mae": np.abs(y - middle).ravel(), "rmse": ((y - middle) ** 2).ravel(), **row})
            continue
        real = np.asarray(weights[0]).astype(bool) if weights else np.ones(y.shape, bool)
        likelihood = np.take_along_axis(predicted, y[..., None].astype(int), -1)[..., 0][real]
        nats = -np.log(np.maximum(likelihood, 1e-12))
        columns.append({"accuracy": (predicted.argmax(-1) == y)[real].astype(float), "cross_entropy": nats})
    means = {name: float(np.concatenate([row[name] for row in columns]).mean()) for name in columns[0]}
    if "rmse" in means:
        means["rmse"] = float(np.sqrt(means["rmse"]))
    if recipe.task == "language":
        means["bits_per_character"] = means.pop("cross_entropy") / float(np.log(2))
    return means
