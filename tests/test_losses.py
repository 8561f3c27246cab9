"""Losses and metrics against NumPy written from their definitions."""

import keras
import numpy as np
import pytest

from keras_lstm_gates import models
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
