"""Files and folders appear whole or not at all."""

import pytest

from keras_lstm_gates.files import replaced_when_whole


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
