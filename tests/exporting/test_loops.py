"""Loops of .tflite files: the form that is chosen, and one file at every length and mask, against stock Keras."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from reference import lstm

from keras_lstm_gates import exporting
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.tflite import files, loops
from keras_lstm_gates.exporting.tflite.operators import operators

LENGTHS = (1, 9, 10, 11, 23)


@pytest.mark.parametrize(
    ("time", "units", "histories", "rule", "in_turns", "written_out"),
    [
        (None, 64, 1, 10, 10, 10),
        (None, 64, 0, 1, 1, 1),
        (24, 32, 1, 24, 8, 24),
        (24, 32, 0, 24, 1, 24),
        (23, 64, 1, 23, 8, 23),
        (100, 64, 1, 10, 10, 100),
        (100, 64, 2, 100, 10, 100),
        (100, 64, 0, 1, 1, 100),
        (101, 4, 1, 10, 10, 10),
        (100, 256, 1, 2, 2, 100),
        (100, 256, 2, 6, 6, 100),
        (100, 512, 1, 1, 1, 100),
    ],
)
def test_steps_of_a_turn(time, units, histories, rule, in_turns, written_out):
    case = (time, units, histories)
    assert (loops.by_rule(*case), loops.in_turns(*case), loops.written_out(*case)) == (rule, in_turns, written_out)


def padded(time, rng):
    """Sequences with masked steps on the right, on the left, in between, and everywhere."""
    x = rng.normal(size=(5, time, 3)).astype("float32")
    x[1, time // 2 :], x[2, : time // 2], x[3, ::3], x[4] = 0, 0, 0, 0
    return x


def test_one_file_at_every_length_and_mask(tmp_path, rng):
    """Both directions, masked, with Keras 2's hard_sigmoid on the way: against layers of Keras alone."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, 3))
    masked = layers.Masking()(inputs)
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(masked)
    hard = layers.LSTM(5, return_sequences=True, recurrent_activation="hard_sigmoid")(both)
    last = layers.LSTM(6, go_backwards=True)(hard)
    model = keras.Model(inputs, {"every": hard, "last": last})
    path = exporting.export(model, tmp_path, padded(7, rng), ("tflite",), signatures=("predict", "gates"))
    runner = Runner(path.files["tflite"])
    for time in LENGTHS:
        x = padded(time, rng)
        expected = model(x)
        for signature in ("predict", "gates"):
            received = runner.run(signature, x)
            for name, values in expected.items():
                np.testing.assert_allclose(received[name], values, atol=2e-6, err_msg=f"{signature} {time} {name}")


@pytest.mark.parametrize("form", [loops.in_turns, loops.written_out])
def test_every_gate_of_a_fixed_length(form, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(files, "by_rule", form)
    model = keras.Sequential([keras.Input((23, 3)), layers.LSTM(16, return_sequences=True, name="lstm")])
    x = rng.normal(size=(3, 23, 3)).astype("float32")
    written = exporting.export(model, tmp_path, x, ("tflite",))
    used = operators(written.files["tflite"].read_bytes())
    for name, histories in (("predict", 1), ("gates", 2)):
        loop = {"WHILE": 1, "FILL": 1, "DYNAMIC_UPDATE_SLICE": histories} if form is loops.in_turns else {}
        assert {key: used[name][key] for key in ("WHILE", "FILL", "DYNAMIC_UPDATE_SLICE") if key in used[name]} == loop
    about = json.loads((tmp_path / "manifest.json").read_text())["formats"]["tflite"]
    turn = {"steps": 23, "units": 16, "steps_per_turn": form(23, 16, 1)}
    loops_of = {"predict": [turn | {"histories": 1}], "gates": [turn | {"histories": 2}], "step": []}
    assert about["loops"] == loops_of
    assert 0 < about["graph_bytes"] < about["bytes"]
    received, expected = Runner(written.files["tflite"]).gates(x), lstm(x, *model.layers[-1].get_weights())
    for name in "ifgoch":
        np.testing.assert_allclose(received[name], expected[name], atol=2e-6, err_msg=name)


def test_the_last_state_keeps_no_history(tmp_path, rng):
    model = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4)])
    x = rng.normal(size=(3, 11, 3)).astype("float32")
    written = exporting.export(model, tmp_path, x, ("tflite",), signatures=("predict",))
    assert not {"DYNAMIC_UPDATE_SLICE", "FILL", "PACK"} & set(
        operators(written.files["tflite"].read_bytes())["predict"]
    )
    for time in LENGTHS:
        x = rng.normal(size=(3, time, 3)).astype("float32")
        (received,) = Runner(written.files["tflite"]).predict(x).values()
        np.testing.assert_allclose(received, model(x), atol=2e-6)


def test_a_loop_over_sequences_of_unknown_number_is_refused(tmp_path, rng):
    """Their number is samples times steps, which a file of any number of steps does not know."""
    words = layers.TimeDistributed(layers.LSTM(2, return_sequences=True), name="words")
    model = keras.Sequential([keras.Input((None, 101, 3)), words, layers.Reshape((-1, 202)), layers.LSTM(2)])
    x = rng.normal(size=(2, 4, 101, 3)).astype("float32")
    with pytest.raises(ValueError, match="'tflite' cannot hold the layer 'words', or not without time=…"):
        exporting.export(model, tmp_path / "out", x, ("tflite",), signatures=("predict",))
