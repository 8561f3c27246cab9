"""Predictions of models that this package makes."""

import keras
import numpy as np

from keras_lstm_gates import explain, trace


def test_many_models_are_not_taken_for_one_function_that_is_traced_again(caplog):
    data = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    for units in range(1, 4):
        inputs = keras.Input((5, 3))
        model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.LSTM(units)(inputs)))
        trace(model, data)
        explain(model, data)
    assert [record.getMessage() for record in caplog.records if "retracing" in record.getMessage()] == []
