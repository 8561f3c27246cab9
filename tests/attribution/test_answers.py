"""The ledger carried on to the answer: sums that hold, beside the equations in NumPy, on many models."""

import functools

import keras
import numpy as np
import pytest
import reference
from keras import layers

from keras_lstm_gates.attribution import answer_ledger

STEPS, UNITS = 5, 4


def series(rng, samples=3, steps=STEPS):
    return rng.normal(size=(samples, steps, 3)).astype("float32")


def lstm(**options):
    return layers.LSTM(UNITS, **{"bias_initializer": "random_normal", "name": "lstm", **options})


def accounted(account):
    """The sum of bias and everything below, (rule, sample)."""
    paths = account.attrs["layers"]
    return account["bias"] + sum(
        account[path]["contribution"].sum(["time", "unit"]) + account[path]["initial"].sum("unit") for path in paths
    )


def test_two_ways_as_the_equations_say(rng):
    """Of a classifier over the last h: each step's contribution by its equation, in float64, and the exact sum."""
    recurrent, dense = lstm(), layers.Dense(2, activation="softmax", bias_initializer="random_normal")
    model = keras.Sequential([keras.Input((STEPS, 3)), recurrent, layers.Dropout(0.5), dense])
    x = series(rng)
    account = answer_ledger(model, x, target=1)
    assert account.attrs["affine"]
    assert account.attrs["before"] == "softmax"
    gates = reference.lstm(x, *recurrent.get_weights())
    kernel, bias = (weights.astype("float64") for weights in dense.get_weights())
    f, written, o = gates["f"], gates["i"] * gates["g"], gates["o"][:, -1]
    kept = np.stack([written[:, t] * np.prod(f[:, t + 1 :], axis=1) for t in range(STEPS)], axis=1)
    reached = np.tanh(np.concatenate([np.zeros((3, 1, UNITS)), np.cumsum(kept, axis=1)], axis=1))
    expected = {
        "telescoping": kernel[:, 1] * o[:, None] * np.diff(reached, axis=1),
        "proportional": kernel[:, 1] * o[:, None] * reached[:, -1:] * kept / kept.sum(axis=1, keepdims=True),
    }
    for rule, values in expected.items():
        np.testing.assert_allclose(account["lstm"]["contribution"].sel(rule=rule), values, atol=1e-6)
    np.testing.assert_allclose(account["bias"], bias[1], rtol=1e-6)
    logits = np.log(model.predict(x, verbose=0))
    np.testing.assert_allclose(
        account["answer"] - answer_ledger(model, x, target=0)["answer"], logits[:, 1] - logits[:, 0], atol=1e-5
    )


def classifier(inputs):
    return layers.Dense(3, activation="softmax")(lstm()(inputs)), 2


def labeller(inputs):
    hidden = lstm(return_sequences=True)(inputs)
    return layers.TimeDistributed(layers.Dense(2, activation="softmax"))(hidden), (3, 1)


def both_directions(inputs):
    below = layers.Bidirectional(lstm(return_sequences=True), name="below")(inputs)
    return layers.Dense(1, activation="sigmoid")(layers.Bidirectional(lstm(), name="top")(below)), None


def mean_over_time(inputs):
    hidden = layers.Bidirectional(lstm(return_sequences=True, name="one"), merge_mode="sum")(inputs)
    return layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden)), 0


def of_the_states(inputs):
    _, h, c = lstm(return_state=True)(inputs)
    return layers.Dense(2)(layers.Concatenate()([c, h])), 1


def past_the_memory(inputs):
    return layers.Dense(2)(layers.Concatenate()([lstm()(inputs), inputs[:, -1]])), 1


def two_branches(inputs):
    return layers.Dense(2)(layers.Add()([lstm()(inputs), lstm(name="other", go_backwards=True)(inputs)])), 1


def stack_of_cells(inputs):
    cells = [layers.LSTMCell(5), layers.LSTMCell(UNITS)]
    return layers.Dense(2)(layers.RNN(cells, name="stack")(inputs)), 1


def horizon_by_quantile(inputs):
    return layers.Reshape((4, 3))(layers.Dense(12)(lstm()(inputs))), (2, 0)


BUILDERS = [
    *(classifier, labeller, both_directions, mean_over_time, of_the_states, past_the_memory, two_branches),
    *(stack_of_cells, horizon_by_quantile),
]
LAST = {
    both_directions: ["top/forward_lstm", "top/backward_lstm"],
    stack_of_cells: ["stack/1"],
    two_branches: ["lstm", "other"],
}


@pytest.mark.few(8)
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
def test_the_sum_is_the_answer(rng, build, masked):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((STEPS, 3))
    outputs, target = build(layers.Masking()(inputs) if masked else inputs)
    model = keras.Model(inputs, outputs)
    x = series(rng)
    if masked:
        x[0, 3:], x[1, :2] = 0.0, 0.0
    account = answer_ledger(model, x, target, batch_size=2)
    assert account.attrs["affine"]
    if build in LAST and not build.__name__.startswith("both"):
        assert account.attrs["layers"] == LAST[build]
    np.testing.assert_allclose(account["remainder"], 0, atol=1e-6)
    np.testing.assert_allclose(accounted(account), account["answer"] - account["remainder"], atol=1e-10)
    if account.attrs["before"] == "":
        index = (slice(None), *np.atleast_1d(0 if target is None else target))
        np.testing.assert_allclose(account["answer"], model.predict(x, verbose=0)[index], rtol=1e-5, atol=1e-6)
    for path in account.attrs["layers"]:
        node = account[path]
        assert not node["contribution"].transpose("sample", "time", ...).values[~node["mask"].values].any()


def test_a_read_out_that_bends_takes_integrated_gradients_on_c(rng):
    model = keras.Sequential([keras.Input((STEPS, 3)), lstm(), layers.Dense(8, activation="tanh"), layers.Dense(2)])
    account = answer_ledger(model, series(rng), target=0)
    assert not account.attrs["affine"]
    assert account["rule"].values.tolist() == ["integrated_gradients"]
    np.testing.assert_allclose(account["remainder"], 0, atol=1e-6)


def test_a_state_that_is_given_has_an_entry_of_its_own(rng):
    inputs, h, c = keras.Input((STEPS, 3), name="x"), keras.Input((UNITS,), name="h"), keras.Input((UNITS,), name="c")
    model = keras.Model([inputs, h, c], layers.Dense(1)(lstm()(inputs, initial_state=[h, c])))
    states = [rng.normal(size=(3, UNITS)).astype("float32") for _ in "hc"]
    account = answer_ledger(model, {"c": states[1], "x": series(rng), "h": states[0]})
    assert abs(account["lstm"]["initial"]).min() > 0
    np.testing.assert_allclose(account["remainder"], 0, atol=1e-6)


def test_what_passes_the_memory_by_is_in_the_bias(rng):
    inputs = keras.Input((STEPS, 3))
    dense = layers.Dense(1)
    model = keras.Model(inputs, dense(layers.Concatenate()([lstm()(inputs), inputs[:, -1]])))
    x = series(rng)
    kernel, bias = dense.get_weights()
    np.testing.assert_allclose(answer_ledger(model, x)["bias"], (x[:, -1] @ kernel[UNITS:] + bias)[:, 0], rtol=1e-5)


def test_what_cannot_be_accounted_for_is_told(rng):
    inputs = keras.Input((2, STEPS, 3))
    hidden = layers.TimeDistributed(lstm(), name="each")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(hidden)))
    with pytest.raises(ValueError, match="cannot account for the LSTM 'each/lstm': it stands below a TimeDistributed"):
        answer_ledger(model, rng.normal(size=(3, 2, STEPS, 3)))
    plain = keras.Sequential([keras.Input((STEPS, 3)), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(ValueError, match="expected a model with one or more LSTM layers"):
        answer_ledger(plain, series(rng))
    classes = keras.Sequential([keras.Input((STEPS, 3)), lstm(), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"expected target, 1 indices .* of shape \(sample, 3\)"):
        answer_ledger(classes, series(rng), target=3)


def test_the_steps_run_once_however_often_the_read_out_is_asked(rng, monkeypatch):
    runs, call = [], layers.LSTM.call

    @functools.wraps(call)
    def counted(*args, **kwargs):
        runs.append(1)
        return call(*args, **kwargs)

    monkeypatch.setattr(layers.LSTM, "call", counted)
    model = keras.Sequential([keras.Input((STEPS, 3)), lstm(), layers.Dense(8, activation="tanh"), layers.Dense(2)])
    runs.clear()
    account = answer_ledger(model, series(rng, 4), target=0, batch_size=2)
    assert account["rule"].values.tolist() == ["integrated_gradients"]
    assert len(runs) == 2
