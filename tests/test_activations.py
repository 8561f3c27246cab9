"""Both hard sigmoids, that of Keras 2 and that of Keras 3, keep their numbers wherever a model goes."""

import keras
import numpy as np
import pytest
from reference import lstm

import keras_lstm_gates
from keras_lstm_gates import exporting
from keras_lstm_gates.activations import keras2_hard_sigmoid
from keras_lstm_gates.gradients.slopes import value_and_slope

SLOPES = {keras2_hard_sigmoid: 0.2, keras.activations.hard_sigmoid: 1 / 6}


@pytest.fixture(scope="module")
def model():
    """An LSTM with each, and each after a Dense; the weights reach every part of them."""
    keras.utils.set_random_seed(0)
    x = keras.Input((5, 3), name="x")
    ends = []
    for activation in SLOPES:
        h = keras.layers.LSTM(4, recurrent_activation=activation, name=f"lstm{len(ends)}")(x)
        ends.append(keras.layers.Dense(2, activation, name=f"dense{len(ends)}")(h))
    model = keras.Model(x, ends)
    model.set_weights([3 * weights + 0.2 for weights in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def sigmoid(slope):
    return lambda z: np.clip(slope * z + 0.5, 0, 1)


def test_gates_and_slopes(model, data):
    opened = keras_lstm_gates.expose(model)(data)
    for number, (activation, slope) in enumerate(SLOPES.items()):
        weights = model.get_layer(f"lstm{number}").get_weights()
        for gate, expected in lstm(data, *weights, sigmoid=sigmoid(slope)).items():
            np.testing.assert_allclose(opened[f"lstm{number}/{gate}"], expected, atol=2e-6)
        assert len(np.unique(np.round(opened[f"lstm{number}/i"], 5))) > 20
        z = np.array([[-9.0, -1.0, 0.3, 9.0]])
        values, slopes = value_and_slope(activation, z)
        np.testing.assert_allclose(values, sigmoid(slope)(z), atol=1e-7)
        np.testing.assert_allclose(slopes, [[0, slope, slope, 0]], atol=1e-7)


def differences(exported):
    return {
        (name, signature): max(outputs.values())
        for name, signatures in exported.differences.items()
        for signature, outputs in signatures.items()
    }


def test_every_export_has_the_right_one(model, data, tmp_path):
    formats = ("saved_model", "tflite", "onnx")
    exported = exporting.export(model, tmp_path / "files", data, formats=formats, signatures=["predict"])
    found = differences(exported)
    assert set(found) == {(name, "predict") for name in formats}
    assert max(found.values()) < 2e-6, found


@pytest.mark.parametrize("activation", SLOPES)
def test_a_microcontroller_has_the_right_one(activation, data, tmp_path):
    lstm_layer = keras.layers.LSTM(4, recurrent_activation=activation, return_sequences=True)
    one = keras.Sequential([keras.Input((None, 3)), lstm_layer, keras.layers.Dense(2, activation)])
    one.set_weights([3 * weights + 0.2 for weights in one.get_weights()])
    found = differences(exporting.export(one, tmp_path / "files", data, formats=("micro",)))
    assert found
    assert max(found.values()) < 2e-6, found
