"""A run, its export and the same table: every command reads the file as the training did, by the columns' names."""

import json

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import exporting, forecasting, tracing, training
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


def test_a_trace_has_the_times_of_the_table(folder, command, tmp_path):
    code, printed, errors = command("trace", folder / "run", folder / "shuffled.csv", "--all", "--out", "gates")
    assert code == 0, errors
    assert "not read: note" in printed
    tree = tracing.load(tmp_path / "gates" / "gates.zarr")
    node = tree["lstm"]
    windows = forecasting.load(folder / "run").windows(table(), rolling=True)
    np.testing.assert_array_equal(node["when"], windows.places)
    assert node["when"].dims == ("sample", "time")
    assert tree["input"]["feature"].values.tolist() == ["load", "wind", "sun"]
    expected = tracing.trace(forecasting.load(folder / "run").model, windows.inputs, progress=False)
    np.testing.assert_allclose(node["f"], expected["lstm"]["f"], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        (("report", "RUN", "FILE", "--out", "page.html"), "page.html"),
        (("explain", "RUN", "FILE", "--at", "2024-03-04 06:00", "--out", "out"), "out/explanation.csv"),
        (("gradients", "RUN", "FILE", "--samples", "2", "--out", "out"), "out/gradients.zarr"),
        (("ablate", "RUN", "FILE", "--what", "gates", "--out", "out"), "out/ablation.csv"),
        (("steer", "RUN", "FILE", "--set", "lstm/f=1", "--out", "out"), "out/steered.npz"),
        (("run", "EXPORT", "FILE", "--out", "out.npz"), "out.npz"),
        (("forecast", "EXPORT", "FILE", "--out", "out"), "out/forecast.csv"),
    ],
)
def test_commands_take_a_run_and_its_table(folder, command, tmp_path, arguments, made):
    places = {"RUN": folder / "run", "EXPORT": folder / "ex", "FILE": folder / "shuffled.csv"}
    code, printed, errors = command(*(places.get(word, word) for word in arguments))
    assert code == 0, errors
    assert "not read: note" in printed
    assert (tmp_path / made).exists()


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
