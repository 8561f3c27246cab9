"""`train` as a user types it: a recipe by name, a recipe's file, a table of one's own, and what is refused."""

import json
import re

import keras
import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates.recipes import RECIPES, Recipe

# datasets.tables leaves the .csv that it sniffs to the garbage collector to close.
UNCLOSED = pytest.mark.filterwarnings("ignore:.*power.csv:pytest.PytestUnraisableExceptionWarning")
QUICK = ("--set", "units=4", "--set", "epochs=2")


def test_a_recipe_by_name_and_by_file(command, tmp_path):
    code, printed, _ = command("train", "japanese_vowels", *QUICK, "--set", "schedule=constant", "--out", "run")
    assert code == 0
    assert "test_accuracy" in printed
    assert "model.keras" in printed
    # 31 of 370 utterances, of nine speakers.
    assert "baselines, test_accuracy:\n  most frequent class: 0.083784" in printed
    made = Recipe.from_file(tmp_path / "run" / "recipe.json")
    assert made == RECIPES["japanese_vowels"].replaced({"units": 4, "epochs": 2, "schedule": "constant"})
    # A run that is whole is read, not trained again.
    before = (tmp_path / "run" / "model.keras").read_bytes()
    assert command("train", "run/recipe.json", "--out", "run", "--resume")[0] == 0
    assert (tmp_path / "run" / "model.keras").read_bytes() == before
    code, _, errors = command("train", "run/recipe.json", "--set", "units=5", "--out", "run", "--resume")
    assert (code, "units 4; received 5" in errors) == (1, True)


@UNCLOSED
def test_a_table_of_ones_own(command, tmp_path):
    times = np.arange(300)
    hours = np.datetime64("2026-01-01") + times.astype("timedelta64[h]")
    load = 500 + 100 * np.sin(2 * np.pi * times / 24)
    rows = [f"{hour},{value:.3f}" for hour, value in zip(hours, load, strict=True)]
    (tmp_path / "power.csv").write_text("\n".join(["hour,load", *rows]))
    options = ("--target", "load", "--window", 24, "--horizon", 6, *QUICK)
    code, printed, errors = command("train", "power.csv", *options)
    assert code == 0, errors
    assert "\nwindow 24, horizon 6, season 24, in rows\n" in printed
    assert "baselines, test_mae:\n  persistence: " in printed
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("train-")
    model = keras.models.load_model(folder / "model.keras")
    assert model.output_shape == (None, 6, 3)
    # The scaler is in the model: it reads and forecasts in the table's own units.
    assert 350 < float(np.mean(model(load[None, :24, None]))) < 650


@UNCLOSED
def test_mistakes(command, tmp_path):
    (tmp_path / "power.csv").write_text("hour,load\n1,2\n2,3\n")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("earlier work")
    (tmp_path / "recipe.json").write_text(json.dumps({"dataset": "japanese_vowels", "unit": 3}))
    mistakes = [
        (("vowels",), "expected one of the recipes ['"),
        (("japanese_vowels", "--set", "units"), "expected --set KEY=VALUE; received 'units'"),
        (("japanese_vowels", "--set", "unit=3"), "received 'unit'"),
        (("japanese_vowels", "--set", "units=many"), "expected units of a recipe to be an int > 0; received 'many'"),
        (("japanese_vowels", "--resume"), "expected --out, the folder of the run to resume; received none"),
        (("japanese_vowels", "--out", "taken"), "expected a new or empty folder; taken is taken"),
        (("japanese_vowels", "--out", "taken", "--resume"), "expected a new or empty run folder; taken holds 1"),
        (("power.csv",), "expected a target, the column of power.csv to forecast"),
        (("power.csv", "--target", "loads"), "to have the column 'loads'; received ['hour', 'load']"),
        (("none.csv", "--target", "load"), "no such file: none.csv"),
        (("bad.json",), "expected bad.json to be a recipe in JSON"),
        (("none.json",), "none.json"),
        (("recipe.json",), "received 'unit'"),
    ]
    for arguments, text in mistakes:
        code, _, errors = command("train", *arguments)
        assert code == 1, arguments
        assert errors.startswith("error: "), (arguments, errors)
        assert len(errors.strip().splitlines()) == 1, (arguments, errors)
        assert text in errors, (arguments, errors)
    assert (tmp_path / "taken" / "mine.txt").read_text() == "earlier work"


@UNCLOSED
def test_a_failed_training_leaves_the_place_as_it_was(command, tmp_path):
    times = np.datetime64("2026-01-01") + np.arange(200).astype("timedelta64[h]")
    rows = [f"{hour},{number % 24},{-200 if number in (50, 90) else 5}" for number, hour in enumerate(times)]
    (tmp_path / "power.csv").write_text("\n".join(["hour,load,heat", *rows]))
    options = ("--target", "load", "--window", 12, "--horizon", 4, *QUICK, "--out", "run")
    code, _, errors = command("train", "power.csv", *options)
    assert (code, "--sentinel -200" in errors) == (1, True)
    assert not (tmp_path / "run").exists()
    assert "Did you mean 'units'?" in command("train", "power.csv", *options, "--set", "unit=3")[2]
    code, printed, errors = command("train", "power.csv", *options, "--sentinel", "-200", "--missing", "forward")
    assert code == 0, errors
    assert "200 rows, time: hour, step 1 hour, 0 gaps; 2 cells filled: forward" in printed
    assert "columns: load, heat; empty: 1.0% of heat" in printed
    assert "\nwindow 12, horizon 4, no season, in rows\n" in printed
    names = json.loads((tmp_path / "run" / "names.json").read_text())
    assert names["table"]["notes"] == ["2 cells filled: forward"]
    # A forecast reads the file as the training did.
    code, _, errors = command("forecast", "run", "power.csv", "--out", "next")
    assert code == 0, errors


def test_several_targets_known_columns_and_what_came(command, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"day": pd.date_range("2023-01-01", periods=164, freq="D"), "closed": rng.random(164) < 0.3})
    frame["sold"] = np.where(frame["closed"], 5.0, 20.0) + rng.normal(0, 0.3, 164)
    frame["visits"] = 2 * frame["sold"] + rng.normal(0, 0.3, 164)
    frame["closed"] = frame["closed"] * 1
    frame.loc[160:, ["sold", "visits"]] = np.nan
    frame.to_csv(tmp_path / "shop.csv", index=False)
    given = ["--target", "sold, visits", "--known", "closed", "--window", "6", "--horizon", "4"]
    quick = ["--set", "epochs=1", "--set", "units=2"]
    code, printed, errors = command("train", "shop.csv", *given, *quick, "--out", "run")
    assert code == 0, errors
    for target in ("sold, in run/target-1", "visits, in run/target-2", "closed +4"):
        assert target in printed
    assert len(re.findall(r"ridge regression: \d", printed)) == 2
    assert printed.count("ridge regression: a linear") == 1
    code, printed, errors = command("forecast", "run", "shop.csv", "--out", "next")
    assert code == 0, errors
    columns = [f"{name} q{quantile}" for name in ("sold", "visits") for quantile in (0.1, 0.5, 0.9)]
    forecast = pd.read_csv(tmp_path / "next" / "forecast.csv")
    assert [*forecast] == ["time", *columns, "actual sold", "actual visits"]
    assert (tmp_path / "next" / "forecast.png").is_file()
    code, printed, errors = command("evaluate", "run", "shop.csv")
    assert code == 0, errors
    assert "visits" in printed
    # A failed training leaves the folder as it was.
    code, _, errors = command("train", "shop.csv", *given[:-4], "--target", "sold,visit", *quick, "--out", "other")
    assert code == 1
    assert "to have the column 'visit'" in errors
    assert not (tmp_path / "other").exists()
    code, _, errors = command("tune", "shop.csv", *given, "--set", "units=[2, 3]", "--out", "search")
    assert code == 1
    assert "expected one target to search for; received ['sold', 'visits']: search for each" in errors
