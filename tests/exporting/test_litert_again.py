"""A file answers the same in every interpreter and at every run: a run must not see what an earlier one left."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_lstm_gates import exporting

TIME, FEATURES = 6, 3


def both_directions():
    inputs = keras.Input((TIME, FEATURES))
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True), name="both")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="answers")(hidden))


def flipped_by_hand():
    inputs = keras.Input((TIME, FEATURES))
    forward = keras.layers.LSTM(4, return_sequences=True, name="forward")(inputs)
    backward = keras.layers.LSTM(4, return_sequences=True, go_backwards=True, name="backward")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="answers")(keras.layers.Add()([forward, backward])))


@pytest.mark.parametrize("build", [both_directions, flipped_by_hand])
def test_every_run_of_every_interpreter(tmp_path, rng, build):
    model = build()
    x = rng.normal(size=(1, TIME, FEATURES)).astype("float32")
    exporting.export(model, tmp_path / "out", x, formats=("tflite",))
    content, expected, blocks = (tmp_path / "out" / "model.tflite").read_bytes(), model(x).numpy(), []
    # What the interpreter confuses depends on where its memory lies: let that differ.
    for _ in range(40):
        blocks.append(bytearray(int(rng.integers(1_000, 60_000))))
        if len(blocks) > 20:
            blocks.pop(int(rng.integers(0, 20)))
        interpreter = Interpreter(model_content=bytes(bytearray(content)))
        for name in ("gates", "predict"):
            runner = interpreter.get_signature_runner(name)
            for _ in range(3):
                np.testing.assert_allclose(runner(sequence=x)["answers"], expected, atol=1e-5)
