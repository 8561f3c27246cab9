"""Files and folders appear whole or not at all."""

import pytest

from keras_lstm_gates._support.files import filled_when_whole, replaced_when_whole


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
