"""The ledger of a memory: sums that hold, and what is read from them."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import reference
import xarray as xr

from keras_lstm_gates import tracing
from keras_lstm_gates.attribution import forgotten, ledger, reach, wrote
from keras_lstm_gates.attribution import memory as module

STEPS, UNITS = 5, 4


def layer(**options):
    options = {"return_sequences": True, "bias_initializer": "random_normal", "name": "lstm", **options}
    return keras.layers.LSTM(UNITS, **options)


def series(rng, samples=3):
    return rng.normal(size=(samples, STEPS, 3))


def summed(memory):
    return memory["kept"].sum("time") + memory["initial"] + memory["remainder"]


def product_by_product(gates, mask, c0, at):
    """kept (time, unit) and initial (unit) of one sample, each product written out."""
    f = np.where(mask[:, None], gates["f"], 1.0)
    written = np.where(mask[:, None], gates["i"] * gates["g"], 0.0)
    kept = [written[t] * np.prod(f[t + 1 : at + 1], axis=0) for t in range(at + 1)]
    return np.array(kept), c0 * np.prod(f[: at + 1], axis=0)


@pytest.mark.parametrize("at", [None, 2, -2])
def test_float64_as_each_product_written_out(rng, mask, at):
    x, h = keras.Input((STEPS, 3), dtype="float64", name="x"), keras.Input((UNITS,), dtype="float64", name="h")
    c, given = keras.Input((UNITS,), dtype="float64", name="c"), keras.Input((STEPS,), dtype="bool", name="given")
    lstm = layer(dtype="float64")
    model = keras.Model([x, h, c, given], lstm(x, initial_state=[h, c], mask=given))
    sequences, h0, c0 = series(rng), rng.normal(size=(3, UNITS)), rng.normal(size=(3, UNITS))
    real = np.ones((3, STEPS), bool) if mask is None else mask
    memory = ledger(model, [sequences, h0, c0, real], at)["lstm"]
    gates = reference.lstm(sequences, *lstm.get_weights(), mask=real, h0=h0, c0=c0)
    last = STEPS - 1 if at is None else at % STEPS
    assert memory.sizes["time"] == last + 1
    for sample in range(3):
        of_one = {name: values[sample] for name, values in gates.items()}
        kept, initial = product_by_product(of_one, real[sample], c0[sample], last)
        np.testing.assert_allclose(memory["kept"][sample], kept, rtol=1e-9, atol=1e-12)
        # A trace shows 0 before the first real step.
        initial = initial * real[sample, : last + 1].any()
        np.testing.assert_allclose(memory["initial"][sample], initial, rtol=1e-9, atol=1e-12)
    assert abs(memory["remainder"]).max() < 1e-12
    np.testing.assert_allclose(memory["c"], gates["c"][:, last], atol=1e-12)
    np.testing.assert_allclose(summed(memory), memory["c"], atol=1e-12)
    assert not memory["written"].values[~real[:, : last + 1]].any()


def test_float32_and_a_layer_that_starts_from_nothing(rng):
    model = keras.Sequential([keras.Input((STEPS, 3)), layer()])
    memory = ledger(model, series(rng))["lstm"]
    assert not memory["initial"].any()
    assert 0 < abs(memory["remainder"]).max() < 1e-6
    np.testing.assert_allclose(summed(memory), memory["c"], atol=1e-12)


def test_bfloat16_is_kept_in_a_store_and_its_rounding_is_no_state_before(rng, tmp_path):
    model = keras.Sequential([keras.Input((STEPS, 3)), layer(dtype="mixed_bfloat16")])
    tree = tracing.trace(model, series(rng), progress=False, to=tmp_path / "gates.zarr")
    assert tree["lstm"]["c"].dtype == "float32"
    for memory in (ledger(tree)["lstm"], ledger(model, series(np.random.default_rng(0)))["lstm"]):
        assert not memory["initial"].any()
        assert 1e-6 < abs(memory["remainder"]).max() < 0.1
        np.testing.assert_allclose(summed(memory), memory["c"], atol=1e-12)


def test_backwards_reads_from_the_end(rng, mask):
    model = keras.Sequential([keras.Input((STEPS, 3)), keras.layers.Masking(), keras.layers.Bidirectional(layer())])
    sequences = series(rng)
    if mask is not None:
        sequences[~mask] = 0.0
    tree = tracing.trace(model, sequences, progress=False)
    path = next(path for path in tracing.nodes(tree) if path.endswith("backward"))
    memory, node = ledger(tree, at=1)[path], tree[path]
    assert memory["time"].values.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(memory["c"], node["c"].values[:, 1].astype("float64"))
    np.testing.assert_allclose(memory["remainder"], 0, atol=1e-6)
    real = node["mask"].values
    for sample in range(3):
        turned = {name: node[name].values[sample, ::-1].astype("float64") for name in "ifg"}
        kept, _ = product_by_product(turned, real[sample, ::-1], 0.0, STEPS - 2)
        np.testing.assert_allclose(memory["kept"][sample], kept[::-1], atol=1e-12)


def test_below_time_distributed(rng):
    inputs = keras.Input((2, STEPS, 3))
    model = keras.Model(inputs, keras.layers.TimeDistributed(layer(return_sequences=False), name="each")(inputs))
    memory = next(iter(tracing.nodes(ledger(model, rng.normal(size=(3, 2, STEPS, 3)))).values()))
    assert memory["kept"].shape == (3, 2, STEPS, UNITS)
    np.testing.assert_allclose(summed(memory), memory["c"], atol=1e-12)


@pytest.mark.parametrize("samples", [40, 0.5])
def test_block_by_block_into_a_store(rng, tmp_path, monkeypatch, samples):
    """A sample that is more than a block is one."""
    sizes, whole = [], module.of_node
    monkeypatch.setattr(module, "BLOCK", int(samples * STEPS * UNITS))
    monkeypatch.setattr(module, "of_node", lambda node, at: (sizes.append(node.sizes["sample"]), whole(node, at))[1])
    model = keras.Sequential([keras.Input((STEPS, 3)), layer()])
    tree = tracing.trace(model, series(rng, 90 if samples > 1 else 3), progress=False, to=tmp_path / "gates.zarr")
    stored = ledger(tree, to=tmp_path / "ledger.zarr")
    assert sizes == ([40, 40, 10] if samples > 1 else [1, 1, 1])
    xr.testing.assert_equal(stored["lstm"].to_dataset().load(), ledger(tree)["lstm"].to_dataset())
    assert tracing.nodes(stored).keys() == {"lstm"}
    with pytest.raises(FileExistsError):
        ledger(tree, to=tmp_path / "ledger.zarr")


def test_a_trace_without_its_model_in_a_new_process(rng, tmp_path):
    model = keras.Sequential([keras.Input((STEPS, 3)), layer()])
    tracing.trace(model, series(rng), progress=False, to=tmp_path / "gates.zarr")
    code = (
        "from keras_lstm_gates import tracing; from keras_lstm_gates.attribution import ledger; "
        f"print(float(ledger(tracing.load({str(tmp_path / 'gates.zarr')!r}))['lstm']['kept'].sum()))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(printed.split()[-1]) == float(ledger(model, series(np.random.default_rng(0)))["lstm"]["kept"].sum())


def test_it_is_what_taking_a_step_away_finds_where_gates_are_constant(rng):
    """With i, f and o constant and g = tanh(w x), what a step wrote is what c loses without it."""
    lstm = layer()
    model = keras.Sequential([keras.Input((STEPS, 3)), lstm])
    kernel, recurrent, bias = (np.zeros_like(weights) for weights in lstm.get_weights())
    kernel[:, 2 * UNITS : 3 * UNITS] = rng.normal(size=(3, UNITS))
    bias[:] = rng.normal(size=len(bias))
    bias[2 * UNITS : 3 * UNITS] = 0.0
    lstm.set_weights([kernel, recurrent, bias])
    sequences = series(rng)
    memory = ledger(model, sequences)["lstm"]
    for step in range(STEPS):
        without = sequences.copy()
        without[:, step] = 0.0
        change = memory["c"] - ledger(model, without)["lstm"]["c"]
        np.testing.assert_allclose(memory["kept"].isel(time=step), change, atol=1e-6)


def account(kept, initial=0.0, mask=None, reads="forward", written=None):
    kept = np.array(kept, float)
    mask = np.ones(len(kept), bool) if mask is None else np.array(mask, bool)
    return xr.Dataset(
        {
            "kept": (("time", "unit"), kept[:, None]),
            "written": (("time", "unit"), np.array(kept if written is None else written, float)[:, None]),
            "initial": ("unit", [initial]),
            "mask": ("time", mask),
        },
        attrs={"reads": reads},
    )


@pytest.mark.parametrize(
    ("memory", "share", "lag"),
    [
        (account([0.0, 0.0, 1.0]), 0.5, 0),
        (account([1.0, 0.0, 0.0]), 0.5, 2),
        (account([1.0, 0.0, 0.0], reads="backwards"), 0.5, 0),
        (account([1.0, -1.0, 0.1]), 0.5, 1),
        (account([0.1, 0.1, 0.1], initial=9.0), 0.5, 3),
        (account([1.0, 0.0, 0.0], mask=[1, 0, 1]), 0.5, 1),
        (account([1.0, 1.0, 1.0]), 1.0, 2),
        (account([0.0, 0.0, 0.0]), 0.5, np.nan),
    ],
)
def test_reach(memory, share, lag):
    np.testing.assert_equal(reach(memory, share).values, [lag])


def test_what_is_forgotten_and_where_it_wrote():
    memory = account([0.5, 0.0, -0.5], written=[1.0, -1.0, -0.5])
    assert forgotten(memory).values.tolist() == [0.6]
    assert wrote(memory, 0.5).values[:, 0].tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"at": STEPS}, f"expected at from -{STEPS} to {STEPS - 1}, a step of {STEPS}; received {STEPS}"),
        ({"layers": ["other"]}, "expected layers among ['lstm']; received 'other'"),
        ({"x": 1}, "expected a trace alone, or a model and x; received DataTree and x"),
    ],
)
def test_what_does_not_fit_is_told(rng, arguments, told):
    tree = tracing.trace(keras.Sequential([keras.Input((STEPS, 3)), layer()]), series(rng), progress=False)
    with pytest.raises(ValueError, match=re.escape(told)):
        ledger(tree, **arguments)


def test_shares_outside_of_a_unit_are_refused():
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"expected share in \(0, 1\]"):
            reach(account([1.0]), share)
