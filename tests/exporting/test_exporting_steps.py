"""The signature `step`: the same as the whole sequence, on every model that can stream, and why on the others."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_lstm_gates import exporting, expose
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.models import CharacterLanguageModel, Forecaster, SequenceClassifier, SequenceLabeller

STEPS = 10_000


def sequential(*parts):
    return keras.Sequential([keras.Input((None, 3)), *parts])


def last_of(each_step):
    x = keras.Input((None, 3))
    return keras.Model(x, layers.Dense(2, name="score")(each_step(x)[:, -1]))


def streamed(runner, sequence):
    stream = runner.stream()
    steps = [stream.push(x) for x in sequence]
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def test_ten_thousand_steps_of_two_masked_layers(tmp_path, rng):
    """Against the Keras model in one run over the whole sequence; a tenth of its steps are masked."""
    model = SequenceLabeller(features=3, classes=2, units=4, layers=2, mean=0.1, variance=2.0, seed=3)
    sequence = rng.normal(size=(STEPS, 3)).astype("float32")
    sequence[rng.random(STEPS) < 0.1] = 0
    file = exporting.export(model, tmp_path, sequence[None, :20], formats=("tflite",)).files["tflite"]
    received = streamed(Runner(file), sequence)
    real = np.any(sequence != 0, axis=-1)
    for name, values in expose(model)(sequence[None]).items():
        of_gate = name[-2:] in ("/i", "/f", "/g", "/o")
        rows = real if of_gate else slice(None)
        np.testing.assert_allclose(received[name][rows], values[0][rows], atol=1e-6, err_msg=name)
        if of_gate:
            assert (received[name][~real] == (name[-1] == "f")).all()


MODELS = {
    "classifier": lambda: SequenceClassifier(features=3, classes=2, units=4, seed=0),
    "forecaster": lambda: Forecaster(features=3, horizon=4, units=4, quantiles=(0.1, 0.5), seed=0),
    "language model": lambda: CharacterLanguageModel(vocabulary=9, units=4, embedding=3, layers=2, seed=0),
    "Keras, another layer between": lambda: sequential(
        layers.Conv1D(4, 1), layers.LSTM(4, return_sequences=True), layers.LayerNormalization(), layers.LSTM(3)
    ),
    "Keras, its last step": lambda: last_of(layers.LSTM(4, return_sequences=True)),
    "Keras, a mask of another value": lambda: sequential(layers.Masking(-1.0), layers.LSTM(4)),
    "Keras, a stack of cells": lambda: sequential(layers.RNN([layers.LSTMCell(4), layers.LSTMCell(3)])),
    "Keras, each step of a fixed time": lambda: keras.Sequential(
        [keras.Input((6, 3)), layers.LSTM(4, return_sequences=True), layers.TimeDistributed(layers.Dense(2))]
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_steps_are_the_whole_sequence(name, tmp_path, rng):
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    data = rng.normal(size=(2, 6, 3)).astype("float32")
    data[0, 3] = data[1, 4:] = -1.0
    if name == "language model":
        data = rng.integers(0, 9, (2, 6))
    written = exporting.export(model, tmp_path, data, formats=("tflite",), signatures=("step",))
    runner = Runner(written.files["tflite"])
    received = streamed(runner, data[0])
    opened = expose(model)(data)

    (output,) = [key for key in opened if "/" not in key]
    last = opened[output][0]
    np.testing.assert_allclose(received[output] if last.shape[:1] == (6,) else received[output][-1], last, atol=1e-6)


BLAMED = {
    "reads time from its end": lambda: sequential(layers.Bidirectional(layers.LSTM(4))),
    "a GlobalAveragePooling1D, needs more": lambda: SequenceClassifier(features=3, units=4, pooling="mean", seed=0),
    "'ahead', a Conv1D, needs more": lambda: sequential(
        layers.Conv1D(4, 3, padding="same", name="ahead"), layers.LSTM(4)
    ),
    "a GetItem, needs more": lambda: Forecaster(features=3, horizon=4, units=4, autoregression=3, seed=0),
    "reads 4 steps where the model reads one": lambda: sequential(
        layers.LSTM(4), layers.RepeatVector(4), layers.LSTM(3)
    ),
    "'decoder' reads 1 step, however many the model reads": lambda: keras.Sequential(
        [keras.Input((1, 3)), layers.LSTM(4), layers.RepeatVector(1), layers.LSTM(3, name="decoder")]
    ),
    "'turned' reads 6 features, of which one step has 1": lambda: keras.Sequential(
        [keras.Input((6, 1)), layers.Permute((2, 1)), layers.LSTM(4, name="turned")]
    ),
    "is not a layer of the model itself": lambda: sequential(sequential(layers.LSTM(4))),
}


@pytest.mark.parametrize("reason", BLAMED)
def test_models_that_cannot_stream_say_why(reason, tmp_path, rng):
    keras.utils.set_random_seed(1)
    model = BLAMED[reason]()
    shape = [default if size is None else size for size, default in zip(model.input_shape, (2, 6, 3), strict=True)]
    data = rng.normal(size=shape).astype("float32")
    with pytest.raises(ValueError, match=rf"this model cannot have the signature 'step': the .*{reason}"):
        exporting.export(model, tmp_path, data, signatures=("step",))
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_told(tmp_path, rng):
    model = SequenceClassifier(features=3, units=4, pooling="mean", seed=0)
    written = exporting.export(model, tmp_path, rng.normal(size=(2, 6, 3)), formats=("tflite",))
    assert written.missing["step"].startswith("the layer 'mean_over_time', a GlobalAveragePooling1D, needs more")
    with pytest.raises(ValueError, match=r"has no signature 'step': it has \['gates', 'predict'\]"):
        Runner(written.files["tflite"]).stream()
    with pytest.raises(ValueError, match=r"expected signatures of \['predict', 'gates', 'step', .*; received 'steps'"):
        exporting.export(model, tmp_path, rng.normal(size=(2, 6, 3)), signatures=("steps",))
