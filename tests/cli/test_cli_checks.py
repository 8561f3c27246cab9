"""Mistakes in paths and options are told before TensorFlow is imported, which takes seconds."""

import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from keras_lstm_gates.cli import deployment, tuning
from keras_lstm_gates.cli.entry import app
from keras_lstm_gates.exporting import formats, signatures
from keras_lstm_gates.exporting.tflite import quantizing
from keras_lstm_gates.tuning import TUNERS

EACH_IN_TURN = """
import contextlib, io, json, sys
from keras_lstm_gates import cli
results = []
for arguments in json.load(sys.stdin):
    sys.argv[1:] = arguments
    errors, code = io.StringIO(), 0
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.main()
        except SystemExit as stopped:
            code = stopped.code
    results.append([code, errors.getvalue(), "tensorflow" in sys.modules or "keras" in sys.modules])
    if results[-1][-1]:
        break  # The later ones would be blamed for this one.
print(json.dumps(results))
"""
FILES = {"model": "model.keras", "run": "model.keras", "recipe": "daily_stocks", "set_": "lstm/f=1", "gates": "g.zarr"}
"""Of a required argument something that is there; of all others a file."""
MAY_BE_FOLDERS = {"model", "models", "gates", "gradients", "inspect file", "run file"}


class Parameter(NamedTuple):
    """A parameter of a command: its name, whether it must be given and is a path, and its option, "" of an argument."""

    name: str
    required: bool
    is_path: bool
    option: str


def parameters(function):
    """[`Parameter`] of a command."""
    for name, one in inspect.signature(function).parameters.items():
        kind, info = typing.get_args(one.annotation)[:2]
        is_path = Path in (kind, *typing.get_args(kind)) and name not in ("out", "runs")
        option = f"--{name.rstrip('_')}" if isinstance(info, typer.models.OptionInfo) else ""
        yield Parameter(name, one.default is one.empty, is_path, option)


def ways():
    """(command line, "missing" or "folder"): each path that each command reads, one at a time; all else is in place."""
    for command in app.registered_commands:
        known = [*parameters(command.callback)]
        for wanting in (one for one in known if one.is_path):
            for wrong in ("missing", "folder"):
                words = [command.callback.__name__]
                for one in known:
                    # Optional arguments stand one after the other.
                    if one is wanting or one.required or (not one.option and not wanting.option and one.is_path):
                        value = wrong if one is wanting else FILES.get(one.name, "data.npy")
                        words += [one.option, value] if one.option else [value]
                    if one is wanting and not one.option:
                        words += ["data.npy"] * (one.name == "models")
                names = {wanting.name, f"{words[0]} {wanting.name}"}
                if wrong == "missing" or not names & MAY_BE_FOLDERS:
                    yield words, wrong


@pytest.fixture
def told(tmp_path):
    """Function of command lines to [(exit code, errors)], after checking that none of them imports TensorFlow."""
    for file in ("model.keras", "data.npy", "load.csv"):
        (tmp_path / file).touch()
    for folder in ("folder", "g.zarr", "taken"):
        (tmp_path / folder).mkdir()
    (tmp_path / "taken" / "mine.txt").touch()

    def run(lines):
        done = subprocess.run(
            [sys.executable, "-c", EACH_IN_TURN],
            input=json.dumps(lines),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=True,
        )
        results = json.loads(done.stdout)
        for line, (code, errors, imported) in zip(lines, results, strict=False):
            assert not imported, (line, code, errors)
        return [(code, errors) for code, errors, _ in results]

    return run


def test_every_path_that_a_command_reads_is_looked_for_first(told):
    lines = [*ways()]
    assert {words[0] for words, _ in lines} == {
        "ablate", "drift", "evaluate", "explain", "export", "forecast", "gradients", "inspect", "patch", "report",
        "run", "shrink", "steer", "trace",
    }  # fmt: skip
    for (words, wrong), (code, errors) in zip(lines, told([words for words, _ in lines]), strict=True):
        assert code == 1, (words, errors)
        assert len(errors.splitlines()) == 1
        assert errors.startswith("error: no such" if wrong == "missing" else "error: expected a file"), (words, errors)
        assert wrong in errors


DATA = ("model.keras", "data.npy")
MISTAKES = [
    (("train", "missing.csv", "--target", "load"), "no such file: missing.csv"),
    (("tune", "missing.json"), "no such file: missing.json"),
    (("backtest", "vowels"), "expected one of the recipes"),
    (("train", "load.csv"), "expected a target, the column of load.csv to forecast"),
    (("train", "daily_stocks", "--set", "units"), "expected --set KEY=VALUE; received 'units'"),
    (("train", "daily_stocks", "--set", "units=many"), "units"),
    (("train", "load.csv", "--target", "load", "--decimal", "dot"), "one of ['point', 'comma']"),
    (("train", "daily_stocks", "--out", "taken"), "expected a new or empty folder; taken is taken"),
    (("train", "daily_stocks", "--resume"), "expected --out"),
    (("tune", "daily_stocks", "--tuner", "best"), "expected --tuner random, bayesian, hyperband or grid"),
    (("tune", "daily_stocks", "--out", "load.csv"), "expected a folder; received the file load.csv"),
    (("tune", "daily_stocks", "--set", "units"), "expected --set key=value"),
    (("tune", "daily_stocks", "--role", "boss", "--out", "x"), "expected --role chief or worker; received 'boss'"),
    (("tune", "daily_stocks", "--chief", "here"), "expected the chief as HOST:PORT"),
    (("backtest", "daily_stocks", "--out", "load.csv"), "expected a folder; received the file load.csv"),
    (("demo", "--runs", "load.csv"), "expected a folder; received the file load.csv"),
    (("zoo", "build", "japanese_vowel"), "expected one of the presets"),
    (("zoo", "show", "japanese_vowel"), "expected one of the presets"),
    (("zoo", "evaluate", "japanese_vowel"), "expected one of the presets"),
    (("trace", "japanese_vowel", "data.npy"), "no such file: japanese_vowel"),
    (("trace", "model.keras"), "expected a file of data or --random N; received neither"),
    (("trace", *DATA, "--random", "2"), "received both"),
    (("trace", *DATA, "--all", "--at", "2024-01-01"), "expected --at or --all"),
    (("trace", *DATA, "--shard", "1/4"), "expected --out, the folder that all shards share"),
    (("trace", *DATA, "--import", "missing.py"), "no such file: missing.py"),
    (("forecast", *DATA, "--shard", "5/4", "--out", "x"), "expected a shard such as 3/16"),
    (("explain", *DATA, "--target", "a"), "expected --target as 1 or 3,1"),
    (("patch", *DATA, "data.npy", "--metric", "a"), "expected --metric as 1 or 3,1"),
    (("patch", *DATA, "data.npy", "--gates", "fx"), "expected --gates among i, f, g, o, c and h, as fch"),
    (("shrink", *DATA, "--keep", "half"), "expected --keep as 0.5"),
    (("steer", *DATA, "--set", "lstm/f"), "expected --set PATH/GATE=NUMBER"),
    (("steer", *DATA, "--set", "lstm/f=1", "--units", "a"), "expected --units as 3,5 or 10:20"),
    (("gradients", "missing.keras", "data.npy"), "no such file: missing.keras"),
    (("gradients", *DATA, "--norms", "fast"), "expected --norms auto, exact or estimated"),
    (("gradients", "data.npy"), "expected one or more model files"),
    (("export", *DATA, "--format", "pdf"), "expected --format saved_model, tflite, tflite_fused, onnx or micro"),
    (("export", *DATA, "--precision", "int4"), "expected --precision"),
    (("export", *DATA, "--signature", "steps"), "expected --signature"),
    (("run", "model.keras", "data.npy", "--out", "a.txt"), "expected --out with the ending .npz; received a.txt"),
    (("report", "g.zarr", "--out", "page.pdf"), "expected --out with the ending .html"),
    (("report", "missing", "data.npy"), "no such file: missing"),
    *(
        ((name, *DATA, *more, "--out", "taken"), "taken is taken")
        for name, more in {
            "ablate": (), "drift": ("data.npy",), "explain": (), "export": (), "forecast": (), "gradients": (),
            "patch": ("data.npy",), "shrink": (), "steer": ("--set", "lstm/f=1"), "trace": (),
        }.items()
    ),
]  # fmt: skip


def test_mistyped_values_are_told_first(told):
    for (words, text), (code, errors) in zip(MISTAKES, told([words for words, _ in MISTAKES]), strict=True):
        assert code == 1, (words, errors)
        assert len(errors.splitlines()) == 1
        assert text in errors, (words, errors)


def test_the_values_are_those_of_what_is_asked():
    assert tuple(formats.FORMATS) == deployment.FORMATS
    assert deployment.PRECISIONS == quantizing.PRECISIONS
    assert deployment.SIGNATURES == signatures.NAMES
    assert tuning.TUNERS == TUNERS


def test_absl_is_silent_once_tensorflow_is_there():
    script = "import logging; from keras_lstm_gates.cli import checks; checks.import_tensorflow(); "
    script += "print(logging.getLogger('absl').isEnabledFor(logging.WARNING))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
