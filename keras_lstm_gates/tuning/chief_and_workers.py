"""The chief and its workers: KerasTuner's distributed mode, started, watched, restarted and ended."""

import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from keras_lstm_gates._support import python
from keras_lstm_gates._support.standard_error import standard_error_to
from keras_lstm_gates.tuning import service
from keras_lstm_gates.tuning.addresses import host_and_port
from keras_lstm_gates.tuning.trials import FAILED, read_record, record_file, write_record

DEATHS = 2
LINGER_SECONDS = 60.0
CHIEF_SECONDS = 60.0
BEAT_SECONDS = 10.0
LOST_SECONDS = 120.0
"""A trial whose worker has not called for so long, though it calls every `BEAT_SECONDS`, is given to another."""
_CHIEF = "chief"
_VARIABLES = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID", service.TOKEN)


@contextlib.contextmanager
def environment(address, name, token):
    """Set KerasTuner's environment variables, and ours, while the body runs; without an address, unset them."""
    before = {key: os.environ.pop(key, None) for key in _VARIABLES}
    if address is not None:
        values = zip(_VARIABLES, (*map(str, host_and_port(address)), name, token), strict=True)
        os.environ.update({key: value for key, value in values if value})
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def work(job, address, name):
    """Be the worker `name` of the chief at an address until it has no more trials.

    Raises:
        ConnectionError: no chief answers there within a minute, or it disappears for a minute.
        PermissionError: "the chief at 127.0.0.1:8000 refuses tuner0: expected the chief's token in ...".
    """
    import grpc

    _wait_for_chief(address)
    with environment(address, name, os.environ.get(service.TOKEN)), contextlib.ExitStack() as stack:
        try:
            tuner = job.make_tuner()
            tuner.oracle.stub = _WatchedStub(tuner.oracle.stub, address, name)
            stack.enter_context(_beating(tuner.oracle))
            tuner.search(**job.fit)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise PermissionError(f"the chief at {address} refuses {name}: {error.details()}") from None
            raise ConnectionError(
                f"the chief at {address} no longer answers {name} ({error.code().name}): start it again, then this "
                "worker with the same number"
            ) from None


def _wait_for_chief(address):
    deadline = time.monotonic() + CHIEF_SECONDS
    while (refusal := _refusal(address)) is not None:
        if time.monotonic() > deadline:
            raise ConnectionError(
                f"no chief answers at {address} after {CHIEF_SECONDS:.0f} s ({refusal}): start it there with the "
                "role 'chief', or mend the address; or the search has ended"
            )
        time.sleep(0.2)


def _refusal(address):
    """The error of a connection to an address, or None where something listens."""
    try:
        socket.create_connection(host_and_port(address), timeout=5).close()
    except OSError as error:
        return error
    return None


@contextlib.contextmanager
def _beating(oracle):
    """Call the chief now and then, also during a long trial: it gives the trials of silent workers to others."""
    ended = threading.Event()

    def beat():
        while not ended.wait(BEAT_SECONDS):
            with contextlib.suppress(Exception):  # What is wrong, the next call of the trial tells.
                oracle.get_space()

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


class _WatchedStub:
    """The chief's methods for a worker, with who it is; KerasTuner's own calls wait an hour for a chief that is gone.

    A call that a killed chief never answered is made again to the next one, which knows the same trials.
    """

    def __init__(self, stub, address, name):
        self._stub, self._address, self._name = stub, address, name

    def __getattr__(self, name):
        return functools.partial(self._call, getattr(self._stub, name))

    def _call(self, method, request, **options):
        import grpc

        gone = None
        while True:
            try:
                return self._answer(method, request, **options)
            except grpc.RpcError as error:
                now = time.monotonic()
                gone = gone or now
                if error.code() != grpc.StatusCode.UNAVAILABLE or now - gone > CHIEF_SECONDS:
                    raise
            _wait_for_chief(self._address)
            time.sleep(0.5)

    def _answer(self, method, request, **options):
        import grpc

        answer = method.future(request, metadata=service.metadata(self._name), **options)
        while True:
            try:
                return answer.result(timeout=1.0)
            except grpc.FutureTimeoutError:
                try:
                    _wait_for_chief(self._address)
                except ConnectionError:
                    answer.cancel()
                    raise


def lead(tuner, job, address, workers, threads, board):
    """Be the chief; with `workers` > 0, start that many processes here and supervise them."""
    oracle = tuner.oracle
    # When KerasTuner's server ends, it sleeps 20 s at a time and waits for dead workers: it serves in a thread of
    # its own, and this one decides when the search is over.
    server = threading.Thread(target=_serve, args=(tuner, oracle), daemon=True)
    guard = service.Guard(os.environ.get(service.TOKEN), oracle.hear)
    # Otherwise the server ends once all workers so far are finished, while others may still be starting.
    oracle.tuner_ids.add(_CHIEF)
    try:
        with service.guarded(guard):
            server.start()
            _wait_until_open(address, oracle)
        if workers:
            _supervise(Crew(job, address, workers, threads, oracle), oracle, board)
        else:
            _supervise_remote_workers(oracle, board)
    finally:
        oracle.tuner_ids.discard(_CHIEF)


def _supervise(crew, oracle, board):
    try:
        crew.start()
        while crew.watch():
            board.update()
            oracle.take_from_silent(LOST_SECONDS)
            if oracle.failure is not None:
                raise oracle.failure
    finally:
        crew.end()


def _serve(tuner, oracle):
    try:
        tuner.search()
    except BaseException as error:
        oracle.failure = error


def _wait_until_open(address, oracle):
    for _ in range(300):
        if oracle.failure is not None:
            raise oracle.failure
        if _refusal(address) is None:
            return
        time.sleep(0.1)
    raise OSError(f"expected the chief to listen at {address} within 30 s; it does not")


def _supervise_remote_workers(oracle, board):
    """Wait until every worker that requested trials has received the answer that there are no more."""
    quiet_since = None
    while True:
        time.sleep(0.5)
        board.update()
        oracle.take_from_silent(LOST_SECONDS)
        if oracle.failure is not None:
            raise oracle.failure
        if oracle.ongoing_trials or not oracle.over:
            quiet_since = None
            continue
        quiet_since = quiet_since or time.monotonic()
        # A worker that died between two trials makes no more requests.
        if oracle.tuner_ids <= {_CHIEF} or time.monotonic() - quiet_since > LINGER_SECONDS:
            time.sleep(1.0)
            return


class Crew:
    """Worker processes of one machine."""

    def __init__(self, job, address, workers, threads, oracle):
        self._job, self._address, self._oracle = job, address, oracle
        self._threads = threads or max(1, (os.cpu_count() or 1) // workers)
        self._running = {f"tuner{number}": None for number in range(workers)}
        self._deaths = {}
        self._context = multiprocessing.get_context("spawn")
        try:
            pickle.dumps(job)
        except Exception as error:
            raise ValueError(
                "expected a model-building function, or HyperModel, and fit arguments that other processes can import "
                f"and copy (defined at the top of a module; arrays, not tf.data): {error}; or workers=0"
            ) from None

    def start(self):
        for name in self._running:
            self._start(name)

    def _start(self, name):
        receiver, sender = self._context.Pipe(duplex=False)
        log = Path(self._job.folder) / "workers" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        process = self._context.Process(
            target=_worker, args=(self._job, self._address, name, self._threads, str(log), sender), daemon=True
        )
        # Redirected before the start, so that TensorFlow's messages at import go to the log too.
        with standard_error_to(log), python.environment_for_multiprocessing():
            process.start()
        sender.close()
        self._running[name] = process, receiver

    def watch(self):
        """Wait briefly and restart dead workers; returns whether any worker is still running."""
        multiprocessing.connection.wait([process.sentinel for process, _ in self._running.values()], timeout=0.5)
        for name, (process, receiver) in list(self._running.items()):
            if process.exitcode is None:
                continue
            if process.exitcode == 0:
                del self._running[name]
                continue
            if receiver.poll():
                with contextlib.suppress(EOFError):
                    raise receiver.recv()
            self._restart(name, process.exitcode)
        return bool(self._running)

    def _restart(self, name, code):
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        trial = self._oracle.ongoing_trials.get(name)
        key = name if trial is None else trial.trial_id
        self._deaths[key] = self._deaths.get(key, 0) + 1
        if self._deaths[key] >= DEATHS:
            if trial is None:
                log = Path(self._job.folder) / "workers" / f"{name}.log"
                raise RuntimeError(f"the worker process {name} ended twice before a trial, with {ended}: see {log}")
            reason = f"its worker process ended {DEATHS} times, at last with {ended}"
            reason += " (out of memory?)" if code == -signal.SIGKILL else ""
            path = record_file(self._job.folder, trial.trial_id)
            record = read_record(path) or {"trial": trial.trial_id, "values": dict(trial.hyperparameters.values)}
            write_record(path, record | {"status": FAILED, "reason": reason})
            self._oracle.fail(trial, reason)
        self._start(name)

    def end(self):
        for process, _ in self._running.values():
            process.terminate()
        for process, _ in self._running.values():
            process.join(5)
            if process.exitcode is None:
                process.kill()
                process.join()


def _worker(job, address, name, threads, log, sender):
    """The main function of a worker process."""
    # Ctrl-C reaches every process of a terminal, but only the chief acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(log, "a", buffering=1) as file:
        os.dup2(file.fileno(), sys.stdout.fileno() if hasattr(sys.stdout, "fileno") else 1)
        os.dup2(file.fileno(), 2)
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        try:
            work(job, address, name)
        except Exception as error:
            import traceback

            traceback.print_exc()
            sender.send(_picklable(error))
            sys.exit(1)


def _picklable(error):
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _end_with_parent():
    """End this worker when its chief is killed; it would wait for it for an hour."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(3)
