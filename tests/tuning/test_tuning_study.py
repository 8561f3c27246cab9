"""The study of tuners in examples/: its quick form runs, chooses by validation, and resumes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "examples" / "tuning_study.py"


@pytest.mark.full
def test_the_quick_form_runs_and_resumes(tmp_path):
    command = [sys.executable, str(STUDY), "--quick", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    (study,) = json.loads((tmp_path / "results.json").read_text())
    recipes = study["recipes"]
    assert sorted(recipes) == ["bayesian", "default", "hyperband", "random"]
    searched = {name: one["validation_loss"] for name, one in recipes.items() if name != "default"}
    assert searched[study["tuned"]] == min(searched.values())
    for name, one in recipes.items():
        assert min(trial["validation_loss"] for trial in one["trials"]) == one["validation_loss"], name
        assert len(one["test"]["test_accuracy"]) == 2, name
    # A training that was lost is made again, to the same figures, and no other.
    (tmp_path / "results.json").unlink()
    lost = tmp_path / "japanese_vowels-random-2"
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/metrics.json") if path.parent != lost}
    (lost / "metrics.json").unlink()
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((tmp_path / "results.json").read_text()) == [study]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (lost / "metrics.json").exists()
