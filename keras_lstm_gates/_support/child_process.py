"""Call a function in another Python process, so that a crash of native code is only an error here."""

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

from keras_lstm_gates._support import python

_lock = threading.Lock()
_worker = None


class CrashError(ChildProcessError):
    """The other process ended, or the function raised there."""


def call(function, /, **arguments):
    """Call a function in a worker process, which is started on the first call and serves later calls too.

    Args:
        function: str, "module:name".
        **arguments: what JSON can represent.

    Returns:
        The function's result, through JSON.

    Raises:
        CrashError: "os:abort ended its process with SIGABRT: ...", with its last messages, or "...: ValueError: ...".
            The next call starts a new process.
        OSError: the function's own: a full disk.

    Example:
        >>> call("json:dumps", obj=[1, 2])
        '[1, 2]'
    """
    global _worker
    with _lock:
        # A forked process has no worker of its own.
        if _worker is None or _worker.parent != os.getpid():
            _worker = _Worker()
        try:
            return _worker.call(function, arguments)
        except EOFError:
            crashed, _worker = _worker, None
            raise CrashError(f"{function} ended its process with {crashed.ending()}") from None


class _Worker:
    def __init__(self):
        self.parent = os.getpid()
        self._stderr_file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            python.command("from keras_lstm_gates._support import child_process; child_process._serve()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr_file,
            text=True,
            # A full disk must be an error there as it is here.
            restore_signals=False,
            env=python.environment(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1"),
        )
        atexit.register(self.end)

    def call(self, function, arguments):
        self._before = os.fstat(self._stderr_file.fileno()).st_size
        try:
            self._process.stdin.write(json.dumps([function, os.getcwd(), arguments]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise EOFError
        reply = json.loads(line)
        if reply.get("errno") is not None:
            raise OSError(reply["errno"], os.strerror(reply["errno"]))
        if "error" in reply:
            raise CrashError(f"{function}: {reply['error']}")
        return reply["result"]

    def end(self):
        """Let the process end, and wait for it."""
        atexit.unregister(self.end)
        self._process.communicate()
        self._stderr_file.close()

    def ending(self):
        """How the process ended, and its last messages."""
        self._process.wait()
        code = self._process.returncode
        self._stderr_file.seek(self._before)
        lines = [line for line in self._stderr_file.read().decode(errors="replace").splitlines() if line.strip()]
        self.end()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{name}: {' | '.join(lines[-4:])}" if lines else name


def _serve():
    # Output of native code must not mix with the replies.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        function, folder, arguments = json.loads(line)
        module, _, name = function.partition(":")
        try:
            os.chdir(folder)
            reply = {"result": getattr(importlib.import_module(module), name)(**arguments)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
            if isinstance(error, OSError):
                reply["errno"] = error.errno
        answers.write(json.dumps(reply) + "\n")
        answers.flush()
