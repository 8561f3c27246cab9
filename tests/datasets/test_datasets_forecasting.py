"""A user's own tables and our series: windows, parts, scale, and every bad table told."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import datasets
from keras_lstm_gates.datasets import forecasting, table_times
from keras_lstm_gates.recipes import Recipe

HOURS = pd.date_range("2024-01-01", periods=200, freq="h")


def table(**columns):
    """200 hours of a load that counts its hours, and of a temperature."""
    return pd.DataFrame({"time": HOURS, "load": np.arange(200.0), "heat": np.arange(200.0) % 24} | columns)


@pytest.fixture
def recipe(tmp_path):
    """A function: a table or a text, written to a file, as a recipe."""

    def write(content, name="load.csv", encoding="utf-8", **settings):
        path = tmp_path / name
        if isinstance(content, str):
            path.write_text(content, encoding=encoding)
        elif name.endswith(".parquet"):
            content.to_parquet(path)
        else:
            content.to_csv(path, index=False)
        settings = {"target": "load", "window": 6, "horizon": 3, "batch_size": 50} | settings
        return Recipe(dataset=str(path), task="forecasting", **settings)

    return write


def everything(part):
    """(inputs, targets) of all windows."""
    return tuple(np.concatenate(arrays) for arrays in zip(*part.as_numpy_iterator(), strict=True))


@pytest.mark.parametrize("name", ["load.csv", "load.parquet"])
def test_windows_are_the_rows_split_by_time(recipe, name):
    data = datasets.load(recipe(table(), name, validation=0.25))
    train, validation, test = map(everything, (data.train, data.validation, data.test))
    # 200 rows: 120 for training, 40 for validation, 40 for the test; the parts of the targets do not meet.
    assert (train[1].min(), train[1].max()) == (6, 119)
    assert (validation[1].min(), validation[1].max()) == (120, 159)
    assert (test[1].min(), test[1].max()) == (160, 199)
    for inputs, targets in (train, validation, test):
        start = inputs[:, :1, 0]
        np.testing.assert_array_equal(inputs[:, :, 0], start + np.arange(6))
        np.testing.assert_array_equal(inputs[:, :, 1], (start + np.arange(6)) % 24)
        np.testing.assert_array_equal(targets, start + 6 + np.arange(3))
    assert (len(train[0]), len(validation[0]), len(test[0])) == (112, 38, 38)
    assert data.names == {
        "features": ["load", "heat"],
        "target": "load",
        "step": "1 hour",
        "season": None,
        "gaps": 0,
        "times": {
            "train": ["2024-01-01 00:00:00", "2024-01-05 23:00:00"],
            "validation": ["2024-01-06 00:00:00", "2024-01-07 15:00:00"],
            "test": ["2024-01-07 16:00:00", "2024-01-09 07:00:00"],
        },
        "table": {"rows": 200, "time": ["time"], "left_out": {}, "empty": {}, "notes": []},
        # The mean and the standard deviation of the training part, which the model takes off and divides by.
        "scaler": {
            "load": [pytest.approx(59.5), pytest.approx(np.arange(120).std())],
            "heat": [pytest.approx(11.5), pytest.approx(np.arange(24).std())],
        },
    }


@pytest.mark.parametrize(("epoch_size", "windows"), [(None, 38), (100, 38), (38, 38), (5, 5)])
def test_an_epoch_looks_at_no_more_windows_of_the_validation_part_and_at_none_twice(recipe, epoch_size, windows):
    _, targets = everything(datasets.load(recipe(table(), validation=0.25, epoch_size=epoch_size)).validation)
    firsts = targets[:, 0].tolist()
    assert len(set(firsts)) == len(firsts) == windows
    assert (min(firsts), max(firsts)) == (120, 157)


@pytest.mark.parametrize(
    ("numbers", "dates"),
    [
        ([1949.0, 1949.083, 1949.167], ["1949-01-01", "1949-02-01", "1949-03-01"]),
        ([1949.25, 1949.5, 1949.75], ["1949-04-01", "1949-07-01", "1949-10-01"]),
        ([1949.0, 1950.0, 1951.0], ["1949-01-01", "1950-01-01", "1951-01-01"]),
        # No dates written as whole numbers, one beyond the last year.
        ([20241230, 20241231], ["2024-12-30", "2024-12-31"]),
        ([20241230, 99999999], None),
        ([5, 6, 7], None),
        # Neither years, nor quarters, nor months, and years that do not follow each other.
        ([1949.3, 1950.3, 1951.3], None),
        ([1949.0, 1951.0, 1952.0], None),
    ],
)
def test_years_with_a_fraction(numbers, dates):
    times = table_times._of_numbers(pd.Series(numbers, name="time"))
    assert (None if times is None else times.dt.strftime("%Y-%m-%d").tolist()) == dates


def test_hours_beside_dates_go_to_24():
    days = {"date": ["2024-01-01"] * 3}
    assert table_times._clock_column(pd.DataFrame({**days, "hour": [0, 1, 24]}), "date") == "hour"
    assert table_times._clock_column(pd.DataFrame({**days, "hour": [0, 1, 25]}), "date") is None
    assert table_times._clock_column(pd.DataFrame({**days, "hour": [0, 1, 1.5]}), "date") is None


def test_the_scale_is_that_of_the_training_part_alone(recipe):
    load = np.r_[np.arange(120.0), np.full(80, 1e6)]
    arguments = datasets.load(recipe(table(load=load), validation=0.25)).arguments
    assert arguments["mean"] == pytest.approx([59.5, 11.5])
    assert arguments["variance"] == pytest.approx([np.var(np.arange(120)), np.var(np.arange(24))])
    assert (arguments["target_mean"], arguments["target_variance"]) == (arguments["mean"][0], arguments["variance"][0])
    assert (arguments["features"], arguments["horizon"]) == (2, 3)


def test_columns_are_chosen(recipe):
    data = datasets.load(recipe(table(name="a", more=1.0), features=("more",)))
    assert data.names["features"] == ["more", "load"]


def test_unsorted_times_are_sorted(recipe):
    shuffled = table().sample(frac=1, random_state=0)
    first, second = (datasets.load(recipe(t, n)) for t, n in ((table(), "a.csv"), (shuffled, "b.csv")))
    for one, other in zip(everything(first.test), everything(second.test), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_window_crosses_a_gap(recipe):
    rows = table()
    rows.loc[50, "heat"] = np.nan
    rows = rows.drop(index=[80, 81])
    data = datasets.load(recipe(rows))
    assert data.names["gaps"] == 2
    inputs, targets = everything(data.train)
    hours = np.concatenate([inputs[:, :, 0], targets], axis=1)
    np.testing.assert_array_equal(np.diff(hours), 1)
    assert not np.isin(hours, [50, 80, 81]).any()
    # Of 160 - 2 rows in order of time: 50 before the empty row, 29 before the missing ones, and the rest.
    last = hours.max()
    assert len(hours) == sum(length - 8 for length in (50, 29, last - 81))


@pytest.mark.parametrize(
    ("minutes", "gaps"),
    [
        # A row at half past: a short step to it, and one from it.
        ((50 * 60 + 30,), 2),
        # A row 10 s late: neither the step to it nor the one from it is an hour.
        ((), 2),
        # A row 1 s late is a rounded hour.
        ((), 0),
    ],
)
def test_a_short_step_is_a_gap_and_a_rounded_one_is_none(recipe, minutes, gaps):
    rows = table()
    if minutes:
        more = rows.iloc[[50]].assign(time=HOURS[50] + pd.Timedelta(minutes=30), load=-1.0)
        rows = pd.concat([rows, more])
        alone = [-1.0]
    else:
        rows.loc[50, "time"] += pd.Timedelta(seconds=10 if gaps else 1)
        alone = [50.0] if gaps else []
    data = datasets.load(recipe(rows))
    assert (data.names["gaps"], data.names["step"]) == (gaps, "1 hour")
    inputs, targets = everything(data.train)
    loads = np.concatenate([inputs[:, :, 0], targets], axis=1)
    np.testing.assert_array_equal(np.diff(loads), 1)
    assert not np.isin(loads, alone).any()


@pytest.mark.parametrize(
    ("odd", "gaps", "step"), [(29, 29, "1 hour"), (30, 0, "1 row: uneven, 1 hour to 2 hours (--step 1h makes it even)")]
)
def test_a_series_is_regular_with_85_of_100_steps(recipe, odd, gaps, step):
    # Of 199 steps 29 or 30 are two hours: 85.4 % or 84.9 % are one.
    hours = np.arange(200) + np.minimum(np.arange(200) // 6, odd)
    data = datasets.load(recipe(table(time=HOURS[0] + pd.to_timedelta(hours, unit="h")), window=2, horizon=1))
    assert (data.names["gaps"], data.names["step"]) == (gaps, step)


def test_days_without_weekends_are_taken_row_by_row(recipe):
    rows = table(time=pd.bdate_range("2024-01-01", periods=200))
    data = datasets.load(recipe(rows))
    assert (data.names["step"], data.names["gaps"]) == ("1 trading day", 0)
    assert len(everything(data.train)[0]) == 160 - 8


def test_rows_without_a_time_follow_each_other(recipe):
    data = datasets.load(recipe(table().drop(columns="time")))
    assert "times" not in data.names
    assert everything(data.test)[1].min() == 160


def test_windows_keep_to_their_group(recipe):
    rows = pd.concat([table(house="a"), table(house="b", load=np.arange(1000.0, 1200.0))]).sort_values("time")
    data = datasets.load(recipe(rows, group="house"))
    assert data.names["features"] == ["load", "heat"]
    for part, (first, last) in ((data.train, (6, 159)), (data.test, (160, 199))):
        inputs, targets = everything(part)
        np.testing.assert_array_equal(np.diff(np.concatenate([inputs[:, :, 0], targets], axis=1)), 1)
        assert sorted(set(targets.ravel() % 1000)) == list(range(first, last + 1))
        assert set(targets.ravel() // 1000) == {0, 1}


def test_a_constant_column_keeps_its_scale(recipe):
    assert datasets.load(recipe(table(heat=7.0))).arguments["variance"][1] == 1.0


@pytest.mark.parametrize(
    ("encoding", "separator", "decimal", "dates"),
    [
        ("utf-8", ",", ".", "%Y-%m-%dT%H:%M:%SZ"),
        ("utf-8-sig", "\t", ".", "%Y/%m/%d %H:%M"),
        ("utf-16", ";", ",", "%d.%m.%Y %H:%M"),
        ("cp1252", ";", ",", "%d/%b/%Y %H:%M"),
    ],
)
def test_dialects(recipe, encoding, separator, decimal, dates):
    rows = table(load=np.arange(200) + 0.5).rename(columns={"heat": "Wärme"})
    text = rows.to_csv(index=False, sep=separator, decimal=decimal, date_format=dates)
    data = datasets.load(recipe(text, encoding=encoding))
    assert data.names["features"] == ["load", "Wärme"]
    assert data.names["times"]["train"][0] == "2024-01-01 00:00:00"
    assert everything(data.test)[1].max() == 199.5


@pytest.mark.parametrize("dates", ["%d/%m/%Y", "%m/%d/%Y"])
def test_the_day_is_told_from_the_month(recipe, dates):
    text = table(time=pd.date_range("2024-01-01", periods=200)).to_csv(index=False, date_format=dates)
    data = datasets.load(recipe(text))
    assert (data.names["step"], data.names["gaps"]) == ("1 day", 0)
    assert data.names["times"]["test"] == ["2024-06-09 00:00:00", "2024-07-18 00:00:00"]


def test_a_million_rows(recipe):
    # The windows would fill 200 million numbers; they are made batch by batch.
    rows = pd.DataFrame({"load": np.arange(1_000_000) % 1000})
    data = datasets.load(recipe(rows, "load.parquet", window=96, horizon=96, batch_size=256))
    assert len(data.train) == -(-(800_000 - 191) // 256)
    inputs, targets = next(iter(data.train_at(3)))
    np.testing.assert_array_equal((inputs[:, -1, 0] + 1) % 1000, targets[:, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"load\.csv to hold a header and rows; it is empty"),
        ("load\n", r"expected .*load\.csv to hold at least 2 rows below its header; received 0"),
        ("load\n1\n", r"expected .*load\.csv to hold at least 2 rows below its header; received 1"),
        ("time,Load\n2024-01-01,1\n2024-01-02,2\n", r"to have the column 'load'; received \['time', 'Load'\]"),
        (
            "time,load\n2024-01-01,1\n2024-01-02,n/k\n",
            r"expected numbers in the column 'load' of .*load\.csv; received 'n/k' on line 3",
        ),
        ("load\n1\ninf\n", r"expected numbers in the column 'load' of .*; received inf on line 3"),
        (
            "time,load\n2024-01-01,1\n2024-01-03,2\n2024-01-01,3\n",
            r"expected each time once in .*; received 2024-01-01 00:00:00 on line 2 and on line 4",
        ),
        (
            "time,load\n2024-01-01,1\n2024-13-41,2\n",
            r"expected a date in each row of the column 'time' of .*; received '2024-13-41' on line 3",
        ),
        (
            "time,load\n02/01/2024,1\n03/01/2024,2\n",
            r"expected dates that tell the day from the month, .* in the column 'time' of .*; received '02/01/2024'",
        ),
        ("load,heat\n1,2,3\n4,5,6\n", r"expected .*load\.csv to be a table with one cell a column in each row"),
        (
            "load\n" + "1\n2\n" * 5,
            r"expected a window of 6 and a horizon of 3 rows without a gap in the training part of .*; received 10 "
            r"rows, 8 of them for training, with 0 gaps",
        ),
        ("load\n" + "5\n" * 200, r"expected the target 'load' to vary in the training part of .*; received 5\.0"),
    ],
)
def test_bad_tables(recipe, content, message):
    recipe = recipe(content, horizon=3, window=6)
    with pytest.raises(ValueError, match=message):
        datasets.load(recipe)


def test_one_test_window_needs_the_horizon_alone(recipe):
    # The inputs of a test window may reach back before the test part.
    assert len(everything(datasets.load(recipe("load\n" + "1\n2\n" * 10, horizon=4)).test)[0]) == 1


def test_missing_and_broken_files(recipe, tmp_path):
    missing = Recipe(dataset=str(tmp_path / "no.csv"), task="forecasting", target="load")
    with pytest.raises(FileNotFoundError, match=r"expected a table, a file .*; found none at .*no\.csv"):
        datasets.load(missing)
    with pytest.raises(ValueError, match=r"expected .*x\.parquet to be a Parquet file"):
        datasets.load(recipe("time,load\n", "x.parquet"))
    with pytest.raises(ValueError, match=r"expected a target, the column of .*load\.csv to forecast; received None"):
        datasets.load(dataclasses.replace(recipe(table()), target=None))


def test_greensboro_months_are_of_one_year_each():
    recipe = Recipe(dataset="greensboro_weather", task="forecasting", target="temperature", group="month", horizon=24)
    found = forecasting.series(recipe)
    assert (len(found.frame), found.step, found.gaps) == (8760, "1 hour", 0)
    temperature = found.frame["temperature"]
    # The first and the last hour of the file's year.
    by_time = found.frame.sort_values(forecasting.tables.TIME)["temperature"].tolist()
    assert by_time[:2] == [10.0, 10.0]
    assert temperature.between(-20, 40).all()
    data = datasets.load(recipe)
    assert everything(data.test)[1].shape[1] == 24


def test_daily_stocks_against_the_definition():
    recipe = Recipe(dataset="daily_stocks", task="forecasting", target="log_volatility", group="share", horizon=5)
    frame = forecasting.series(recipe).frame
    assert frame.groupby(forecasting.tables.GROUP).size().to_dict() == {
        "AAPL": 3269,
        "GOOG": 2147,
        "IBM": 3269,
        "MSFT": 3269,
    }
    # AAPL on 2000-03-02: open 127.00, high 127.94, low 120.69, close 122.00; adjusted 3.919675 after 4.186663.
    span, move = np.log(127.94 / 120.69), np.log(122.0 / 127.0)
    variance = 0.5 * span**2 - (2 * np.log(2) - 1) * move**2
    first = frame.iloc[0]
    assert first["log_volatility"] == pytest.approx(np.log(np.sqrt(variance)), rel=1e-5)
    assert first["log_return"] == pytest.approx(np.log(3.919675 / 4.186663), rel=1e-4)


def test_a_missing_month_is_a_gap(recipe):
    months = pd.date_range("2000-01-01", periods=120, freq="MS")
    assert datasets.load(recipe(table().head(120).assign(time=months), window=3, horizon=1)).names["step"] == "1 month"
    ends = pd.date_range("2000-01-31", periods=121, freq="ME").delete(40)
    names = datasets.load(recipe(table().head(120).assign(time=ends), window=3, horizon=1)).names
    assert (names["gaps"], names["step"]) == (1, "1 month")
    days = pd.bdate_range("2000-01-03", periods=120)
    assert (
        datasets.load(recipe(table().head(120).assign(time=days), window=3, horizon=1)).names["step"] == "1 trading day"
    )


def test_a_part_without_a_window_names_what_helps(recipe):
    holes = table()
    holes["load"] = holes["load"].where(np.arange(len(holes)) % 5 > 0)
    with pytest.raises(ValueError, match=r"20% of 'load' is empty: --missing interpolate"):
        datasets.load(recipe(holes, window=4, horizon=1))
    rain = table().assign(rain=np.where(np.arange(200) < 80, 1.0, np.nan))
    with pytest.raises(ValueError, match=r"60% of 'rain' is empty: --set 'features=\[\"load\"") as told:
        datasets.load(recipe(rain, window=4, horizon=1))
    features = json.loads(str(told.value).partition("features=")[2].rstrip("'"))
    assert "rain" not in features
    datasets.load(recipe(rain, window=4, horizon=1, features=tuple(features)))
    with pytest.raises(ValueError, match=r"--window .* --horizon .* is short enough") as told:
        datasets.load(recipe(table(), window=190, horizon=60))
    words = str(told.value).split()
    window, horizon = (int(words[words.index(option) + 1]) for option in ("--window", "--horizon"))
    datasets.load(recipe(table(), window=window, horizon=horizon))
    sparse = table().drop(index=range(5, 200, 8))
    with pytest.raises(ValueError, match="gaps: --step 1h --fill"):
        datasets.load(recipe(sparse, window=12, horizon=1))
    datasets.load(recipe(sparse, window=12, horizon=1, step="1h", fill=True))
