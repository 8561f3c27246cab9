"""Searches with more workers than trials, and workers and chiefs that come too late: all of them end."""

import multiprocessing
import socket
import threading
from types import SimpleNamespace

import pytest
from tuned_models import FIT, late, line

from keras_lstm_gates import tuning
from keras_lstm_gates.tuning import chief_and_workers
from keras_lstm_gates.tuning.jobs import Job

SECONDS = 150.0


def _ends(target, *arguments):
    """Whether a function returns in a process of its own; it and its workers are gone afterwards."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        # Its workers end with it.
        process.kill()
        process.join()
    return process.exitcode == 0


def _search(folder, trials):
    tuning.search(late, folder, trials=trials, workers=2, threads=1, fit=FIT)


@pytest.mark.full
@pytest.mark.parametrize("more", [0, 1])
def test_a_search_with_fewer_trials_left_than_workers_ends(tmp_path, more):
    before = tuning.search(late, tmp_path / "search", trials=2, fit=FIT)
    assert _ends(_search, tmp_path / "search", 2 + more)
    after = tuning.read(tmp_path / "search")
    assert after.trials[:2] == before.trials
    assert [trial["status"] for trial in after.trials] == ["completed"] * (2 + more)


def test_a_chief_sees_a_worker_that_came_and_went_between_two_looks():
    oracle = SimpleNamespace(tuner_ids={"chief"}, ongoing_trials={}, over=True, failure=None)
    oracle.take_from_silent = lambda seconds: None
    board = SimpleNamespace(update=lambda: None)
    chief = threading.Thread(target=chief_and_workers._supervise_remote_workers, args=(oracle, board), daemon=True)
    chief.start()
    chief.join(20.0)
    assert not chief.is_alive()


def _work(folder, address):
    chief_and_workers.CHIEF_SECONDS = 2.0
    job = Job(line, folder, "val_loss", "random", 2, None, None, None, 0, {}, None, FIT)
    with pytest.raises(ConnectionError, match=f"no chief answers at {address}"):
        chief_and_workers.work(job, address, "tuner0")


def test_a_worker_ends_when_its_chief_went_away_before_the_first_question(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def answer_once():
            listener.accept()[0].close()
            listener.close()

        threading.Thread(target=answer_once, daemon=True).start()
        assert _ends(_work, str(tmp_path), address)
