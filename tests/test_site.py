"""The site of docs/ builds with every warning an error, so that no link leads nowhere."""

import importlib
import re
import subprocess
import sys
import types
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
    # Each page of the reference has what is public of its room, and nothing else.
    pages = sorted((tmp_path / "site" / "reference").glob("*.html"))
    assert len(pages) > 15
    for page in pages:
        room = importlib.import_module(f"keras_lstm_gates.{page.stem}")
        headings = re.findall(r'<h2 id="([\w.]+)" class="doc doc-heading"', page.read_text(encoding="utf-8"))
        shown = {heading.rpartition(".")[2] for heading in headings}
        assert shown, page
        if hasattr(room, "__all__"):
            # Modules, and values without a word, have no entry.
            kinds = types.FunctionType, type
            entries = {name for name in room.__all__ if isinstance(getattr(room, name), kinds)}
            assert entries <= shown <= set(room.__all__), page
