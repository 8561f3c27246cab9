"""How good forecasts are, beside the baselines that need no training."""

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets import tables
from keras_lstm_gates.datasets.forecasting import windows_within


def scores(forecaster, table):
    """The figures of a forecaster on every whole window of a table, beside persistence and the seasonal naive forecast.

    Args:
        forecaster: `Forecaster`.
        table: as in `Forecaster.forecast`.

    Returns:
        `pandas.DataFrame`, a row each of "model", "persistence" (the last value) and "seasonal naive" (the last
        season, where the recipe names one that fits in the window): `mae`, `rmse`, `mase` (mae / that of persistence
        one step ahead, over the table), of the median where there are quantiles; with quantiles `pinball`, and
        `coverage`, the share of targets between the lowest and the highest quantile, which should be `nominal`.
        `attrs["windows"]` is the number of windows.

    Source: mase: Hyndman & Koehler 2006, Another look at measures of forecast accuracy.
    """
    frame, _ = forecaster.read(table)
    recipe = forecaster.recipe
    numbers = frame[forecaster.columns].to_numpy(np.float64)
    starts = windows_within(frame, forecaster.columns, recipe.window + recipe.horizon)
    if not len(starts):
        raise ValueError(
            f"expected a window of {recipe.window} and a horizon of {recipe.horizon} rows without a gap; received "
            f"{len(frame)} rows with none"
        )
    place = forecaster.columns.index(recipe.target)
    windows = numbers[starts[:, None] + np.arange(recipe.window)]
    actual = numbers[starts[:, None] + recipe.window + np.arange(recipe.horizon), place]
    quantiles = np.array(recipe.quantiles)
    predicted = forecaster.predict(windows)
    middle = predicted[..., int(np.argmin(np.abs(quantiles - 0.5))) if len(quantiles) else 0]
    history = windows[:, :, place]
    forecasts = {"model": middle, "persistence": np.repeat(history[:, -1:], recipe.horizon, axis=1)}
    if recipe.season is not None and recipe.season <= recipe.window:
        again = np.resize(np.arange(recipe.season), recipe.horizon) + recipe.window - recipe.season
        forecasts["seasonal naive"] = history[:, again]
    scale = _step_error(frame, recipe.target)
    rows = {
        name: {
            "mae": float(np.abs(actual - values).mean()),
            "rmse": float(np.sqrt(((actual - values) ** 2).mean())),
            "mase": float(np.abs(actual - values).mean() / scale) if scale > 0 else np.nan,
        }
        for name, values in forecasts.items()
    }
    if len(quantiles):
        error = actual[..., None] - predicted
        inside = (actual >= predicted[..., 0]) & (actual <= predicted[..., -1])
        rows["model"]["pinball"] = float(np.maximum(quantiles * error, (quantiles - 1) * error).mean())
        rows["model"] |= {"coverage": float(inside.mean()), "nominal": float(quantiles[-1] - quantiles[0])}
    result = pd.DataFrame.from_dict(rows, orient="index")
    result.attrs["windows"] = len(starts)
    return result


def _step_error(frame, target):
    """The mean absolute change from row to row."""
    change = frame.groupby(tables.GROUP)[target].diff() if tables.GROUP in frame else frame[target].diff()
    return float(change.abs().mean())
