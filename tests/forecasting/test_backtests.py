"""Backtests: each fold is trained on what was before it, forecast, compared with the baselines, and resumed."""

import keras
import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import forecasting
from keras_lstm_gates.recipes import Recipe

WINDOW, HORIZON, ROWS = 6, 2, 120


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("backtest") / "load.csv"
    hours = np.arange(ROWS)
    load = 50 + 10 * np.sin(hours * 2 * np.pi / 12) + np.random.default_rng(0).normal(size=ROWS)
    pd.DataFrame({"when": pd.date_range("2024-03-01", periods=ROWS, freq="h"), "load": load}).to_csv(path, index=False)
    return Recipe(
        dataset=str(path), task="forecasting", target="load", window=WINDOW, horizon=HORIZON, season=4, validation=0.2,
        quantiles=(0.1, 0.5, 0.9), units=2, epochs=1,
    )  # fmt: skip


class Killed(keras.callbacks.Callback):
    """Ends the second training."""

    count = 0

    def on_train_begin(self, logs=None):
        self.count += 1
        if self.count == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def result(recipe, tmp_path_factory):
    """A backtest of two folds that was interrupted in the second one and goes on."""
    folder = tmp_path_factory.mktemp("backtest") / "out"
    with pytest.raises(KeyboardInterrupt):
        forecasting.backtest(recipe, folder, 2, callbacks=[Killed()])
    assert not (folder / "backtest.csv").exists()
    first, done = (folder / "fold-1" / "model.keras").read_bytes(), []
    table = forecasting.backtest(recipe, folder, 2, progress=done.append)
    assert done == [1, 2]
    assert (folder / "fold-1" / "model.keras").read_bytes() == first
    assert (folder / "backtest.png").read_bytes().startswith(b"\x89PNG")
    return table, folder


def windows(load, first, end):
    """(histories, targets) whose targets lie in the rows from `first` to `end`."""
    starts = np.arange(first - WINDOW, end - WINDOW - HORIZON + 1)[:, None]
    return load[starts + np.arange(WINDOW)], load[starts + WINDOW + np.arange(HORIZON)]


@pytest.mark.parametrize(("fold", "first", "end"), [(1, 60, 90), (2, 90, 120)])
def test_figures_are_those_of_numpy(recipe, result, fold, first, end):
    table, folder = result
    frame = pd.read_csv(recipe.dataset)
    load = frame["load"].to_numpy()
    history, actual = windows(load, first, end)
    figures = table.loc[fold]
    assert (figures["windows"] == len(history)).all()
    persistence = abs(actual - history[:, -1:])
    np.testing.assert_allclose(figures["mae"]["persistence"], persistence.mean())
    np.testing.assert_allclose(figures["mase"]["persistence"], persistence.mean() / abs(np.diff(load[:first])).mean())
    np.testing.assert_allclose(figures["mae"]["seasonal naive"], abs(actual - history[:, -4:-2]).mean())
    # The quantiles of a baseline are those of its errors on the validation part, the last fifth of what was before.
    known, came = windows(load, round(0.8 * first), first)
    errors = came - known[:, -1:]
    low, high = (history[:, -1:] + np.quantile(errors, quantile, axis=0) for quantile in (0.1, 0.9))
    np.testing.assert_allclose(figures["coverage"]["persistence"], ((actual >= low) & (actual <= high)).mean())
    # The model of the fold, and what it forecasts, are those of its run folder.
    forecaster = forecasting.load(folder / f"fold-{fold}")
    rolling = forecaster.rolling(frame.iloc[first - WINDOW : end], every=1)
    np.testing.assert_allclose(figures["mae"]["model"], abs(rolling["actual"] - rolling["load q0.5"]).mean(), rtol=1e-5)
    inside = (rolling["actual"] >= rolling["load q0.1"]) & (rolling["actual"] <= rolling["load q0.9"])
    np.testing.assert_allclose(figures["coverage"]["model"], inside.mean())


def test_all_folds_together(result):
    table, folder = result
    folds = table.drop(index="all", level="fold")
    weighted = folds["mae"] * folds["windows"]
    expected = weighted.groupby(level="forecast").sum() / folds["windows"].groupby(level="forecast").sum()
    for name, mae in expected.items():
        np.testing.assert_allclose(table["mae"]["all", name], mae)
    assert list(table.loc["all"].index) == ["model", "persistence", "seasonal naive", "ridge regression"]
    assert len(pd.read_csv(folder / "backtest.csv")) == 12


def test_other_arguments_are_no_part_of_it(recipe, result):
    _, folder = result
    with pytest.raises(ValueError, match=r"expected the arguments of the backtest in .*; received others"):
        forecasting.backtest(recipe, folder, 3)
    with pytest.raises(ValueError, match=r"expected folds, an int > 0, and a share in \(0, 1\); received 0"):
        forecasting.backtest(recipe, folder, 0)
