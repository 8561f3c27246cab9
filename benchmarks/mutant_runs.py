"""Runs of tests on a copy of the checkout, for mutants.py: which tests run a line, and whether tests fail.

A process that has TensorFlow imported forks for each run.
"""

import contextlib
import json
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

import coverage

ROOT = Path(__file__).parent.parent
_COPIED = ("keras_lstm_gates", "tests", "examples", "setup.cfg", "pyproject.toml")
_IMPORTED = ["tensorflow", "tensorflow_datasets", "xarray", "pandas", "matplotlib.figure", "keras_tuner", "pytest"]


class Map:
    """A plugin of pytest: the lines of `keras_lstm_gates` that each test runs, and its seconds."""

    def __init__(self, tree):
        self._coverage = coverage.Coverage(data_file=None, config_file=False, source=[f"{tree}/keras_lstm_gates"])
        self._tree = tree
        self._seconds = {}
        self._coverage.start()

    def pytest_runtest_logstart(self, nodeid):
        self._coverage.switch_context(nodeid)
        self._seconds[nodeid] = -time.monotonic()

    def pytest_runtest_logfinish(self, nodeid):
        self._seconds[nodeid] += time.monotonic()
        self._coverage.switch_context("")

    def write(self, path):
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            os.path.relpath(file, self._tree): {
                line: [test for test in tests if test] for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        unfinished = Path(path).with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"seconds": self._seconds, "lines": lines}))
        unfinished.replace(path)


class Only:
    """A plugin of pytest: these tests alone, in this order; those that were not mapped last."""

    def __init__(self, tests):
        self._places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items):
        items[:] = sorted(
            (item for item in items if item.nodeid in self._places), key=lambda item: self._places[item.nodeid]
        )


class Tree:
    """A copy of the checkout in which tests run, one process after the other."""

    def __init__(self, folder, prepared):
        self.folder = Path(folder)
        self._environment = {
            "PYTHONPATH": f"{self.folder}:{self.folder}/tests",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TFDS_DATA_DIR": str(prepared),
        }
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_IMPORTED)
        self.folder.mkdir(parents=True)
        for name in _COPIED:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, self.folder / name)
        if (ROOT / "saved_models").is_dir():
            (self.folder / "saved_models").symlink_to(ROOT / "saved_models")

    def output(self):
        """What the last run printed."""
        return (self.folder / "output").read_text(errors="replace")

    def run(self, files, seconds, tests=None, map_to=None):
        """pytest's exit code, or None where the tests did not end in time."""
        process = self._context.Process(
            target=_pytest, args=(str(self.folder), self._environment, files, tests, map_to and str(map_to))
        )
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.join()
            return None
        return process.exitcode

    @contextlib.contextmanager
    def planted(self, path, code):
        """Within, a file is other code."""
        target = self.folder / path
        original = target.read_text()
        target.write_text(code)
        try:
            yield
        finally:
            target.write_text(original)


def _pytest(tree, environment, files, tests, map_to):
    """The main function of a process: the exit code is pytest's."""
    os.setsid()
    os.chdir(tree)
    os.environ |= environment
    sys.path[:0] = [tree, f"{tree}/tests"]
    sys.dont_write_bytecode = True
    with open("output", "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import pytest

    plugins = [Only(tests)] if tests else []
    if map_to:
        plugins.append(Map(tree))
    # Its own folder of temporary files: else one that another process left, and that cannot be removed, is a failure.
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--basetemp={tree}/temporary"]
    code = pytest.main([*options, *files], plugins)
    if map_to and code == 0:
        plugins[-1].write(map_to)
    os._exit(int(code))
