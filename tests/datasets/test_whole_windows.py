"""Training windows that gaps and empty cells cost: counted, and the options that mend them."""

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import datasets
from keras_lstm_gates.datasets import forecasting
from keras_lstm_gates.recipes import Recipe

HOURS = pd.date_range("2024-01-01", periods=200, freq="h")


def table(**columns):
    return pd.DataFrame({"time": HOURS, "load": np.arange(200.0), "heat": np.arange(200.0) % 24} | columns)


@pytest.fixture
def recipe(tmp_path):
    def write(frame, **settings):
        frame.to_csv(tmp_path / "load.csv", index=False)
        settings = {"target": "load", "window": 6, "horizon": 3} | settings
        return Recipe(dataset=str(tmp_path / "load.csv"), task="forecasting", **settings)

    return write


def whole_by_hand(frame, length, rows):
    """How many windows of consecutive hours and full cells have all their targets in the first rows; of how many."""
    hours = frame["time"].diff().eq(pd.Timedelta(1, "h")).to_numpy()
    full = frame[["load", "heat"]].notna().all(axis=1).to_numpy()
    starts = range(rows - length + 1)
    return sum(hours[s + 1 : s + length].all() and full[s : s + length].all() for s in starts), len(starts)


def test_windows_that_gaps_cost_are_counted_and_the_remedies_work(recipe):
    settings = {"validation": 0.25, "window": 6, "horizon": 3}
    assert "windows" not in datasets.load(recipe(table(), **settings)).names["table"]
    a_few = table(heat=table()["heat"].where(HOURS[50] != HOURS)).drop(index=90).reset_index(drop=True)
    names = datasets.load(recipe(a_few, **settings)).names
    rows = int((a_few["time"] <= names["times"]["train"][1]).sum())
    whole, every = whole_by_hand(a_few, 9, rows)
    lines = forecasting.summary(names)
    assert f"2 gaps; {whole} of {every} training windows are whole" in lines[0]
    assert len(lines) == 3
    many = table(heat=table()["heat"].where(np.arange(200) % 25 > 0)).drop(index=[12, 37, 62, 87])
    names = datasets.load(recipe(many.reset_index(drop=True), **settings)).names
    assert names["table"]["windows"]["whole"] < names["table"]["windows"]["all"] / 2
    warning = forecasting.summary(names)[3]
    assert warning.endswith(". Mend empty cells with --missing interpolate, missing rows with --step 1h --fill")
    mended = {**settings, "missing": "interpolate", "step": "1h", "fill": True}
    many.loc[0, "heat"] = 0.0
    assert "windows" not in datasets.load(recipe(many, **mended)).names["table"]


def test_a_remedy_that_was_taken_is_not_named_again(recipe):
    empty = table(heat=table()["heat"].where(np.arange(200) % 15 > 0))
    of_cells = datasets.load(recipe(empty)).names
    assert of_cells["table"]["windows"]["remedies"] == {"empty cells": "--missing interpolate"}
    dropped = datasets.load(recipe(empty, missing="drop")).names
    assert list(dropped["table"]["windows"]["remedies"]) == ["empty cells", "missing rows"]
    quarters = pd.date_range("1950-01-01", periods=201, freq="QS").delete(60)
    names = datasets.load(recipe(table(time=quarters))).names
    assert names["table"]["windows"]["remedies"] == {"missing rows": "--step 3MS --fill"}
    stores = pd.concat([table(store="a"), table(store="b")])
    assert "windows" not in datasets.load(recipe(stores, group="store")).names["table"]
