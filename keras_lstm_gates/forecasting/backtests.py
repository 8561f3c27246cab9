"""Backtests: forecasts from an origin that rolls through the past, beside the baselines."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from keras_lstm_gates import training
from keras_lstm_gates._support.files import filled_when_whole, write_json
from keras_lstm_gates.baselines.forecasts import WINDOWS, fitted
from keras_lstm_gates.datasets import forecasting as series_of
from keras_lstm_gates.forecasting.loading import load
from keras_lstm_gates.forecasting.scoring import Figures, middle_of, step_error
from keras_lstm_gates.forecasting.windows import TableWindows
from keras_lstm_gates.plots.forecasts import backtest as picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import keras

    from keras_lstm_gates._support.annotations import StrPath
    from keras_lstm_gates.recipes import Recipe


def backtest(
    recipe: Recipe,
    folder: StrPath,
    folds: int = 5,
    *,
    refit: bool = True,
    share: float = 0.5,
    progress: Callable[[int], object] | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> pd.DataFrame:
    """How a recipe would have done in the past.

    The last part of the table is cut into folds by time. For each one a model is trained on all that was before it, and
    forecasts every window whose targets lie in it. Each fold is a run folder of its own, so that a backtest that was
    killed goes on when it is called again with the same arguments.

    Args:
        recipe: `Recipe` that forecasts a column.
        folder: str or `Path`, for fold-1, fold-2 ..., backtest.csv and backtest.png.
        folds: int > 0.
        refit: bool. False: the model of the first fold forecasts all of them.
        share: float in (0, 1), the last part of the table that the folds are.
        progress: function of the number of folds done, or None.
        callbacks: of Keras, of each training.

    Returns:
        `pandas.DataFrame` with the index (fold, forecast), of several targets (target, fold, forecast) with a backtest
        each in target-1, target-2 ... of the folder, the fold a number, or "all" for all of their windows; the
        forecasts are "model", "persistence", "seasonal naive" and "ridge regression"; the columns `mae`, `rmse`, `mase`
        (mae / the mean change from row to row of the fold's training part; of "all" the mean over the folds), with
        quantiles `pinball`, `coverage` and `nominal`, and `windows`. The quantiles of a baseline are its forecast and
        the quantiles of its errors on the validation part, or, without one, on the training part.

    Raises:
        ValueError: what a training raises; a folder with a backtest of other arguments.
    """
    if not isinstance(folds, int) or folds < 1 or not 0 < share < 1:
        raise ValueError(f"expected folds, an int > 0, and a share in (0, 1); received {folds!r} and {share!r}")
    folder, report = Path(folder), progress or (lambda done: None)
    if len(recipe.targets) > 1:
        options: dict = {"refit": refit, "share": share, "progress": progress, "callbacks": callbacks}
        each = zip(recipe.targets, training.folders(recipe, folder), strict=True)
        parts = {name: backtest(recipe.of(name), of_target, folds, **options) for name, of_target in each}
        result = pd.concat(parts, names=["target"])
        with filled_when_whole(folder) as temporary:
            result.to_csv(temporary / "backtest.csv")
        return result
    recipes = _recipes(recipe, folds, share)
    # What is left open is chosen from what was before the first fold.
    chosen = training.settled(recipes[0])
    recipes = [chosen.replaced({"until": one.until, "test": one.test}) for one in recipes]
    _claim(folder, {"recipe": recipe.to_dict(), "folds": folds, "refit": refit, "share": share})
    total, parts = Figures(recipe.quantiles), []
    for number, of_fold in enumerate(recipes, 1):
        trained = number if refit else 1
        run = folder / f"fold-{trained}"
        if trained == number:
            training.fit(of_fold, run, resume=run.exists(), callbacks=callbacks)
        parts.append(_figures(load(run), recipes[trained - 1], of_fold, total))
        report(number)
    result = _joined(parts, total)
    with filled_when_whole(folder) as temporary:
        result.to_csv(temporary / "backtest.csv")
        picture(result).savefig(temporary / "backtest.png", dpi=120)
    return result


def _recipes(recipe, folds, share):
    """The recipe of each fold: its rows end where the fold ends, and its test part is the fold."""
    frame = series_of.table(recipe)
    places = np.sort(series_of.places_of(frame))
    borders = [round(len(places) * (1 - share * (folds - number) / folds)) for number in range(folds + 1)]
    recipes = []
    for first, end in itertools.pairwise(borders):
        until = None if end >= len(places) else f"{places[end]}{'+00:00' if frame.attrs['utc'] else ''}"
        recipes.append(recipe.replaced({"until": until, "test": round((end - first) / end, 6)}))
    return recipes


def _claim(folder, arguments):
    path = folder / "backtest.json"
    if path.exists() and json.loads(path.read_text()) != json.loads(json.dumps(arguments)):
        raise ValueError(f"expected the arguments of the backtest in {folder} to go on with it; received others")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, arguments)


def _figures(forecaster, trained, recipe, total):
    """The figures of one fold; `total` gets its sums."""
    recipe = forecaster.recipe.replaced({"until": recipe.until, "test": recipe.test})
    series = series_of.cut(series_of.table(recipe), recipe)
    fold = TableWindows(series.frame, recipe, forecaster.columns, series.starts[2])
    own = series if recipe.until == trained.until else series_of.cut(series_of.table(trained), trained)
    known = [TableWindows(own.frame, recipe, forecaster.columns, starts) for starts in own.starts[:2]]
    train, validation = (one.spread(WINDOWS) for one in known)
    methods = fitted(recipe, forecaster.columns, train.inputs, train.actual)
    errors = validation if len(validation) else train
    quantiles, figures = np.array(recipe.quantiles), Figures(recipe.quantiles)
    around = {
        name: np.quantile(errors.actual - method(errors.inputs), quantiles, axis=0).transpose(1, 0)
        for name, method in methods.items()
        if len(quantiles)
    }
    for part in fold.batches():
        x, actual = part.inputs, part.actual
        predicted = forecaster.predict(x)
        rows = [("model", middle_of(predicted, quantiles), predicted)]
        for name, method in methods.items():
            point = method(x)
            rows.append((name, point, point[..., None] + around[name] if name in around else None))
        for name, middle, of_quantiles in rows:
            for sums in (figures, total):
                sums.add(name, actual, middle, of_quantiles)
    before = own.frame[own.part < 2]
    table = figures.table(step_error(before, recipe.target))
    last = fold.origins[[0, -1]] if len(fold) else [None, None]
    return table.assign(windows=len(fold), first=str(last[0]), last=str(last[1]))


def _joined(parts, total):
    result = pd.concat(dict(enumerate(parts, 1)), names=["fold", "forecast"])
    overall = total.table(1.0)
    overall["mase"] = result["mase"].groupby(level="forecast").mean()
    overall["windows"] = int(sum(part["windows"].iloc[0] for part in parts))
    overall["first"], overall["last"] = parts[0]["first"].iloc[0], parts[-1]["last"].iloc[0]
    return pd.concat([result, pd.concat({"all": overall}, names=["fold", "forecast"])])
