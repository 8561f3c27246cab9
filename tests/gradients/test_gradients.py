"""`keras_lstm_gates.gradients` against autodiff, central differences and the gradient that training uses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import xarray as xr
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from keras_lstm_gates.gradients import compare, gradient_chain, verdict
from keras_lstm_gates.gradients.chain import steps_of
from keras_lstm_gates.gradients.recording import record
from keras_lstm_gates.gradients.terms import LANCZOS_ERROR, Term, frobenius, spectral
from keras_lstm_gates.layers.bidirectional import Bidirectional
from keras_lstm_gates.layers.cell import GatedLSTMCell
from keras_lstm_gates.layers.lstm import GatedLSTM

# Shrinking a failure would run the model hundreds of times.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
ACTIVATIONS = ("tanh", "sigmoid", "softsign", "elu", "gelu", "linear")


@pytest.fixture(autouse=True)
def _float64():
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def model_of(*layers, features=3, masked=True, name="model", dtype="float64"):
    """A stack of layers with random weights and a read-out of every step."""
    inputs = keras.Input((None, features), dtype=dtype)
    x = keras.layers.Masking(dtype=dtype)(inputs) if masked else inputs
    for layer in layers:
        x = layer(x)
    x = keras.layers.Dense(2, dtype=dtype)(x)
    model = keras.Model(inputs, x, name=name)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    return model


def sequences(seed, samples, time, features=3, masked=0.3):
    """Random x (samples, time, features); a masked step is all 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (samples, time, features))
    return x * (rng.uniform(size=(samples, time, 1)) >= masked)


def training_gradients(model, x, y, loss):
    """The gradient of Keras's own loss by every trainable weight, by path."""
    copy = keras.Model(model.inputs, model.output)
    copy.compile(loss=loss)
    with tf.GradientTape() as tape:
        value = copy.compute_loss(x=x, y=y, y_pred=model(x, training=True))
    weights = model.trainable_weights
    gradients = tape.gradient(value, [weight.value for weight in weights])
    return {weight.path: np.asarray(gradient) for weight, gradient in zip(weights, gradients, strict=True)}


def lstm_step(layer, x_t, h, c, o=None):
    """The equations of one step on TensorFlow tensors: i, f, g, o, c, h."""
    cell = layer.cell
    z = x_t @ cell.kernel.value + h @ cell.recurrent_kernel.value + cell.bias.value
    z_i, z_f, z_g, z_o = tf.split(z, 4, axis=-1)
    i, f, o = (cell.recurrent_activation(part) for part in (z_i, z_f, z_o))
    g = cell.activation(z_g)
    c = i * g + f * c
    return i, f, g, o, c, o * cell.activation(c)


def autodiff_terms(layer, x, mask):
    """The four terms and the state's Jacobian at every step by `tf.GradientTape.jacobian`, one sample."""
    units = layer.cell.units
    h, c = tf.zeros((1, units), tf.float64), tf.zeros((1, units), tf.float64)
    o_last = None
    found, states = [], []
    for t in range(len(x)):
        if not mask[t]:
            identity = {"direct": np.eye(units), "sum": np.eye(units)}
            found.append(
                {name: identity.get(name, np.zeros((units, units))) for name in ("f", "i", "g", "direct", "sum")}
            )
            states.append(np.eye(2 * units))
            continue
        x_t = tf.constant(x[None, t])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([h, c])
            # h as a function of the cell state before, the output gate held.
            h_of_c = h if o_last is None else o_last * layer.cell.activation(c)
            held = {
                name: tf.stop_gradient(value) for name, value in zip("ifgoch", lstm_step(layer, x_t, h, c), strict=True)
            }
            *_, c_new, h_new = lstm_step(layer, x_t, h, c)
            moved_i, moved_f, moved_g, *_ = lstm_step(layer, x_t, h_of_c, tf.stop_gradient(c))
            parts = {
                "f": moved_f * tf.stop_gradient(c),
                "i": moved_i * held["g"],
                "g": held["i"] * moved_g,
                "direct": held["f"] * c,
            }
            parts["sum"] = lstm_step(layer, x_t, h_of_c, c)[4]

        def jacobian(target, source, tape=tape):
            found = tape.jacobian(
                target, source, unconnected_gradients=tf.UnconnectedGradients.ZERO, experimental_use_pfor=False
            )
            return np.asarray(found)[0, :, 0, :]

        found.append({name: jacobian(part, c) for name, part in parts.items()})
        states.append(np.block([[jacobian(h_new, h), jacobian(h_new, c)], [jacobian(c_new, h), jacobian(c_new, c)]]))
        del tape
        o_last, c, h = lstm_step(layer, x_t, h, c)[3:6]
    return found, np.stack(states)


def close(a, b, tolerance=1e-9):
    """Relative to the largest entry."""
    a, b = np.asarray(a), np.asarray(b)
    assert np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-30)


@settings(max_examples=10, deadline=None, phases=PHASES)
@given(
    units=st.integers(1, 5),
    time=st.integers(1, 6),
    seed=st.integers(0, 1000),
    masked=st.sampled_from([0.0, 0.4, 1.0]),
    activation=st.sampled_from(ACTIVATIONS),
    recurrent_activation=st.sampled_from(["sigmoid", "tanh", "softsign"]),
    ours=st.booleans(),
)
def test_every_term_is_that_of_autodiff(units, time, seed, masked, activation, recurrent_activation, ours):
    kind = GatedLSTM if ours else keras.layers.LSTM
    options = {"recurrent_activation": recurrent_activation, "return_sequences": True}
    first = kind(units, activation=activation, name="first", **options)
    second = keras.layers.LSTM(units + 1, activation="tanh", name="second", **options)
    model = model_of(first, second)
    x = sequences(seed, 2, time, masked=masked)
    tree = gradient_chain(model, x, full=True)
    recorded, _ = record(model, x)
    for one in recorded:
        node = tree[one.name]
        for sample in range(2):
            terms, states = autodiff_terms(one.layer, one.x[sample], one.mask[sample])
            for name in node["term"].values:
                by_hand = np.stack([step[name] for step in terms])
                mine = node["jacobian"].sel(term=name).values[sample]
                close(mine, by_hand)
                close(node["spectral"].sel(term=name).values[sample], np.linalg.norm(by_hand, 2, axis=(1, 2)))
                close(node["frobenius"].sel(term=name).values[sample], np.linalg.norm(by_hand, axis=(1, 2)))
                close(
                    node["mean_diagonal"].sel(term=name).values[sample],
                    np.diagonal(by_hand, axis1=1, axis2=2).mean(axis=-1),
                )
            close(node["state_jacobian"].values[sample], states)


@pytest.mark.parametrize("kind", ["lstm", "simple_rnn", "gru", "gru_before"])
def test_jacobians_are_those_of_central_differences(kind):
    """One step of the layer itself, in float64, from moved states; fourth order in the size of the move."""
    layers = {
        "lstm": keras.layers.LSTM(4, return_sequences=True, return_state=True),
        "simple_rnn": keras.layers.SimpleRNN(4, return_sequences=True, return_state=True),
        "gru": keras.layers.GRU(4, return_sequences=True, return_state=True),
        "gru_before": keras.layers.GRU(4, return_sequences=True, return_state=True, reset_after=False),
    }
    layer = layers[kind]
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, layer(inputs)[0])
    for place, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(place).normal(0, 0.7, weight.shape))
    x = sequences(1, 1, 5, masked=0)
    node = gradient_chain(model, x, layer=layer.name, full=True)
    count = 2 if kind == "lstm" else 1
    states = [np.zeros((1, 4))] * count
    for t in range(5):
        x_t = x[:, t : t + 1]

        def after(flat, x_t=x_t):
            given = [tf.constant(part[None]) for part in np.split(flat, count)]
            return np.concatenate([np.asarray(part)[0] for part in layer(x_t, initial_state=given)[1:]])

        flat = np.concatenate([part[0] for part in states])
        numeric = np.empty((len(flat), len(flat)))
        for place in range(len(flat)):
            move = np.zeros(len(flat))
            move[place] = 1e-3
            near, far = after(flat + move) - after(flat - move), after(flat + 2 * move) - after(flat - 2 * move)
            numeric[:, place] = (8 * near - far) / 12e-3
        mine = node["state_jacobian"].values[0, t] if kind == "lstm" else node["jacobian"].sel(term="sum").values[0, t]
        close(mine, numeric, 1e-9)
        states = [np.asarray(part) for part in layer(x_t, initial_state=[tf.constant(s) for s in states])[1:]]


@settings(max_examples=10, deadline=None, phases=PHASES)
@given(
    seed=st.integers(0, 1000),
    time=st.integers(1, 6),
    masked=st.sampled_from([0.0, 0.5, 1.0]),
    kinds=st.lists(
        st.sampled_from(["lstm", "gru", "gru_before", "simple", "gated", "both", "both_sum", "cell", "backwards"]),
        min_size=1,
        max_size=3,
    ),
    last=st.booleans(),
)
def test_contributions_add_up_to_the_training_gradient(seed, time, masked, kinds, last):
    keras.utils.set_random_seed(seed)
    options = {"return_sequences": True}
    make = {
        "lstm": lambda: keras.layers.LSTM(3, **options),
        "gru": lambda: keras.layers.GRU(3, **options),
        "gru_before": lambda: keras.layers.GRU(3, reset_after=False, **options),
        "simple": lambda: keras.layers.SimpleRNN(3, use_bias=False, **options),
        "gated": lambda: GatedLSTM(3, activation="softsign", **options),
        "both": lambda: keras.layers.Bidirectional(keras.layers.LSTM(2, **options)),
        "both_sum": lambda: keras.layers.Bidirectional(keras.layers.GRU(3, **options), merge_mode="sum"),
        "cell": lambda: keras.layers.RNN(GatedLSTMCell(3), **options),
        "backwards": lambda: keras.layers.LSTM(3, go_backwards=True, **options),
    }
    layers = [make[kind]() for kind in kinds]
    if last:
        layers.append(keras.layers.LSTM(3, name="last"))
    model = model_of(*layers)
    x = sequences(seed, 3, time, masked=masked)
    y = np.random.default_rng(seed).normal(size=(3, 2) if last else (3, time, 2))
    tree = gradient_chain(model, x, y, "mse", full=True)
    expected = training_gradients(model, x, y, "mse")
    for node in (node.to_dataset() for node in tree.leaves):
        layer = next(one.layer for one in record(model, x)[0] if one.name == node.attrs["layer"])
        for weight, name in zip(layer.weights, "WRb", strict=False):
            wanted = expected[weight.path]
            if wanted.ndim == 1 or name != "b":
                mine = np.concatenate(list(node[f"dE_d{name}"].sum("time").values), axis=-1)
            else:
                mine = np.stack([node[f"dE_d{side}"].sum("time").values.ravel() for side in ("b", "b_recurrent")])
            assert np.abs(mine - wanted).max() <= 1e-10 * max(1.0, np.abs(wanted).max())
            if np.abs(wanted).max() > 1e-12:
                total = node[f"share_of_dE_d{name}"].sum(("sample", "time")).values
                assert np.all(np.isclose(total, 1) | np.isclose(total, 0, atol=1e-12))


def test_a_loss_on_gates_and_states_is_told_apart():
    """What is asked of h does not count twice where the output and the last state are made from it."""
    inputs = keras.Input((4, 2))
    layer = GatedLSTM(3, return_gates=True, return_state=True, return_sequences=True, name="lstm")
    masked = keras.layers.Masking()(inputs)
    out = layer(masked)
    flat = [keras.ops.reshape(out[name], (-1, 12)) for name in ("output", "i", "f", "g", "o", "c", "h")]
    joined = keras.layers.Concatenate()([*flat, out["state_h"], out["state_c"]])
    model = keras.Model(inputs, keras.layers.Dense(1)(joined))
    x, y = sequences(3, 2, 4, features=2), np.ones((2, 1))
    node = gradient_chain(model, x, y, "mse", layer="lstm", full=True)
    expected = training_gradients(model, x, y, "mse")
    for name, weight in zip("WRb", layer.weights, strict=True):
        mine = np.concatenate(list(node[f"dE_d{name}"].sum("time").values), axis=-1)
        close(mine, expected[weight.path], 1e-10)


def test_a_loss_on_the_gates_of_both_directions():
    inputs = keras.Input((4, 2))
    layer = Bidirectional(GatedLSTM(3, return_gates=True, return_sequences=True), name="both")
    out = layer(keras.layers.Masking()(inputs))
    assert len(out) == 13
    parts = [keras.ops.reshape(value, (-1, 4 * value.shape[-1])) for value in out.values()]
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.ops.concatenate(parts, axis=-1)))
    x, y = sequences(3, 2, 4, features=2), np.ones((2, 1))
    tree = gradient_chain(model, x, y, "mse", full=True)
    expected = training_gradients(model, x, y, "mse")
    for direction in ("forward", "backward"):
        weights = getattr(layer, f"{direction}_layer").weights
        for name, weight in zip("WRb", weights, strict=True):
            mine = np.concatenate(list(tree[f"both/{direction}"][f"dE_d{name}"].sum("time").values), axis=-1)
            close(mine, expected[weight.path], 1e-10)


def test_dE_dh_and_dE_dc_are_those_of_moved_states():
    """The initial states of a sequence cut in two are the states between its steps."""
    layer = keras.layers.LSTM(3)
    x_in, h_in, c_in = keras.Input((None, 2)), keras.Input((3,)), keras.Input((3,))
    model = keras.Model([x_in, h_in, c_in], layer(x_in, initial_state=[h_in, c_in]))
    x = sequences(5, 2, 6, features=2, masked=0)
    h = c = np.full((2, 3), 0.2)
    y = np.ones((2, 3))
    node = gradient_chain(model, [x, h, c], y, "mse", layer=layer.name)
    step = keras.layers.LSTM(3, return_state=True)
    step.build((None, None, 2))
    step.set_weights(layer.get_weights())
    h, c = tf.constant(h), tf.constant(c)
    for t in range(5):
        _, h, c = step(x[:, t : t + 1], initial_state=[h, c])
        with tf.GradientTape() as tape:
            tape.watch([h, c])
            # h_t is o_t tanh(c_t), so what moves c_t moves h_t.
            o = tf.stop_gradient(h / tf.tanh(c))
            loss = tf.reduce_mean(
                (layer(x[:, t + 1 :], initial_state=[o * tf.tanh(c) + h - tf.stop_gradient(h), c]) - y) ** 2
            )
        by_h, by_c = tape.gradient(loss, [h, c])
        close(node["dE_dh"].values[:, t], by_h)
        close(node["dE_dc"].values[:, t], by_c)


def test_products_over_the_lag_are_those_of_the_matrices():
    layer = GatedLSTM(4, return_sequences=True, name="lstm")
    model = model_of(layer)
    x = sequences(2, 3, 9)
    node = gradient_chain(model, x, layer="lstm", full=True)
    (recorded,), _ = record(model, x)
    shown = steps_of(recorded).h_by_c_before
    for sample in range(3):
        direct, chain, state = np.eye(4), np.eye(4), np.eye(8)
        lag = 0
        for t in reversed(range(9)):
            if not node["mask"].values[sample, t]:
                continue
            lag += 1
            direct = direct @ node["jacobian"].sel(term="direct").values[sample, t]
            chain = chain @ node["jacobian"].sel(term="sum").values[sample, t]
            state = state @ node["state_jacobian"].values[sample, t]
            full = state[4:, 4:] + state[4:, :4] * shown[sample, t]
            for path, matrix in {"direct": direct, "chain": chain, "full": full, "state": state}.items():
                here = {"path": path, "sample": sample, "lag": lag}
                np.testing.assert_allclose(node["product_frobenius"].loc[here], np.linalg.norm(matrix), rtol=1e-9)
                np.testing.assert_allclose(node["product_spectral"].loc[here], np.linalg.norm(matrix, 2), rtol=1e-9)
            if lag == 1:
                np.testing.assert_allclose(full, chain, rtol=1e-12)
        assert np.isnan(node["product_frobenius"].values[:, sample, lag + 1 :]).all()


@pytest.mark.parametrize("kind", [keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN])
def test_estimated_norms_are_within_their_stated_error(kind):
    model = model_of(kind(48, return_sequences=True, name="rnn"))
    for weight in model.weights:
        weight.assign(weight * 0.3)
    x = sequences(4, 4, 30)
    exact = gradient_chain(model, x, layer="rnn", norms="exact")
    estimate = gradient_chain(model, x, layer="rnn", norms="estimated")
    assert (exact.attrs["spectral_error"], estimate.attrs["spectral_error"]) == (0.0, 0.05)
    assert estimate.attrs["product_error"] == pytest.approx(0.375)
    ratio = (estimate["spectral"] / exact["spectral"]).where(exact["spectral"] > 0)
    assert float(ratio.min()) >= 1 - estimate.attrs["spectral_error"]
    assert float(ratio.max()) <= 1 + 1e-5
    xr.testing.assert_allclose(estimate["frobenius"], exact["frobenius"], rtol=1e-12)
    error = abs(estimate["product_frobenius"] / exact["product_frobenius"] - 1)
    assert float(error.max()) <= estimate.attrs["product_error"]
    assert set(estimate.get("product_spectral", xr.DataArray([], dims="path", coords={"path": []}))["path"].values) <= {
        *exact["path"].values
    }


def test_power_of_one_direction_is_found_by_lanczos():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 1, 1, 200))
    term = Term(left, np.ones((200, 200)), right)
    exact = np.linalg.norm(left) * np.linalg.norm(right)
    np.testing.assert_allclose(spectral([term]), exact, rtol=1e-5)
    np.testing.assert_allclose(frobenius([term]), exact, rtol=1e-12)
    assert spectral([Term(0 * left, np.ones((200, 200)), right)]) == 0
    assert LANCZOS_ERROR == 0.05


def test_products_beyond_the_range_of_floats_are_0_or_inf_without_a_warning():
    inputs = keras.Input((400, 1))
    layer = keras.layers.SimpleRNN(2, activation="linear", return_sequences=True, use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    for gain, limit in ((1e-3, 0.0), (1e3, np.inf)):
        layer.set_weights([np.zeros((1, 2)), gain * np.eye(2)])
        node = gradient_chain(model, np.zeros((1, 400, 1)), layer=layer.name)
        assert float(node["product_frobenius"].sel(path="full")[0, 400]) == limit
        assert float(node["product_spectral"].sel(path="full")[0, 10]) == pytest.approx(gain**10)


def test_stateful_layers_keep_their_states_and_start_from_them():
    layer = keras.layers.LSTM(3, stateful=True, return_sequences=True, name="lstm")
    inputs = keras.Input(batch_shape=(2, 4, 2))
    model = keras.Model(inputs, layer(inputs))
    x = sequences(1, 2, 4, features=2, masked=0)
    model(x)
    states = [np.asarray(state).copy() for state in layer.states]
    y = np.zeros((2, 4, 3))
    node = gradient_chain(model, x, y, "mse", layer="lstm", full=True)
    for before, after in zip(states, layer.states, strict=True):
        np.testing.assert_array_equal(before, np.asarray(after))
    (recorded,), _ = record(model, x)
    np.testing.assert_array_equal(recorded.initial[1], states[1])
    expected = training_gradients(model, x, y, "mse")[layer.cell.recurrent_kernel.path]
    close(np.concatenate(list(node["dE_dR"].sum("time").values), axis=-1), expected, 1e-10)


def test_nested_shared_and_frozen_layers():
    inner = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.GRU(3, return_sequences=True, name="gru")], name="inner"
    )
    shared = keras.layers.LSTM(3, return_sequences=True, name="shared")
    model = model_of(inner, shared, shared, masked=False)
    model.trainable = False
    x, y = sequences(0, 2, 5, masked=0), np.zeros((2, 5, 2))
    tree = gradient_chain(model, x, y, "mse", full=True)
    assert set(tree.groups) == {"/", "/inner", "/inner/gru", "/shared", "/shared@2"}
    both = tree["shared"]["dE_dR"].sum("time").values + tree["shared@2"]["dE_dR"].sum("time").values
    model.trainable = True
    expected = training_gradients(model, x, y, "mse")[shared.cell.recurrent_kernel.path]
    close(np.concatenate(list(both), axis=-1), expected, 1e-10)


def test_a_float32_model_and_its_compiled_loss():
    model = model_of(keras.layers.LSTM(4, name="lstm", dtype="float32"), dtype="float32")
    model.compile(loss=keras.losses.Huber())
    x, y = sequences(0, 4, 6).astype("float32"), np.ones((4, 2), "float32")
    node = gradient_chain(model, x, y, layer="lstm", full=True)
    expected = training_gradients(model, x, y, keras.losses.Huber())
    mine = np.concatenate(list(node["dE_dW"].sum("time").values), axis=-1)
    close(mine, expected["lstm/lstm_cell/kernel"], 1e-5)
    assert node["dE_dW"].dtype == "float64"
    assert node.attrs["E"] == pytest.approx(float(model.evaluate(x, y, verbose=0)), rel=1e-5)


def test_compare_and_verdict_say_where_the_gradient_is_lost():
    models = []
    for kind in (keras.layers.LSTM, keras.layers.SimpleRNN):
        inputs = keras.Input((60, 1))
        layer = kind(4, name="memory", use_bias=True)
        models.append(keras.Model(inputs, layer(inputs), name=kind.__name__))
    lstm, rnn = models
    lstm.layers[-1].set_weights([np.zeros((1, 16)), np.zeros((4, 16)), np.repeat([0.0, 50.0, 0.0, 0.0], 4)])
    rnn.layers[-1].set_weights([np.zeros((1, 4)), 0.5 * np.eye(4), np.zeros(4)])
    tree = compare(models, np.zeros((3, 60, 1), "float32"))
    kept, lost = verdict(tree)
    assert (kept.model, kept.layer, kept.vanishes_at, kept.explodes_at) == ("LSTM", "memory", None, None)
    assert (lost.model, lost.vanishes_at, lost.explodes_at, lost.lags) == ("SimpleRNN", 10, None, 60)
    assert str(kept) == "LSTM, layer memory: between 1e-03 and 1e+03 of its start over all 60 lags (1 at the last)"
    assert str(lost) == "SimpleRNN, layer memory: below 1e-03 of its start from lag 10 on (8.67e-19 at lag 60)"
    rnn.layers[-1].set_weights([np.zeros((1, 4)), 2 * np.eye(4), np.zeros(4)])
    (grown,) = verdict(gradient_chain(rnn, np.zeros((1, 60, 1), "float32")))
    assert grown.explodes_at == 10
    assert str(grown) == "SimpleRNN, layer memory: above 1e+03 of its start from lag 10 on (1.15e+18 at lag 60)"


def test_errors_say_what_was_expected_and_what_was_received():
    model = model_of(keras.layers.LSTM(2, name="lstm"), name="small")
    x = sequences(0, 2, 3)
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name="dense")
    with pytest.raises(ValueError, match=r"expected a model with one or more LSTM, .* received 'dense' with none"):
        gradient_chain(dense, np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"expected a built Functional or Sequential keras\.Model; received 3"):
        gradient_chain(3, x)
    with pytest.raises(ValueError, match=r"expected a built Functional or Sequential .* received <Sequential"):
        gradient_chain(keras.Sequential([keras.layers.LSTM(2)]), x)
    with pytest.raises(ValueError, match=r"expected one of the layers \['lstm'\]; received 'gru'"):
        gradient_chain(model, x, layer="gru")
    with pytest.raises(ValueError, match=r"expected targets y with a loss; received y=None and loss='mse'"):
        gradient_chain(model, x, loss="mse")
    with pytest.raises(ValueError, match="expected a loss or a compiled model for targets y; received loss=None"):
        gradient_chain(model, x, np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"norms must be 'auto', 'exact' or 'estimated'; received norms='fast'"):
        gradient_chain(model, x, norms="fast")
    with pytest.raises(ValueError, match=r"probes must be a positive int; received probes=0"):
        gradient_chain(model, x, probes=0)
    with pytest.raises(ValueError, match=r"expected models whose names differ; received \['small', 'small'\]"):
        compare([model, model], x)
    x[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"expected finite numbers; received nan at index \(1, 2, 0\)"):
        gradient_chain(model, x)
    soft = model_of(keras.layers.LSTM(2, activation="softmax", name="lstm"))
    with pytest.raises(ValueError, match="expected an activation that works element by element; received softmax"):
        gradient_chain(soft, sequences(0, 2, 3))


def test_a_cell_with_equations_of_its_own_is_not_taken_for_an_lstm():
    class Mine(keras.layers.LSTMCell):
        def call(self, inputs, states, training=False):
            return states[0], states

    model = model_of(keras.layers.RNN(Mine(2)), name="mine")
    with pytest.raises(ValueError, match="received 'mine' with none"):
        gradient_chain(model, sequences(0, 2, 3))
