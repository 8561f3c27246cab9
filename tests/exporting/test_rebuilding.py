"""Stateful models and models of mixed precision: what their files answer."""

import keras
import numpy as np
import pytest
from keras import layers
from reference import lstm as reference

from keras_lstm_gates import exporting
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.onnx.files import open_onnx
from keras_lstm_gates.exporting.saved_model import open_saved_model

FORMATS = ("saved_model", "tflite", "onnx")


def callers(written):
    return {
        "saved_model": open_saved_model(written.files["saved_model"]),
        "tflite": Runner(written.files["tflite"]).call,
        "onnx": open_onnx(written.files["onnx"]),
    }


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_of_mixed_precision_is_written_in_float32(policy, tmp_path, rng):
    keras.utils.set_random_seed(0)
    recurrent = layers.LSTM(4, return_sequences=True, name="lstm", dtype=policy)
    model = keras.Sequential([keras.Input((None, 3)), recurrent, layers.TimeDistributed(layers.Dense(2, dtype=policy))])
    data = rng.normal(size=(2, 6, 3)).astype("float32")
    tolerances = {"float16": 0.05} if policy == "mixed_bfloat16" else None
    written = exporting.export(model, tmp_path, data, FORMATS, signatures=("gates",), tolerances=tolerances)
    expected = reference(data, *recurrent.get_weights())
    for name, call in callers(written).items():
        parts = [call("gates", {"sequence": data[row : row + 1]}) for row in range(2)]
        for gate in "ifgoch":
            received = np.concatenate([part[gate] for part in parts])
            assert received.dtype == "float32"
            np.testing.assert_allclose(received, expected[gate], atol=2e-6, err_msg=f"{name} {gate}")
    # The model itself is far from these.
    assert max(written.differences["onnx"]["gates"].values()) > 1e-5


def test_a_stateful_model(tmp_path, rng):
    """Each call of `predict` starts from zeros; `step` goes on as the model does from batch to batch."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), layers.LSTM(4, stateful=True, name="lstm")])
    data = rng.normal(size=(2, 10, 3)).astype("float32")
    first, second = data[:, :5], data[:, 5:]
    expected = [model.predict(part, verbose=0, batch_size=2) for part in (first, second)]
    written = exporting.export(model, tmp_path, first, FORMATS)
    for name, call in callers(written).items():
        for _ in range(2):
            (received,) = call("predict", {"sequence": first}).values()
            np.testing.assert_allclose(received, expected[0], atol=1e-6, err_msg=name)
    stream = Runner(written.files["tflite"]).stream()
    steps = [stream.push(x)["lstm"] for x in data.swapaxes(0, 1)]
    np.testing.assert_allclose(steps[4], expected[0], atol=1e-6)
    np.testing.assert_allclose(steps[9], expected[1], atol=1e-6)
    # The model's own states are as they were.
    again = keras.ops.convert_to_numpy(model.get_layer("lstm").states[0])
    np.testing.assert_allclose(again, expected[1], atol=1e-6)


def test_a_model_that_its_configuration_does_not_make_again(tmp_path):
    class Own(layers.Layer):
        def __init__(self, size):
            super().__init__(name="own")
            self.size = size

        def call(self, x):
            return x * self.size

    stateful = layers.LSTM(4, stateful=True, name="lstm")
    model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), stateful, Own(2.0)])
    with pytest.raises(ValueError, match="cannot export the layer 'lstm', which is stateful: the model is not made ag"):
        exporting.export(model, tmp_path / "out", np.ones((2, 5, 3)))
    assert not (tmp_path / "out").exists()
