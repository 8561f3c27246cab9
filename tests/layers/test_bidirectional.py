"""Both directions by name, against stock Keras and the equations; and the stock wrappers around a plain `GatedLSTM`."""

import keras
import numpy as np
import pytest
from reference import lstm
from test_drop_in import load_elsewhere, save

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers import Bidirectional, GatedLSTM


@pytest.mark.few(20)
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


def test_directions_of_different_units(rng):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    forward, backward = keras.layers.LSTM(2, return_sequences=True), keras.layers.LSTM(3, return_sequences=True)
    expected = np.concatenate([forward(x), np.asarray(backward(x[:, ::-1]))[:, ::-1]], axis=-1)
    first, last = (
        GatedLSTM(units, return_sequences=True, return_gates=True, go_backwards=units == 3) for units in (2, 3)
    )
    sequence = keras.Input((None, 4))
    both = Bidirectional(first, backward_layer=last)
    model = keras.Model(sequence, both(sequence))
    assert model.output["output"].shape == (None, None, 5)
    both.set_weights([*forward.get_weights(), *backward.get_weights()])
    np.testing.assert_allclose(model.predict(x, verbose=0)["output"], expected, atol=1e-6)
    first, last = (GatedLSTM(units, return_gates=True, go_backwards=units == 3) for units in (1, 3))
    with pytest.raises(ValueError, match=r"layer 'mine': merge_mode='sum' expected the units of both .* 1 and 3"):
        Bidirectional(first, merge_mode="sum", backward_layer=last, name="mine")(x)


@pytest.mark.parametrize("gates", [False, True])
def test_the_weights_that_it_is_given_are_used(rng, gates):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    stock = keras.layers.Bidirectional(keras.layers.LSTM(2))
    expected = stock(x)
    received = Bidirectional(GatedLSTM(2, return_gates=gates), weights=stock.get_weights())(x)
    np.testing.assert_allclose(received["output"] if gates else received, expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_all_it_returns_is_of_its_own_type(rng, policy):
    sequence = keras.Input((5, 4))
    both = Bidirectional(GatedLSTM(2, return_gates=True, return_state=True, dtype="mixed_bfloat16"), dtype=policy)
    model = keras.Model(sequence, both(sequence))
    outputs = model(rng.normal(size=(3, 5, 4)).astype("float32"))
    assert {value.dtype.name for value in outputs.values()} == {policy.removeprefix("mixed_")}
    assert {name: value.dtype for name, value in model.output.items()} == {
        name: value.dtype.name for name, value in outputs.items()
    }


def test_it_is_refused_by_a_wrapper_that_expects_one_output():
    both = Bidirectional(GatedLSTM(2, return_gates=True), name="mine")
    with pytest.raises(ValueError, match=r"layer 'mine': this wrapper expects a layer with one output"):
        keras.layers.TimeDistributed(both)(keras.Input((2, 5, 4)))


def test_states_of_one_direction_alone_are_refused(rng):
    states = [np.zeros((3, 2), "float32")] * 2
    with pytest.raises(ValueError, match=r"layer 'mine': initial_state must be \[h, c, h, c\], forward first; .* 2 st"):
        Bidirectional(GatedLSTM(2, return_gates=True), name="mine")(np.zeros((3, 5, 4)), initial_state=states)


@pytest.mark.full
def test_sequential_cloned_and_in_a_new_process(rng, tmp_path):
    for merge_mode in ("concat", "ave", None):
        sequential_and_cloned(rng, tmp_path, merge_mode)
    load_elsewhere(tmp_path)


def sequential_and_cloned(rng, folder, merge_mode):
    x = rng.normal(size=(7, 5, 4)).astype("float32")
    x[2, :3] = x[4, 2:] = 0
    gated = GatedLSTM(2, return_gates=True, return_sequences=True, return_state=True, name="gated")
    model = keras.Sequential([keras.Input((5, 4)), keras.layers.Masking(), Bidirectional(gated, merge_mode)])
    expected = model.predict(x, batch_size=5, verbose=0)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    received = clone.predict(x, batch_size=5, verbose=0)
    keras.tree.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), received, expected)
    stock = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True), merge_mode)
    stock.build(x.shape)
    stock.set_weights(model.get_weights())
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        keras.tree.flatten(expected["output"]),
        keras.tree.flatten(stock(x, mask=(x != 0).any(axis=-1))),
    )
    save(folder, f"both_{merge_mode}", model, x, expected)


def test_the_layer_that_is_given_keeps_its_gates(rng):
    layer = GatedLSTM(3, return_gates=True)
    Bidirectional(layer)
    assert layer.return_gates
    assert "f" in layer(rng.normal(size=(2, 4, 3)).astype("float32"))
