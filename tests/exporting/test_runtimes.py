"""The table of the runtimes: what fails in a child process is a cell with its reason."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import runtimes


def test_what_fails_is_a_cell_with_its_reason_and_what_is_known_is_kept(tmp_path):
    keys = ["tflite:predict", "tflite:gates"]
    known = {"tflite:gates": {"error": 0.0, "milliseconds": 1.0}}
    (tmp_path / "cell.json").write_text(json.dumps(known))
    found = runtimes.cells(tmp_path / "cell.json", ("run", "ai_edge_litert Interpreter", tmp_path), keys, again=False)
    assert found.pop("tflite:predict")["why"].startswith("FileNotFoundError: ")
    assert found == known


def test_a_crash_is_a_cell_and_those_after_it_are_asked(tmp_path, monkeypatch):
    asked = []

    def child(path, arguments, seconds):
        asked.append(arguments[-1])
        if arguments[-1] == "b":
            known = json.loads(path.read_text())
            path.write_text(json.dumps({**known, "b": {"error": 0.0, "milliseconds": 1.0}}))
        return "ended with -11", ["a last word"]

    monkeypatch.setattr(runtimes, "_child", child)
    found = runtimes.cells(tmp_path / "cell.json", ("run",), ["a", "b"], again=False)
    assert asked == ["a,b", "b"]
    assert found == {"a": {"why": "ended with -11: a last word"}, "b": {"error": 0.0, "milliseconds": 1.0}}


def test_a_row_a_signature_and_a_reason_once():
    crash, works = {"why": "ended with -11"}, {"error": 2e-7, "milliseconds": 0.123}
    step = {"tf.lite.Interpreter": works, "ai_edge_litert CompiledModel": crash}
    text = runtimes.table(
        {"a": {"tflite": {"step": step}}, "b": {"tflite": {"step": step}, "micro": {"why": "there is no step"}}}
    )
    assert text.count("| tflite | `step` |  | 2e-07, 0.12 ms |  | [1] |  |  |") == 2
    assert "| micro | |  |  |  |  |  | [2] |  |" in text
    assert "| tflite |  | 2 of 2 | 0 of 0 | 0 of 2 | 0 of 0 | 0 of 0 |  |" in text
    assert text.count("ended with -11") == 1
