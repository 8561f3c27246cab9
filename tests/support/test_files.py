"""Files and folders appear whole or not at all, and where their names say."""

import json

import pytest
from tuned_models import FIT, line

from keras_lstm_gates import datasets, tuning, zoo
from keras_lstm_gates._support.files import filled_when_whole, part_of_path, replaced_when_whole
from keras_lstm_gates.recipes import Recipe
from keras_lstm_gates.tuning.trials import TrialTuner
from keras_lstm_gates.zoo import registry


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
