"""Both directions by name, against stock Keras and the equations; and the stock wrappers around a plain `GatedLSTM`."""

import keras
import numpy as np
import pytest
from reference import lstm

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers import Bidirectional, GatedLSTM


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_output_and_states_equal_stock_keras(rng, mask, merge_mode, return_sequences):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    arguments = {"return_sequences": return_sequences, "return_state": True}
    stock = keras.layers.Bidirectional(keras.layers.LSTM(2, **arguments), merge_mode=merge_mode)
    ours = Bidirectional(GatedLSTM(2, return_gates=True, **arguments), merge_mode=merge_mode)
    expected = keras.tree.flatten(stock(x, mask=mask))
    ours.build(x.shape)
    ours.set_weights(stock.get_weights())
    named = ours(x, mask=mask)
    states = [named[f"{way}/state_{which}"] for way in ("forward", "backward") for which in "hc"]
    received = [*keras.tree.flatten(named["output"]), *states]
    for want, have in zip(expected, received, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-6)


def test_gates_of_both_directions_stand_in_the_time_of_the_input(rng, mask):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    ours = Bidirectional(GatedLSTM(2, return_gates=True))
    named = ours(x, mask=mask)
    weights = ours.get_weights()
    reverse = slice(None, None, -1)
    forward = lstm(x, *weights[:3], mask=mask)
    backward = lstm(x[:, reverse], *weights[3:], mask=None if mask is None else mask[:, reverse])
    for name in Gates._fields:
        np.testing.assert_allclose(named[f"forward/{name}"], forward[name], atol=1e-6)
        np.testing.assert_allclose(named[f"backward/{name}"], backward[name][:, reverse], atol=1e-6)


def test_without_gates_it_is_the_stock_wrapper(rng):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    stock = keras.layers.Bidirectional(keras.layers.LSTM(2))
    expected = stock(x)
    for wrapper in (Bidirectional, keras.layers.Bidirectional):
        ours = wrapper(GatedLSTM(2))
        ours.build(x.shape)
        ours.set_weights(stock.get_weights())
        np.testing.assert_allclose(ours(x), expected, atol=1e-6)


def test_initial_state_of_both_directions(rng):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    states = [rng.normal(size=(3, 2)).astype("float32") for _ in range(4)]
    stock = keras.layers.Bidirectional(keras.layers.LSTM(2))
    expected = stock(x, initial_state=states)
    ours = Bidirectional(GatedLSTM(2, return_gates=True))
    ours.build(x.shape)
    ours.set_weights(stock.get_weights())
    np.testing.assert_allclose(ours(x, initial_state=states)["output"], expected, atol=1e-6)


def test_save_and_load(rng, tmp_path):
    sequence = keras.Input((None, 4))
    outputs = Bidirectional(GatedLSTM(2, return_gates=True, return_sequences=True))(keras.layers.Masking()(sequence))
    model = keras.Model(sequence, outputs)
    model.save(tmp_path / "model.keras")
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    again = keras.models.load_model(tmp_path / "model.keras")(x)
    for name, want in model(x).items():
        np.testing.assert_array_equal(again[name], want, err_msg=name)


def test_directions_that_differ_are_refused():
    with pytest.raises(ValueError, match="return_gates to be the same in layer and backward_layer; received True and"):
        Bidirectional(GatedLSTM(2, return_gates=True), backward_layer=GatedLSTM(2, go_backwards=True))


def test_time_distributed(rng):
    x = rng.normal(size=(3, 2, 5, 4)).astype("float32")
    stock = keras.layers.TimeDistributed(keras.layers.LSTM(2))
    expected = stock(x)
    ours = keras.layers.TimeDistributed(GatedLSTM(2))
    ours.build(x.shape)
    ours.set_weights(stock.get_weights())
    np.testing.assert_allclose(ours(x), expected, atol=1e-6)
