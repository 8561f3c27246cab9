"""What several tests share."""

import gc
import os
import random
import re
import subprocess
import sys
from pathlib import Path

# Processes that the tests start import this checkout and the tests' own modules too, wherever they run.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).parents[1]), str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Prepared data sets stay out of the home folder, and are there for the next run of the tests.
os.environ.setdefault("TFDS_DATA_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "tensorflow_datasets"))

import filelock
import numpy as np
import pytest
import skips

# nox reads it; it is not in the environment of the tests.
collect_ignore = ["matrix/noxfile.py"]

MASKS = {
    "none": None,
    "right": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "left": [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]],
    "gaps": [[1, 0, 1, 0, 1], [0, 1, 0, 1, 1], [1, 1, 0, 0, 1]],
    "a row of nothing": [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 0, 0]],
}


def pytest_configure(config):
    skips.watch(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test that is marked `few(n)` the quick selection has n cases, among them each value of each parameter."""
    cases = {}
    for item in items:
        if mark := item.get_closest_marker("few"):
            cases.setdefault((item.parent.nodeid, item.originalname, *mark.args), []).append(item)
    for (_, name, count), several in cases.items():
        left, met = [item for item in several if not item.get_closest_marker("full")], set()
        random.Random(name).shuffle(left)
        for _ in range(min(count, len(left))):
            best = max(left, key=lambda item: len(_values(item) - met))
            left.remove(best)
            met |= _values(best)
        for item in left:
            item.add_marker(pytest.mark.full)


def _values(item):
    """The parameters of a case, each with its place among its values."""
    return set(item.callspec.indices.items())


@pytest.fixture(scope="module", autouse=True)
def _freeze():
    """What lives on is not searched for garbage again: each `keras.utils.clear_session` would take a second for it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The files that tf-keras wrote: `opening.keras2.Files`."""
    pytest.importorskip("tf_keras")
    from opening import keras2

    # Of processes that run tests side by side, one writes them for all.
    shared = tmp_path_factory.getbasetemp()
    shared = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "keras2"
    with filelock.FileLock(f"{shared}.lock"):
        return keras2.Files(shared)


@pytest.fixture
def rng():
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(params=MASKS)
def mask(request):
    """A mask (3, 5) of each pattern, or None."""
    pattern = MASKS[request.param]
    return None if pattern is None else np.array(pattern, bool)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs more rights")
    yield place
    # Also where the working folder is in there.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Run the command line in an empty folder: arguments to (exit code, printed, errors)."""
    from keras_lstm_gates import cli

    monkeypatch.chdir(tmp_path)
    # Tables as wide as they need to be.
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["keras-lstm-gates", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        assert not re.search(r"KiB │ +│", printed.out), "a file without what it is"
        return stopped.value.code or 0, printed.out, printed.err

    return run
