"""The baselines of each task, measured on the test part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates.baselines import volatility
from keras_lstm_gates.baselines.forecasts import WINDOWS, fitted
from keras_lstm_gates.baselines.ngrams import NGrams
from keras_lstm_gates.datasets import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keras_lstm_gates.datasets.data import Data
    from keras_lstm_gates.recipes import Recipe


METRICS = {
    "classification": "accuracy",
    "forecasting": "mae",
    "labelling": "accuracy",
    "language": "bits_per_character",
}
"""The metric of each task's baselines: a key of the dict that `training.evaluate` returns."""

DTW_COST = 2e9
"""The most pairs of steps to compare; beyond it nearest neighbours by DTW are left out."""


def measure(recipe: Recipe, data: Data) -> dict[str, float]:
    """The baselines of a recipe's task, on the test part.

    Args:
        recipe: `Recipe`.
        data: `keras_lstm_gates.datasets.Data`.

    Returns:
        {name: figure}.

        Classification, accuracy: the most frequent class; the nearest class mean of each sequence's mean and standard
        deviation over time; the class of the nearest training sequence by dynamic time warping, where that is feasible.
        For tokens, the most frequent class alone.

        Forecasting, MAE: persistence (the last value); the seasonal naive forecast (the last season, where
        the recipe names one that fits in the window); ridge regression on the window; where log_volatility is
        forecast beside log_return, HAR (with a window of 22 or more) and GARCH(1,1).

        Labelling, accuracy: the most frequent label; each word's most frequent label, and for unknown words the most
        frequent overall; the same with the label of an unknown word's ending.

        Language, bits per character: unigram; 5-gram with interpolated Kneser-Ney smoothing, 4-gram and so on where
        the vocabulary is very large.

    Raises:
        ValueError: an unknown task.
    """
    kinds = {
        "classification": _classification,
        "forecasting": _forecasting,
        "labelling": _labelling,
        "language": _language,
    }
    return kinds[recipe.task](recipe, data)


def beaten_by(task: str, figure: float, figures: Mapping[str, float]) -> str | None:
    """One line that says which baselines do better than a model, the best first, and None where none does.

    Args:
        task: str.
        figure: float, the model's own.
        figures: {name: figure} of `measure`.

    Example:
        >>> beaten_by("forecasting", 2.94, {"persistence": 4.6, "ridge regression": 2.62})
        'the model (mae 2.94) loses to ridge regression (2.62): prefer that, or train on'
        >>> beaten_by("forecasting", 5.0, {"persistence": 4.6, "ridge regression": 2.62})
        'the model (mae 5) loses to ridge regression (2.62) and persistence (4.6): prefer these, or train on'
        >>> beaten_by("classification", 0.9, {"most frequent class": 0.2}) is None
        True
    """
    sign = -1 if METRICS[task] == "accuracy" else 1
    better = [
        name for name in sorted(figures, key=lambda name: sign * figures[name]) if sign * figures[name] < sign * figure
    ]
    if not better:
        return None
    names, those = " and ".join(f"{name} ({figures[name]:.3g})" for name in better), "these" if better[1:] else "that"
    return f"the model ({METRICS[task]} {figure:.3g}) loses to {names}: prefer {those}, or train on"


def _rows(part):
    return [[np.asarray(value) for value in batch] for batch in part]


def _classification(recipe, data):
    if "vocabulary" in data.arguments:
        y, y_test = (np.concatenate([y for _, y in _rows(part)]) for part in (data.train, data.test))
        return {"most frequent class": float(np.mean(y_test == np.bincount(y).argmax()))}

    def summarized(part):
        rows, labels = [], []
        for x, y in _rows(part):
            for sequence in x:
                real = sequence[np.any(sequence != 0, axis=-1)]
                rows.append(np.concatenate([real.mean(axis=0), real.std(axis=0)]))
            labels.append(y)
        return np.array(rows), np.concatenate(labels)

    (x, y), (x_test, y_test) = summarized(data.train), summarized(data.test)
    spread = x.std(axis=0) + 1e-9
    centres = np.array([x[y == label].mean(axis=0) for label in range(data.arguments["classes"])])
    distances = (((x_test[:, None] - centres) / spread) ** 2).sum(axis=-1)
    figures = {
        "most frequent class": float(np.mean(y_test == np.bincount(y).argmax())),
        "nearest class mean": float(np.mean(distances.argmin(axis=1) == y_test)),
    }
    train, test = (_padded(part) for part in (data.train, data.test))
    if len(train) * len(test) * train.shape[1] * test.shape[1] <= DTW_COST:
        nearest = [dtw(train, batch).argmin(axis=1) for batch in np.array_split(test, -(-len(test) // 32))]
        figures["nearest neighbour by DTW"] = float(np.mean(y[np.concatenate(nearest)] == y_test))
    return figures


def _padded(part):
    batches = [x for x, _ in _rows(part)]
    longest = max(x.shape[1] for x in batches)
    return np.concatenate([np.pad(x, ((0, 0), (0, longest - x.shape[1]), (0, 0))) for x in batches])


def dtw(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Distances by dynamic time warping, squared differences summed over features and along the best path.

    Args:
        train, test: (sequences, time, features) float; trailing steps that are 0 in every feature are padding.

    Returns:
        (test sequences, train sequences) float.

    Source: Sakoe & Chiba 1978, without a window; of several features as one ("dependent").
    """
    # cost[m, n, j]: of the best path to the current step of test sequence m and step j - 1 of training sequence n.
    cost = np.full((len(test), len(train), train.shape[1] + 1), np.inf)
    cost[:, :, 0] = 0
    ends, distances = [np.any(x != 0, axis=-1).sum(axis=1) for x in (test, train)], np.empty(cost.shape[:2])
    for step in range(test.shape[1]):
        near = ((test[:, None, None, step] - train) ** 2).sum(axis=-1)
        new = np.full_like(cost, np.inf)
        for j in range(train.shape[1]):
            new[:, :, j + 1] = near[:, :, j] + np.minimum(np.minimum(cost[:, :, j], cost[:, :, j + 1]), new[:, :, j])
        cost = new
        last = ends[0] == step + 1
        distances[last] = cost[last][:, np.arange(len(train)), ends[1]]
    return distances


def _forecasting(recipe, data):
    columns = data.names["features"]
    forecasts = fitted(recipe, columns, *data.some("train", WINDOWS))
    sums, count = dict.fromkeys(forecasts, 0.0), 0
    for x, y in data.test.as_numpy_iterator():
        for name, forecast in forecasts.items():
            sums[name] += float(np.abs(y - forecast(x)).sum())
        count += y.size
    figures = {name: value / count for name, value in sums.items()}
    if recipe.target == "log_volatility" and "log_return" in columns:
        place = columns.index(recipe.target)
        train, test = _rows(data.train), _rows(data.test)
        x, y = (np.concatenate([batch[number] for batch in train]) for number in range(2))
        x_test, y_test = (np.concatenate([batch[number] for batch in test]) for number in range(2))
        if recipe.window >= 22:
            forecast = volatility.har(x[:, :, place], y, x_test[:, :, place])
            figures["HAR"] = float(np.abs(y_test - forecast).mean())
        figures["GARCH(1,1)"] = float(np.abs(y_test - volatility.garch(recipe)).mean())
    return figures


def _labelling(recipe, data):
    counts = np.zeros((data.arguments["vocabulary"], data.arguments["classes"]), int)
    for x, y, weights in _rows(data.train):
        np.add.at(counts, (x[weights > 0], y[weights > 0]), 1)
    overall = counts.sum(axis=0).argmax()
    own = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), overall)
    endings = [words.is_ending(entry) for entry in data.names["vocabulary"]]
    x, y = (np.concatenate([batch[number][batch[2] > 0] for batch in _rows(data.test)]) for number in range(2))
    return {
        "most frequent label": float(np.mean(y == overall)),
        "most frequent label of each word": float(np.mean(y == np.where(endings, overall, own)[x])),
        "most frequent label of each word or ending": float(np.mean(y == own[x])),
    }


def _language(recipe, data):
    size = data.arguments["vocabulary"]
    order = max(n for n in range(1, 6) if n == 1 or size**n < 2**62)
    texts = {}
    for name, part in (("train", data.train), ("test", data.test)):
        rows = _rows(part)
        # The windows follow each other without a gap: the first character, then the targets, are the text.
        texts[name] = np.concatenate([rows[0][0][0, :1], *(y.ravel() for _, y in rows)])
    figures = {}
    for n, name in ((1, "unigram"), (order, f"{order}-gram, Kneser-Ney")):
        # Each target has n - 1 characters before it: unknown ones (0) before the first.
        text = np.concatenate([np.zeros(n, int), texts["test"]])[2:]
        figures[name] = float(-np.log2(NGrams(texts["train"], size, n).probabilities(text)).mean())
    return figures
