"""A steered model in the other rooms: in files, whose numbers are Keras's, and where it is refused by name."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_lstm_gates import GatedLSTM, GatedLSTMCell, export, gradient_chain
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.steering import Scale, Set, steer


def sequences():
    x = np.random.default_rng(0).normal(size=(3, 6, 3)).astype("float32")
    x[1, 4:] = 0
    return x


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, 3))
    lstm = layers.LSTM(4, name="lstm", return_sequences=True)(layers.Masking()(inputs))
    return keras.Model(inputs, layers.Dense(2, name="dense")(lstm))


@pytest.mark.full
def test_a_file_holds_what_acts_at_some_steps_and_has_no_step(model, tmp_path):
    steered = steer(model, {"lstm/f": Set(0.3, units=[1], steps=slice(2, 4)), "lstm/c": Scale(0.9)})
    exported = export(steered, tmp_path / "files", sequences())
    for signatures in exported.differences.values():
        assert set(signatures) == {"predict", "gates"}
        assert max(max(outputs.values()) for outputs in signatures.values()) < 1e-5
    assert "HeldInterventions, needs more than one step" in exported.missing["step"]
    received = Runner(exported.files["tflite"], trial=False).gates(sequences()[0])
    expected = steered.predict(sequences(), verbose=0)
    np.testing.assert_allclose(received["f"], expected["lstm/f"][0], 0, 1e-5)
    assert np.allclose(received["f"][2:4, 1], 0.3, 0, 1e-6)


def test_a_step_holds_what_acts_at_all_steps(model, tmp_path):
    steered = steer(model, {"lstm/i": Set(1.0, units=[0]), "lstm/h": Scale(0.5)}, return_gates=False)
    exported = export(steered, tmp_path / "files", sequences(), formats=("tflite",))
    assert set(exported.differences["tflite"]) == {"predict", "gates", "step"}
    stream = Runner(exported.files["tflite"], trial=False).stream()
    received = [stream.push(x)["dense"] for x in sequences()[0]]
    np.testing.assert_allclose(received, steered.predict(sequences(), verbose=0)[0], 0, 1e-5)


def test_a_layer_that_something_acts_on_at_some_steps_has_no_step(tmp_path):
    layer = GatedLSTM(4, name="lstm", interventions={"f": Set(0.5, steps=[1])})
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(ValueError, match="the layer 'lstm' is steered at some steps alone, and a stream counts none"):
        export(model, tmp_path / "files", sequences(), formats=("tflite",), signatures=("step",))


def test_what_cannot_serve_it_says_so(model, tmp_path):
    steered = steer(model, {"lstm/f": Set(0.5)}, return_gates=False)
    inputs = keras.Input((None, 3))
    steered_layer = keras.Model(inputs, GatedLSTM(4, name="lstm", interventions={"f": Set(0.5)})(inputs))
    with pytest.raises(
        ValueError, match="the format 'tflite_fused' cannot hold the layer 'lstm': its gates are acted on"
    ):
        export(steered_layer, tmp_path / "files", sequences(), formats=("tflite_fused",))
    cell = layers.RNN(GatedLSTMCell(4, interventions={"f": Set(0.5)}), name="rnn")
    for one, path in ((steered, "lstm"), (steered_layer, "lstm"), (keras.Model(inputs, cell(inputs)), "rnn")):
        with pytest.raises(ValueError, match=f"'{path}' cannot be followed: its gates are acted on"):
            gradient_chain(one, sequences())


def test_a_stateful_model_carries_on_from_what_acted():
    inputs = keras.Input(batch_shape=(2, 3, 3))
    model = keras.Model(inputs, layers.LSTM(4, name="lstm", stateful=True, return_sequences=True)(inputs))
    steered = steer(model, {"lstm/c": Set(0.25, steps=-1)})
    x = sequences()[:2]
    first, second = (steered.predict(x[:, at : at + 3], verbose=0) for at in (0, 3))
    assert (first["lstm/c"][:, -1] == 0.25).all()
    np.testing.assert_allclose(
        second["lstm/c"][:, 0], second["lstm/i"][:, 0] * second["lstm/g"][:, 0] + second["lstm/f"][:, 0] * 0.25, 0, 1e-6
    )
