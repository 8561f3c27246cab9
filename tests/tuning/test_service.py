"""Who may use the chief's service, and what becomes of the trials of those who are gone."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from concurrent import futures

import grpc
import pytest
from keras_tuner import Objective
from tuned_models import FIT, Counted

from keras_lstm_gates import tuning
from keras_lstm_gates.tuning import service
from keras_lstm_gates.tuning.addresses import free_address
from keras_lstm_gates.tuning.oracles import make_oracle

ECHO = "/keras_tuner.Oracle/CreateTrial"


@contextlib.contextmanager
def served(token, hear=lambda worker: None):
    """A service that answers every call, behind a guard; yields a function of what a caller sends along."""
    with service.guarded(service.Guard(token, hear)):
        server = grpc.server(futures.ThreadPoolExecutor(1))
    echo = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("keras_tuner.Oracle", {"CreateTrial": echo})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield lambda metadata: channel.unary_unary(ECHO)(b"a trial", metadata=metadata, timeout=20)
    server.stop(None).wait()


def test_a_call_without_the_token_is_refused_and_one_with_it_is_heard(monkeypatch):
    heard = []
    with served("secret", heard.append) as call:
        for sent, received in (((), "none"), ((("keras-lstm-gates-token", "Secret"),), "another one")):
            with pytest.raises(grpc.RpcError) as error:
                call(sent)
            assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
            assert error.value.details() == f"expected the chief's token in {service.TOKEN}; received {received}"
        monkeypatch.setenv(service.TOKEN, "secret")
        assert call(service.metadata("tuner3")) == b"a trial"
    assert heard == ["tuner3"]
    with served(None) as call:
        assert call(()) == b"a trial"


def test_a_server_that_nobody_guards_is_an_error():
    error = pytest.raises(RuntimeError, match=r"expected KerasTuner's server to be made by grpc\.server")
    with error, service.guarded(service.Guard("secret", print)):
        pass


def _oracle(folder, trials=2):
    oracle = make_oracle("random", Objective("loss", "min"), trials=trials, minutes=None, seed=0)
    oracle.hyperparameters.Float("rate", 0.0, 1.0)
    oracle.verbose = 0
    oracle._set_project_dir(folder, "trials")
    oracle.start(folder / "state.json")
    return oracle


def _end(oracle, trial):
    oracle.update_trial(trial.trial_id, {"loss": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def test_the_trial_of_a_worker_that_is_gone_is_given_to_another(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("keras_lstm_gates.tuning.oracles.time.monotonic", lambda: now[0])
    oracle = _oracle(tmp_path)
    lost = oracle.create_trial("stray")
    _end(oracle, oracle.create_trial("tuner0"))
    oracle.take_from_silent(60)
    # Not ended while the other trial may come back.
    assert oracle.create_trial("tuner0").status == "IDLE"
    now[0] = 50.0
    oracle.hear("stray")
    now[0] = 100.0
    oracle.take_from_silent(60)
    assert oracle.create_trial("tuner0").status == "IDLE"
    now[0] = 111.0
    oracle.take_from_silent(60)
    again = oracle.create_trial("tuner0")
    assert (again.trial_id, again.hyperparameters.values) == (lost.trial_id, lost.hyperparameters.values)
    _end(oracle, again)
    # It was only late: its result is the same trial's, which counts once.
    _end(oracle, lost)
    assert oracle.create_trial("tuner0").status == "STOPPED"
    assert oracle.tuner_ids == set()
    assert [trial.status for trial in oracle.trials.values()] == ["COMPLETED"] * 2


def _chief(folder, address, notes):
    tuning.search(Counted(notes, seconds=0.3), folder, trials=4, role="chief", chief=address, fit=FIT)


def _work(folder, address, notes, token=None):
    if token is not None:
        os.environ[service.TOKEN] = token
    tuning.search(Counted(notes, seconds=0.3), folder, trials=4, role="worker", chief=address, fit=FIT)


def _refused(folder, address, notes):
    with pytest.raises(PermissionError, match=f"^the chief at {address} refuses tuner0: expected the chief's token"):
        _work(folder, address, notes, "another")


def test_a_search_goes_on_with_its_worker_after_its_chief_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv(service.TOKEN, "secret")
    folder, notes, address = tmp_path / "search", tmp_path / "notes", free_address()
    context = multiprocessing.get_context("spawn")

    def started(target):
        process = context.Process(target=target, args=(folder, address, notes))
        process.start()
        return process

    chief, worker, stranger = started(_chief), started(_work), started(_refused)
    while not notes.exists() or notes.read_text().count("end") < 1:
        assert chief.is_alive()
        time.sleep(0.02)
    stranger.join()
    os.kill(chief.pid, signal.SIGKILL)
    chief.join()
    second = started(_chief)
    for process in (worker, second):
        process.join(120)
    assert [stranger.exitcode, worker.exitcode, second.exitcode] == [0, 0, 0]
    found = tuning.read(folder)
    assert [trial["status"] for trial in found.trials] == ["completed"] * 4
    ended = Counter(line for line in notes.read_text().splitlines() if line.startswith("end"))
    assert (len(ended), set(ended.values())) == (4, {1})
