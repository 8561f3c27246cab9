"""`GradientMonitor`: what it measures and writes."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import Clock

from keras_lstm_gates.gradients import GradientMonitor, gradient_chain, lag_gains, profile


def trained(folder, *callbacks, epochs=2, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 2))
    x = keras.layers.GRU(4, return_sequences=True, name="gru")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.LSTM(5, name="lstm")(x)))
    model.compile("adam", "mse")
    data = np.random.default_rng(0).normal(size=(32, 12, 2)).astype("float32")
    monitor = GradientMonitor(data[:4], folder, **{"budget": None, **options})
    model.fit(data, data[:, 0, :1], epochs=epochs, verbose=0, callbacks=[*callbacks, monitor])
    return model, data, monitor


def test_each_epoch_is_measured_and_written(tmp_path):
    model, data, monitor = trained(tmp_path)
    written = json.loads((tmp_path / "gradients.json").read_text())
    assert written == monitor.history
    assert [point["epoch"] for point in written] == [0, 1, 2]
    assert set(written[0]["layers"]) == {"gru", "lstm"}
    tree = gradient_chain(model, data[:4])
    for name, found in written[-1]["layers"].items():
        exact = profile(tree[name]["product_frobenius"].sel(path="full"))
        assert len(found["gain"]) == 13
        np.testing.assert_allclose(found["gain"], exact, rtol=0.375)
    assert written[0]["layers"] != written[-1]["layers"]


def test_tensorboard_gets_the_gain_at_few_lags(tmp_path):
    trained(tmp_path)
    (events,) = (tmp_path / "gradients").iterdir()
    tags = [
        value.tag
        for record in tf.data.TFRecordDataset(str(events)).as_numpy_iterator()
        for value in tf.compat.v1.Event.FromString(record).summary.value
    ]
    assert tags.count("lstm/log10 gain at lag 10") == 3
    assert set(tags) == {
        f"{layer}/{tag}"
        for layer in ("gru", "lstm")
        for tag in ("lags above 1e-3", *(f"log10 gain at lag {lag}" for lag in (1, 10, 12)))
    }


def test_without_tensorboard_only_the_history_is_written(tmp_path):
    trained(tmp_path, tensorboard=False)
    assert [path.name for path in tmp_path.iterdir()] == ["gradients.json"]


def test_bad_input_is_refused_when_training_begins(tmp_path):
    model, data, _ = trained(tmp_path, tensorboard=False)
    with pytest.raises(ValueError, match="expected finite numbers; received nan at index"):
        model.fit(
            data,
            data[:, 0, :1],
            verbose=0,
            callbacks=[GradientMonitor(data[:4] * np.nan, tmp_path, tensorboard=False)],
        )


def test_what_the_budget_does_not_allow_is_left_out(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("keras_lstm_gates._support.epoch_monitor.time", clock)
    monkeypatch.setattr("keras_lstm_gates.gradients.monitor.lag_gains", clock.slowed(lag_gains))
    _, _, monitor = trained(tmp_path, clock.epochs, epochs=12, tensorboard=False, budget=1 / 8)
    assert [point["epoch"] - 1 for point in monitor.history] == [-1, *clock.epochs_within_an_eighth]
    assert monitor.seconds == len(monitor.history) - 1
    with pytest.raises(ValueError, match=r"expected a budget in \(0, 1\] or None; received 2"):
        GradientMonitor(np.zeros((4, 12, 2)), tmp_path, budget=2)
