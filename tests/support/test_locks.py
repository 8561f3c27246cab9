"""Two at once: one process writes a trace, a run or a search, and the other is told so; data are prepared once."""

import os
import subprocess
import sys

import pytest
from small import small_model
from tuned_models import FIT, line

from keras_lstm_gates import tracing, training, tuning
from keras_lstm_gates._support import locks
from keras_lstm_gates.recipes import Recipe

WRITERS = {
    "gates.zarr": lambda path: tracing.trace(*small_model(), progress=False, to=path),
    "run": lambda path: training.fit(Recipe(dataset="japanese_vowels", units=2, epochs=1), path, resume=True),
    "search": lambda path: tuning.search(line, path, trials=1, fit=FIT),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_second_writer_is_told_of_the_first(tmp_path, monkeypatch, name):
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    path = tmp_path / name
    held = tmp_path / "gates.zarr.partial" if name == "gates.zarr" else path
    with locks.alone(held, path):
        with pytest.raises(BlockingIOError, match=f"^expected no other process to write .*/{name}; one has been"):
            WRITERS[name](path)
        assert list(held.iterdir()) == [held / locks.LOCK]
    WRITERS[name](path)
    assert not list(path.rglob(locks.LOCK))


PREPARE = """
import os, sys
import tensorflow as tf
from keras_lstm_gates import datasets
copies = [os.fork() for _ in range(2)]
number = copies.count(0)
train, _ = datasets.batches("italy_power_demand", "train", 100)
print("batches", len(list(train)), flush=True)
if number:
    os._exit(0)
codes = [os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) for copy in copies]
sys.exit(any(codes))
"""


def test_a_data_set_is_prepared_by_one_of_several_processes(tmp_path):
    environment = os.environ | {"TFDS_DATA_DIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", PREPARE], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert [line for line in ended.stdout.splitlines() if "batches" in line] == ["batches 1"] * 4
    assert [path.name for path in (tmp_path / "italy_power_demand").iterdir()] == ["1.0.0"]
