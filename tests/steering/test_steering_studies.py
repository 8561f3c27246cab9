"""The studies of steering in examples/: their pairs differ in one thing, and their quick forms run and resume."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return lambda name: __import__(name)


@pytest.mark.parametrize("which", [0, 1])
def test_pairs_of_the_adding_problem_differ_in_one_marked_value(study, which):
    clean, corrupted = study("steering_study").value_pairs(0, 50, 40, which)
    changed = (clean != corrupted).any(axis=-1)
    assert (changed.sum(axis=1) == 1).all()
    marked = clean[..., 1] == 1
    first, second = np.argmax(marked, axis=1), 39 - np.argmax(marked[:, ::-1], axis=1)
    np.testing.assert_array_equal(np.argmax(changed, axis=1), (first, second)[which])
    # The gates close at step 10.
    assert first.max() < 10 < second.min()


def test_pairs_of_text_differ_in_what_is_open_alone(study):
    module = study("steering_study")
    letters = sorted(set("".join(map(chr, range(32, 127))) + "\n"))
    number = {letter: place for place, letter in enumerate(letters)}
    line = "a line of some words, as plays have them: ended\nAnd another, which goes on for long enough here,\n"
    text = line * 3 + "[Aside to somebody] What will become of this? " + line
    expected = {"line": ("\n", " "), "bracket": ("[", " "), "question": ("What", "That")}
    for kind, (was, became) in expected.items():
        clean, corrupted, tells = module.text_pairs(text, number, kind, 5, np.random.default_rng(0))
        assert tells == {"line": "\n", "bracket": "]", "question": "?"}[kind]
        assert clean.shape == corrupted.shape
        assert clean.shape[1] == module.BEFORE + module.AFTER + 1
        for pair in zip(clean, corrupted, strict=True):
            one, other = ("".join(letters[place] for place in ids) for ids in pair)
            at = next(place for place in range(len(one)) if one[place] != other[place])
            assert (one[at:].startswith(was[-4:]), other[at:].startswith(became)) == (True, True)
            assert one[:at] + became + one[at + len(was) :] == other


@pytest.mark.full
def test_the_quick_form_of_the_steering_study_runs_and_resumes(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["steering_study.py", "--quick", "--out", str(tmp_path)])
    study("steering_study").main()
    results = json.loads((tmp_path / "results.json").read_text())
    assert [one["seed"] for one in results["adding"]] == [0, 1]
    for one in results["adding"]:
        assert one["together"][-1] == [8, pytest.approx(1, abs=0.05)]
        assert len(one["left"]["first value"]["random"]) == 20
    # The shipped model: one unit carries the line, and forgets it.
    line = results["characters"]["line"]
    assert len(line["carriers"]) == 1
    assert line["left"]["line"]["carriers"] < 0.2 < 0.9 < min(line["left"]["line"]["random"])
    assert "| characters, line | 192 | 1 |" in capsys.readouterr().out
    (tmp_path / "figure.png").unlink()
    monkeypatch.setattr("sys.argv", [*sys.argv, "--minutes", "0"])
    study("steering_study").main()
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.full
def test_the_quick_form_of_the_gate_removals_runs_and_resumes(study, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gate_removals.py", "--quick", "--out", str(tmp_path)])
    study("gate_removals").main()
    results = json.loads((tmp_path / "results.json").read_text())
    forms = ["whole", "no input gate", "no forget gate", "no output gate"]
    assert [one["form"] for one in results] == forms * 2
    assert len({one["training_loss"][-1] for one in results}) == 8
    (tmp_path / "italy_power_demand-no-input-gate-1.json").unlink()
    monkeypatch.setattr("sys.argv", [*sys.argv, "--minutes", "0"])
    study("gate_removals").main()
    assert [one["form"] for one in json.loads((tmp_path / "results.json").read_text())[4:]] == [forms[0], *forms[2:]]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
