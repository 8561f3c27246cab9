"""Two processes on loopback train to the weights of one."""

import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from small import arrays

from keras_lstm_gates import training
from keras_lstm_gates._support.files import write_json
from keras_lstm_gates.training import distributed

# Batches of 43 of 216 examples: the last batch has one, so that the second worker has none of its own.
RECIPE = training.Recipe(
    dataset="japanese_vowels", units=4, epochs=2, batch_size=43, validation=0.2, patience=2, clip_norm=0.5,
    weight_decay=0.01, gate_l1={"f": 1e-5}, seed=3,
)  # fmt: skip
WORKER = """
import os, signal, sys, keras, numpy as np
from keras_lstm_gates import training
resume = sys.argv[4] == "resume"

class Killed(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and sys.argv[4] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

run = training.fit(training.Recipe.from_file(sys.argv[1]), sys.argv[2], resume=resume, callbacks=[Killed()])
np.savez(sys.argv[3], *run.model.get_weights())
"""


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def started(folder, ways):
    """Two workers of one training, each with the way it goes: "on", "killed" in its second epoch, or "resume"."""
    write_json(folder / "recipe.json", RECIPE.to_dict())
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    workers = []
    for index, way in enumerate(ways):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        files = [folder / "recipe.json", folder / "run", folder / f"{index}.npz"]
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": "-1"}
        command = [sys.executable, "-c", WORKER, *files, way]
        workers.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    return workers


def ended(workers):
    """The exit codes of workers, and what they printed."""
    try:
        printed = [worker.communicate(timeout=300)[0].decode() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [worker.returncode for worker in workers], "\n".join(printed)


def check_equals_one(folder, one):
    """The workers' weights, run folder and losses are those of one process."""
    first, second = (arrays(folder / f"{index}.npz") for index in range(2))
    for name, expected in zip(first, one.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], expected, atol=1e-5)
    assert {path.name for path in (folder / "run").iterdir()} == {path.name for path in one.folder.iterdir()}
    histories = [json.loads((path / "history.json").read_text()) for path in (folder / "run", one.folder)]
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-5)


def test_two_processes_train_to_the_weights_of_one(tmp_path):
    workers = started(tmp_path, ["on", "on"])
    one = training.fit(RECIPE, tmp_path / "one")
    codes, printed = ended(workers)
    assert codes == [0, 0], printed
    check_equals_one(tmp_path, one)


@pytest.mark.full
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_ends_the_others_and_all_go_on_where_they_were(tmp_path, killed):
    codes, printed = ended(started(tmp_path, ["killed" if index == killed else "on" for index in range(2)]))
    assert codes[killed] == -signal.SIGKILL, printed
    assert codes[1 - killed] > 0, printed
    codes, printed = ended(started(tmp_path, ["resume", "resume"]))
    assert codes == [0, 0], printed
    check_equals_one(tmp_path, training.fit(RECIPE, tmp_path / "one"))


@pytest.mark.parametrize(
    ("config", "chief"),
    [
        ({}, True),
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}, True),
        ({"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}, False),
        ({"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "chief", "index": 0}}, True),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}, False),
    ],
)
def test_one_worker_writes(config, chief, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert distributed.is_chief() == chief
    if len([address for group in config.get("cluster", {}).values() for address in group]) < 2:
        assert distributed.strategy() is None
