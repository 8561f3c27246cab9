"""The other side of `strangers.worker`: one process that answers many jobs."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 300
"""How long one job may take."""

STARTING_SECONDS = 120


class Process:
    """A worker that is started when it is first asked, and again where a job ended it."""

    def __init__(self):
        self._process = None
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (closed by `close`)

    def answer(self, job):
        """The worker's answer to a job, or the kind "Crash" where the job ended the process or took too long."""
        seconds = SECONDS
        if self._process is None:
            seconds += STARTING_SECONDS
            self._process = subprocess.Popen(
                [sys.executable, "-m", "strangers.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                cwd=Path(__file__).parent.parent.parent,
                env=_environment(),
            )
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self._process.kill()
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read()[-2000:]
        self._end()
        text = f"the process ended with {code}" if ready else f"no answer within {seconds} s"
        return {"kind": "Crash", "text": text, "traceback": said}

    def close(self):
        self._end()
        self._log.close()

    def _end(self):
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait(timeout=60)
            self._process.stdout.close()
            self._process = None


def _environment():
    tests = Path(__file__).parent.parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]), "TF_CPP_MIN_LOG_LEVEL": "3"}
