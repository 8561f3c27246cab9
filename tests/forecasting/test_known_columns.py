"""Columns that are known in the future: read beside each row, in training, at a forecast and on a device."""

import json

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import baselines, datasets, exporting, forecasting, training
from keras_lstm_gates.datasets import table_known, tables
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.recipes import Recipe, resolve
from keras_lstm_gates.training.descriptions import described

WINDOW, HORIZON, ROWS = 8, 4, 400


def shop(ahead=HORIZON):
    """Days that sell about 20, 5 on closed days, which nothing else tells, 30 on promotions; then days to come."""
    rng = np.random.default_rng(0)
    rows = ROWS + ahead
    closed, promo = rng.random(rows) < 0.3, rng.random(rows) < 0.2
    sold = np.where(closed, 5.0, np.where(promo, 30.0, 20.0)) + rng.normal(0, 0.3, rows)
    visits = sold / 2 + rng.normal(0, 0.3, rows)
    days = pd.date_range("2023-01-01", periods=rows, freq="D")
    frame = pd.DataFrame({"day": days, "sold": sold, "visits": visits, "closed": closed * 1.0, "promo": promo * 1.0})
    frame["campaign"] = np.where(promo, "yes", "no")
    frame.loc[ROWS:, ["sold", "visits"]] = np.nan
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with shop.csv, run, trained on it, and its export ex."""
    folder = tmp_path_factory.mktemp("known")
    shop().to_csv(folder / "shop.csv", index=False)
    given = {"target": "sold", "known": ["closed", "campaign"], "features": ["visits"], "window": WINDOW,
             "horizon": HORIZON, "units": 3, "epochs": 1, "calendar": ["week"]}  # fmt: skip
    recipe = training.settled(resolve(str(folder / "shop.csv"), given))
    run = training.fit(recipe, folder / "run")
    windows = forecasting.load(folder / "run").windows(folder / "shop.csv")
    exporting.export(run.model, folder / "ex", windows.inputs, trained_on=described(folder / "run"))
    return folder


def test_what_is_known_is_read_some_steps_ahead():
    recipe = Recipe(dataset="x", task="forecasting", target="sold", known=("closed",), window=8, horizon=4)
    frame = tables.checked(shop(), "shop", recipe)
    joined = table_known.joined(frame, ["sold", "closed"], recipe)
    np.testing.assert_array_equal(joined["closed +4"][:-4], frame["closed"][4:])
    assert table_known.beyond(frame, "sold").tolist() == [False] * ROWS + [True] * HORIZON
    groups = pd.concat([shop().assign(store=store, closed=number) for number, store in enumerate("AB")])
    recipe = recipe.replaced({"group": "store"})
    frame = tables.checked(groups, "shop", recipe)
    joined = table_known.joined(frame, ["sold", "closed"], recipe)
    assert (joined["closed +4"].dropna() == joined["closed"][joined["closed +4"].notna()]).all()
    assert joined["closed +4"].isna().sum() == 8
    assert table_known.beyond(frame, "sold").sum() == 2 * HORIZON


@pytest.mark.full
def test_the_model_and_the_ridge_regression_know_what_is_to_come(folder):
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    recipe = Recipe.from_file(folder / "run" / "recipe.json")
    assert recipe.linear is not None
    # Without the columns the error is about 8.
    assert metrics["test_mae"] < 1.5
    assert baselines.measure(recipe, datasets.load(recipe))["ridge regression"] < 1.5
    columns = forecasting.load(folder / "run").columns
    assert columns[-5:] == ["sin of week", "cos of week", "closed +4", "campaign=no +4", "campaign=yes +4"]
    assert sorted(columns[:-5]) == ["campaign=no", "campaign=yes", "closed", "sold", "visits"]


def test_a_file_that_goes_on_is_forecast_from_its_last_target(folder):
    forecaster = forecasting.load(folder / "run")
    frame = shop()
    result = forecaster.forecast(frame[["campaign", "closed", "visits", "day", "sold"]])
    assert result["time"].tolist() == frame["day"].tail(HORIZON).tolist()
    assert result["actual"].isna().all()
    turned = frame.assign(closed=np.where(frame.index < ROWS, frame["closed"], 1 - frame["closed"]))
    assert (abs(forecaster.forecast(turned)["sold q0.5"] - result["sold q0.5"]) > 5).all()
    assert forecaster.history(frame)["sold"].notna().all()
    within = forecaster.forecast(frame, at="2023-06-01")
    assert within["actual"].notna().all()
    assert len(forecasting.scores(forecaster, frame)) > 1
    assert forecaster.rolling(frame)["actual"].notna().all()
    filled = forecaster._replace(recipe=forecaster.recipe.replaced({"missing": "forward"}))
    pd.testing.assert_frame_equal(filled.forecast(frame), result)


def test_the_exported_file_knows_it_too(folder):
    forecaster, frame = forecasting.load(folder / "run"), shop()
    expected = forecaster.forecast(frame)
    result = forecasting.load(folder / "ex").forecast(frame.sample(frac=1, random_state=0, axis=1))
    pd.testing.assert_frame_equal(result, expected, rtol=1e-4)
    runner = Runner(folder / "ex" / "model.tflite")
    given = frame.assign(**{f"campaign={name}": frame["campaign"] == name for name in ("yes", "no")})
    for at, table in ((None, given), ("2023-06-01", given[given["day"] < "2023-06-06"])):
        expected = forecaster.forecast(frame, at)
        table = table.assign(sold=table["sold"].where(table["day"] < expected["time"].iloc[0]))
        for name, values in runner.forecast(table.drop(columns="promo")).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-4)
    with pytest.raises(
        ValueError, match=r"and behind the last 'sold' 4 of \['campaign=no', 'campaign=yes', 'closed'\]"
    ):
        runner.forecast(given.head(ROWS + 3))
    with pytest.raises(ValueError, match=r"finite numbers in the column 'closed \+4'; received nan at index \(7,\)"):
        runner.forecast(given.assign(closed=given["closed"].mask(given.index == ROWS + 3)))
    with pytest.raises(ValueError, match=r"those of the calendar from one column of times in UTC, \['day'\]; received"):
        runner.forecast(given.drop(columns="day"))
    forged = json.loads((folder / "ex" / "manifest.json").read_text())
    for change in (
        {"recipe": {"horizon": 4}}, {"names": {}}, {"recipe": forged["trained_on"]["recipe"] | {"window": "many"}}, [],
    ):  # fmt: skip
        about = forged["trained_on"] | change if isinstance(change, dict) else change
        (folder / "ex" / "manifest.json").write_text(json.dumps(forged | {"trained_on": about}))
        with pytest.raises(ValueError, match="that names the columns of a forecaster"):
            runner.forecast(given)
    (folder / "ex" / "manifest.json").write_text(json.dumps(forged))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda frame: frame.head(ROWS), "received none in the column 'closed' at 2024-02-05 00:00:00"),
        (lambda frame: frame.head(ROWS + 2), "received none in the column 'closed' at 2024-02-07 00:00:00"),
        (
            lambda frame: frame.assign(campaign=frame["campaign"].where(frame.index != ROWS + 1)),
            "received none in the column 'campaign=no' at 2024-02-06 00:00:00",
        ),
        (lambda frame: frame.drop(index=ROWS + 1), "received none in the column 'closed' at 2024-02-09 00:00:00"),
        (lambda frame: shop(8).drop(index=ROWS + 1), "received a gap among the times up to 2024-02-09"),
        (lambda frame: frame.drop(columns="closed"), "to have the column 'closed'; received"),
    ],
)
def test_what_is_not_known_is_told_with_its_column_and_time(folder, change, told):
    with pytest.raises(ValueError, match=told):
        forecasting.load(folder / "run").forecast(change(shop()))


def test_what_cannot_be_known_is_refused(folder):
    given = {"target": "sold", "known": ["closed"], "window": 8, "horizon": 4}
    path = str(folder / "shop.csv")
    for change, told in (
        ({"known": ["sold"]}, "expected known columns beside the target; received the target 'sold' among them"),
        ({"horizon": 12}, "expected a window of at least the horizon's 12 steps with columns known in the future"),
    ):
        with pytest.raises(ValueError, match=told):
            resolve(path, given | change)
    for known, told in (("day", "'day'.* it is a time"), ("shut", "to have the column 'shut'")):
        with pytest.raises(ValueError, match=told):
            training.settled(resolve(path, given | {"known": [known]}))
    with pytest.raises(ValueError, match=r"without a column 'closed \+4', which a column known in the future makes"):
        tables.checked(shop().assign(**{"closed +4": 1}), "shop", resolve(path, given))
