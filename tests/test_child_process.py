"""Calls in another process: results, errors, and crashes that end only that process."""

import pytest

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
