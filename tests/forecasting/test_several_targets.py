"""Several targets of one table: each has its own model and figures; runs, exports and devices forecast all."""

import json

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import datasets, exporting, forecasting, plots, training
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.recipes import Recipe, resolve
from keras_lstm_gates.training.descriptions import described

WINDOW, HORIZON, ROWS = 12, 3, 200
TARGETS = ("load", "price (EUR)")


def table():
    hours = np.arange(ROWS)
    rng = np.random.default_rng(0)
    load = 5000 + 900 * np.sin(hours * 2 * np.pi / 12) + rng.normal(0, 30, ROWS)
    price = 0.5 + 0.1 * np.cos(hours * 2 * np.pi / 12) + rng.normal(0, 0.01, ROWS)
    when = pd.date_range("2024-03-01", periods=ROWS, freq="h")
    return pd.DataFrame({"when": when, "load": load, "price (EUR)": price, "wind": rng.normal(size=ROWS)})


GIVEN = {"window": WINDOW, "horizon": HORIZON, "units": 3, "epochs": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with load.csv, run, trained on it, and its export ex."""
    folder = tmp_path_factory.mktemp("several")
    table().to_csv(folder / "load.csv", index=False)
    recipe = resolve(str(folder / "load.csv"), GIVEN | {"target": TARGETS})
    run = training.fit(recipe, folder / "run")
    windows = forecasting.load(folder / "run").windows(folder / "load.csv")
    exporting.export(run.model, folder / "ex", windows.inputs, trained_on=described(folder / "run"))
    return folder


@pytest.mark.full
def test_each_target_is_that_of_a_run_of_its_own(folder, tmp_path):
    forecaster = forecasting.load(folder / "run")
    assert forecaster.model.output_shape == (None, 2, HORIZON, 3)
    result = forecaster.forecast(table())
    assert list(result) == [
        "time", "load q0.1", "load q0.5", "load q0.9", "price (EUR) q0.1", "price (EUR) q0.5", "price (EUR) q0.9",
        "actual load", "actual price (EUR)",
    ]  # fmt: skip
    alone = training.fit(resolve(str(folder / "load.csv"), GIVEN | {"target": "price (EUR)"}), tmp_path / "alone")
    expected = forecasting.load(tmp_path / "alone").forecast(table()).filter(like="price")
    pd.testing.assert_frame_equal(result[list(expected)], expected, rtol=1e-5)
    assert result["load q0.5"].between(3000, 7000).all()
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["test_mae price (EUR)"] == pytest.approx(alone.metrics["test_mae"])
    assert set(metrics) >= {"test_coverage load", "test_mae load", "parameters", "seconds"}
    assert (folder / "run" / "target-2" / "learning_curves.png").is_file()


def test_the_forecasts_of_an_export_and_of_a_device(folder):
    forecaster, frame = forecasting.load(folder / "run"), table()
    expected = forecaster.forecast(frame)
    for run in ("run/model.keras", "ex", "ex/saved_model"):
        shuffled = frame[["wind", "price (EUR)", "when", "load"]]
        pd.testing.assert_frame_equal(forecasting.load(folder / run).forecast(shuffled), expected, rtol=1e-4)
    result = Runner(folder / "ex" / "model.tflite").forecast(frame[["price (EUR)", "wind", "load"]])
    assert list(result) == forecaster.names
    for name, values in result.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4)
    assert "forecasts `load` and `price (EUR)` for the next 3" in (folder / "ex" / "README.md").read_text()


def test_figures_and_points_in_the_table_are_those_of_each(folder):
    forecaster, frame = forecasting.load(folder / "run"), table()
    scores = forecasting.scores(forecaster, frame)
    assert set(scores.index.get_level_values("target")) == {*TARGETS}
    for number, target in enumerate(TARGETS, 1):
        expected = forecasting.scores(forecasting.load(folder / "run" / f"target-{number}"), frame)
        pd.testing.assert_frame_equal(scores.loc[target], expected, rtol=1e-4, check_names=False)
    windows = forecaster.windows(frame, rolling=True)
    assert windows.actual.shape == (len(windows), 2, HORIZON)
    rolling = forecaster.rolling(frame)
    np.testing.assert_array_equal(rolling["actual load"], frame["load"][WINDOW : WINDOW + len(rolling)])
    np.testing.assert_array_equal(rolling["actual price (EUR)"], frame["price (EUR)"][WINDOW : WINDOW + len(rolling)])
    model = forecaster.model(windows.inputs[:1])
    assert float(model[0][windows.first_answer]) == pytest.approx(rolling["load q0.5"].iloc[0], rel=1e-4)
    figure = plots.forecast(forecaster.forecast(frame), forecaster.history(frame), TARGETS)
    assert [axes.get_ylabel() for axes in figure.axes] == [*TARGETS]


def test_a_killed_run_goes_on_and_a_done_one_is_read(folder):
    recipe = Recipe.from_file(folder / "run" / "recipe.json")
    assert recipe.targets == TARGETS
    assert training.fit(recipe, folder / "run", resume=True).metrics["parameters"] > 0
    kept = (folder / "run" / "target-1" / "model.keras").stat().st_mtime_ns
    for name in ("metrics.json", "model.keras"):
        (folder / "run" / name).unlink()
    training.fit(recipe, folder / "run", resume=True)
    assert (folder / "run" / "target-1" / "model.keras").stat().st_mtime_ns == kept
    assert forecasting.load(folder / "run").recipe.targets == TARGETS


@pytest.mark.full
def test_a_backtest_has_each_target(folder, tmp_path):
    given = GIVEN | {"target": TARGETS, "relative_to": "last", "scaling": "training"}
    recipe = resolve(str(folder / "load.csv"), given | dict.fromkeys(("linear", "transform")) | {"ridge": 0.1})
    result = forecasting.backtest(recipe, tmp_path / "past", folds=1)
    assert result.index.names == ["target", "fold", "forecast"]
    mae = result["mae"].xs("all", level="fold")
    assert mae["load"]["model"] > 10 * mae["price (EUR)"]["model"]
    assert (tmp_path / "past" / "target-2" / "backtest.png").is_file()
    assert pd.read_csv(tmp_path / "past" / "backtest.csv")["target"].unique().tolist() == [*TARGETS]


def test_what_is_no_target_is_refused(folder):
    for target in (("load", "load"), ("load",), ()):
        with pytest.raises(ValueError, match="expected target of a recipe to be a column, or several"):
            Recipe(dataset="x", task="forecasting", target=target)
    recipe = Recipe(dataset=str(folder / "load.csv"), task="forecasting", target=TARGETS, window=4, horizon=2)
    with pytest.raises(ValueError, match=r"expected one target, as in a recipe's of\('load'\); received \['load', "):
        datasets.load(recipe)
    with pytest.raises(ValueError, match="to have the column 'heat'"):
        training.settled(resolve(str(folder / "load.csv"), {"target": ["heat", "load"]}))
