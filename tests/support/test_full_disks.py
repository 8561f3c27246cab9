"""A full disk, a limit of a file, a folder that may not be written to: one error that names it, the old whole."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FILL = """
import os, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from keras_lstm_gates._support.files import filled_when_whole
if sys.argv[2] != "root":
    os.setuid(65534)
try:
    with filled_when_whole(sys.argv[1]) as new:
        (new / "one").write_bytes(b"x")
        (new / "two").write_bytes(bytes(3 * 2**20))
except OSError as error:
    print(f"{type(error).__name__}: {error}")
"""


def fill(folder, who="root", **options):
    """What a process says that fills a folder with 3 MiB."""
    command = [sys.executable, "-c", FILL, str(folder), who]
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout.strip()


def old(place):
    (place / "run").mkdir(parents=True)
    (place / "run" / "mine").write_text("old")
    return place / "run"


def assert_old(folder):
    assert [path.name for path in folder.parent.rglob("*")] == ["run", "mine"]
    assert (folder / "mine").read_text() == "old"


def test_a_file_that_may_not_grow_so_large(tmp_path):
    folder = old(tmp_path)
    limit = (2**20, 2**20)
    said = fill(folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert said == f"OSError: [Errno 27] File too large: '{folder}'"
    assert_old(folder)


def test_a_full_disk(small_disk):
    folder = old(small_disk)
    assert fill(folder) == f"OSError: [Errno 28] No space left on device: '{folder}'"
    assert_old(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs more rights")
def test_a_folder_of_somebody_else():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = old(Path(place))
        assert fill(folder, who="nobody") == f"PermissionError: [Errno 13] Permission denied: '{folder}'"
        assert_old(folder)
