"""What a recipe decides of an untrained model, against the formulas and stock Keras."""

import itertools

import keras
import numpy as np
import pytest

from keras_lstm_gates import datasets, models, training
from keras_lstm_gates.training import Recipe

FLOATS = datasets.Data(range(9), None, None, {"features": 2, "classes": 3}, {}, None)
TASKS = {
    "classification": FLOATS,
    "labelling": FLOATS,
    "forecasting": FLOATS._replace(arguments={"features": 2, "horizon": 3}),
    "language": FLOATS._replace(arguments={"vocabulary": 5}),
}


def _built(task="classification", **settings):
    return training.build(Recipe(dataset="x", task=task, units=3, **settings), TASKS[task])


def _biases(model):
    """{weight's path: (4, units)}, rows in Keras's order i, f, c, o."""
    return {
        weight.path: np.array(weight).reshape(4, 3)
        for weight in model.weights
        if weight.path.endswith("bias") and "lstm" in weight.path
    }


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_the_cosine_schedule_is_half_a_cosine_from_the_rate_to_0(decay):
    optimizer = _built(epochs=4, learning_rate=0.02, schedule="cosine", weight_decay=decay).optimizer
    steps = 4 * 9
    for step in (0, 1, 9, 18, 27, 35, 36, 50):
        optimizer.iterations.assign(step)
        expected = 0.02 * 0.5 * (1 + np.cos(np.pi * min(step, steps) / steps))
        assert float(optimizer.learning_rate) == pytest.approx(expected, abs=1e-8)


def test_the_constant_schedule_is_constant():
    optimizer = _built(epochs=4, learning_rate=0.02, schedule="constant").optimizer
    for step in (0, 9, 36, 50):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(0.02)


def test_the_optimizer_is_that_of_the_recipe():
    assert type(_built().optimizer) is keras.optimizers.Adam
    decayed = _built(weight_decay=0.03, clip_norm=0.7).optimizer
    assert type(decayed) is keras.optimizers.AdamW
    assert (decayed.weight_decay, decayed.global_clipnorm, decayed.clipnorm) == (0.03, 0.7, None)
    assert _built(clip_norm=None).optimizer.global_clipnorm is None


@pytest.mark.parametrize("task", TASKS)
def test_forget_bias_is_that_of_the_forget_gate_alone(task):
    biases = _biases(_built(task, forget_bias=2.5, layers=2))
    assert len(biases) == 2
    for bias in biases.values():
        np.testing.assert_array_equal(bias, np.array([[0.0], [2.5], [0.0], [0.0]]) * np.ones(3))


def test_forget_bias_1_is_what_stock_keras_starts_with():
    stock = keras.layers.LSTM(3)
    stock.build((None, None, 2))
    biases = _biases(_built(bidirectional=True))
    assert len(biases) == 2
    for bias in biases.values():
        np.testing.assert_array_equal(bias.ravel(), np.array(stock.cell.bias))


def test_chrono_biases_are_of_forget_and_input_gate():
    (i, f, g, o), *others = _biases(_built(chrono_t_max=50.0, forget_bias=7.0)).values()
    assert not others
    assert ((f >= 0) & (f <= np.log(49))).all()
    assert len(set(f)) == 3
    np.testing.assert_array_equal(i, -f)
    assert not g.any()
    assert not o.any()


def test_gate_l1_dropout_and_pooling_reach_the_layers():
    model = _built(gate_l1={"f": 0.5}, dropout=0.2, recurrent_dropout=0.1, noise=0.3, pooling="mean")
    assert model.get_layer("dropout_1").rate == 0.2
    assert model.get_layer("noise").stddev == 0.3
    assert model.get_layer("lstm").recurrent_dropout == 0.1
    x = np.ones((2, 4, 2), "float32")
    gates = models.GatedLSTM.from_config(
        model.get_layer("lstm").get_config()
        | {"return_gates": True, "return_sequences": True, "gate_regularizer": None, "recurrent_dropout": 0.0}
    )
    forget = np.array(gates(x)["f"])
    gates.set_weights(model.get_layer("lstm").get_weights())
    forget, output = np.array(gates(x)["f"]), np.array(gates(x)["h"])
    predicted = np.array(model(x, training=False))
    # Keras adds the sum over the batch's activations divided by nothing; the mean over time is what is classified.
    assert float(sum(model.losses)) == pytest.approx(0.5 * np.abs(forget).sum(), rel=1e-5)
    w, b = model.get_layer("probabilities").get_weights()
    z = np.exp(output.mean(axis=1) @ w + b)
    np.testing.assert_allclose(predicted, z / z.sum(axis=1, keepdims=True), rtol=1e-5)


def test_scales_of_data_reach_the_forecaster():
    data = TASKS["forecasting"]._replace(
        arguments={
            "features": 2,
            "horizon": 3,
            "mean": [1.0, 2.0],
            "variance": [4.0, 9.0],
            "target_mean": 100.0,
            "target_variance": 16.0,
        }
    )
    model = training.build(Recipe(dataset="x", task="forecasting", units=3, autoregression=2), data)
    head = model.get_layer("head")
    head.set_weights([np.zeros((3, 3)), np.array([0.0, 1.0, -1.0])])
    linear = np.arange(12.0).reshape(4, 3)
    model.get_layer("autoregression").set_weights([linear])
    x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    scaled = (x - [1.0, 2.0]) / [2.0, 3.0]
    expected = 100.0 + 4.0 * (np.array([0.0, 1.0, -1.0]) + scaled[:, -2:].reshape(2, 4) @ linear)
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)


def test_quantiles_are_sums_of_softplus_steps():
    model = _built("forecasting", quantiles=(0.1, 0.5, 0.9))
    bias = np.arange(9.0) - 4.0
    model.get_layer("head").set_weights([np.zeros((3, 9)), bias])
    rows = [list(itertools.accumulate([row[0], *np.log1p(np.exp(row[1:]))])) for row in bias.reshape(3, 3)]
    np.testing.assert_allclose(model(np.zeros((1, 4, 2)))[0], rows, rtol=1e-5)
