"""Saved models in a new process, where other layers were built before: no name that exporting makes meets theirs."""

import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import architectures
import keras
import numpy as np
import pytest
from keras import layers

from keras_lstm_gates import exporting
from keras_lstm_gates.edge import Runner

# Each is exported three times; tests/strangers does the same with models like the others.
EXPORTED = [
    architectures.seq2seq_with_states,
    architectures.bidirectional_states_to_decoder,
    architectures.mixed_cells_backwards,
    architectures.hierarchy_over_time,
    architectures.own_layer_and_branches,
]


@pytest.fixture(scope="module")
def told(tmp_path_factory, request):
    """{architecture: {format: {signature: largest error}, or what was refused}}, of a new process."""
    folder = tmp_path_factory.mktemp("saved")
    selected = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    for number, build in enumerate(build for build in EXPORTED if build.__name__ in selected):
        keras.utils.set_random_seed(number)
        with warnings.catch_warnings():
            # Keras, of a nested model that is called with a mask.
            warnings.filterwarnings("ignore", "Layer .* was passed an input with a mask")
            model, data, _ = build()
        model.save(folder / f"{build.__name__}.keras")
        (folder / f"{build.__name__}.pickle").write_bytes(pickle.dumps(data))
    command = [sys.executable, str(Path(__file__).with_name("fresh_exports.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.few(1)
@pytest.mark.parametrize("name", [build.__name__ for build in EXPORTED])
def test_architectures(told, name):
    for format_, became in told[name].items():
        assert max(became.values()) < 1e-5, (format_, became)
        assert {"predict", "gates"} <= became.keys()


def test_layers_that_are_called_as_ours(tmp_path, rng):
    """Every name that a step's graph gives to something of its own."""
    x = keras.Input((6, 3), name="one_step")
    y = layers.LSTM(3, return_sequences=True, name="one")(x)
    y = layers.LSTM(3, return_sequences=True, name="state_h")(y)
    y = layers.Dense(3, name="state_h_step")(y)
    y = layers.Dense(3, name="one_hidden")(y)
    y = layers.Dense(3, name="of_layers")(y)
    y = layers.Masking(-9.0, name="any_length")(y)
    model = keras.Model(x, layers.Dense(2, name="add_time_axis")(y))
    data = rng.normal(size=(2, 6, 3)).astype("float32")
    written = exporting.export(model, tmp_path, data, ("tflite", "onnx"))
    assert written.missing == {}
    np.testing.assert_allclose(Runner(written.files["tflite"]).predict(data)["add_time_axis"], model(data), atol=1e-6)


def test_a_shared_layer(tmp_path, rng):
    x = keras.Input((None, 3))
    shared = layers.LSTM(4, name="shared")
    outputs = layers.Subtract(name="parted")([shared(x), shared(layers.Dense(3)(x))])
    data = rng.normal(size=(3, 5, 3)).astype("float32")
    model = keras.Model(x, outputs)
    written = exporting.export(model, tmp_path, data, ("tflite",))
    received = Runner(written.files["tflite"]).gates(data)
    np.testing.assert_allclose(received["parted"], model(data), atol=1e-6)
    np.testing.assert_allclose(received["shared/h"][:, -1], shared(data), atol=1e-6)


def test_outputs_that_are_called_as_gates(tmp_path, rng):
    """The gates have their layer's name before theirs then; an output of the model is never replaced."""
    x = keras.Input((None, 3))
    y = layers.LSTM(4, return_sequences=True, name="encoder")(x)
    model = keras.Model(x, {"h": layers.Dense(2)(y), "f": layers.Dense(1)(y[:, -1])})
    data = rng.normal(size=(3, 5, 3)).astype("float32")
    received = Runner(exporting.export(model, tmp_path, data, ("tflite",)).files["tflite"]).gates(data)
    assert sorted(received) == ["encoder/c", "encoder/f", "encoder/g", "encoder/h", "encoder/i", "encoder/o", "f", "h"]
    for name, values in model(data).items():
        np.testing.assert_allclose(received[name], values, atol=1e-6)


def test_outputs_that_are_called_as_gates_with_their_path(tmp_path, rng):
    x = keras.Input((None, 3))
    y = layers.LSTM(4, return_sequences=True, name="encoder")(x)
    model = keras.Model(x, {"h": layers.Dense(2)(y), "encoder/f": layers.Dense(1)(y)})
    data = rng.normal(size=(3, 5, 3)).astype("float32")
    received = Runner(exporting.export(model, tmp_path, data, ("tflite",)).files["tflite"]).gates(data)
    assert sorted(received) == sorted(["encoder/f", "h", *(f"gates/encoder/{gate}" for gate in "ifgoch")])
    for name, values in model(data).items():
        np.testing.assert_allclose(received[name], values, atol=1e-6)


def test_an_output_that_is_called_as_the_input(tmp_path, rng):
    x = keras.Input((None, 3))
    model = keras.Model(x, layers.LSTM(4, name="sequence")(x))
    data = rng.normal(size=(3, 5, 3)).astype("float32")
    written = exporting.export(model, tmp_path, data, ("tflite", "onnx"))
    # What a format cannot have is left out there, and told.
    assert list(written.missing) == ["onnx/predict", "onnx/gates"]
    assert list(written.differences["onnx"]) == ["step"]
    np.testing.assert_allclose(Runner(written.files["tflite"]).predict(data)["sequence"], model(data), atol=1e-6)
    with pytest.raises(ValueError, match="the format 'onnx' cannot hold the output 'sequence': the input is called so"):
        exporting.export(model, tmp_path, data, ("onnx",), signatures=("predict",))


@pytest.mark.parametrize(("name", "kept"), [("class", ["tflite", "onnx"]), ("self", ["onnx"])])
def test_inputs_that_are_called_as_arguments_cannot_be(name, kept, tmp_path, rng):
    """Formats whose inputs are arguments of a function of Python say so; the others have them."""
    inputs = [keras.Input((5, 3), name="series"), keras.Input((2,), name=name)]
    model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()([layers.LSTM(4)(inputs[0]), inputs[1]])))
    data = {"series": rng.normal(size=(3, 5, 3)), name: rng.normal(size=(3, 2))}
    written = exporting.export(model, tmp_path, data, ("saved_model", "tflite", "onnx"), signatures=("predict",))
    assert list(written.differences) == kept
    for format_ in {"saved_model", "tflite"} - {*kept}:
        assert written.missing[format_].startswith(f"the format {format_!r} cannot hold the input {name!r}: ")
