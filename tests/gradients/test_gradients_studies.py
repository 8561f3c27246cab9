"""The studies in examples/: their tasks are the published ones, and their quick forms run and resume."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return lambda name: __import__(name)


def test_the_adding_problem_is_the_published_one(study):
    x, y = study("adding_problem").sequences(0, 500, 40)
    values, markers = x[..., 0], x[..., 1]
    assert np.abs(values).max() <= 1
    assert set(np.unique(markers)) == {-1, 0, 1}
    marked = markers == 1
    assert (marked.sum(axis=1) == 2).all()
    assert (markers[:, -1] == -1).all()
    assert (np.argmax(marked, axis=1) < 10).all()
    assert (40 - 1 - np.argmax(marked[:, ::-1], axis=1) < 20 - 1).all()
    values[:, 0] = 0
    np.testing.assert_allclose(y[:, 0], 0.5 + np.sum(values * marked, axis=1) / 4, atol=1e-6)


def test_temporal_order_has_four_classes_by_two_symbols(study):
    x, y = study("temporal_order").sequences(0, 400, 100)
    symbols = x.argmax(-1)
    assert (symbols[:, 0] == 0).all()
    assert (symbols[:, -1] == 1).all()
    for row, target in zip(symbols, y.argmax(-1), strict=True):
        first, second = np.flatnonzero(row >= 6)
        assert 10 <= first <= 20
        assert 50 <= second <= 60
        assert target == 2 * (row[first] - 6) + row[second] - 6


def test_the_copy_task_asks_for_its_first_ten_symbols(study):
    x, y = study("copy_task").sequences(0, 5, 30)
    symbols = x.argmax(-1)
    assert symbols.shape == y.shape == (5, 50)
    np.testing.assert_array_equal(symbols[:, :10], y[:, 40:])
    assert (y[:, :40] == 8).all()
    assert (symbols[:, 39] == 9).all()
    assert (symbols[:, 10:39] == 8).all()
    assert (symbols[:, 40:] == 8).all()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name",
    [
        "adding_problem",
        "temporal_order",
        *(pytest.param(one, marks=pytest.mark.full) for one in ("copy_task", "zero_mean_g")),
    ],
)
def test_the_quick_form_runs_and_resumes(name, tmp_path):
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--quick", "--out", str(tmp_path)]
    if name == "copy_task":
        # Stopped after its first measurement, it goes on from there.
        subprocess.run([*command, "--minutes", "0.0001"], check=True, capture_output=True)
        assert {one["sequences_seen"] for one in json.loads((tmp_path / "results.json").read_text())} == {10 * 32}
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "wrote" in ended.stdout
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results) == {"adding_problem": 3, "temporal_order": 2, "copy_task": 3, "zero_mean_g": 8}[name]
    for one in results:
        assert [point["step"] for point in one["history"]] in ([0, 20, 40], [0, 10, 20])
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_resumed_training_is_the_uninterrupted_one(study, tmp_path):
    copy_task = study("copy_task")
    options = {"steps": 4, "every": 2, "units": 4}
    whole = copy_task.study("chrono", 5, tmp_path / "whole", minutes=None, **options)
    copy_task.study("chrono", 5, tmp_path / "parts", minutes=1e-4, **options)
    parts = copy_task.study("chrono", 5, tmp_path / "parts", minutes=1e-4, **options)
    assert parts["sequences_seen"] == whole["sequences_seen"]
    assert parts["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-6)
    assert [point["loss"] for point in parts["history"][1:]] == pytest.approx(
        [point["loss"] for point in whole["history"][1:]], rel=1e-6
    )
