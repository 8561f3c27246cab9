"""Models that classes of this package stand in are opened by a process that has not used them."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_lstm_gates
from keras_lstm_gates import layers, training
from keras_lstm_gates.initializers import ChronoBias
from keras_lstm_gates.models import CharacterLanguageModel


def opened(path):
    """What a process says that does nothing but open a model and tell its loss and its gates."""
    code = (
        "import sys, keras_lstm_gates as gates\n"
        "model = gates.load_model(sys.argv[1])\n"
        "print(model.loss.name, sorted(gates.expose(model).output)[-1])"
    )
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)


@keras.saving.register_keras_serializable("elsewhere")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_a_model_with_all_its_classes(tmp_path):
    language = CharacterLanguageModel(vocabulary=9, units=4, embedding=5, seed=0)
    language.compile(loss=training.SummedCrossEntropy())
    language.save(tmp_path / "language.keras")
    done = opened(tmp_path / "language.keras")
    assert done.stdout.split() == ["summed_cross_entropy", "probabilities"], done.stderr

    inputs, no = keras.Input((None, 2)), {"unit_forget_bias": False}
    x = layers.GatedLSTM(3, return_sequences=True, bias_initializer=ChronoBias(20.0), **no, name="first")(inputs)
    x = layers.Bidirectional(layers.GatedLSTM(3), name="second")(x)
    forecaster = keras.Model(inputs, x)
    forecaster.compile("sgd", loss=training.Pinball([0.5]))
    forecaster.save(tmp_path / "forecaster.keras")
    done = opened(tmp_path / "forecaster.keras")
    assert done.stdout.split() == ["pinball", "second/forward/o"], done.stderr
    again = keras_lstm_gates.load_model(tmp_path / "forecaster.keras")
    data = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    np.testing.assert_array_equal(again(data), forecaster(data))


def test_a_class_that_nobody_imported_is_one_line(tmp_path, command, monkeypatch):
    model = keras.Sequential([keras.Input((4, 2)), Doubled(name="doubled"), keras.layers.LSTM(3, name="lstm")])
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "data.npy", np.zeros((1, 4, 2)))
    monkeypatch.delitem(keras.saving.get_custom_objects(), "elsewhere>Doubled")
    code, _, errors = command("trace", tmp_path / "model.keras", tmp_path / "data.npy")
    assert code == 1
    assert errors.count("\n") == 1
    assert "the layer 'doubled' is a Doubled, a class that is not in Keras, and the LSTM in 'lstm' needs it" in errors


def test_what_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*model\.keras"):
        keras_lstm_gates.load_model(tmp_path / "model.keras")
    (tmp_path / "model.keras").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"is not a whole model file: expected what Keras saves .*; received 4 bytes"):
        keras_lstm_gates.load_model(tmp_path / "model.keras")
