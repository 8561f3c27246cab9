"""From a table to a forecast: columns by name, times, gaps, groups, figures beside the baselines."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import baselines, forecasting, plots, training
from keras_lstm_gates.forecasting.calendars import times_after
from keras_lstm_gates.recipes import Recipe

WINDOW, HORIZON = 12, 4


def table(rows=240, start="2024-03-01", freq="h", **columns):
    hours = np.arange(rows)
    load = 50 + 10 * np.sin(hours * 2 * np.pi / 24) + np.random.default_rng(0).normal(size=rows)
    frame = pd.DataFrame({"when": pd.date_range(start, periods=rows, freq=freq), "load": load, "wind": load[::-1] / 7})
    return frame.assign(**columns)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder trained on load.csv, whose columns are when, load, wind."""
    folder = tmp_path_factory.mktemp("forecasting")
    table().to_csv(folder / "load.csv", index=False)
    recipe = Recipe(
        dataset=str(folder / "load.csv"), task="forecasting", target="load", window=WINDOW, horizon=HORIZON, season=6,
        quantiles=(0.1, 0.5, 0.9), units=4, epochs=1,
    )  # fmt: skip
    return training.fit(recipe, folder / "run").folder


@pytest.fixture(scope="module")
def forecaster(run):
    return forecasting.load(run)


def by_hand(run, frame, end):
    """The model's forecast of the rows before `end`, its columns in the training's order."""
    model = keras.models.load_model(run / "model.keras", compile=False)
    window = frame[["load", "wind"]].to_numpy("float32")[None, end - WINDOW : end]
    return np.asarray(model(window))[0].astype("float64")


def test_what_follows_the_last_row(run, forecaster):
    frame = table()
    result = forecaster.forecast(frame)
    assert list(result) == ["time", "load q0.1", "load q0.5", "load q0.9", "actual"]
    assert result["time"].tolist() == pd.date_range("2024-03-11 00:00", periods=HORIZON, freq="h").tolist()
    np.testing.assert_allclose(result.filter(like="load"), by_hand(run, frame, len(frame)), rtol=1e-5)
    assert result["actual"].isna().all()


def test_columns_are_found_by_name_in_any_order(forecaster, tmp_path):
    frame = table()
    other = frame[["wind", "when", "load"]].assign(comment="x", more=1.0)[["more", "wind", "comment", "when", "load"]]
    expected, result = forecaster.forecast(frame), forecaster.forecast(other)
    pd.testing.assert_frame_equal(result, expected)
    assert result.attrs["ignored"] == ["more", "comment"]
    other.to_csv(tmp_path / "other.csv", sep=";", index=False)
    of_file = forecaster.forecast(tmp_path / "other.csv")
    pd.testing.assert_frame_equal(of_file, expected, rtol=1e-5)
    assert of_file.attrs["ignored"] == ["more", "comment"]
    with pytest.raises(ValueError, match=r"to have the column 'wind'; received \['when', 'load', 'Wind'\]"):
        forecaster.forecast(frame.rename(columns={"wind": "Wind"}))


def test_rows_in_any_order(forecaster):
    frame = table()
    pd.testing.assert_frame_equal(forecaster.forecast(frame.sample(frac=1, random_state=1)), forecaster.forecast(frame))


def test_from_a_time_within_the_table(run, forecaster):
    frame = table()
    result = forecaster.forecast(frame, at="2024-03-05 07:30")
    end = 4 * 24 + 8
    assert result["time"].iloc[0] == pd.Timestamp("2024-03-05 08:00")
    np.testing.assert_allclose(result.filter(like="load"), by_hand(run, frame, end), rtol=1e-5)
    np.testing.assert_array_equal(result["actual"], frame["load"][end : end + HORIZON])
    near_the_end = forecaster.forecast(frame, at="2024-03-10 21:00")
    assert near_the_end["actual"].notna().tolist() == [True, True, False, False]


def test_a_time_behind_the_last_row_is_refused(forecaster):
    frame = table()
    last = "2024-03-10 23:00"
    pd.testing.assert_frame_equal(forecaster.forecast(frame, at=last), forecaster.forecast(frame))
    for at in ("2024-03-10 23:01", "2024-04-01", pd.Timestamp("2025-01-01")):
        with pytest.raises(ValueError, match=f"no later than the table's last time, {last}:00; received 202"):
            forecaster.forecast(frame, at=at)
    berlin = forecaster._replace(recipe=forecaster.recipe.replaced({"timezone": "Europe/Berlin"}))
    with pytest.raises(ValueError, match=rf"last time, {last}:00\+01:00; received 2024-03-11 00:00:00\+01:00"):
        berlin.forecast(frame, at="2024-03-11")
    pd.testing.assert_frame_equal(berlin.forecast(frame, at="2024-03-10 22:00Z"), berlin.forecast(frame))


@pytest.mark.parametrize(
    ("text", "zone", "at"),
    [
        ("%d.%m.%Y %H:%M", None, "03.04.2023 08:00"),
        ("%d/%m/%Y %H:%M", None, "03/04/2023 08:00"),
        ("%d/%m/%Y %H:%M", "Europe/Berlin", "03.04.2023 8:00"),
        ("%m/%d/%Y %I:%M %p", None, "04/03/2023 8:00 AM"),
        ("%d.%m.%y;%H:%M", None, "03.04.23 08:00"),
        ("%Y-%m-%d %H:%M", None, "3 April 2023 08:00"),
    ],
)
def test_a_time_is_read_as_the_dates_of_its_table(forecaster, tmp_path, text, zone, at):
    frame = table(start="2023-04-01")
    expected = forecaster.forecast(frame, at=pd.Timestamp("2023-04-03 08:00"))["load q0.5"]
    text, clock, of_clock = text.partition(";")
    written = frame.assign(when=frame["when"].dt.strftime(text))
    written = written.assign(clock=frame["when"].dt.strftime(of_clock)) if clock else written
    written.to_csv(tmp_path / "new.csv", index=False)
    reader = forecaster._replace(recipe=forecaster.recipe.replaced({"timezone": zone}))
    for one in (at, "2023-04-03 08:00", "20230403T080000"):
        result = reader.forecast(tmp_path / "new.csv", at=one)
        np.testing.assert_allclose(result["load q0.5"], expected, rtol=1e-5)


def test_a_time_whose_day_nothing_tells_from_the_month_is_refused(forecaster, tmp_path):
    frame = table(start="2023-03-01", rows=1000)
    for at in ("03.04.2023 08:00", "03/04/2023"):
        with pytest.raises(ValueError, match=f"expected at in ISO form, such as 2024-12-31 18:00, .* received '{at}'"):
            forecaster.forecast(frame, at=at)
    assert forecaster.forecast(frame, at="13/03/2023")["time"][0] == pd.Timestamp("2023-03-13 01:00")
    for order, expected in [("day-first", "2023-04-03 01:00"), ("month-first", "2023-03-04 01:00")]:
        told = forecaster._replace(recipe=forecaster.recipe.replaced({"dates": order}))
        assert told.forecast(frame, at="03/04/2023")["time"][0] == pd.Timestamp(expected)
    with pytest.raises(ValueError, match=r"received '13/03/2023', of a table whose dates are month-first"):
        told.forecast(frame, at="13/03/2023")
    of_one_day = table(24, start="2023-04-04")
    of_one_day.assign(when=of_one_day["when"].dt.strftime("%d/%m/%Y %H:%M")).to_csv(tmp_path / "day.csv", index=False)
    with pytest.raises(ValueError, match="expected at in ISO form"):
        forecaster.forecast(tmp_path / "day.csv", at="03/04/2023")


def test_rolling_gives_the_forecasts_of_each_point(forecaster):
    frame = table()
    rolling = forecaster.rolling(frame)
    origins = rolling["origin"].unique()
    assert len(rolling) == len(origins) * HORIZON
    assert rolling["time"].is_unique
    for origin in origins[[0, 3, -1]]:
        one = rolling[rolling["origin"] == origin].drop(columns="origin").reset_index(drop=True)
        pd.testing.assert_frame_equal(one, forecaster.forecast(frame, at=origin), rtol=1e-5)
    assert len(forecaster.rolling(frame, every=1)) == (len(frame) - WINDOW - HORIZON + 1) * HORIZON


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda frame: frame.drop(index=235), "without a gap; received one among the times from 2024-03-10 11:00:00"),
        (
            lambda frame: frame.assign(wind=frame["wind"].where(frame.index != 236)),
            "empty cell in the column 'wind' at ",
        ),
        (lambda frame: frame.head(11), "expected 12 rows before the forecast; received 11"),
        (lambda frame: frame.assign(load="many"), "expected numbers in the column 'load'"),
    ],
)
def test_windows_that_are_not_whole_are_refused(forecaster, change, told):
    with pytest.raises(ValueError, match=told):
        forecaster.forecast(change(table()))


def test_a_gap_before_the_window_does_not_matter(run, forecaster):
    frame = table().drop(index=[5, 100])
    np.testing.assert_allclose(forecaster.forecast(frame)["load q0.5"], forecaster.forecast(table())["load q0.5"])
    assert len(forecaster.rolling(frame)) % HORIZON == 0


@pytest.mark.parametrize(
    ("times", "expected", "step"),
    [
        (pd.date_range("1949-01-01", periods=30, freq="MS"), ["1951-07-01", "1951-08-01"], "MS"),
        (pd.date_range("2020-03-31", periods=9, freq="QE"), ["2022-06-30", "2022-09-30"], None),
        (pd.date_range("2024-01-01", periods=20, freq="15min"), ["2024-01-01 05:00", "2024-01-01 05:15"], "15min"),
        (pd.bdate_range("2024-01-01", periods=10), ["2024-01-15", "2024-01-16"], "B"),
        (pd.bdate_range("2024-01-01", periods=30).delete([7, 8]), ["2024-02-12", "2024-02-13"], "B"),
        (pd.date_range("2024-01-01", periods=40, freq="h").delete(20), ["2024-01-02 16:00", "2024-01-02 17:00"], None),
    ],
)
def test_the_times_to_come(times, expected, step):
    following, told = times_after(times, 2)
    assert following.tolist() == pd.to_datetime(expected).tolist()
    assert step is None or told == step


def test_times_that_tell_no_step_give_rows(forecaster):
    frame = table()
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        np.random.default_rng(0).integers(1, 99, 240).cumsum(), "h"
    )
    result = forecaster.forecast(frame)
    assert result["row"].tolist() == [240, 241, 242, 243]
    assert result.attrs["step"] == "rows"


def test_scores_are_those_of_numpy(forecaster):
    frame = table()
    result = forecasting.scores(forecaster, frame)
    load, starts = frame["load"].to_numpy(), np.arange(len(frame) - WINDOW - HORIZON + 1)
    actual = load[starts[:, None] + WINDOW + np.arange(HORIZON)]
    persistence = abs(actual - load[starts + WINDOW - 1][:, None])
    np.testing.assert_allclose(result["mae"]["persistence"], persistence.mean())
    np.testing.assert_allclose(result["mase"]["persistence"], persistence.mean() / abs(np.diff(load)).mean())
    seasonal = abs(actual - load[starts[:, None] + WINDOW - 6 + np.arange(HORIZON)])
    np.testing.assert_allclose(result["mae"]["seasonal naive"], seasonal.mean())
    rolling = forecaster.rolling(frame, every=1)
    inside = (rolling["actual"] >= rolling["load q0.1"]) & (rolling["actual"] <= rolling["load q0.9"])
    np.testing.assert_allclose(result["coverage"]["model"], inside.mean())
    np.testing.assert_allclose(
        result["rmse"]["model"], np.sqrt(((rolling["actual"] - rolling["load q0.5"]) ** 2).mean())
    )
    np.testing.assert_allclose(result["nominal"]["model"], 0.8)
    assert result.attrs["windows"] == len(starts)


def test_groups_are_forecast_one_by_one(tmp_path):
    frames = [table(120, load=np.arange(120) % 7 + 10.0 * number, shop=name) for number, name in enumerate("ab")]
    both = pd.concat(frames, ignore_index=True).sample(frac=1, random_state=0)
    both.to_csv(tmp_path / "shops.csv", index=False)
    recipe = Recipe(
        dataset=str(tmp_path / "shops.csv"), task="forecasting", target="load", group="shop", window=WINDOW,
        horizon=HORIZON, units=3, epochs=1,
    )  # fmt: skip
    forecaster = forecasting.load(training.fit(recipe, tmp_path / "run").folder)
    result = forecaster.forecast(both)
    assert result["group"].tolist() == ["a"] * HORIZON + ["b"] * HORIZON
    for name, frame in zip("ab", frames, strict=True):
        one = forecaster.forecast(frame)
        pd.testing.assert_frame_equal(one, result[result["group"] == name].reset_index(drop=True), rtol=1e-5)
    rolling = forecaster.rolling(both)
    assert (rolling.groupby("group").size() == rolling.groupby("group").size().iloc[0]).all()
    figure = plots.forecast(result, forecaster.history(both), "load")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]


def test_the_picture_shows_the_numbers(forecaster):
    frame = table()
    result, history = forecaster.forecast(frame, at="2024-03-05 07:00"), forecaster.history(frame, "2024-03-05 07:00")
    before, middle, came = plots.forecast(result, history, "load").axes[0].lines
    np.testing.assert_array_equal(before.get_ydata(), frame["load"][104 - 3 * WINDOW : 104])
    np.testing.assert_array_equal(middle.get_ydata(), result["load q0.5"])
    np.testing.assert_array_equal(came.get_ydata(), result["actual"])


def test_on_the_command_line_in_a_new_process(run, forecaster, tmp_path):
    table().to_csv(tmp_path / "new.csv", index=False)
    arguments = ["forecast", str(run), "new.csv", "--out", "out"]
    code = f"import sys; sys.argv[1:] = {arguments!r}; from keras_lstm_gates.cli import main; main()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    result = pd.read_csv(tmp_path / "out" / "forecast.csv", parse_dates=["time"])
    np.testing.assert_allclose(result["load q0.5"], forecaster.forecast(table())["load q0.5"], rtol=1e-5)
    assert (tmp_path / "out" / "forecast.png").read_bytes().startswith(b"\x89PNG")


def test_commands(run, command, tmp_path):
    table(note="x").to_csv(tmp_path / "new.csv", index=False)
    code, printed, _ = command("forecast", run, "new.csv", "--all", "--out", "all")
    assert code == 0
    assert "not read: note" in printed
    assert len(pd.read_csv(tmp_path / "all" / "forecast.csv")) == 57 * HORIZON
    code, printed, _ = command("evaluate", run, "new.csv")
    assert code == 0
    assert "seasonal naive" in printed
    (header,) = [line for line in printed.splitlines() if line.split()[:2] == ["mae", "rmse"]]
    for word in (*header.split(), "model", "persistence", "seasonal naive"):
        assert f"  {word}: " in printed
    for arguments, told in [
        (("forecast", run, "none.csv"), "none.csv"),
        (
            ("forecast", "nowhere", "new.csv"),
            "no such run: expected a folder with model.keras, or an export; received nowhere",
        ),
        (
            ("forecast", run, "new.csv", "--at", "soon"),
            "expected at to be a time such as 2024-12-31 18:00; received 'soon'",
        ),
        (("forecast", run, "new.csv", "--at", "2020-01-01"), "expected 12 rows before the forecast; received 0"),
        (("forecast", run, "new.csv", "--at", "2024-03-04", "--all"), "expected --at or --all"),
    ]:
        code, _, errors = command(*arguments, "--out", "other") if "forecast" in arguments else command(*arguments)
        assert code == 1
        assert told in errors
        assert not (tmp_path / "other").exists()


def test_a_preset_of_the_zoo(command, tmp_path):
    names = [
        "cloud_cover",
        "dew_point",
        "humidity",
        "pressure",
        "sun_above_air",
        "sunshine",
        "temperature",
        "wind_speed",
    ]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(10, 3, (60, 8)), columns=names).assign(month="may")
    frame["hour"] = pd.date_range("2024-05-01", periods=60, freq="h")
    frame.to_csv(tmp_path / "weather.csv", index=False)
    code, _, errors = command("forecast", "greensboro_weather", "weather.csv", "--out", "out")
    assert code == 0, errors
    result = pd.read_csv(tmp_path / "out" / "forecast.csv")
    assert len(result) == 24
    assert result["time"].iloc[0] == "2024-05-03 12:00:00"


def test_a_run_that_does_not_say_its_columns_is_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "old")
    (tmp_path / "old" / "names.json").unlink()
    forecaster = forecasting.load(tmp_path / "old")
    pd.testing.assert_frame_equal(forecaster.forecast(table()), forecasting.load(run).forecast(table()))
    forecaster.model.save(tmp_path / "old" / "model.keras")
    with pytest.raises(ValueError, match=r"to say what its columns are called.*Train or export it again"):
        forecasting.load(tmp_path / "old")
    recipe = json.loads((run / "recipe.json").read_text()) | {"task": "language"}
    (tmp_path / "old" / "names.json").write_text("{}")
    (tmp_path / "old" / "recipe.json").write_text(json.dumps({"dataset": "x", "task": recipe["task"]}))
    with pytest.raises(ValueError, match=r"expected a run that forecasts; received .* a run of language"):
        forecasting.load(tmp_path / "old")
    shutil.copy(run / "recipe.json", tmp_path / "old")
    for names, text in (
        ("{}", r"the names of the columns that it reads; received \[\]"),
        ("[]", "to say what it was trained on"),
        ('{"features": "load"}', "the names of the columns that it reads; received load"),
        (
            '{"features": [["load"], "wind"]}',
            r"the names of the columns that it reads; received \[\['load'\], 'wind'\]",
        ),
        ('{"features": ["load"]}', r"expected a model of \(window, columns\) \(12, 1\).*received \[\(None, 2\)\]"),
    ):
        (tmp_path / "old" / "names.json").write_text(names)
        with pytest.raises(ValueError, match=text):
            forecasting.load(tmp_path / "old")


@pytest.mark.parametrize(
    ("task", "figure", "figures", "told"),
    [
        ("forecasting", 3.0, {"persistence": 4.0, "ridge regression": 2.5}, "loses to ridge regression (2.5)"),
        (
            "forecasting",
            5.0,
            {"persistence": 4.0, "seasonal naive": 6.0, "ridge regression": 2.5},
            "loses to ridge regression (2.5) and persistence (4): prefer these",
        ),
        ("classification", 0.5, {"a": 0.6, "b": 0.4, "c": 0.7}, "loses to c (0.7) and a (0.6)"),
        ("forecasting", 2.5, {"persistence": 4.0, "ridge regression": 2.5}, None),
        ("classification", 0.5, {"most frequent class": 0.6}, "loses to most frequent class (0.6)"),
        ("language", 2.0, {"unigram": 4.0, "5-gram": 1.9}, "loses to 5-gram (1.9)"),
        ("language", 1.8, {"unigram": 4.0, "5-gram": 1.9}, None),
    ],
)
def test_a_model_that_loses_is_told(task, figure, figures, told):
    line = baselines.beaten_by(task, figure, figures)
    assert line is None if told is None else told in line


def test_a_run_without_a_model_of_its_own_is_told(run, tmp_path):
    for name, make, error in (
        ("linked", lambda folder: (folder / "model.keras").symlink_to("."), "no such run"),
        ("empty", lambda folder: (folder / "model.keras").mkdir(), "no such run"),
        ("exported", _empty_export, "expected a SavedModel in .*saved_model; there is no saved_model.pb"),
    ):
        folder = shutil.copytree(run, tmp_path / name, ignore=shutil.ignore_patterns("model.keras"))
        make(folder)
        with pytest.raises(FileNotFoundError, match=error):
            forecasting.load(folder)


def _empty_export(folder):
    described = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("recipe", "names")}
    (folder / "manifest.json").write_text(json.dumps({"formats": {}, "trained_on": described}))
    (folder / "saved_model").mkdir()
