"""The site of docs/ builds with every warning an error, so that no link leads nowhere."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page, text in {
        "index.html": "An LSTM forgets",
        "docs/tutorial.html": "One step by hand",
        "docs/keras.html": "BlockLSTMV2",
        "reference/layers.html": 'id="keras_lstm_gates.layers.GatedLSTM"',
        "benchmarks/index.html": "Every exported file on every runtime",
    }.items():
        assert text in (tmp_path / "site" / page).read_text(encoding="utf-8"), page
