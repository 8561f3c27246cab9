"""A run, its export and the same table: every command reads the file as the training did, by the columns' names."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import exporting, forecasting, plots, tracing, training
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.recipes import Recipe
from keras_lstm_gates.training.descriptions import described

WINDOW, HORIZON, ROWS = 10, 3, 150


def table():
    hours = np.arange(ROWS)
    load = 5000 + 900 * np.sin(hours * 2 * np.pi / 24) + np.random.default_rng(0).normal(size=ROWS)
    when = pd.date_range("2024-03-01", periods=ROWS, freq="h")
    return pd.DataFrame({"when": when, "load": load, "wind": load[::-1] / 7000, "sun": np.cos(hours / 5)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with load.csv, run, trained on it, shuffled.csv, the same with its columns in another order, and ex."""
    folder = tmp_path_factory.mktemp("runs")
    table().to_csv(folder / "load.csv", index=False)
    other = table().assign(note="x")[["note", "sun", "wind", "when", "load"]]
    other.to_csv(folder / "shuffled.csv", index=False, sep=";")
    recipe = Recipe(
        dataset=str(folder / "load.csv"), task="forecasting", target="load", window=WINDOW, horizon=HORIZON,
        quantiles=(0.1, 0.5, 0.9), units=3, epochs=1,
    )  # fmt: skip
    model = training.fit(recipe, folder / "run").model
    windows = forecasting.load(folder / "run").windows(folder / "load.csv")
    exporting.export(model, folder / "ex", windows.inputs, trained_on=described(folder / "run"))
    return folder


@pytest.mark.parametrize("run", ["run/model.keras", "ex", "ex/model.tflite", "ex/saved_model"])
@pytest.mark.parametrize("file", ["load.csv", "shuffled.csv"])
def test_a_file_of_the_run_and_its_exports_forecast_the_same(folder, run, file):
    expected = forecasting.load(folder / "run").forecast(folder / "load.csv")
    result = forecasting.load(folder / run).forecast(folder / file)
    pd.testing.assert_frame_equal(result, expected, rtol=1e-4)
    assert expected["load q0.5"].between(3000, 7000).all()


def test_the_runner_takes_columns_by_name(folder):
    expected = forecasting.load(folder / "run").forecast(table())
    runner = Runner(folder / "ex" / "model.tflite")
    for given in (table(), table()[["sun", "load", "wind"]], {name: list(table()[name]) for name in table()}):
        result = runner.forecast(given)
        assert list(result) == ["load q0.1", "load q0.5", "load q0.9"]
        for name, values in result.items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-4)
    with pytest.raises(
        ValueError, match=r"expected the columns .*; received \['when', 'load', 'sun'\], without \['wind"
    ):
        runner.forecast(table().drop(columns="wind"))
    with pytest.raises(ValueError, match=f"expected {WINDOW} rows before the forecast; received 4"):
        runner.forecast(table().tail(4))


def test_a_file_alone_says_what_it_was_trained_on(folder, tmp_path):
    (tmp_path / "copy.keras").write_bytes((folder / "run" / "model.keras").read_bytes())
    assert described(tmp_path / "copy.keras").names["features"] == ["load", "wind", "sun"]
    pd.testing.assert_frame_equal(
        forecasting.load(tmp_path / "copy.keras").forecast(table()), forecasting.load(folder / "run").forecast(table())
    )
    manifest = json.loads((folder / "ex" / "manifest.json").read_text())
    assert manifest["trained_on"]["names"]["features"] == ["load", "wind", "sun"]
    assert "`load`, `wind`, `sun`, in this order" in (folder / "ex" / "README.md").read_text()


@pytest.mark.parametrize("name", ["forecast", "trace", "report", "explain", "steer", "patch", "run"])
def test_every_command_refuses_a_time_behind_the_table_and_a_date_of_two_readings(folder, command, name, tmp_path):
    options = {"steer": ("--set", "lstm/f=1"), "patch": (folder / "shuffled.csv",)}.get(name, ())
    for at, told in [("2024-03-08", "last time, 2024-03-07 05:00:00; received 2024-03-08 00"), ("04.03.2024", "ISO")]:
        run = folder / ("ex" if name == "run" else "run")
        out = "out.npz" if name == "run" else "out.html"
        code, _, errors = command(name, run, folder / "load.csv", *options, "--at", at, "--out", out)
        assert (code, told in errors) == (1, True), errors
        assert not (tmp_path / out).exists()


@pytest.mark.parametrize(
    ("names", "told"),
    [("{", "to say what it was trained on: "), ("[]", "to say what it was"), ('{"features": 3}', "to say what it was"),
     ("{}", "expected the names of the columns that it reads; received")],
)  # fmt: skip
def test_a_damaged_description_is_one_line(folder, command, tmp_path, names, told):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.keras", "recipe.json"):
        (run / name).write_bytes((folder / "run" / name).read_bytes())
    (run / "names.json").write_text(names)
    code, _, errors = command("forecast", run, folder / "load.csv", "--out", "out")
    assert (code, len(errors.splitlines()), told in errors) == (1, 1, True), errors


def test_files_of_others_beside_a_model_say_nothing(folder, tmp_path):
    model = forecasting.load(folder / "run").model
    model.save(tmp_path / "mine.keras")
    (tmp_path / "manifest.json").write_text("[]")
    (tmp_path / "card.json").write_text("a card")
    assert described(tmp_path / "mine.keras") is None


def test_a_trace_has_the_times_of_the_table(folder, command, tmp_path):
    code, printed, errors = command("trace", folder / "run", folder / "shuffled.csv", "--all", "--out", "gates")
    assert code == 0, errors
    assert "not read: note" in printed
    tree = tracing.load(tmp_path / "gates" / "gates.zarr")
    node = tree["lstm"]
    windows = forecasting.load(folder / "run").windows(table(), rolling=True)
    np.testing.assert_array_equal(node["when"], windows.places)
    assert node["when"].dims == ("sample", "time")
    assert tree.attrs["columns"] == ["load", "wind", "sun"]
    labels = [axes.get_xlabel() for axes in plots.gates(tree, sample=1).axes]
    first, last = windows.places[1, [0, -1]].astype("datetime64[m]").astype(str)
    assert f"time step, from {first} to {last}".replace("T", " ") in labels
    expected = tracing.trace(forecasting.load(folder / "run").model, windows.inputs, progress=False)
    np.testing.assert_allclose(node["f"], expected["lstm"]["f"], rtol=1e-6)


def test_the_tutorial(command, tmp_path, monkeypatch):
    """Every command and line of Python of the page, as they stand there but for a small model."""
    page = (Path(__file__).parents[2] / "docs" / "forecasting.md").read_text(encoding="utf-8").partition("\n## What")[0]
    first, last = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(first, scope)
    lines = re.findall(r"^    keras-lstm-gates (.*)$", page, re.MULTILINE)
    assert len(lines) == 14
    for line in lines:
        small = ["--set", "units=2", "--set", "epochs=1"] if line.startswith(("train", "backtest")) else []
        code, _, errors = command(*shlex.split(line), *small, *(["--no-refit"] if "backtest" in line else []))
        assert code == 0, (line, errors)
    made = "next/forecast.png past/backtest.png gates/gates.zarr page.html why/explanation.csv chain/gradients.zarr "
    made += "without/ablation.csv steered/steered.npz from_export/forecast.csv outputs.npz"
    assert [name for name in made.split() if not (tmp_path / name).exists()] == []
    assert pd.read_csv("why/explanation.csv")["when"].iloc[-1] == "2024-02-10 08:00:00"
    # `--no-refit`: one training, all folds.
    assert sorted(path.name for path in (tmp_path / "past").glob("fold*")) == ["fold-1"]
    # The season of a day is found, so the seasonal naive forecast is the fourth of each.
    assert len(pd.read_csv("past/backtest.csv")) == 12
    expected = pd.read_csv("next/forecast.csv")
    assert expected["time"].iloc[0] == "2024-02-20 00:00:00"
    np.testing.assert_allclose(pd.read_csv("from_export/forecast.csv")["load q0.5"], expected["load q0.5"], rtol=1e-4)
    exec(last.replace("\nRunner(", "\nresult = Runner("), scope)
    np.testing.assert_allclose(scope["result"]["load q0.5"], expected["load q0.5"], rtol=1e-4)


def test_a_forecast_as_parquet(folder, command, tmp_path):
    assert command("forecast", folder / "run", folder / "load.csv", "--parquet", "--out", "out")[0] == 0
    expected = forecasting.load(folder / "run").forecast(table())
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "forecast.parquet"), expected, rtol=1e-5)
    assert not (tmp_path / "out" / "forecast.csv").exists()


def test_an_exported_file_is_run_on_the_same_windows(folder, command, tmp_path):
    assert command("run", folder / "ex", folder / "shuffled.csv", "--out", "out.npz")[0] == 0
    expected = forecasting.load(folder / "run").forecast(table())[["load q0.1", "load q0.5", "load q0.9"]]
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["forecast"][0], expected, rtol=1e-4)
    code, _, errors = command("trace", folder / "ex", folder / "load.csv")
    assert (code, "--signature gates" in errors) == (1, True)
    code, _, errors = command("trace", folder / "run", folder / "load.csv", "--at", "soon")
    assert (code, "such as 2024-12-31 18:00; received 'soon'" in errors) == (1, True)
    # `export` writes the names that a forecast needs.
    assert command("export", folder / "run", folder / "shuffled.csv", "--format", "tflite", "--out", "again")[0] == 0
    again = forecasting.load(tmp_path / "again").forecast(table())
    np.testing.assert_allclose(again[list(expected)], expected, rtol=1e-4)


def test_new_rows_are_evaluated(folder, command):
    code, printed, errors = command("evaluate", folder / "ex", folder / "shuffled.csv")
    assert code == 0, errors
    assert f"{ROWS - WINDOW - HORIZON + 1} windows" in printed
    assert "coverage" in printed


KILLED = """
import os, signal
import pandas
def to_parquet(self, path, **_):
    path.write_bytes(b"PAR1 half of")
    os.kill(os.getpid(), signal.SIGKILL)
pandas.DataFrame.to_parquet = to_parquet
"""


def process(folder, place, number, before=""):
    """A process that forecasts one of four shards."""
    arguments = ["forecast", "run", "shuffled.csv", "--all", "--shard", f"{number}/4", "--out", str(place)]
    code = f"{before}\nimport sys; sys.argv[1:] = {arguments!r}\nfrom keras_lstm_gates.cli import main; main()"
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdout=-1, stderr=-1, text=True)


@pytest.mark.full
def test_four_processes_forecast_a_part_each_and_one_is_killed(folder, tmp_path):
    started = [process(folder, tmp_path / "all", number, KILLED if number == 3 else "") for number in (1, 2, 3, 4)]
    ended = [one.communicate() for one in started]
    assert [one.returncode for one in started] == [0, 0, -9, 0], ended
    parts = sorted(path.name for path in (tmp_path / "all").glob("*.parquet"))
    assert parts == [f"part-0000{number}-of-00004.parquet" for number in (1, 2, 4)]
    again = process(folder, tmp_path / "all", 3)
    assert "4 of 4 parts are there" in again.communicate()[0]
    result = pd.read_parquet(tmp_path / "all")
    expected = forecasting.load(folder / "run").rolling(folder / "load.csv")
    pd.testing.assert_frame_equal(result, expected, rtol=1e-5)


def test_shards_of_a_trace_become_one(folder, command, tmp_path):
    trace = ("trace", folder / "run", folder / "load.csv", "--all", "--out", "all")
    for number in (2, 3, 1):
        code, printed, errors = command(*trace, "--shard", f"{number}/3")
        assert code == 0, errors
        assert ("is whole" in printed) == (number == 1)
    # A part that is done is not done again.
    assert "is whole" in command(*trace, "--shard", "2/3")[1]
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["gates.zarr"]
    tree = tracing.load(tmp_path / "all" / "gates.zarr")
    forecaster = forecasting.load(folder / "run")
    windows = forecaster.windows(table(), rolling=True)
    expected = tracing.trace(forecaster.model, windows.inputs, progress=False)
    np.testing.assert_allclose(tree["lstm"]["f"], expected["lstm"]["f"], rtol=1e-5)
    np.testing.assert_array_equal(tree["lstm"]["when"], windows.places)
    assert tree["lstm"]["sample"].values.tolist() == list(range(len(windows)))
    assert tree.attrs["weights_sha256"] == expected.attrs["weights_sha256"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--shard", "5/4", "--out", "x"), "expected a shard such as 3/16, from 1/16 to 16/16; received '5/4'"),
        (("--shard", "1/4"), "expected --out, the folder that all shards share"),
        (("--shard", "1/2", "--out", "x"), "expected up to 1 shards of 1 windows; received 2"),
    ],
)
def test_shards_that_there_are_not(folder, command, options, told):
    code, _, errors = command("forecast", folder / "run", folder / "load.csv", *options)
    assert (code, told in errors) == (1, True), errors
