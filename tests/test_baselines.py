"""Baselines on data whose answer is known."""

import numpy as np
import pytest
import tensorflow as tf

from keras_lstm_gates import baselines
from keras_lstm_gates.datasets import Data
from keras_lstm_gates.training import Recipe


def data(train, test, arguments=None, names=None):
    parts = [tf.data.Dataset.from_tensors(tuple(map(np.asarray, part))) for part in (train, test)]
    return Data(parts[0], None, parts[1], arguments or {}, names or {}, lambda epoch: parts[0])


def test_classes_that_differ_in_their_mean(rng):
    y = np.array([0] * 6 + [1] * 4)
    x = (rng.normal(size=(10, 5, 2)) + 20.0 * (y[:, None, None] + 1)).astype("float32")
    found = baselines.measure(Recipe(dataset="x"), data((x, y), (x, y), {"classes": 2}))
    assert found == {"most frequent class": 0.6, "nearest class mean": 1.0}


def test_a_season_repeats_and_a_line_is_no_surprise_to_a_regression():
    time = np.arange(200.0)
    series = (10 * (time % 4 == 0) + 0.01 * time).astype("float32")
    x = np.stack([series[start : start + 8, None] for start in range(180)])
    y = np.stack([series[start + 8 : start + 12] for start in range(180)])
    recipe = Recipe(dataset="x", task="forecasting", target="t", season=4, window=8, horizon=4)
    found = baselines.measure(recipe, data((x, y), (x, y), names={"features": ["t"]}))
    assert found["seasonal naive"] == pytest.approx(0.04, abs=1e-3)
    assert found["persistence"] == pytest.approx(np.abs(y - x[:, -1]).mean(), rel=1e-6)
    assert found["ridge regression"] < 0.1 * found["persistence"]


def test_most_frequent_labels():
    x, y = np.array([[1, 1, 2, 3]]), np.array([[0, 0, 1, 1]])
    test = (np.array([[1, 2, 9, 0]]), np.array([[0, 1, 0, 0]]), np.array([[1.0, 1.0, 1.0, 0.0]]))
    found = baselines.measure(
        Recipe(dataset="x", task="labelling"), data((x, y, np.ones((1, 4))), test, {"vocabulary": 10, "classes": 2})
    )
    assert found["most frequent label of each token"] == 1.0
    assert found["most frequent label"] == pytest.approx(2 / 3)


def test_characters_that_follow_surely():
    text = np.tile([0, 1], 500)
    found = baselines.measure(
        Recipe(dataset="x", task="language"),
        data((text[None, :-1], text[None, 1:]), (text[None, :-1], text[None, 1:]), {"vocabulary": 2}),
    )
    assert found["unigram"] == pytest.approx(1.0, abs=1e-3)
    assert found["bigram"] < 0.01
