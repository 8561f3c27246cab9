"""Calls in another process: results, errors, and crashes that end only that process."""

import os

import pytest
from small import small_model
from tuned_models import FIT, line

from keras_lstm_gates import edge, exporting, tuning
from keras_lstm_gates._support import child_process


def test_results_and_errors():
    assert child_process.call("json:dumps", obj=[1]) == "[1]"
    with pytest.raises(child_process.CrashError, match="json:loads: JSONDecodeError: Expecting property name"):
        child_process.call("json:loads", s="{")
    with pytest.raises(FileNotFoundError, match="No such file"):
        child_process.call("os:listdir", path="/no such folder")


@pytest.mark.parametrize(
    ("function", "arguments", "how"), [("os:abort", {}, "SIGABRT"), ("os:_exit", {"status": 3}, "exit code 3")]
)
def test_a_crash_is_an_error_and_the_next_call_works(function, arguments, how):
    with pytest.raises(child_process.CrashError, match=f"{function} ended its process with {how}"):
        child_process.call(function, **arguments)
    assert child_process.call("json:dumps", obj=2) == "2"


def test_what_is_printed_is_no_answer():
    assert child_process.call("os:system", command="echo 7") == 0


def test_it_works_where_the_caller_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert child_process.call("os:getcwd") == str(tmp_path)


HOSTILE = ("numpy", "json", "runpy", "keras", "tensorflow", "importlib", "ai_edge_litert", "tflite_micro", "pickle")


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A working folder with files that Python would import, and that say so when it does."""
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "imported").exists()


def test_nothing_is_imported_from_the_working_folder(hostile, monkeypatch):
    monkeypatch.setattr(child_process, "_worker", None)
    assert child_process.call("json:dumps", obj=[1]) == "[1]"
    assert str(hostile) not in child_process.call("numpy:get_include")


def test_no_file_is_tried_out_with_what_is_in_the_working_folder(hostile):
    model, data = small_model()
    written = exporting.export(model, hostile / "out", data, formats=("tflite", "micro"))
    assert sorted(edge.Runner(written.files["tflite"]).signatures) == ["gates", "predict", "step"]


def test_no_worker_of_a_search_imports_from_the_working_folder(hostile, monkeypatch):
    # As many shells have it: the empty place before the colon is the working folder.
    monkeypatch.setenv("PYTHONPATH", os.pathsep + os.environ["PYTHONPATH"])
    found = tuning.search(line, hostile / "search", trials=1, workers=1, fit=FIT)
    assert [trial["worker"] for trial in found.trials] == ["tuner0"]
