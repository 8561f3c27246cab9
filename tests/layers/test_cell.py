"""`GatedLSTMCell` against the equations, the stock cell, and the layers that are built on cells."""

import keras
import numpy as np
import pytest
from reference import lstm

from keras_lstm_gates.initializers import ChronoBias
from keras_lstm_gates.layers import GatedLSTMCell


def test_step_names_the_gates_of_the_equations(rng):
    x, h, c = (rng.normal(size=(3, size)).astype("float32") for size in (4, 5, 5))
    cell = GatedLSTMCell(5, bias_initializer="normal", unit_forget_bias=False)
    now = cell.step(x, [h, c])
    expected = lstm(x[:, None], *cell.get_weights(), h0=h, c0=c)
    for name, value in now._asdict().items():
        np.testing.assert_allclose(value, expected[name][:, 0], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activations", [{}, {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}])
def test_call_equals_the_stock_cell(rng, implementation, use_bias, activations):
    x, h, c = (rng.normal(size=(3, size)).astype("float32") for size in (4, 5, 5))
    stock = keras.layers.LSTMCell(5, implementation=implementation, use_bias=use_bias, **activations)
    ours = GatedLSTMCell(5, implementation=implementation, use_bias=use_bias, **activations)
    expected, _ = stock(x, [h, c])
    ours.build((None, 4))
    ours.set_weights(stock.get_weights())
    received, states = ours(x, [h, c])
    np.testing.assert_allclose(received, expected, atol=1e-6)
    np.testing.assert_array_equal(received, states[0])


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize(
    "rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.4}]
)
def test_drops_what_the_stock_cell_drops(rng, implementation, rates):
    x = rng.normal(size=(3, 6, 4)).astype("float32")
    arguments = {"implementation": implementation, "seed": 7, **rates}
    stock = keras.layers.RNN(keras.layers.LSTMCell(5, **arguments))
    ours = keras.layers.RNN(GatedLSTMCell(5, **arguments))
    stock.build(x.shape)
    ours.build(x.shape)
    ours.set_weights(stock.get_weights())
    dropped = ours(x, training=True)
    np.testing.assert_allclose(dropped, stock(x, training=True), atol=1e-6)
    assert np.abs(dropped - ours(x)).max() > 1e-3


def test_works_in_stacked_cells(rng):
    x = rng.normal(size=(3, 6, 4)).astype("float32")
    stock = keras.layers.RNN([keras.layers.LSTMCell(5), keras.layers.LSTMCell(2)], return_state=True)
    ours = keras.layers.RNN([GatedLSTMCell(5), GatedLSTMCell(2)], return_state=True)
    expected = stock(x)
    ours.build(x.shape)
    ours.set_weights(stock.get_weights())
    keras.tree.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours(x), expected)


def test_chrono_bias_takes_the_place_of_the_unit_forget_bias():
    with pytest.raises(ValueError, match="expected unit_forget_bias=False with it; received True"):
        GatedLSTMCell(4, bias_initializer=ChronoBias(50))
    cell = GatedLSTMCell(4, bias_initializer=ChronoBias(50, seed=1), unit_forget_bias=False)
    cell.build((None, 3))
    weights = cell.gate_weights()
    np.testing.assert_array_equal(weights["i"].b, -weights["f"].b)
    assert ((weights["f"].b >= 0) & (weights["f"].b <= np.log(49))).all()
    assert not weights["g"].b.any()


def test_config_round_trip():
    cell = GatedLSTMCell(5, activation="softsign", implementation=1, dropout=0.25, seed=3, unit_forget_bias=False)
    again = GatedLSTMCell.from_config(cell.get_config())
    assert again.get_config() == cell.get_config()
    assert (again.implementation, again.dropout) == (1, 0.25)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"units": 0}, "units must be a positive int; received units=0"),
        ({"units": 2.5}, r"units must be a positive int; received units=2\.5"),
        ({"units": True}, "units must be a positive int; received units=True"),
        ({"units": 3, "implementation": 3}, "implementation must be 1 or 2; received implementation=3"),
        ({"units": 3, "dropout": 1.5}, r"dropout must be a float in \[0, 1\); received dropout=1\.5"),
        ({"units": 3, "recurrent_dropout": -1}, r"recurrent_dropout must be a float in \[0, 1\); received .*=-1"),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        GatedLSTMCell(**arguments)
