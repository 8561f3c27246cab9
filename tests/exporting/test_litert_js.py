"""Presets of the zoo by LiteRT.js in headless Chromium: every signature against Python."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_lstm_gates import export, zoo
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.presets.registry import home

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import runtime_calls

TIME = 24
SEQUENCES = {
    "shakespeare_plays": np.random.default_rng(0).integers(0, 81, (1, TIME)).astype("int32"),
    "italy_power_demand": np.random.default_rng(0).normal(size=(1, TIME, 1)).astype("float32"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function of a preset to the folder of its file of so many time steps, which is made once."""
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    if shutil.which("npm") is None:
        pytest.skip("npm, which fetches LiteRT.js, is not installed: apt-get install npm")
    made = {}

    def of(preset):
        if preset not in made:
            folder = tmp_path_factory.mktemp(preset)
            # LiteRT.js takes no time axis of any length.
            export(zoo.load(preset, gates=False), folder, SEQUENCES[preset], formats=("tflite",), time=TIME)
            made[preset] = folder
        return made[preset]

    return of


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("preset", "signature"),
    [*(("shakespeare_plays", name) for name in ("predict", "gates", "step")), ("italy_power_demand", "gates")],
)
def test_agrees_with_python(request, exported, preset, signature):
    folder = exported(preset)
    try:
        call = runtime_calls.litert_js(folder / "model.tflite", signature)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm could not fetch LiteRT.js: {error.stderr.strip()[-200:]}")
    request.addfinalizer(call.close)
    # The shipped file, of any number of steps.
    runner, x = Runner(home(preset) / "model.tflite"), SEQUENCES[preset]
    if signature == "step":
        received, _ = runtime_calls.stepped(call, x)
        stream = runner.stream()
        steps = [stream.push(one) for one in x[0]]
        expected = {name: np.stack([step[name] for step in steps])[None] for name in steps[0]}
    else:
        received, expected = call({None: x}), runner.run(signature, x)
    assert sorted(received) == sorted(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(received[name], values, atol=1e-4, err_msg=name)
