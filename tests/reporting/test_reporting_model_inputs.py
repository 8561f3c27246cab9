"""What the page draws of an input: no column that was named is lost without a word."""

import keras
import numpy as np

from keras_lstm_gates import tracing
from keras_lstm_gates.reporting.model_inputs import model_input
from keras_lstm_gates.reporting.page import _content


def test_of_sub_sequences_the_mean_of_each_channel(rng):
    x = rng.normal(size=(3, 5, 4, 2)).astype("float32")
    inputs = keras.Input((5, 4, 2))
    each = keras.layers.TimeDistributed(keras.layers.Conv1D(3, 2))(inputs)
    hidden = keras.layers.LSTM(4)(keras.layers.TimeDistributed(keras.layers.Flatten())(each))
    tree = tracing.trace(keras.Model(inputs, hidden), x, progress=False, columns=["load", "wind"])
    read = model_input(tree, 2)
    np.testing.assert_allclose(read.values, x[:2].mean(axis=2), rtol=1e-6)
    assert read.names == ["load, mean of 4 inner steps", "wind, mean of 4 inner steps"]
    content, _ = _content(tree, 2)
    assert (content["input"], content["names"]) == ([2, 5, 2], read.names)


def test_of_an_lstm_within_time_distributed_what_each_of_its_samples_reads(rng):
    x = rng.normal(size=(2, 3, 5, 2)).astype("float32")
    inputs = keras.Input((3, 5, 2))
    model = keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.LSTM(4))(inputs))
    read = model_input(tracing.trace(model, x, progress=False, columns=["load", "wind"]), 4)
    np.testing.assert_array_equal(read.values, x.reshape(6, 5, 2)[:4])
    assert read.names == ["load", "wind"]


def test_columns_that_are_not_drawn_are_told(rng):
    """The steps of one layer are samples of the other: no input is that of both."""
    inputs = keras.Input((3, 5, 2))
    within = keras.layers.TimeDistributed(keras.layers.LSTM(4))(inputs)
    model = keras.Model(inputs, keras.layers.LSTM(4)(within))
    tree = tracing.trace(model, rng.normal(size=(2, 3, 5, 2)), progress=False, columns=["load", "wind"])
    content, _ = _content(tree, 2)
    assert content["input"] is None
    assert content["made"]["columns"].startswith("load, wind; not drawn, ")
