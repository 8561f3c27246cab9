"""`steer` as a user types it."""

import inspect

import numpy as np
import pytest
from small import arrays, small_model

from keras_lstm_gates import tracing
from keras_lstm_gates.cli.arguments import Model
from keras_lstm_gates.cli.entry import app


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    model, data = small_model()
    model.save(folder / "model.keras")
    np.save(folder / "data.npy", data)
    return folder


def test_both_runs_side_by_side(command, files, tmp_path):
    options = ["--set", "lstm/f=1", "--units", "1,3", "--steps", "2:4", "--out", "out"]
    code, printed, errors = command("steer", files / "model.keras", files / "data.npy", *options)
    assert code == 0, errors
    plain, steered = (tracing.load(tmp_path / "out" / f"{name}.zarr")["lstm"] for name in ("plain", "steered"))
    real = steered["mask"].values[:, 2:4]
    assert (steered["f"].values[:, 2:4][:, :, [1, 3]][real] == 1).all()
    np.testing.assert_array_equal(steered["f"].values[:, :2], plain["f"].values[:, :2])
    outputs = [arrays(tmp_path / "out" / f"{name}.npz") for name in ("plain", "steered")]
    (name,) = outputs[0]
    change = np.abs(outputs[0][name] - outputs[1][name]).max()
    assert change > 0
    assert f"{name} changes by {change:.3g} at most" in printed


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--set", "lstm/f"], "expected --set PATH/GATE=NUMBER, as lstm/f=1; received 'lstm/f'"),
        (["--set", "lstm/f=1", "--units", "a"], "expected --units as 3,5 or 10:20; received 'a'"),
        (["--set", "lstm/f=1", "--units", "4"], "interventions on 'lstm/f' expected units in [-4, 4); received [4]"),
        (["--set", "gru/f=1"], "expected interventions on gates of ['lstm'], such as 'lstm/f'; received 'gru/f'"),
    ],
)
def test_mistakes_are_one_line(command, files, options, text):
    code, _, errors = command("steer", files / "model.keras", files / "data.npy", *options)
    assert code == 1
    assert errors == f"error: {text}\n"


def test_every_command_that_opens_a_model_takes_classes_and_weights():
    signatures = {one.callback.__name__: inspect.signature(one.callback).parameters for one in app.registered_commands}
    opening = {
        name: set(options)
        for name, options in signatures.items()
        if "model" in options and options["model"].annotation is Model
    }
    assert {"ablate", "patch", "steer", "explain", "trace"} <= set(opening)
    assert {name for name, options in opening.items() if not {"imports", "weights"} <= options} == set()
