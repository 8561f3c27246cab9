"""The example in R, run as its page says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_example_runs_and_draws(tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    script = ROOT / "examples" / "from_r" / "lstm_gates.R"
    environment = {**os.environ, "RETICULATE_PYTHON": sys.executable}
    command = ["Rscript", script, tmp_path / "gates.png"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "None" not in done.stdout.splitlines()
    assert "f has the dimensions 1 240 8" in done.stdout
    assert (tmp_path / "gates.png").read_bytes().startswith(b"\x89PNG")
