"""Losses and metrics against NumPy written from their definitions."""

import keras
import numpy as np
import pytest

from keras_lstm_gates import GatedLSTM, models
from keras_lstm_gates.training import Pinball, Recipe, SummedCrossEntropy, evaluate


def test_cross_entropy_is_summed_over_real_steps(rng):
    p = rng.dirichlet(np.ones(4), size=(3, 5)).astype("float32")
    y = rng.integers(0, 4, (3, 5))
    weights = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], "float32")
    nats = -np.log(np.take_along_axis(p, y[..., None], -1)[..., 0])
    assert float(SummedCrossEntropy()(y, p, weights)) == pytest.approx((nats * weights).sum() / 3, rel=1e-5)
    assert float(SummedCrossEntropy()(y, p)) == pytest.approx(nats.sum() / 3, rel=1e-5)


def test_the_best_constant_for_pinball_is_the_quantile(rng):
    y = rng.normal(size=(2000, 1)).astype("float32")
    tried = np.linspace(-2, 2, 81)
    losses = [float(Pinball([0.9])(y, np.full((2000, 1, 1), value, "float32"))) for value in tried]
    assert tried[int(np.argmin(losses))] == pytest.approx(np.quantile(y, 0.9), abs=0.06)


def test_padding_counts_in_no_metric(rng):
    keras.utils.set_random_seed(0)
    model = models.SequenceLabeller(9, 3, 4, seed=0)
    x = np.array([[1, 2, 3, 0], [4, 5, 0, 0]])
    y, weights = rng.integers(0, 3, (2, 4)), (x > 0).astype("float32")
    found = evaluate(model, Recipe(dataset="x", task="labelling"), [(x, y, weights)])
    p = np.asarray(model(x))
    assert found["accuracy"] == pytest.approx(np.mean((p.argmax(-1) == y)[x > 0]))
    assert found["cross_entropy"] == pytest.approx(
        -np.log(np.take_along_axis(p, y[..., None], -1)[..., 0][x > 0]).mean(), rel=1e-5
    )


@pytest.mark.parametrize("weights", ["none", "a step", "a sequence"])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_masked_steps_of_a_prediction_count_nowhere(rng, weights, run_eagerly):
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Masking(),
            GatedLSTM(4, return_sequences=True, seed=0),
            keras.layers.Dense(5, "softmax"),
        ]
    )
    x = rng.normal(size=(6, 6, 3)).astype("float32")
    real = np.arange(6) < np.array([6, 4, 1, 6, 2, 3])[:, None]
    x[~real] = 0
    y = rng.integers(0, 5, (6, 6))
    sample_weight = {"none": None, "a step": rng.random((6, 6)), "a sequence": rng.random(6)}[weights]
    model.compile(loss=SummedCrossEntropy(), run_eagerly=run_eagerly)
    found = model.evaluate(x, y, sample_weight=sample_weight, batch_size=6, verbose=0)
    nats = -np.log(np.take_along_axis(np.asarray(model(x)), y[..., None], -1)[..., 0])
    of_steps = {"none": 1.0, "a step": sample_weight, "a sequence": np.reshape(sample_weight, (-1, 1))}[weights]
    assert found == pytest.approx((nats * real * of_steps).sum() / 6, rel=1e-5)
    if weights != "a sequence":
        # Stock Keras sums the same; a weight a sequence it takes for one a step where there are as many of both.
        model.compile(loss=keras.losses.SparseCategoricalCrossentropy(reduction="sum"), run_eagerly=run_eagerly)
        stock = model.evaluate(x, y, sample_weight=sample_weight, batch_size=6, verbose=0)
        assert found == pytest.approx(stock / 6, rel=1e-5)


def _says(predicted):
    return lambda x, training: np.asarray(predicted)


def test_metrics_of_classification_and_language_by_hand():
    part = [(None, np.array([1, 0]))]
    found = evaluate(_says([[0.2, 0.8], [0.25, 0.75]]), Recipe(dataset="x"), part)
    assert found == pytest.approx({"accuracy": 0.5, "cross_entropy": -(np.log(0.8) + np.log(0.25)) / 2})
    part = [(None, np.array([[1, 0]]))]
    found = evaluate(_says([[[0.5, 0.5], [0.125, 0.875]]]), Recipe(dataset="x", task="language"), part)
    # -log2 of 1/2 and 1/8; a tie goes to the first.
    assert found == pytest.approx({"accuracy": 0.0, "bits_per_character": 2.0})


def test_metrics_of_forecasts_by_hand():
    part = [(None, np.array([[1.0, 2.0]])), (None, np.array([[4.0, 0.0]]))]
    found = evaluate(_says([[2.0, 2.0]]), Recipe(dataset="x", task="forecasting"), part)
    # Errors 1, 0, 2, 2.
    assert found == pytest.approx({"mae": 1.25, "rmse": 1.5})
    recipe = Recipe(dataset="x", task="forecasting", quantiles=(0.2, 0.6, 0.9))
    found = evaluate(_says([[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]), recipe, part[:1])
    # y = 1: 0.2, 0, 0.1; y = 2: 0.4, 0.6, 0. The quantile nearest to 0.5 is the second: errors 0 and 1.
    assert found == pytest.approx({"mae": 0.5, "rmse": np.sqrt(0.5), "pinball": 1.3 / 6, "coverage": 1.0})
    # 4 is above the highest, 0 is the lowest.
    assert evaluate(_says([[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]), recipe, part[1:])["coverage"] == 0.5


def test_pinball_by_hand():
    y = np.array([[1.0, 2.0]])
    forecast = np.array([[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]])
    assert float(Pinball([0.2, 0.6, 0.9])(y, forecast)) == pytest.approx(1.3 / 6)
