"""Two processes on loopback train to the weights of one."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from small import arrays

from keras_lstm_gates import training
from keras_lstm_gates.training import distributed

# Batches of 43 of 216 examples: the last batch has one, so that the second worker has none of its own.
RECIPE = training.Recipe(
    dataset="japanese_vowels", units=4, epochs=2, batch_size=43, validation=0.2, patience=2, clip_norm=0.5,
    weight_decay=0.01, gate_l1={"f": 1e-5}, seed=3,
)  # fmt: skip
WORKER = """
import sys, numpy as np
from keras_lstm_gates import training
run = training.fit(training.Recipe.from_file(sys.argv[1]), sys.argv[2])
np.savez(sys.argv[3], *run.model.get_weights())
"""


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_two_processes_train_to_the_weights_of_one(tmp_path):
    training.write_json(tmp_path / "recipe.json", RECIPE.to_dict())
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    workers = []
    for index in range(2):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        command = [sys.executable, "-c", WORKER, tmp_path / "recipe.json", tmp_path / "run", tmp_path / f"{index}.npz"]
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": "-1"}
        workers.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    try:
        one = training.fit(RECIPE, tmp_path / "one")
        printed = [worker.communicate(timeout=300)[0].decode() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(printed)
    first, second = (arrays(tmp_path / f"{index}.npz") for index in range(2))
    for name, expected in zip(first, one.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], expected, atol=1e-5)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in one.folder.iterdir()}
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("run", "one")]
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-5)


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
