"""Baselines on data whose answer is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_lstm_gates import baselines, datasets
from keras_lstm_gates.baselines import volatility
from keras_lstm_gates.baselines.ngrams import NGrams
from keras_lstm_gates.datasets import Data
from keras_lstm_gates.recipes import RECIPES, Recipe


def data(train, test, arguments=None, names=None):
    parts = [tf.data.Dataset.from_tensors(tuple(map(np.asarray, part))) for part in (train, test)]
    some = lambda part, most: tuple(map(np.asarray, train))  # noqa: E731  fewer than the most
    return Data(parts[0], None, parts[1], arguments or {}, names or {}, lambda epoch: parts[0], some)


def test_classes_that_differ_in_their_mean(rng):
    y = np.array([0] * 6 + [1] * 4)
    x = (rng.normal(size=(10, 5, 2)) + 20.0 * (y[:, None, None] + 1)).astype("float32")
    found = baselines.measure(Recipe(dataset="x"), data((x, y), (x, y), {"classes": 2}))
    assert found == {"most frequent class": 0.6, "nearest class mean": 1.0, "nearest neighbour by DTW": 1.0}


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


def test_forecasts_of_baselines_by_hand():
    # A season of 2 and a horizon of 3: 3, 4, 3; persistence: 4, 4, 4.
    x = np.array([[[1.0], [2.0], [3.0], [4.0]]], "float32")
    y = np.array([[3.0, 5.0, 6.0]], "float32")
    recipe = Recipe(dataset="x", task="forecasting", target="t", season=2, window=4, horizon=3)
    found = baselines.measure(recipe, data((x, y), (x, y), names={"features": ["t"]}))
    assert found["seasonal naive"] == pytest.approx((0 + 1 + 3) / 3)
    assert found["persistence"] == pytest.approx((1 + 1 + 2) / 3)
    too_long = dataclasses.replace(recipe, season=5)
    assert "seasonal naive" not in baselines.measure(too_long, data((x, y), (x, y), names={"features": ["t"]}))


def test_ridge_regression_by_hand():
    # One scaled column and a constant, (A'A + n / 1000) w = A'y: x scaled is -1, 1 and y is 1, 3.
    x, y = np.array([[[2.0]], [[6.0]]], "float32"), np.array([[1.0], [3.0]], "float32")
    test = np.array([[[8.0]]], "float32"), np.array([[10.0]], "float32")
    recipe = Recipe(dataset="x", task="forecasting", target="t", window=1, horizon=1)
    found = baselines.measure(recipe, data((x, y), test, names={"features": ["t"]}))
    # The slope is 2 / 2.002, the constant 4 / 2.002; 8 scaled is 2.
    assert found["ridge regression"] == pytest.approx(10 - (2 * 2 + 4) / 2.002)


def test_nearest_class_mean_by_hand():
    # By mean and deviation over time, each divided by its spread: (0, 0), (2, 0) of class 0; (4, 2), (6, 2) of class 1.
    x = np.array([[1e-9, 1e-9], [2, 2], [2, 6], [4, 8]], "float32")[..., None]
    y = np.array([0, 0, 1, 1])
    # (3.5, 0.5) is nearer to (1, 0) and (2.5, 1.5) to (5, 2): the spreads are sqrt(5) and 1.
    test = np.array([[3.0, 4.0], [1.0, 4.0]], "float32")[..., None], np.array([0, 1])
    found = baselines.measure(Recipe(dataset="x"), data((x, y), test, {"classes": 2}))
    assert found["nearest class mean"] == 1.0
    assert found["most frequent class"] == 0.5


def test_har_by_hand():
    # A history whose last day is 5, of whose last five days the mean is 2, and of whose last 22 days 1.
    day = np.zeros((1, 25))
    day[0, -1], day[0, -5], day[0, -22], day[0, 0] = 5.0, 5.0, 12.0, 99.0
    rng = np.random.default_rng(0)
    history = rng.normal(size=(40, 25))
    for number, days in enumerate((1, 5, 22)):
        targets = history[:, -days:].mean(axis=1, keepdims=True) + 7.0
        assert volatility.har(history, targets, day).item() == pytest.approx((5, 2, 1)[number] + 7.0)


def test_garch_forecasts_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(volatility, "fit_garch", lambda returns: (0.02, 0.1, 0.8))
    returns = np.random.default_rng(0).normal(size=20).round(3)
    table = pd.DataFrame({"log_return": returns, "log_volatility": np.arange(20.0) / 10})
    table.to_csv(tmp_path / "share.csv", index=False)
    recipe = Recipe(
        dataset=str(tmp_path / "share.csv"), task="forecasting", target="log_volatility", window=3, horizon=2
    )
    found = volatility.garch(recipe)
    # The last fifth, rows 16 to 19, has windows whose targets are rows 16 and 17, 17 and 18, 18 and 19.
    mean = returns[:16].mean()
    s = [0.02 / 0.1]
    for r in returns:
        s.append(0.02 + 0.1 * (r - mean) ** 2 + 0.8 * s[-1])
    for row, first in zip(found, (16, 17, 18), strict=True):
        level = np.mean([t / 10 - 0.5 * np.log(s[t]) for t in range(first - 3, first)])
        ahead = [s[first], 0.2 + 0.9 * (s[first] - 0.2)]
        np.testing.assert_allclose(row, [0.5 * np.log(one) + level for one in ahead])


def test_most_frequent_labels():
    x, y = np.array([[2, 2, 3, 4, 4]]), np.array([[0, 0, 1, 1, 1]])
    test = (np.array([[2, 3, 4, 1, 0]]), np.array([[0, 1, 1, 1, 0]]), np.array([[1.0, 1.0, 1.0, 1.0, 0.0]]))
    arguments, names = {"vocabulary": 5, "classes": 2}, {"vocabulary": ["", "\ufffd", "the", "cat", "…ing"]}
    for first, expected in ((1, 1.0), (0, 0.5)):
        # Overall 1, or 0, is the most frequent label: the one of unknown words.
        more = (np.full((1, 9), 2), np.full((1, 9), 0)) if first == 0 else (x, y)
        rows = [np.concatenate(pair, axis=1) for pair in zip((x, y), more, strict=True)]
        found = baselines.measure(
            Recipe(dataset="x", task="labelling"), data((*rows, np.ones(rows[0].shape)), test, arguments, names)
        )
        assert found["most frequent label of each word"] == expected
        assert found["most frequent label"] == (0.75 if first else 0.25)
        assert found["most frequent label of each word or ending"] == (1.0 if first else 0.75)


def test_dtw_against_the_recursion_by_hand(rng):
    def distance(a, b):
        if not len(a) or not len(b):
            return 0.0 if len(a) == len(b) else np.inf
        return np.sum((a[-1] - b[-1]) ** 2) + min(distance(a[:-1], b[:-1]), distance(a[:-1], b), distance(a, b[:-1]))

    train, test = rng.normal(size=(3, 5, 2)), rng.normal(size=(2, 4, 2))
    train[1, 3:], test[0, 2:] = 0, 0
    expected = [[distance(a[:m], b[:n]) for b, n in zip(train, (5, 3, 5), strict=True)] for a, m in zip(test, (2, 4))]
    np.testing.assert_allclose(baselines.dtw(train, test), expected)


def test_characters_that_follow_surely():
    text = np.tile([0, 1], 500)
    found = baselines.measure(
        Recipe(dataset="x", task="language"),
        data((text[None, :-1], text[None, 1:]), (text[None, :-1], text[None, 1:]), {"vocabulary": 2}),
    )
    assert found["unigram"] == pytest.approx(1.0, abs=1e-3)
    assert found["5-gram, Kneser-Ney"] < 0.1


@pytest.mark.parametrize("order", [1, 2, 4])
def test_kneser_ney_sums_to_one(rng, order):
    model = NGrams(rng.integers(0, 5, size=300), 7, order)
    for context in ([0] * 4, [1, 2, 3, 4], [6, 6, 6, 6], [4, 3, 6, 1]):
        after = [model.probabilities(np.array([*context, c])[-order:])[0] for c in range(7)]
        assert sum(after) == pytest.approx(1.0)
        assert min(after) > 0


def test_kneser_ney_by_hand():
    # The text abac: bigrams ab, ba, ac once each, so D = 1. Continuations: each of a, b, c once: D = 1 too.
    model = NGrams(np.array([0, 1, 0, 2]), 4, 2)
    np.testing.assert_allclose(model.probabilities(np.array([0, 1])), 1 / 4)
    # abab: ab twice, ba once: D = 1 / 3. Continuations of a and b once each: D = 1, so p(b) = 1 / 2 * 2 / 4 = 1 / 4.
    model = NGrams(np.array([0, 1, 0, 1]), 4, 2)
    np.testing.assert_allclose(model.probabilities(np.array([0, 1])), (2 - 1 / 3) / 2 + 1 / 3 / 2 * 1 / 4)
    np.testing.assert_allclose(model.probabilities(np.array([3, 1])), 1 / 4)


def test_har_finds_its_own_coefficients(rng):
    history, test = rng.normal(size=(200, 30)), rng.normal(size=(5, 30))

    def truth(x):
        return (0.4 * x[:, -1] + 0.3 * x[:, -5:].mean(axis=1) + 0.2 * x[:, -22:].mean(axis=1) - 1)[:, None]

    np.testing.assert_allclose(volatility.har(history, truth(history), test), truth(test))


def test_garch_finds_the_parameters_it_was_drawn_from(rng):
    noise, returns, variance = rng.normal(size=6000), [], 2e-4
    for z in noise:
        returns.append(z * np.sqrt(variance))
        variance = 1e-5 + 0.1 * returns[-1] ** 2 + 0.85 * variance
    omega, alpha, beta = volatility.fit_garch(np.array(returns))
    assert (omega, alpha, beta) == (
        pytest.approx(1e-5, rel=0.4),
        pytest.approx(0.1, abs=0.03),
        pytest.approx(0.85, abs=0.05),
    )
    # The recursion gives back what the returns were drawn with.
    np.testing.assert_allclose(volatility.variances(np.array(returns), 1e-5, 0.1, 0.85)[-1], variance)


def test_stocks_have_har_and_garch():
    recipe = RECIPES["daily_stocks"]
    found = baselines.measure(recipe, datasets.load(recipe))
    assert list(found) == ["persistence", "ridge regression", "HAR", "GARCH(1,1)"]
    assert found["HAR"] < 0.9 * found["persistence"]
    assert found["GARCH(1,1)"] < 0.9 * found["persistence"]
