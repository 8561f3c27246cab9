"""What a command leaves where it is stopped, or cannot write: all of its folder or nothing, and one line."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import kills
import numpy as np
import pytest
from small import small_forecaster, small_model

WRITERS = {
    "trace": "model.keras data.npy",
    "gradients": "model.keras data.npy",
    "explain": "model.keras data.npy",
    "steer": "model.keras data.npy --set lstm/f=1",
    "ablate": "model.keras data.npy targets.npy --metric accuracy --what gates",
    "patch": "model.keras data.npy other.npy --metric 1 --over gates",
    "shrink": "model.keras data.npy --keep lstm=3 --no-export",
    "export": "model.keras data.npy --format saved_model",
    "forecast": "run table.csv",
}
RESUMED = {
    "train": "table.csv --target load --window 4 --horizon 2 --set units=2 --set epochs=1",
    "tune": "table.csv --target load --window 4 --horizon 2 --set epochs=1 --trials 1 --workers 0",
}
"""These go on where they stopped."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    model, data = small_model()
    model.save(folder / "model.keras")
    for name, array in (("data", data), ("other", -data), ("targets", np.arange(5) % 2)):
        np.save(folder / f"{name}.npy", array)
    small_forecaster(folder)
    return folder


def arguments(name, files):
    """A command's arguments; what is a file is one of `files`."""
    words = (WRITERS | RESUMED)[name].split()
    return [name, *(files / word if word == "run" or "." in word else word for word in words), "--out", "out"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_command_writes_its_folder_in_one_step(command, files, tmp_path, name):
    def state():
        paths = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        return {path.relative_to(tmp_path): path.stat().st_size for path in paths}

    states = []
    with kills.told_of_changes(tmp_path, lambda what: states.append(state())):
        code, _, errors = command(*arguments(name, files))
    assert code == 0, errors
    whole = state()
    assert len(whole) >= 2
    assert len(states) >= 8
    assert [one for one in states if one not in ({}, whole)] == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def assert_one_line(told):
    code, _, errors = told
    assert (code, len(errors.splitlines()), errors[:7]) == (1, 1, "error: "), errors


@contextlib.contextmanager
def limited(kind, size):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@pytest.mark.parametrize("name", ["trace", "export", "forecast", "train"])
def test_a_file_that_may_not_grow_leaves_nothing(command, files, tmp_path, name):
    with limited(resource.RLIMIT_FSIZE, 300):
        told = command(*arguments(name, files))
    assert_one_line(told)
    assert "File too large" in told[2]
    assert ("out/recipe.json" if name == "train" else f"{tmp_path}/out") in told[2]
    assert ".unfinished" not in told[2]
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_cannot_write_leaves_nothing_half_written(command, files, tmp_path):
    with limited(resource.RLIMIT_FSIZE, 300):
        assert_one_line(command(*arguments("tune", files)))
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".") or path.stat().st_size == 0] == []


@pytest.mark.parametrize("name", ["trace", "explain"])
def test_memory_that_runs_out_leaves_nothing(command, files, tmp_path, name):
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    with limited(resource.RLIMIT_AS, taken + 2**28):
        told = command(name, files / "model.keras", "--random", 10**7, "--window", 100, "--out", "out")
    assert_one_line(told)
    assert told[2].startswith("error: out of memory: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gigabytes", [1, 2, 2.5, 3])
def test_too_few_addresses_for_tensorflow_are_told(files, tmp_path, gigabytes):
    limit = int(gigabytes * 2**30)
    told = subprocess.run(
        [sys.executable, "-m", "keras_lstm_gates", *arguments("trace", files)],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert_one_line((told.returncode, told.stdout, told.stderr))
    assert f"and this process may have {gigabytes:.1f} (ulimit -v)" in told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["trace", "train"])
def test_a_full_disk_leaves_nothing(command, files, small_disk, monkeypatch, name):
    monkeypatch.chdir(small_disk)
    (small_disk / "mine").write_bytes(bytes(2**20 - 3 * 4096))
    told = command(*arguments(name, files))
    assert_one_line(told)
    assert "No space left on device: " in told[2]
    assert [path.name for path in small_disk.iterdir()] == ["mine"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs more rights")
def test_in_a_folder_of_somebody_else_every_command_is_refused(command, files, monkeypatch):
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        shutil.copytree(files, Path(place) / "files")
        monkeypatch.chdir(place)
        before = sorted(Path(place).rglob("*"))
        os.seteuid(65534)
        try:
            for name in WRITERS | RESUMED:
                told = command(*arguments(name, Path(place) / "files"))
                assert_one_line(told)
                assert "Permission denied: " in told[2], name
            told = command("zoo", "build", "japanese_vowels")
        finally:
            os.seteuid(0)
        assert_one_line(told)
        assert "Permission denied: " in told[2]
        assert sorted(Path(place).rglob("*")) == before
