"""One chief an address; and a word where others can reach it."""

import json
import multiprocessing
import socket
import warnings
from concurrent import futures

import pytest
from tuned_models import FIT, line

from keras_lstm_gates import tuning
from keras_lstm_gates.training import distributed
from keras_lstm_gates.tuning.addresses import free_address, held, host_and_port, warn_unless_loopback


def test_the_second_chief_at_an_address_is_refused_and_the_first_serves(tmp_path):
    import grpc

    address = free_address()
    with held(address):
        for _ in range(2):
            assert f"received {address}: Address already in use" in _refusal_of_a_chief(address, tmp_path / "search")
        assert not list(tmp_path.iterdir())
        server = grpc.server(futures.ThreadPoolExecutor(1))
        server.add_insecure_port(address)
        server.start()
        with pytest.raises(OSError, match="Address already in use"), held(address):
            pass
        # None of the connections goes to the socket that holds the address.
        for _ in range(20):
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(timeout=10)
        server.stop(None).wait()
    with held(address):
        pass


def _refusal_of_a_chief(address, folder):
    """The error of a chief that starts there. (One that is not refused would wait for its workers.)"""
    context = multiprocessing.get_context("fork")
    errors = context.Queue()
    chief = context.Process(target=_be_chief, args=(address, folder, errors))
    chief.start()
    try:
        return errors.get(timeout=60)
    finally:
        chief.kill()
        chief.join()


def _be_chief(address, folder, errors):
    try:
        tuning.search(line, folder, role="chief", chief=address, trials=1, fit=FIT)
    except OSError as error:
        errors.put(str(error))


def _hold(address, start, results, end):
    start.wait()
    try:
        with held(address):
            results.put("held")
            end.wait()
    except OSError:
        results.put("refused")


def test_of_many_at_once_one_has_it():
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        start, end, results = context.Event(), context.Event(), context.Queue()
        address = free_address()
        processes = [context.Process(target=_hold, args=(address, start, results, end)) for _ in range(6)]
        for process in processes:
            process.start()
        start.set()
        assert sorted(results.get(timeout=30) for _ in processes) == ["held"] + ["refused"] * 5
        end.set()
        for process in processes:
            process.join()


def test_an_address_is_free_again_at_once():
    """After connections, of which the system remembers the ends for a minute."""
    address = free_address()
    with socket.create_server(host_and_port(address)) as server:
        client = socket.create_connection(host_and_port(address))
        server.accept()[0].close()
        client.close()
    with held(address):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_no_word_where_only_this_machine_reaches_it(host):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_unless_loopback(f"{host}:8000", None)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.10", "no such host"])
def test_a_word_where_others_reach_it(host):
    for token, lack in ((None, "a token .KERASTUNER_ORACLE_TOKEN. or encryption"), ("x", "encryption")):
        with pytest.warns(UserWarning, match=f"the chief listens at {host}:8000 without {lack}: whoever"):
            warn_unless_loopback(f"{host}:8000", token)


def test_a_search_alone_listens_on_this_machine():
    assert host_and_port(free_address())[0] == "127.0.0.1"


def test_a_word_on_tensorflows_server(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}}))
    monkeypatch.setattr(distributed.tf.distribute, "MultiWorkerMirroredStrategy", lambda: "made")
    with pytest.warns(UserWarning, match="listens on every network of this machine, without a password"):
        assert distributed.strategy() == "made"
