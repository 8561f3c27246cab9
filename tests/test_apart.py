"""Calls in another process: results, errors, and crashes that end only that process."""

import pytest

from keras_lstm_gates import apart


def test_results_and_errors():
    assert apart.call("json:dumps", obj=[1]) == "[1]"
    with pytest.raises(apart.CrashError, match="json:loads: JSONDecodeError: Expecting property name"):
        apart.call("json:loads", s="{")
    with pytest.raises(FileNotFoundError, match="No such file"):
        apart.call("os:listdir", path="/no such folder")


@pytest.mark.parametrize(
    ("function", "arguments", "how"), [("os:abort", {}, "SIGABRT"), ("os:_exit", {"status": 3}, "exit code 3")]
)
def test_a_crash_is_an_error_and_the_next_call_works(function, arguments, how):
    with pytest.raises(apart.CrashError, match=f"{function} ended its process with {how}"):
        apart.call(function, **arguments)
    assert apart.call("json:dumps", obj=2) == "2"


def test_what_is_printed_is_no_answer():
    assert apart.call("os:system", command="echo 7") == 0


def test_it_works_where_the_caller_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert apart.call("os:getcwd") == str(tmp_path)
