"""Columns that the times of a table tell."""

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import forecasting, training
from keras_lstm_gates.datasets import table_calendars, tables
from keras_lstm_gates.recipes import Recipe, resolve


def test_where_in_the_day_the_week_and_the_year():
    times = pd.Series(pd.to_datetime(["2024-01-01 06:00", "2023-07-02 12:00", "2024-12-31 18:00"]))
    columns = table_calendars.columns(times, table_calendars.SPANS)
    # 2024-01-01 is a Monday, 2023-07-02 a Sunday, 2024-12-31 a Tuesday and the 366th day.
    day, week, year = [0.25, 0.5, 0.75], [0.25 / 7, 6.5 / 7, 1.75 / 7], [0.25 / 366, 182.5 / 365, 365.75 / 366]
    for span, passed in (("day", day), ("week", week), ("year", year)):
        np.testing.assert_allclose(columns[f"sin of {span}"], np.sin(2 * np.pi * np.array(passed)), atol=1e-12)
        np.testing.assert_allclose(columns[f"cos of {span}"], np.cos(2 * np.pi * np.array(passed)), atol=1e-12)


def quiet_sundays(rows=400):
    """Days of 10, Sundays of 2: in a window of three days nothing tells the next Sunday but the calendar."""
    days = pd.date_range("2023-01-01", periods=rows, freq="D")
    noise = np.random.default_rng(0).normal(0, 0.1, rows)
    return pd.DataFrame({"day": days, "y": np.where(days.dayofweek == 6, 2.0, 10.0) + noise})


def test_a_forecast_knows_the_weekday_to_come(tmp_path):
    quiet_sundays().to_csv(tmp_path / "shop.csv", index=False)
    given = {"target": "y", "window": 3, "horizon": 1, "units": 3, "epochs": 1, "learning_rate": 0.01}
    errors = {}
    for name, calendar in (("without", []), ("with", ["week"])):
        recipe = training.settled(resolve(str(tmp_path / "shop.csv"), given | {"calendar": calendar}))
        run = training.fit(recipe, tmp_path / name)
        errors[name] = run.metrics["test_mae"]
    assert errors["with"] < 0.9 * errors["without"]
    forecaster = forecasting.load(tmp_path / "with")
    assert forecaster.columns == ["y", "sin of week", "cos of week"]
    expected = forecaster.forecast(quiet_sundays())
    pd.testing.assert_frame_equal(forecaster.forecast(quiet_sundays()[["y", "day"]]), expected)


def test_what_is_no_calendar_is_refused():
    recipe = Recipe(dataset="x", task="forecasting", target="y", calendar=("week",))
    with pytest.raises(ValueError, match="expected a column of times in shop for the calendar; received none"):
        tables.checked(quiet_sundays()[["y"]], "shop", recipe)
    with pytest.raises(ValueError, match="expected shop without a column 'sin of week'"):
        tables.checked(quiet_sundays().assign(**{"sin of week": 1.0}), "shop", recipe)
    with pytest.raises(ValueError, match="expected calendar of a recipe to be of 'day', 'week' and 'year'"):
        Recipe(dataset="x", task="forecasting", calendar=("month",))
