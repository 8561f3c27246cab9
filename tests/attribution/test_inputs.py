"""What the inputs contribute, beside differences of stock Keras's predictions: masks, tokens, several inputs."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_lstm_gates.attribution import METHODS, answer_ledger, attribute
from keras_lstm_gates.steering import Scale, Set, steer

STEPS = 5
OVER_INPUTS = [name for name in METHODS if name != "contextual_decomposition"]


def sensor(**masking):
    inputs = keras.Input((STEPS, 3))
    hidden = layers.Masking(**masking)(inputs) if masking else inputs
    hidden = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(hidden)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.LSTM(4)(hidden)))


def text(mask_zero=True):
    inputs = keras.Input((STEPS,), dtype="int32", name="ids")
    hidden = layers.Embedding(11, 6, mask_zero=mask_zero)(inputs)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.LSTM(4)(hidden)))


def series(rng, samples=3):
    return rng.normal(size=(samples, STEPS, 3)).astype("float32")


def logit(model, x, target):
    """The answer before the softmax, but for what all classes share; by predict."""
    return np.log(model.predict(x, verbose=0))[:, target]


@pytest.mark.parametrize("baseline", ["zero", "mean", np.full((STEPS, 3), 0.3)], ids=["zero", "mean", "given"])
def test_integrated_gradients_sum_to_what_changes(rng, baseline):
    model, x = sensor(), series(rng)
    result = attribute(model, x, 1, baseline=baseline, tolerance=1e-3)
    change = result["answer"] - result["at_baseline"]
    assert (abs(result["remainder"]) <= 1e-3 * abs(change) + 1e-5).all()
    np.testing.assert_allclose(
        result["contribution"].sum(["time", "feature"]) + result["remainder"], change, rtol=1e-9, atol=1e-12
    )
    at = {"zero": 0.0, "mean": x.mean((0, 1))}[baseline] if isinstance(baseline, str) else baseline
    at = np.broadcast_to(at, x.shape)
    other = attribute(model, x, 0, baseline=baseline)
    by_predict = [logit(model, one, 1) - logit(model, one, 0) for one in (x, at)]
    difference = (result["answer"] - other["answer"]) - (result["at_baseline"] - other["at_baseline"])
    np.testing.assert_allclose(difference, by_predict[0] - by_predict[1], atol=1e-5)


def test_integrated_gradients_are_the_average_slope(rng):
    """Of one sample, beside a Riemann sum over central differences of predictions."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((2, 1)), layers.LSTM(3), layers.Dense(1)])
    x = np.array([[[0.7], [-1.2]]], "float32")
    shares = (np.arange(200) + 0.5) / 200
    expected = []
    for step in range(2):
        small = np.zeros_like(x)
        small[0, step] = 1e-2
        line = shares[:, None, None] * x
        slopes = (model.predict(line + small, verbose=0) - model.predict(line - small, verbose=0)) / 2e-2
        expected.append(float(slopes.mean() * x[0, step, 0]))
    np.testing.assert_allclose(attribute(model, x)["contribution"].values[0, :, 0], expected, atol=1e-4)


def test_gradient_times_input_is_the_slope(rng):
    model, x = sensor(), series(rng, 2)
    result = attribute(model, x, 1, "gradient_input")
    other = attribute(model, x, 0, "gradient_input")
    contribution = (result["contribution"] - other["contribution"]).values
    for step, feature in [(0, 0), (2, 1), (4, 2)]:
        small = np.zeros_like(x)
        small[:, step, feature] = 1e-2
        slope = [logit(model, x + sign * small, 1) - logit(model, x + sign * small, 0) for sign in (1, -1)]
        expected = (slope[0] - slope[1]) / 2e-2 * x[:, step, feature]
        np.testing.assert_allclose(contribution[:, step, feature], expected, atol=2e-4)


def test_occlusion_is_what_the_answer_loses(rng):
    model, x = sensor(), series(rng, 2)
    contribution = (attribute(model, x, 1, "occlusion") - attribute(model, x, 0, "occlusion"))["contribution"]
    without = x.copy()
    without[:, 2, 1] = 0.0
    expected = [logit(model, one, 1) - logit(model, one, 0) for one in (x, without)]
    np.testing.assert_allclose(contribution[:, 2, 1], expected[0] - expected[1], atol=1e-5)
    spans = attribute(model, x, 1, "occlusion", span=STEPS)["contribution"]
    np.testing.assert_allclose(spans, np.broadcast_to(spans[:, :1], spans.shape), atol=1e-9)


@pytest.mark.parametrize("method", OVER_INPUTS)
def test_masked_steps_contribute_nothing_and_stay_masked(rng, method):
    """At the baseline 0 every step of the data would be masked; it is the data's own mask that counts."""
    x = series(rng)
    x[1, 3:], x[2, :2] = 0.0, 0.0
    model = sensor(mask_value=0.0)
    result = attribute(model, x, 1, method)
    assert not result["contribution"].values[1, 3:].any()
    assert not result["contribution"].values[2, :2].any()
    assert abs(result["contribution"].values[0]).min() > 0


@pytest.mark.parametrize("method", OVER_INPUTS)
def test_tokens_by_their_embeddings(rng, method):
    model = text()
    ids = rng.integers(1, 11, size=(4, STEPS))
    ids[1, 3:] = 0
    result = attribute(model, ids, method=method)
    assert result["contribution"].dims == ("sample", "time")
    assert not result["contribution"].values[1, 3:].any()
    if method == "integrated_gradients":
        assert abs(result["remainder"]).max() < 1e-5
    odds = model.predict(ids, verbose=0)[:, 0]
    np.testing.assert_allclose(result["answer"], np.log(odds / (1 - odds)), atol=1e-5)


def two_inputs():
    series, ids = keras.Input((STEPS, 3), name="b_series"), keras.Input((4,), dtype="int32", name="a_ids")
    static = keras.Input((2,), name="c_static")
    hidden = [layers.LSTM(4)(series), layers.LSTM(3)(layers.Embedding(11, 6)(ids)), static]
    joined = layers.Concatenate()(hidden)
    return keras.Model([series, ids, static], {"y": layers.Dense(2, name="y")(joined), "z": layers.Dense(1)(joined)})


def test_several_inputs_and_outputs_by_name(rng):
    model = two_inputs()
    data = {"c_static": rng.normal(size=(3, 2)), "a_ids": rng.integers(0, 11, size=(3, 4)), "b_series": series(rng)}
    result = attribute(model, data, 1, output="y")
    assert result["contribution_b_series"].dims == ("sample", "time_b_series", "feature_b_series")
    assert result["contribution_a_ids"].dims == ("sample", "time_a_ids")
    assert result["contribution_c_static"].dims == ("sample", "feature_c_static")
    assert abs(result["remainder"]).max() < 1e-5
    as_list = attribute(model, [data["b_series"], data["a_ids"], data["c_static"]], 1, output="y")
    np.testing.assert_array_equal(as_list["contribution_a_ids"], result["contribution_a_ids"])


def test_each_samples_largest_class(rng):
    model, x = sensor(), series(rng, 6)
    result = attribute(model, x, "largest", "gradient_input")
    by_class = [attribute(model, x, target, "gradient_input")["answer"].values for target in (0, 1)]
    np.testing.assert_array_equal(result["answer"], np.max(by_class, axis=0))


def relevant_by_the_paper(x, inside, kernel, recurrent, bias):
    """beta and gamma of the last h of one sample, from the equations of Murdoch, Liu & Yu 2018 in float64."""
    units = len(recurrent)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    parts = np.zeros((4, units))  # h relevant, h other, c relevant, c other
    for t in range(len(x)):
        a = (inside[t] * x[t]) @ kernel + parts[0] @ recurrent
        q = ((1 - inside[t]) * x[t]) @ kernel + parts[1] @ recurrent
        of = {}
        for place, (name, act) in enumerate(zip("ifgo", (sigmoid, sigmoid, np.tanh, sigmoid))):
            ra, rq, b = (v[place * units : (place + 1) * units] for v in (a, q, bias))
            beta = 0.5 * ((act(ra + b) - act(b)) + (act(ra + rq + b) - act(rq + b)))
            gamma = 0.5 * ((act(rq + b) - act(b)) + (act(ra + rq + b) - act(ra + b)))
            of[name] = beta, gamma, act(b)
        beta_c = of["i"][0] * (of["g"][0] + of["g"][2]) + of["i"][2] * of["g"][0] + (of["f"][0] + of["f"][2]) * parts[2]
        whole = sum(of["i"]) * sum(of["g"]) + sum(of["f"]) * (parts[2] + parts[3])
        gamma_c = whole - beta_c
        beta_h = 0.5 * (np.tanh(beta_c) + np.tanh(whole) - np.tanh(gamma_c))
        o = sum(of["o"])
        parts = np.stack([o * beta_h, o * (np.tanh(whole) - beta_h), beta_c, gamma_c])
    return parts[:2]


def test_contextual_decomposition_as_the_equations_say(rng):
    lstm, dense = layers.LSTM(4, bias_initializer="random_normal"), layers.Dense(2, activation="softmax")
    model = keras.Sequential([keras.Input((STEPS, 3)), lstm, layers.Dropout(0.3), dense])
    x, steps = series(rng), slice(1, 3)
    result = attribute(model, x, 1, "contextual_decomposition", steps=steps)
    inside = np.zeros(STEPS)
    inside[steps] = 1
    weights, kernel = [w.astype("float64") for w in lstm.get_weights()], dense.get_weights()[0].astype("float64")
    expected = [relevant_by_the_paper(one, inside, *weights)[0] @ kernel[:, 1] for one in x.astype("float64")]
    np.testing.assert_allclose(result["contribution"], expected, atol=1e-6)
    np.testing.assert_allclose(result["remainder"], 0, atol=1e-6)


@pytest.mark.parametrize("build", [sensor, lambda: sensor(mask_value=0.0), text, lambda: text(False)])
def test_contextual_decomposition_sums_up(rng, build):
    model = build()
    tokens = len(model.inputs[0].shape) == 2
    x = rng.integers(1, 11, size=(3, STEPS)) if tokens else series(rng)
    x[1, 3:] = 0
    result = attribute(model, x, None if tokens else 1, "contextual_decomposition", steps=[0, 2])
    np.testing.assert_allclose(result["remainder"], 0, atol=1e-6)
    assert abs(result["contribution"]).min() > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"method": "shap"}, "expected method among ['integrated_gradients', 'gradient_input', 'occlusion', "),
        ({"target": 2}, "expected target, 1 indices into the output"),
        ({"target": True}, "received True"),
        ({"target": None}, "of shape (sample, 2), or largest; received None"),
        ({"steps": [1]}, "expected steps with method='contextual_decomposition' alone"),
        ({"method": "contextual_decomposition"}, "expected steps, a slice or a list of int"),
        ({"method": "contextual_decomposition", "steps": [9]}, "of 5 steps; received [9]"),
        ({"baseline": "median"}, "expected baseline 'zero', 'mean' or an array that broadcasts to (5, 3)"),
        ({"output": "other"}, "expected output among ["),
        ({"method": "occlusion", "span": 0}, "expected span to be an int > 0; received 0"),
        ({"x": np.zeros((3, STEPS, 2))}, "expected sequences of shape (samples, time, features)"),
        ({"x": np.full((3, STEPS, 3), np.nan)}, "expected finite numbers"),
    ],
)
def test_what_does_not_fit_is_told(rng, arguments, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        attribute(sensor(), **{"x": series(rng), "target": 1, **arguments})


def test_layers_that_a_method_does_not_know_are_named(rng):
    ids = keras.Input((STEPS,), dtype="int32", name="ids")
    one_hot = keras.Model(ids, layers.Dense(1)(layers.LSTM(3)(layers.CategoryEncoding(11, "one_hot")(ids))))
    with pytest.raises(ValueError, match="expected the input 'ids' to be of floats, or to go to an Embedding layer"):
        attribute(one_hot, np.ones((2, STEPS), int))
    inputs = keras.Input((STEPS, 3))
    attended = layers.Attention(name="attending")([inputs, inputs])
    model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(attended)))
    with pytest.raises(ValueError, match=r"does not know the layer 'attending'.*received a Attention"):
        attribute(model, series(rng), method="contextual_decomposition", steps=[1])
    stateful = keras.Sequential(
        [keras.Input(batch_shape=(3, STEPS, 3)), layers.LSTM(3, stateful=True), layers.Dense(1)]
    )
    with pytest.raises(ValueError, match="with stateful=True"):
        attribute(stateful, series(rng))


def test_steered_models(rng):
    """A gate that is steered is accounted for as it is; a state that is set is not a sum of what was written."""
    plain = keras.Sequential([keras.Input((STEPS, 3)), layers.LSTM(4, name="lstm"), layers.Dense(1, name="dense")])
    x = series(rng)
    steered = steer(plain, {"lstm/f": Set(0.3), "lstm/o": Scale(0.5)})
    for result in (attribute(steered, x), answer_ledger(steered, x)):
        assert abs(result["remainder"]).max() < 1e-6
        np.testing.assert_allclose(result["answer"], steered.predict(x, verbose=0)["dense"][:, 0], atol=1e-6)
    with pytest.raises(ValueError, match="contextual decomposition does not know the layer 'lstm_interventions'"):
        attribute(steered, x, method="contextual_decomposition", steps=[1])
    of_states = steer(plain, {"lstm/c": Set(0.3, steps=[2])})
    assert abs(attribute(of_states, x)["remainder"]).max() < 1e-6
    with pytest.raises(ValueError, match=r"received interventions on them at \['lstm'\]"):
        answer_ledger(of_states, x)


def test_a_model_of_one_batch_size_takes_any(rng):
    model = keras.Sequential([keras.Input(batch_shape=(2, STEPS, 3)), layers.LSTM(4), layers.Dense(1)])
    assert abs(attribute(model, series(rng))["remainder"]).max() < 1e-5


def test_in_mixed_precision(rng):
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = keras.Sequential([keras.Input((STEPS, 3)), layers.LSTM(4), layers.Dense(1, dtype="float32")])
    finally:
        keras.mixed_precision.set_global_policy(policy)
    x = series(rng)
    assert abs(attribute(model, x)["remainder"]).max() < 5e-3
    assert abs(answer_ledger(model, x)["remainder"]).max() < 5e-3
