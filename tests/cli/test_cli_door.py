"""The command line's own options, and what it says of a data set that it cannot fetch."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import urllib3

import keras_lstm_gates
from keras_lstm_gates.datasets import load, tfds_names
from keras_lstm_gates.presets.registry import shipped_folder
from keras_lstm_gates.recipes import resolve


def run(*arguments, **environment):
    command = [sys.executable, "-m", "keras_lstm_gates", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_as_a_module_it_tells_its_version():
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"keras-lstm-gates {keras_lstm_gates.__version__}\n"


def test_a_shell_completes_commands():
    asked = {"_KERAS_LSTM_GATES_COMPLETE": "complete_bash", "COMP_WORDS": "keras-lstm-gates gr", "COMP_CWORD": "1"}
    script = "import sys; sys.argv = ['keras-lstm-gates']; from keras_lstm_gates.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **asked})
    assert done.stdout.split() == ["gradients"], done.stderr


@pytest.fixture
def offline(monkeypatch):
    """No address is known, and nobody may go on to ask for one again and again."""

    def unknown(*_, **__):
        raise socket.gaierror("Name or service not known")

    def fetch(*_, **__):
        raise AssertionError("a request without a network")

    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(urllib3.connectionpool.HTTPConnectionPool, "urlopen", fetch)


def test_without_a_network_a_data_set_of_tfds_is_one_line_at_once(command, offline, tmp_path):
    code, _, errors = command("train", "tfds:ag_news_subset", "--out", "run")
    assert code == 1
    assert errors.splitlines() == [
        "error: expected a network to fetch the data set 'ag_news_subset', which is not prepared; found none"
    ]
    assert not (tmp_path / "run").exists()


def test_with_a_network_or_a_proxy_there_is_one(monkeypatch, offline):
    assert tfds_names._offline()
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert not tfds_names._offline()
    monkeypatch.delenv("https_proxy")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    assert not tfds_names._offline()


def test_a_data_set_of_tfds_by_its_name(offline):
    recipe = resolve("tfds:japanese_vowels", {"units": "4"})
    assert (recipe.dataset, recipe.task, recipe.units) == ("japanese_vowels", "classification", 4)
    assert load(recipe).arguments["classes"] == 9


def test_a_data_set_that_nobody_knows_is_one_line(command, offline):
    code, _, errors = command("train", "tfds:no_such_data")
    assert code == 1
    assert "no_such_data" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("options", [(), ("--stream", "--interval", "0")], ids=["whole", "stream"])
def test_a_device_says_nothing_on_standard_error(options, tmp_path):
    np.save(tmp_path / "tokens.npy", np.arange(6))
    done = run("run", shipped_folder() / "shakespeare_plays" / "model.tflite", tmp_path / "tokens.npy", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "probabilities" in done.stdout
