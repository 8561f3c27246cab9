"""Files and folders appear whole or not at all, and where their names say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import killed_writers
import pytest
from tuned_models import FIT, line

from keras_lstm_gates import datasets, tuning, zoo
from keras_lstm_gates._support.files import filled_when_whole, part_of_path, replaced_when_whole, write_json
from keras_lstm_gates.presets import registry
from keras_lstm_gates.recipes import Recipe
from keras_lstm_gates.tuning.trials import TrialTuner


def test_a_failure_leaves_what_stood_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def stopped_half_way():
        with replaced_when_whole(path) as temporary:
            temporary.write_text("new, unfin")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        stopped_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "store"
    for content in ("first", "second"):
        with replaced_when_whole(path) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [part.name for part in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "run"

    def write(stopped):
        with filled_when_whole(folder) as temporary:
            (temporary / "model").mkdir()
            (temporary / "model" / "weights").write_text("new")
            (temporary / "card").write_text("new")
            if stopped:
                raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write(stopped=True)
    assert not folder.exists()
    (folder / "model").mkdir(parents=True)
    (folder / "mine").write_text("old")
    with pytest.raises(RuntimeError, match="half-way"):
        write(stopped=True)
    assert sorted(path.name for path in folder.iterdir()) == ["mine", "model"]
    write(stopped=False)
    assert sorted(path.name for path in folder.iterdir()) == ["card", "mine", "model"]
    assert (folder / "model" / "weights").read_text() == "new"


@pytest.mark.parametrize("case", killed_writers.CASES)
def test_a_process_that_is_killed_at_any_change_leaves_the_old_or_the_new(tmp_path, case):
    script = [sys.executable, killed_writers.__file__, case, str(tmp_path / "place")]
    ended = subprocess.run(script, capture_output=True, text=True, check=True)
    kills = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(kills) >= 10
    at_once = [kill["at_once"] for kill in kills]
    later = [kill["after_a_failure"] for kill in kills]
    assert later == sorted(later, reverse=True)
    assert {name for name, _ in later} == {"old", "new"}
    assert [left for _, left in later if left] == []
    assert [kill["again"] for kill in kills] == [["new", []]] * len(kills)
    if case in ("a folder that stays", "a replaced folder without the exchange", "an old folder without the exchange"):
        # Between its first and its last step only the next start makes the folder whole.
        assert 1 <= at_once.count("neither") <= 3
    else:
        assert at_once == [name for name, _ in later]


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").touch()
    with pytest.raises(IsADirectoryError, match=r"Is a directory: .*mine"):
        write_json(tmp_path / "mine", {})
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "note"]


def test_an_interrupt_between_two_renames_keeps_the_old_folder(tmp_path, monkeypatch):
    """Where there is no step that exchanges two folders."""
    (tmp_path / "run" / "old").mkdir(parents=True)
    rename = os.rename

    def interrupted(source, destination):
        rename(source, destination)
        if Path(source) == tmp_path / "run":
            raise KeyboardInterrupt

    monkeypatch.setattr("keras_lstm_gates._support.files._renameat2", None)
    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), replaced_when_whole(tmp_path / "run") as new:
        new.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "old"]


def test_what_another_process_is_writing_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_lstm_gates._support.locks.PATIENCE", 0.1)
    script = (
        "import sys, time; from keras_lstm_gates._support.files import filled_when_whole\n"
        "with filled_when_whole(sys.argv[1]) as new: (new / 'a').touch(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(BlockingIOError, match=r"^expected no other process to write \S+/run; one has been writing"):
            replaced_when_whole(tmp_path / "run").__enter__()
        assert (tmp_path / ".run.unfinished" / "new" / "a").is_file()
        other.stdin.close()
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "a"]


NOT_WITHIN = ["", ".", "..", "/etc/passwd", "../up", "a/b", "a\\b", "a\0b", 7, None]


@pytest.mark.parametrize("name", NOT_WITHIN)
def test_a_name_that_leads_elsewhere_is_no_part_of_a_path(name):
    with pytest.raises(ValueError, match="expected a thing with a name that stays in its folder") as error:
        part_of_path(name, "a thing")
    assert str(error.value).endswith(f"received {name!r}")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["a", "0007", "forward_lstm-1.keras", "..a", "a b", "ö"])
def test_any_other_name_is(name):
    assert part_of_path(name, "a thing") == name


def test_a_trial_of_a_search_folder_that_leads_elsewhere_is_refused(tmp_path):
    folder = tmp_path / "search"
    tuning.search(line, folder, trials=1, fit=FIT)
    state = json.loads((folder / "oracle.json").read_text())
    state["trials"][0]["trial_id"] = "x/../../../elsewhere"
    (folder / "oracle.json").write_text(json.dumps(state))
    for use in (tuning.read, lambda folder: tuning.search(line, folder, trials=2, fit=FIT)):
        with pytest.raises(ValueError, match=r"expected a trial with a name .* received 'x/\.\./\.\./\.\./elsewhere'"):
            use(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["search"]


def test_a_trial_that_goes_on_from_elsewhere_is_not_read(tmp_path):
    tuner = TrialTuner.__new__(TrialTuner)
    tuner.directory = str(tmp_path / "search")
    with pytest.raises(ValueError, match="expected a trial with a name"):
        tuner._state_file("x/../../../outside")
    with pytest.raises(ValueError, match="expected a trial with a name"):
        tuner.get_trial_dir("x/../../../outside")


@pytest.mark.parametrize("task", [{}, {"task": "language"}, {"task": "forecasting", "target": "x"}])
def test_a_data_set_outside_of_the_prepared_ones_is_not_read(task):
    with pytest.raises(ValueError, match=r"expected a data set with a name .* received '\.\.'"):
        datasets.load(Recipe(dataset="../elsewhere/glue", **task))


def test_a_preset_outside_of_the_zoo_is_not_read(monkeypatch):
    monkeypatch.setitem(registry.PRESETS, "../elsewhere", registry.PRESETS["daily_stocks"])
    with pytest.raises(ValueError, match=r"expected a preset with a name .* received '\.\./elsewhere'"):
        zoo.load("../elsewhere")
