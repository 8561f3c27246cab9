"""Statistics of traces whose answer is known in closed form."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import xarray as xr
from small import Clock, small_model

from keras_lstm_gates.tracing import gate_statistics as st
from keras_lstm_gates.tracing import trace
from keras_lstm_gates.tracing.gate_statistics import MEANINGS, statistics
from keras_lstm_gates.tracing.monitor import GateMonitor


def a_trace(mask=None, **gates):
    """A trace of one layer whose gates are given, (sample, time, unit); those not given are 0.5."""
    shape = next(iter(gates.values())).shape
    dims = ("sample", "time", "unit")
    mask = np.ones(shape[:2], bool) if mask is None else mask
    values = {name: (dims, gates.get(name, np.full(shape, 0.5))) for name in "ifgoch"}
    return xr.DataTree.from_dict({"lstm": xr.Dataset({**values, "mask": (dims[:2], mask)})})


def test_means_spreads_and_quantiles_of_a_ramp():
    ramp = np.linspace(0, 1, 101).reshape(1, 101, 1)
    numbers = statistics(a_trace(i=ramp))["lstm"].sel(gate="i").isel(unit=0)
    assert float(numbers["mean"]) == pytest.approx(0.5)
    assert float(numbers["spread"]) == pytest.approx(np.sqrt((101**2 - 1) / 12) / 100)
    np.testing.assert_allclose(numbers["quantiles"], st.QUANTILES)


def test_saturation_counts_by_size_and_leaves_masked_steps_out():
    # Units: mostly closed; mostly open; in between. g by |g|. The masked steps would turn each around.
    f = np.array([[[0.05, 0.95, 0.5]] * 8 + [[0.5, 0.5, 0.5]] * 2 + [[0.95, 0.05, 0.95]] * 30])
    mask = np.arange(40)[None] < 10
    numbers = statistics(a_trace(mask, f=f, g=-f))["lstm"]
    for gate in "fg":
        np.testing.assert_allclose(numbers["left_saturated"].sel(saturating=gate), [0.8, 0, 0])
        np.testing.assert_allclose(numbers["right_saturated"].sel(saturating=gate), [0, 0.8, 0])
    assert int(numbers["steps"]) == 10


def test_always_open_and_always_closed():
    f = np.stack([np.full((2, 50), 0.97), np.full((2, 50), 0.02), np.full((2, 50), 0.5)], axis=-1)
    numbers = statistics(a_trace(f=f))["lstm"].sel(saturating="f")
    assert numbers["always_open"].values.tolist() == [True, False, False]
    assert numbers["always_closed"].values.tolist() == [False, True, False]


@pytest.mark.parametrize(("value", "left", "right"), [(0.09, 1, 0), (0.11, 0, 0), (0.89, 0, 0), (0.91, 0, 1)])
def test_a_gate_is_saturated_below_a_tenth_and_above_nine_tenths(value, left, right):
    numbers = statistics(a_trace(**{gate: np.full((1, 4, 1), value) for gate in "ifo"}, g=np.full((1, 4, 1), -value)))
    for gate in "ifgo":
        assert float(numbers["lstm"]["left_saturated"].sel(saturating=gate)[0]) == left
        assert float(numbers["lstm"]["right_saturated"].sel(saturating=gate)[0]) == right


@pytest.mark.parametrize(("steps", "always"), [(200, True), (199, True), (198, False), (195, False)])
def test_always_is_more_than_99_of_100_steps(steps, always):
    of_steps = np.arange(200) < steps
    f = np.stack([np.where(of_steps, 0.95, 0.5), np.where(of_steps, 0.05, 0.5)], axis=-1)[None]
    numbers = statistics(a_trace(f=f))["lstm"].sel(saturating="f")
    assert numbers["always_open"].values.tolist() == [always, False]
    assert numbers["always_closed"].values.tolist() == [False, always]


@pytest.mark.parametrize(("mean", "zero"), [(0.049, True), (-0.049, True), (0.051, False), (-0.051, False)])
def test_g_has_a_mean_of_zero_within_a_twentieth(mean, zero):
    g = np.tile([0.5, -0.5], 10)[None, :, None] + mean
    assert bool(statistics(a_trace(g=g))["lstm"]["g_zero_mean"]) is zero


def test_memory_of_constant_and_alternating_forget_gates():
    alternating = np.tile([0.25, 1.0], 10)  # geometric mean 1/2
    f = np.stack([np.full(20, 0.5), np.ones(20), np.zeros(20), alternating], axis=-1)[None]
    numbers = statistics(a_trace(f=f))["lstm"]
    np.testing.assert_allclose(numbers["half_life"], [1, np.inf, 0, 1])
    np.testing.assert_allclose(numbers["time_constant"], [1 / np.log(2), np.inf, 0, 1 / np.log(2)])


def test_effective_memory():
    assert st.effective_memory(np.full(3, 0.9)) == pytest.approx(np.log(0.5) / np.log(0.9))
    # Half of the units forget at once and 1/4 keep all: the rest must fall to 0.25 / 0.25... never above 1/2.
    assert st.effective_memory(np.array([0.0, 0.0, 1.0, 0.5])) < 1e-6
    assert st.effective_memory(np.array([1.0, 1.0, 0.5])) == np.inf
    # (1 + 2 * 0.5^k) / 3 = 1/2 at 0.5^k = 1/4.
    assert st.effective_memory(np.array([1.0, 0.5, 0.5])) == pytest.approx(2)
    # A gate whose activation is relu may multiply the memory.
    assert st.effective_memory(np.array([1.5, 0.5, 0.5])) == pytest.approx(2)
    assert st.effective_memory(np.array([1.5, 1.5, 0.5])) == np.inf


def test_bias_of_g():
    g = np.stack([np.tile([-0.5, 0.5], 10), np.full(20, 0.3), np.full(20, -0.2), np.zeros(20)], axis=-1)[None]
    numbers = statistics(a_trace(g=g))["lstm"]
    np.testing.assert_allclose(numbers["g_bias"], [0, 1, -1, 0], atol=1e-12)
    assert bool(numbers["g_zero_mean"])
    assert not bool(statistics(a_trace(g=np.full((1, 5, 1), 0.3)))["lstm"]["g_zero_mean"])


def test_correlation_with_a_label():
    time = np.arange(12.0)
    quotes = (time % 4 < 2).astype(float)
    c = np.stack([quotes, 1 - 2 * quotes, np.ones(12), time], axis=-1)[None]
    mask = time[None] < 8
    c[0, 8:] = -7
    numbers = statistics(a_trace(mask, c=c), labels={"quotes": quotes[None]})["lstm"]
    expected = np.corrcoef(quotes[:8], time[:8])[0, 1]
    np.testing.assert_allclose(
        numbers["correlation"].sel(label="quotes", state="c"), [1, -1, np.nan, expected], atol=1e-12
    )


def test_every_layer_of_a_model_has_its_numbers():
    model, data = small_model()
    tree = trace(model, data, progress=False)
    real = tree["lstm"]["mask"].values
    numbers = statistics(tree)["lstm"]
    np.testing.assert_allclose(numbers["mean"].sel(gate="c"), tree["lstm"]["c"].values[real].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: statistics(a_trace(f=np.ones((2, 3, 1))), labels={"quotes": np.ones((2, 4))}),
            r"expected labels 'quotes' of shape \(2, 3\), \(sample, time\); received \(2, 4\)",
        ),
        (lambda: statistics(a_trace(np.zeros((1, 2), bool), f=np.ones((1, 2, 1)))), "'/lstm' with every step masked"),
        (lambda: GateMonitor(None, "x", budget=2), r"expected a budget in \(0, 1\] or None; received 2"),
    ],
)
def test_mistakes(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_monitor_writes_what_statistics_says(tmp_path):
    model, data = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(data, np.zeros(5), epochs=3, verbose=0, callbacks=[GateMonitor(data, tmp_path, budget=None)])
    lines = [json.loads(line) for line in (tmp_path / "gates.jsonl").read_text().splitlines()]
    assert lines[-1]["epoch"] == 2
    tree = trace(model, data, progress=False)
    numbers, real = statistics(tree)["lstm"], tree["lstm"]["mask"].values
    assert lines[-1]["effective_memory"] == pytest.approx(float(numbers["effective_memory"]), rel=1e-4)
    assert lines[-1]["half_life"] == pytest.approx(float(numbers["half_life"].median()), rel=1e-4)
    for gate in "ifgo":
        values = tree["lstm"][gate].values[real]
        expected = {
            "mean": values.mean(),
            "spread": values.std(),
            **{
                name: numbers[name].sel(saturating=gate).mean()
                for name in ("left_saturated", "right_saturated", "always_open", "always_closed")
            },
        }
        for name, value in expected.items():
            assert lines[-1][gate][name] == pytest.approx(float(value), abs=1e-5), (gate, name)
        # Of few numbers a quantile lies anywhere between two of them: inverted, it is the share below it.
        for name, q in zip(("q5", "q25", "q50", "q75", "q95"), st.QUANTILES, strict=True):
            low, high = ((values < lines[-1][gate][name] + shift).mean() for shift in (-0.005, 0.005))
            assert low <= q <= high, (gate, name)
    (events,) = (tmp_path / "tensorboard").iterdir()
    records = [
        tf.compat.v1.Event.FromString(record) for record in tf.data.TFRecordDataset(str(events)).as_numpy_iterator()
    ]
    curve = {
        record.step: value.simple_value
        for record in records
        for value in record.summary.value
        if value.tag == "lstm/f/mean"
    }
    assert curve == pytest.approx({line["epoch"]: line["f"]["mean"] for line in lines})


def test_monitor_starts_a_stateful_model_anew_at_each_look_and_leaves_its_states_alone(tmp_path):
    model = keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), keras.layers.LSTM(3, stateful=True)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    data = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    without = keras.models.clone_model(model)
    without.set_weights(model.get_weights())
    monitor = GateMonitor(data, tmp_path, budget=None)
    model.fit(data, np.zeros((2, 3)), batch_size=2, epochs=3, verbose=0, callbacks=[monitor])
    first, *others = [json.loads(line) for line in (tmp_path / "gates.jsonl").read_text().splitlines()]
    for other in others:
        assert {**other, "epoch": 0} == first
    for _ in range(3):
        without.predict(data, batch_size=2, verbose=0)
    np.testing.assert_allclose(model.layers[0].states[0], without.layers[0].states[0], atol=1e-6)


def test_monitor_keeps_its_budget(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("keras_lstm_gates._support.epoch_monitor.time", clock)
    model, data = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    monitor = GateMonitor(data, tmp_path, budget=1 / 8)
    monitor._layer_statistics = clock.slowed(monitor._layer_statistics)
    model.fit(data, np.zeros(5), epochs=12, verbose=0, callbacks=[clock.epochs, monitor])
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "gates.jsonl").read_text().splitlines()]
    assert epochs == clock.epochs_within_an_eighth
    assert monitor.seconds == len(epochs)


def test_monitor_needs_a_model_that_opens(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="one or more LSTM layers"):
        model.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0, callbacks=[GateMonitor(np.ones((2, 3)), tmp_path)])


def test_every_name_is_explained_where_it_is_shown_and_in_the_docs(rng):
    """Of an LSTM and a GRU, with labels."""
    docs = (Path(__file__).parents[2] / "docs" / "looking-inside.md").read_text(encoding="utf-8")
    for layer in (keras.layers.LSTM, keras.layers.GRU):
        model = keras.Sequential([keras.Input((5, 2)), layer(3, name="layer")])
        tree = trace(model, rng.normal(size=(2, 5, 2)), progress=False)
        numbers = statistics(tree, {"late": np.tile(np.arange(5) > 2, (2, 1))})["layer"]
        for name, variable in numbers.variables.items():
            assert variable.attrs["long_name"] == MEANINGS[name]
            assert f"`{name}`" in docs
