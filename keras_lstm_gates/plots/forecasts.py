"""The picture of a forecast."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.dates import ConciseDateFormatter

from keras_lstm_gates.plots._columns import WholeNumbers
from keras_lstm_gates.plots._styles import MODEL_COLOURS, Picture, legend_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure


MOST_GROUPS = 6


def forecast(result: pd.DataFrame, history: pd.DataFrame, targets: str | Sequence[str]) -> Figure:
    """What was before, the forecast with its interval, and what came, where it is known.

    Args:
        result: `pandas.DataFrame` of `forecasting.Forecaster.forecast`.
        history: `pandas.DataFrame` of the rows before: `time` or `row`, the targets, and `group` where `result` has it.
        targets: str or several, the columns that are forecast.

    Returns:
        `matplotlib.figure.Figure`, a panel for each target of the first six groups.
    """
    key = "time" if "time" in result else "row"
    targets = [targets] if isinstance(targets, str) else [*targets]
    groups = list(dict.fromkeys(result["group"])) if "group" in result else [None]
    shown = [(group, target) for group in groups[:MOST_GROUPS] for target in targets]
    figure = Picture(figsize=(9, 0.7 + 2.4 * len(shown)), layout="constrained")
    for axes, (group, target) in zip(figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        of_group = result if group is None else result[result["group"] == group]
        before = history if group is None else history[history["group"] == group]
        axes.plot(before[key].to_numpy(), before[target].to_numpy(), color="0.35", linewidth=1.2, label="history")
        _draw(axes, of_group, key, target)
        # parse_math=False: a dollar sign in a name is not a formula.
        axes.set_ylabel(target, parse_math=False)
        axes.set_title("" if group is None else str(group), fontsize=10, loc="left", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
    last = figure.axes[-1]
    last.set_xlabel(key)
    if key == "time" and isinstance(result[key].iloc[0], pd.Timestamp):
        last.xaxis.set_major_formatter(ConciseDateFormatter(last.xaxis.get_major_locator()))
    else:
        last.xaxis.set_major_locator(WholeNumbers(8))
    legend_below(last, 4, of=figure.axes[0])
    return figure


def _draw(axes, forecast, key, target):
    """The forecast of one target, its interval, and what came."""
    names = [name for name in forecast if re.fullmatch(rf"{re.escape(target)}( q[\d.e-]+)?", str(name))]
    numbers, x = forecast[names].to_numpy(), forecast[key].to_numpy()
    middle = numbers[:, numbers.shape[1] // 2]
    axes.plot(x, middle, color=MODEL_COLOURS[0], linewidth=1.6, marker="o", markersize=3, label="forecast")
    if numbers.shape[1] > 1:
        label = f"{names[0].rpartition(' ')[2]} to {names[-1].rpartition(' ')[2]}"
        axes.fill_between(x, numbers[:, 0], numbers[:, -1], color=MODEL_COLOURS[0], alpha=0.18, label=label)
    actual = forecast["actual" if "actual" in forecast else f"actual {target}"].to_numpy(float)
    if np.isfinite(actual).any():
        axes.plot(x, actual, color=MODEL_COLOURS[1], linewidth=1.2, linestyle="--", label="what came")


def backtest(result):
    """The mean absolute error of each forecast, fold by fold, and, where there are quantiles, their coverage.

    Args:
        result: `pandas.DataFrame` of `forecasting.backtest`.

    Returns:
        `matplotlib.figure.Figure`.
    """
    folds = result.drop(index="all", level="fold")
    names = [name for name in ("mae", "coverage") if name in folds]
    figure = Picture(figsize=(8, 0.6 + 2.6 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0], names, strict=True):
        for forecast, of_forecast in folds[name].groupby(level="forecast", sort=False):
            is_model = forecast == "model"
            x = of_forecast.index.get_level_values("fold").astype(int)
            axes.plot(
                x, of_forecast.to_numpy(), marker="o", markersize=4, linewidth=2 if is_model else 1.2, label=forecast,
                color=MODEL_COLOURS[0] if is_model else None, linestyle="-" if is_model else "--",
            )  # fmt: skip
        axes.set_ylabel({"mae": "mean absolute error"}.get(name, name))
        axes.spines[["top", "right"]].set_visible(False)
        if name == "coverage":
            axes.axhline(folds["nominal"].max(), color="0.6", linewidth=1, label="nominal")
    last = figure.axes[-1]
    last.set_xlabel("fold")
    last.xaxis.set_major_locator(WholeNumbers(8))
    legend_below(last, 4)
    return figure
