"""What a recipe leaves open, chosen from its table: season, window, horizon, validation part, and what is learned."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets import forecasting, table_known, tables
from keras_lstm_gates.recipes import AUTO, Recipe
from keras_lstm_gates.training import linear

LONGEST_SEASON = 400
LEARNED = ("transform", "relative_to", "scaling", "linear", "ridge")
NUMBERS = 6_000_000
"""The most numbers in the windows to choose by."""
EPOCH = 8192
"""The most windows of an epoch, of 96 steps or fewer."""


def settled(recipe: Recipe) -> Recipe:
    """A recipe with a value wherever it says "auto".

    The season is the calendar's (a day, a week, a year, in steps of the table) or the lag with the highest
    autocorrelation of the training part's changes. The horizon is a season of up to 48 steps; the window two seasons,
    or one and a horizon. What is learned is chosen by `linear.choose`, on the training and the validation part alone.

    Args:
        recipe: `Recipe`. Of several targets season, window, horizon and validation part are those of the first; the
            rest stays open, and is chosen for each when it is trained.

    Returns:
        `Recipe`; the same where nothing is left open.

    Raises:
        ValueError: as of `datasets.forecasting.series`.
    """
    values = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    left = [name for name, value in values.items() if value == AUTO]
    if not left:
        return recipe
    first = recipe.of(recipe.targets[0]) if recipe.targets else recipe
    frame = forecasting.table(first)
    recipe = recipe.replaced(_sizes(first, frame, left))
    if len(recipe.targets) > 1:
        return recipe
    open_keys = [name for name in (*LEARNED, "epoch_size") if name in left]
    if not open_keys:
        return recipe
    trial = recipe.replaced({name: None if name in ("transform", "relative_to", "linear", "epoch_size") else
                             "window" if name == "scaling" else 0.01 for name in open_keys})  # fmt: skip
    series = forecasting.cut(frame, trial, test=False)
    chosen = {}
    sizes: Any = recipe  # its season and window are numbers by now
    if "epoch_size" in left:
        most = int(np.clip(EPOCH * 96 / sizes.window, EPOCH // 4, EPOCH))
        chosen["epoch_size"] = most if len(series.starts[0]) > most else None
    if any(name in left for name in LEARNED):
        windows, targets, weights = _windows(series, trial)
        given = {name: getattr(recipe, name) for name in LEARNED if name not in left}
        season = sizes.season if sizes.season and sizes.season <= sizes.window else None
        later = tuple(series.columns.index(name) for name in table_known.later(series.columns, recipe)
                      if name in series.columns)  # fmt: skip
        best = linear.choose(windows, targets, series.columns.index(recipe.target), season, given, later, weights)
        chosen |= {name: best[name] for name in LEARNED if name in left}
    return recipe.replaced(chosen)


def season_of(y, step=None):
    """The number of steps after which a series repeats itself, or None.

    Args:
        y: (rows,) float; what is empty is drawn as a line.
        step: `pandas.Timedelta` from row to row, or None.

    Example:
        >>> season_of(np.tile([1.0, 5.0, 2.0, 3.0, 9.0, 4.0, 1.0], 20))
        7
    """
    y = pd.Series(np.asarray(y, float)).interpolate(limit_direction="both").to_numpy()
    longest = min(LONGEST_SEASON, len(y) // 2)
    if longest < 2 or not np.isfinite(y).all():
        return None
    change = np.diff(y)
    change = change - change.mean()
    power = np.abs(np.fft.rfft(change, 2 * len(change))) ** 2
    correlation = np.fft.irfft(power)[: len(change)]
    if correlation[0] <= 0:
        return None
    correlation = correlation / correlation[0]
    lags = [lag for lag in _calendar(step) if 2 <= lag < min(longest + 1, len(correlation))]
    threshold = max(0.1, 2 / np.sqrt(len(change)))
    if not lags:
        lags = [
            lag for lag in range(3, min(longest, len(correlation) - 1))
            if correlation[lag] == correlation[max(2, lag - 2) : lag + 3].max()
        ]  # fmt: skip
        threshold = max(0.3, 3 / np.sqrt(len(change)))
    if not lags:
        return None
    highest = max(correlation[lag] for lag in lags)
    if highest <= threshold:
        return None
    # Of multiples of a season the shortest that is nearly as good.
    return min(lag for lag in lags if correlation[lag] >= 0.9 * highest)


def _calendar(step):
    """A day, a week, a year in steps of a table."""
    if step is None or step <= pd.Timedelta(0):
        return []
    counts = [pd.Timedelta(days, "D") / step for days in (1, 7, 365.25)]
    # Months and quarters differ in their length by a few days.
    return [round(count) for count in counts if count >= 3.5 and abs(count - round(count)) < 0.03 * count]


def _sizes(recipe, frame, left):
    """{key: value} of season, window, horizon and validation where they are left open."""
    rows = frame
    if tables.GROUP in frame:
        rows = frame[frame[tables.GROUP] == frame[tables.GROUP].value_counts().index[0]]
    training = max(2, int(len(rows) * (1 - recipe.test) * 0.8))
    values = {name: getattr(recipe, name) for name in ("season", "window", "horizon", "validation")}
    if "season" in left:
        steps = rows[tables.TIME].diff().dropna() if tables.TIME in rows else ()
        step = steps.mode()[0] if len(steps) else None
        values["season"] = season_of(rows[recipe.target].to_numpy()[:training], step)
    season = values["season"]
    if "horizon" in left:
        longest = max(1, len(rows) // 10)
        values["horizon"] = min(season if season and season <= 48 else min(24, max(1, len(rows) // 20)), longest)
    horizon = values["horizon"]
    if "window" in left:
        two = 2 * max(season or 0, horizon)
        values["window"] = max(2, min(two if not season or season <= 60 else season + horizon, training // 3))
    if "season" in left and season and season > values["window"]:
        values["season"] = None
    if "validation" in left:
        needed = (1.5 * horizon + 2) / (len(rows) * (1 - recipe.test))
        values["validation"] = round(float(np.clip(needed, 0.2, 0.4)), 3)
    return {name: value for name, value in values.items() if name in left}


def _windows(series, recipe):
    """(windows, targets, weights) of the training and validation part in the order of time, at most `NUMBERS` numbers.

    The weights are those of groups (`forecasting.group_weights`), and None without groups or with their scaling given.
    """
    starts = np.concatenate(series.starts[:2])
    if tables.TIME in series.frame:
        starts = starts[np.argsort(series.frame[tables.TIME].to_numpy()[starts], kind="stable")]
    elif tables.GROUP in series.frame:
        places = series.frame.groupby(tables.GROUP).cumcount().to_numpy()
        starts = starts[np.argsort(places[starts], kind="stable")]
    starts = starts[linear.evenly(len(starts), max(200, NUMBERS // (recipe.window * len(series.columns))))]
    numbers = series.frame[series.columns].to_numpy(np.float64)
    windows = numbers[starts[:, None] + np.arange(recipe.window)]
    place = series.columns.index(recipe.target)
    weights = forecasting.group_weights(series.frame, series.part, recipe)
    targets = numbers[starts[:, None] + recipe.window + np.arange(recipe.horizon), place]
    return windows, targets, None if weights is None else weights[starts]
