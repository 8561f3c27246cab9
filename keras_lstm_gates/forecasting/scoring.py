"""How good forecasts are, beside the baselines that need no training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets import tables
from keras_lstm_gates.forecasting.windows import rolling_windows

if TYPE_CHECKING:
    from keras_lstm_gates._support.annotations import StrPath
    from keras_lstm_gates.forecasting.forecasters import Forecaster


def scores(forecaster: Forecaster, table: pd.DataFrame | StrPath) -> pd.DataFrame:
    """The figures of a forecaster on every whole window of a table, beside persistence and the seasonal naive forecast.

    Args:
        forecaster: `Forecaster`.
        table: as in `Forecaster.forecast`.

    Returns:
        `pandas.DataFrame`, a row each of "model", "persistence" (the last value) and "seasonal naive" (the last
        season, where the recipe names one that fits in the window), of several targets within a row each of them:
        `mae`, `rmse`, `mase` (mae / that of persistence one step ahead, over the table), of the median where there are
        quantiles; with quantiles `pinball`, and `coverage`, the share of targets between the lowest and the highest
        quantile, which should be `nominal`.
        `attrs["windows"]` is the number of windows, `attrs["ignored"]` the columns that were not read.

    Source: mase: Hyndman & Koehler 2006, Another look at measures of forecast accuracy.
    """
    each = forecaster.of_each()
    if len(each) > 1:
        parts = {name: scores(one, table) for name, one in each.items()}
        result = pd.concat(parts, names=["target", "forecast"])
        result.attrs = next(iter(parts.values())).attrs
        return result
    frame = forecaster.read(table)
    recipe: Any = forecaster.recipe  # nothing in it is "auto" any more
    windows = rolling_windows(frame, recipe, forecaster.columns, every=1)
    figures = Figures(recipe.quantiles)
    for part in windows.batches():
        predicted, history, actual = forecaster.predict(part.inputs), part.histories(recipe.target), part.actual
        figures.add("model", actual, middle_of(predicted, recipe.quantiles), predicted)
        figures.add("persistence", actual, np.repeat(history[:, -1:], recipe.horizon, axis=1))
        if recipe.season is not None and recipe.season <= recipe.window:
            again = np.resize(np.arange(recipe.season), recipe.horizon) + recipe.window - recipe.season
            figures.add("seasonal naive", actual, history[:, again])
    result = figures.table(step_error(frame, recipe.target))
    result.attrs.update(windows=len(windows), ignored=windows.ignored)
    return result


class Figures:
    """Sums from which the figures of several forecasts follow, added up batch by batch.

    Args:
        quantiles: of floats, may be empty.
    """

    def __init__(self, quantiles):
        self._quantiles, self._sums, self._counts = np.array(quantiles), {}, {}

    def add(self, name, actual, middle, predicted=None):
        """Some forecasts.

        Args:
            name: str, whose.
            actual, middle: (windows, horizon).
            predicted: (windows, horizon, quantiles), or None.
        """
        error, sums = actual - middle, {}
        sums["mae"], sums["rmse"] = np.abs(error).sum(), (error**2).sum()
        if len(self._quantiles) and predicted is not None:
            error = actual[..., None] - predicted
            sums["pinball"] = np.maximum(self._quantiles * error, (self._quantiles - 1) * error).mean(axis=-1).sum()
            sums["coverage"] = np.sum((actual >= predicted[..., 0]) & (actual <= predicted[..., -1]))
        own = self._sums.setdefault(name, dict.fromkeys(sums, 0.0))
        for key, value in sums.items():
            own[key] += float(value)
        self._counts[name] = self._counts.get(name, 0) + actual.size

    def table(self, scale):
        """`pandas.DataFrame`, a row a name: mae, rmse, mase (mae / scale), and pinball, coverage and nominal."""
        rows = {}
        for name, sums in self._sums.items():
            row = {key: value / self._counts[name] for key, value in sums.items()}
            row["rmse"] = row["rmse"] ** 0.5
            row = {"mae": row["mae"], "rmse": row["rmse"], "mase": row["mae"] / scale if scale > 0 else np.nan} | row
            if "coverage" in row:
                row["nominal"] = float(self._quantiles[-1] - self._quantiles[0])
            rows[name] = row
        return pd.DataFrame.from_dict(rows, orient="index")


def middle_of(predicted, quantiles):
    """(windows, horizon) of (windows, horizon, quantiles or 1): the quantile that is closest to the median."""
    return predicted[..., int(np.argmin(np.abs(np.array(quantiles) - 0.5))) if len(quantiles) else 0]


def step_error(frame, target):
    """The mean absolute change from row to row."""
    change = frame.groupby(tables.GROUP)[target].diff() if tables.GROUP in frame else frame[target].diff()
    return float(change.abs().mean())
