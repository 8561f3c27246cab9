"""`steer`: models of every kind, steered, against the equations, and through all that a Keras model goes through."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers
from reference import lstm

from keras_lstm_gates import GatedLSTM, GatedLSTMCell, expose, trace
from keras_lstm_gates.gates import Gates
from keras_lstm_gates.steering import Mean, Replace, Scale, Set, Shift, importance, steer

T, D, U = 6, 3, 4
BATCH = 2
EVERY = [f"lstm/{gate}" for gate in Gates._fields]


def sequences(batch=BATCH, steps=T, seed=0):
    x = np.random.default_rng(seed).normal(size=(batch, steps, D)).astype("float32")
    x[0, steps // 2] = 0  # a gap
    x[-1, steps - 2 :] = 0
    return x


def masked(time=T):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((time, D)), layers.Masking(), layers.LSTM(U, name="lstm"), layers.Dense(1, name="dense")]
    )


@pytest.fixture(scope="module")
def model():
    return masked()


@pytest.fixture(scope="module")
def steered(model):
    """Of which every gate may be acted on; each test leaves some intervention in it."""
    return steer(model, {key: [] for key in EVERY}, samples=BATCH)


def set_all(model, interventions):
    for key in model.interventions:
        model.interventions[key] = interventions.get(key, [])


def assert_is_that_of_the_equations(steered, model, x):
    act = {}
    for key, pair in steered.interventions.items():
        act[key[-1]] = [np.broadcast_to(number, (len(x), x.shape[1], U)) for number in pair]
    expected = lstm(x, *model.layers[1].get_weights(), mask=(x != 0).any(-1), interventions=act)
    received = steered.predict(x, verbose=0, batch_size=len(x))
    for gate in Gates._fields:
        np.testing.assert_allclose(received[f"lstm/{gate}"], expected[gate], 0, 2e-6, err_msg=gate)
    kernel, bias = model.layers[2].get_weights()
    np.testing.assert_allclose(received["dense"], expected["h"][:, -1] @ kernel + bias, 0, 2e-6)


def places():
    def of(size):
        return st.one_of(
            st.none(),
            st.integers(-size, size - 1),
            st.lists(st.integers(0, size - 1), min_size=1, max_size=3),
            st.lists(st.booleans(), min_size=size, max_size=size),
            st.builds(slice, st.integers(0, size - 1), st.none()),
        )

    return st.fixed_dictionaries({"units": of(U), "steps": of(T), "samples": of(BATCH)})


def interventions():
    number = st.floats(-1, 1.5)
    kinds = [
        st.builds(lambda kind, n, place: kind(n, **place), st.sampled_from([Set, Scale, Shift]), number, places()),
        st.builds(
            lambda seed, place: Replace(np.random.default_rng(seed).normal(size=(BATCH, T, U)), **place),
            st.integers(0, 99),
            places(),
        ),
    ]
    return st.dictionaries(st.sampled_from(EVERY), st.lists(st.one_of(kinds), max_size=2), min_size=1)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(acted_on=interventions())
def test_whatever_acts_is_that_of_the_equations(model, steered, acted_on):
    set_all(steered, acted_on)
    assert_is_that_of_the_equations(steered, model, sequences())


def test_nothing_that_acts_is_bit_for_bit_the_model_and_nothing_is_traced_again(model, steered):
    x = sequences()
    set_all(steered, {})
    received = steered.predict(x, verbose=0)
    for name, values in expose(model).predict(x, verbose=0).items():
        np.testing.assert_array_equal(received[name], values)
    traces = []
    counting = steered.predict_function
    for value in (Set(0.0), Scale(0.5, steps=[1, 2]), Shift(0.1, samples=1)):
        steered.interventions["lstm/f"] = value
        steered.predict(x, verbose=0)
        traces.append(counting.experimental_get_tracing_count())
    assert steered.predict_function is counting
    assert len(set(traces)) == 1


def test_patching_all_of_the_clean_run_gives_the_clean_run_and_a_mean_is_that_of_the_trace(model):
    clean, corrupted = sequences(seed=1), sequences(seed=2)
    tree = trace(model, clean, progress=False)
    patched = steer(model, {"lstm/h": Replace(tree), "lstm/c": Replace(tree)}, return_gates=False)
    received = patched.predict(corrupted, verbose=0)
    np.testing.assert_allclose(received, model.predict(clean, verbose=0), 0, 1e-6)
    steered = steer(model, {"lstm/o": Mean(tree, units=[2])})
    received = steered.predict(corrupted, verbose=0)["lstm/o"]
    mean = tree["lstm"]["o"].values[tree["lstm"]["mask"].values].mean(0)[2]
    np.testing.assert_allclose(received[:, :3, 2], mean, 0, 1e-6)


def test_any_number_of_steps_and_a_batch_unlike_it():
    model = masked(time=None)
    steered = steer(model, {"lstm/f": Set(0.25, steps=slice(2, 4)), "lstm/h": Scale(0.5, steps=slice(3, None))})
    for steps, batch in ((6, 2), (9, 5), (3, 7)):
        x = sequences(batch, steps)
        received = steered.predict(x, verbose=0)
        act = {
            "f": [np.ones((batch, steps, U)), np.zeros((batch, steps, U))],
            "h": [np.ones((batch, steps, U)), np.zeros((batch, steps, U))],
        }
        act["f"][0][:, 2:4], act["f"][1][:, 2:4], act["h"][0][:, 3:] = 0.0, 0.25, 0.5
        expected = lstm(x, *model.layers[1].get_weights(), mask=(x != 0).any(-1), interventions=act)
        for gate in Gates._fields:
            np.testing.assert_allclose(received[f"lstm/{gate}"], expected[gate], 0, 2e-6, err_msg=gate)
    steered.interventions["lstm/f"] = Set(0.0)
    assert float(steered.predict(sequences(), verbose=0)["lstm/f"].max()) == 0.0
    with pytest.raises(ValueError, match=r"expected to tell apart 5 steps at most; received 9. steer\(..., steps=9\)"):
        steered.interventions["lstm/f"] = Set(0.0, steps=7)


def functional(layer, shape=(T, D)):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


def shared():
    layer, x = layers.LSTM(U, name="lstm", return_sequences=True), keras.Input((T, D))
    return keras.Model(x, layer(layers.Dense(D)(layer(x))))


def encoder_decoder():
    x, late = keras.Input((T, D)), keras.Input((5, D))
    _, *states = layers.LSTM(U, return_state=True, name="encoder")(x)
    return keras.Model([x, late], layers.LSTM(U, return_sequences=True, name="decoder")(late, initial_state=states))


def nested():
    inner = keras.Sequential([keras.Input((T, D)), layers.LSTM(U, name="lstm")], name="encoder")
    return functional(inner)


def nested_twice():
    inner = keras.Sequential([keras.Input((T, D)), layers.LSTM(U, name="lstm"), layers.Dense(2)], name="encoder")
    x = keras.Input((T, D))
    return keras.Model(x, layers.Concatenate()([inner(x), inner(layers.Dense(D)(x))]))


def cells():
    return [GatedLSTMCell(U), layers.LSTMCell(U)]


MODELS = {
    "GatedLSTM": (lambda: functional(GatedLSTM(U, name="lstm", go_backwards=True)), ["lstm"]),
    "a cell": (lambda: functional(layers.RNN(layers.LSTMCell(U), name="rnn")), ["rnn"]),
    "a stack": (lambda: functional(layers.RNN(cells(), name="stack")), ["stack/0", "stack/1"]),
    "both directions": (
        lambda: functional(layers.Bidirectional(layers.LSTM(U, return_sequences=True), name="both")),
        ["both/forward", "both/backward"],
    ),
    "each step": (
        lambda: functional(layers.TimeDistributed(layers.LSTM(U, name="lstm"), name="words"), (2, T, D)),
        ["words/lstm"],
    ),
    "a shared layer": (shared, ["lstm", "lstm@2"]),
    "a model within": (nested, ["encoder/lstm"]),
    "a shared model": (nested_twice, ["encoder/lstm", "encoder@2/lstm"]),
    "an encoder and a decoder": (encoder_decoder, ["encoder", "decoder"]),
    "mixed precision": (lambda: functional(layers.LSTM(U, name="lstm", dtype="mixed_bfloat16")), ["lstm"]),
}


@pytest.mark.few(6)
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_is_steered_at_each_path_alone(name, tmp_path):
    make, paths = MODELS[name]
    model = make()
    rng = np.random.default_rng(3)
    x = [rng.normal(size=(BATCH, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    x = x if len(x) > 1 else x[0]
    plain = expose(model).predict(x, verbose=0)
    steered = steer(model, {f"{path}/f": [] for path in paths})
    received = steered.predict(x, verbose=0)
    assert all(np.array_equal(received[key], values) for key, values in plain.items())
    for path in paths:
        steered.interventions[f"{path}/f"] = Set(0.25, units=[1], steps=slice(2, 4))
        received = steered.predict(x, verbose=0)
        for other in paths:
            right = received[f"{other}/f"].astype("float32")[..., 2:4, 1] == 0.25
            assert right.all() if other == path else not right.any()
        # Steps are those of the input, also where a layer reads from the end.
        first = received[f"{path}/c"] != plain[f"{path}/c"]
        backwards = first[..., :2, :].any() and not first[..., 4:, :].any()
        forwards = first[..., 4:, :].any() and not first[..., :2, :].any()
        assert backwards != forwards
        assert backwards == ("backward" in path or name == "GatedLSTM")
        steered.interventions[f"{path}/f"] = []
    steered.interventions[f"{paths[0]}/f"] = [Set(0.25, units=[1], steps=[2, 3]), Scale(0.5, units=[0])]
    expected = steered.predict(x, verbose=0)
    steered.save(tmp_path / "steered.keras")
    loaded = keras.models.load_model(tmp_path / "steered.keras")
    for key, values in loaded.predict(x, verbose=0).items():
        np.testing.assert_array_equal(values, expected[key])
    assert list(loaded.interventions) == list(steered.interventions)


IN_A_NEW_PROCESS = """
import sys
import numpy as np
from keras_lstm_gates import load_model

file, x = sys.argv[1:]
loaded = load_model(file)
before = loaded.predict(np.load(x), verbose=0)
from keras_lstm_gates.steering import Set
loaded.interventions["lstm/f"] = Set(0.0)
after = loaded.predict(np.load(x), verbose=0)
np.savez(f"{file}.npz", before=before["lstm/h"], after=after["lstm/f"])
"""


def test_a_saved_one_is_the_same_in_a_new_process(model, tmp_path):
    x = sequences()
    steered = steer(model, {"lstm/f": Set(0.5, steps=[1, 2]), "lstm/c": Shift(0.2)})
    steered.save(tmp_path / "steered.keras")
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("steered.keras", "x.npy")]
    subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS, *files], check=True, capture_output=True)
    with np.load(f"{files[0]}.npz") as saved:
        np.testing.assert_allclose(saved["before"], steered.predict(x, verbose=0)["lstm/h"], 0, 1e-6)
        assert saved["after"].max() == 0


def test_a_layer_without_an_input_gate_trains_and_is_saved(tmp_path):
    keras.utils.set_random_seed(2)
    layer = GatedLSTM(U, name="lstm", interventions={"i": Set(1.0)})
    model = keras.Sequential([keras.Input((T, D)), layer, layers.Dense(1)])
    model.compile("adam", "mse")
    before = [weight.copy() for weight in layer.get_weights()]
    model.fit(sequences(8), np.ones((8, 1)), epochs=2, verbose=0)
    kernel, *_ = (late - early for late, early in zip(layer.get_weights(), before, strict=True))
    # What nothing depends on stays as it was.
    assert not kernel[:, :U].any()
    assert kernel[:, U:].any()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(sequences(), verbose=0), model.predict(sequences(), verbose=0))
    assert (expose(loaded).predict(sequences(), verbose=0)["lstm/i"] == 1).all()


def test_a_steered_model_trains_the_model_and_leaves_the_interventions(model):
    steered = steer(model, {"lstm/f": Set(0.5)}, return_gates=False)
    kernel, numbers = model.layers[1].cell.kernel, [number.copy() for number in steered.interventions["lstm/f"]]
    before = np.array(kernel)
    steered.compile("sgd", "mse", jit_compile=True)
    steered.fit(sequences(8), np.ones((8, 1)), batch_size=4, verbose=0)
    assert np.abs(np.array(kernel) - before).max() > 0
    for one, other in zip(numbers, steered.interventions["lstm/f"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_call_takes_them_with_a_mask_and_gradients():
    layer, x = GatedLSTM(U, return_gates=True, interventions={"f": Scale(0.5)}), sequences()
    shift = keras.Input(batch_shape=(1, T, U))
    inputs = keras.Input((T, D))
    outputs = layer(layers.Masking()(inputs), interventions={"f": (keras.ops.ones_like(shift), shift)})
    received = keras.Model([inputs, shift], outputs)([x, np.full((1, T, U), 0.125, "float32")])
    expected = layer(layers.Masking()(x), interventions={"f": Shift(0.125)})
    for gate in Gates._fields:
        np.testing.assert_allclose(received[gate], expected[gate], 0, 1e-6)
    assert np.array_equal(received["f"][0, T // 2], received["f"][0, T // 2 - 1])


def test_a_cell_takes_them_and_knows_no_steps():
    x = sequences()
    rnn = layers.RNN(GatedLSTMCell(U, interventions={"o": Set(0.5, units=[0])}), return_sequences=True)
    layer = GatedLSTM(U, return_sequences=True, interventions={"o": Set(0.5, units=[0])})
    layer.build(x.shape)
    received = rnn(x)
    layer.set_weights(rnn.get_weights())
    np.testing.assert_allclose(layer(x), received, 0, 1e-6)
    exposed = expose(functional(rnn)).predict(x, verbose=0)
    assert (next(values for name, values in exposed.items() if name.endswith("/o"))[..., 0] == 0.5).all()
    with pytest.raises(ValueError, match="of a cell, which knows no step's number, expected none of steps"):
        layers.RNN(GatedLSTMCell(U, interventions={"o": Set(0.5, steps=1)}))(x)


def test_importance_is_the_central_difference_of_the_loss(model, steered):
    x, y = sequences(), np.array([[1.0], [-1.0]], "float32")
    tree = importance(model, x, y, "mse")
    assert tree["lstm/f"].dims == ("time", "unit")
    assert tree.attrs["loss"] == pytest.approx(float(np.mean((model.predict(x, verbose=0) - y) ** 2)), rel=1e-5)
    for gate in Gates._fields:
        for step, unit in ((1, 2), (T - 3, 0)):
            losses = []
            for factor in (1.05, 0.95):
                set_all(steered, {f"lstm/{gate}": Scale(factor, steps=step, units=unit)})
                losses.append(float(np.mean((steered.predict(x, verbose=0)["dense"] - y) ** 2)))
            expected = (losses[0] - losses[1]) / 0.1
            assert float(tree[f"lstm/{gate}"][step, unit]) == pytest.approx(expected, rel=0.02, abs=2e-5), gate


def test_refusals(model, steered):
    with pytest.raises(
        ValueError, match=r"gates of \['lstm'\], such as 'lstm/f'; received 'dense/f': 'dense' is a Dense"
    ):
        steer(model, {"dense/f": Set(0.0)})
    with pytest.raises(ValueError, match=r"expected interventions on gates \('i', .* of 'lstm'; received 'lstm/z'"):
        steer(model, {"lstm/z": Set(0.0)})
    with pytest.raises(ValueError, match=r"interventions on 'lstm/f' expected units in \[-4, 4\); received 4"):
        steer(model, {"lstm/f": Set(0.0, units=4)})
    with pytest.raises(KeyError, match="which this model was steered at; received 'lstm/z'"):
        steered.interventions["lstm/z"] = Set(0.0)
    with pytest.raises(ValueError, match="expected gates that nothing acts on yet; received 'lstm/"):
        steer(steered, {"lstm/f": Set(0.0)})
    with pytest.raises(ValueError, match=r"expected the same for all samples; .*steer\(..., samples=3\)"):
        steer(model, {"lstm/f": []}).interventions["lstm/f"] = Replace(np.zeros((3, T, U)))
    gru = functional(layers.GRU(2, name="gru"))
    with pytest.raises(ValueError, match="GRU"):
        steer(gru, {"gru/h": Set(0.0)})
    with pytest.raises(ValueError, match="expected a loss or a compiled model; received loss=None, never compiled"):
        importance(masked(), sequences(), np.ones((2, 1)))


def test_a_fixed_number_of_steps_need_not_be_told_apart(model, tmp_path):
    """One row for all steps, in memory and in the file; what tells steps apart is refused then."""
    x = sequences()
    steered = steer(model, {"lstm/f": [], "lstm/c": []}, steps=1, samples=BATCH)
    assert steered.interventions["lstm/f"][0].shape == (BATCH, 1, U)
    steered.interventions["lstm/f"] = Scale(0.5, samples=[1])
    expected = steer(model, {"lstm/f": Scale(0.5, samples=[1])}, samples=BATCH)
    steered.save(tmp_path / "steered.keras")
    for one in (steered, keras.models.load_model(tmp_path / "steered.keras")):
        np.testing.assert_array_equal(one.predict(x, verbose=0)["lstm/h"], expected.predict(x, verbose=0)["lstm/h"])
    with pytest.raises(ValueError, match=r"expected to tell apart 1 steps at most; received 3. steer\(..., steps=3\)"):
        steered.interventions["lstm/f"] = Set(0.0, steps=1)
    told_apart = steer(model, {"lstm/f": Set(0.0, steps=1)}, steps=1)
    assert told_apart.interventions["lstm/f"][0].shape == (1, T, U)
