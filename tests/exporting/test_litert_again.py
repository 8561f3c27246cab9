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


def two_inputs():
    first, second = keras.Input((TIME, FEATURES), name="first"), keras.Input((TIME + 1, FEATURES), name="second")
    shared = keras.layers.LSTM(4, name="shared")
    return keras.Model([first, second], keras.layers.Dense(2, name="answers")(shared(first) + shared(second)))


def encoder_and_decoder():
    inputs = keras.Input((TIME, FEATURES))
    both = keras.layers.Bidirectional(keras.layers.LSTM(3, return_state=True), name="both")
    last, *states = both(inputs)
    h, c = keras.layers.Concatenate()(states[::2]), keras.layers.Concatenate()(states[1::2])
    decoded = keras.layers.LSTM(6, return_sequences=True, name="decoder")(
        keras.layers.RepeatVector(4)(last), initial_state=[h, c]
    )
    return keras.Model(inputs, keras.layers.Dense(1, name="answers")(decoded))


@pytest.mark.few(2)
@pytest.mark.parametrize("build", [both_directions, flipped_by_hand, two_inputs, encoder_and_decoder])
def test_every_run_of_every_interpreter(tmp_path, rng, build):
    model = build()
    arrays = [rng.normal(size=(1, *one.shape[1:])).astype("float32") for one in model.inputs]
    data = arrays if len(arrays) > 1 else arrays[0]
    written = exporting.export(model, tmp_path / "out", data, formats=("tflite",))
    names = [one.name for one in model.inputs] if len(arrays) > 1 else ["sequence"]
    inputs, expected = dict(zip(names, arrays, strict=True)), model(data).numpy()
    content, blocks = written.files["tflite"].read_bytes(), []
    # What the interpreter confuses depends on where its memory lies: let that differ.
    for _ in range(40):
        blocks.append(bytearray(int(rng.integers(1_000, 60_000))))
        if len(blocks) > 20:
            blocks.pop(int(rng.integers(0, 20)))
        interpreter = Interpreter(model_content=bytes(bytearray(content)))
        for name in ("gates", "predict"):
            runner = interpreter.get_signature_runner(name)
            for _ in range(3):
                np.testing.assert_allclose(runner(**inputs)["answers"], expected, atol=1e-5)
