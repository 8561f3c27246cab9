"""The table of the runtimes: what fails in a child process is a cell with its reason."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import runtimes


def test_what_fails_is_a_cell_with_its_reason_and_is_kept(tmp_path):
    arguments = ("run", "ai_edge_litert Interpreter", "predict", tmp_path)
    found = runtimes.cell(tmp_path / "cell.json", arguments, again=False)
    assert found["why"].startswith("FileNotFoundError: ")
    (tmp_path / "cell.json").write_text('{"error": 0.0, "milliseconds": 1.0}')
    assert runtimes.cell(tmp_path / "cell.json", arguments, again=False) == {"error": 0.0, "milliseconds": 1.0}


def test_a_reason_is_told_once():
    text = runtimes.table(
        [
            ("a", "tflite `step`", "one", {"error": 2e-7, "milliseconds": 0.123}),
            ("a", "tflite `step`", "two", {"why": "ended with -11"}),
            ("b", "tflite `step`", "two", {"why": "ended with -11"}),
        ]
    )
    assert "| a | tflite `step` | one | yes | 2e-07 | 0.12 |" in text
    assert text.count("[1]") == 2
    assert text.count("ended with -11") == 1
