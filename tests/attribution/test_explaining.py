"""One answer through three lenses: each is the tool's own number, and the sentence names the largest."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_lstm_gates import plots, reporting, tracing
from keras_lstm_gates.attribution import answer_ledger, attribute, explain
from keras_lstm_gates.models import SequenceClassifier
from keras_lstm_gates.steering import Set, steer

STEPS = 6


@pytest.fixture(scope="module")
def sensors():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((STEPS, 3))
    hidden = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Masking()(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Bidirectional(layers.LSTM(4))(hidden)))
    x = np.random.default_rng(0).normal(size=(4, STEPS, 3)).astype("float32")
    x[1, 4:] = 0.0
    return model, x


@pytest.fixture(scope="module")
def words():
    keras.utils.set_random_seed(4)
    model = SequenceClassifier(vocabulary=11, classes=2, units=4)
    ids = np.random.default_rng(0).integers(2, 11, size=(3, STEPS))
    return model, ids, [f"${word}_" for word in "abcdefghijk"]


def test_each_lens_is_the_number_of_its_tool(sensors):
    model, x = sensors
    data = explain(model, x, 1, sample=1, baseline="zero").data
    one = x[1:2]
    causal = attribute(model, one, 1, "occlusion", baseline="zero")["contribution"].sum("feature")[0]
    np.testing.assert_allclose(data["causal"], causal, atol=1e-7)
    inputs = attribute(model, one, 1, baseline="zero")["contribution"][0]
    np.testing.assert_allclose(data["inputs"], inputs, atol=1e-7)
    account = answer_ledger(model, one, 1)
    total = data["stored"].sum() + sum(
        account[path]["initial"].sel(rule="proportional").sum() for path in account.attrs["layers"]
    )
    np.testing.assert_allclose(total, data.attrs["answer"] - data.attrs["bias"], atol=1e-6)
    assert not data["stored"].values[4:].any()
    assert data["mask"].values.tolist() == [True] * 4 + [False] * 2


def test_sensitive_is_the_slope_of_the_log_probability_at_c(rng):
    """The last step's slope of c, from the equations: d log p / d h through the softmax, times o tanh'(c)."""
    lstm, dense = layers.LSTM(4, name="lstm"), layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((STEPS, 3)), lstm, dense])
    x = rng.normal(size=(2, STEPS, 3)).astype("float32")
    data = explain(model, x, 2, sample=1).data
    node = tracing.trace(model, x, progress=False)["lstm"].isel(sample=1, time=-1)
    o, c = (node[name].values.astype("float64") for name in "oc")
    kernel, p = dense.get_weights()[0], model.predict(x, verbose=0)[1]
    slope = kernel[:, 2] - kernel @ p
    np.testing.assert_allclose(data["sensitive"][-1], np.linalg.norm(slope * o * (1 - np.tanh(c) ** 2)), rtol=1e-5)


def test_closed_is_what_the_answer_loses_where_nothing_is_written(sensors):
    """Beside the model steered at one step, by its logarithms of probabilities."""
    model, x = sensors
    pair = [explain(model, x, target, sample=2).data["closed"].values for target in (0, 1)]
    paths = answer_ledger(model, x[2:3], 1).attrs["layers"]
    for step in (0, 3):
        steered = steer(model, {f"{path}/i": Set(0.0, steps=[step]) for path in paths}, return_gates=False)
        logs = [np.log(one.predict(x[2:3], verbose=0)[0]) for one in (model, steered)]
        lost = (logs[0][1] - logs[0][0]) - (logs[1][1] - logs[1][0])
        np.testing.assert_allclose(pair[1][step] - pair[0][step], lost, atol=1e-5)


def test_the_largest_class_and_the_sentence(sensors):
    model, x = sensors
    explanation = explain(model, x, sample=2)
    assert int(explanation.data.attrs["target"]) == model.predict(x, verbose=0)[2].argmax()
    causal = explanation.data["causal"].values
    for step in np.argsort(-abs(causal))[:3]:
        assert f"step {step} ({causal[step]:+.3g})" in explanation.sentence


def test_tokens_by_name_in_the_sentence_and_the_picture(words):
    model, ids, vocabulary = words
    explanation = explain(model, ids, 1, sample=1, vocabulary=vocabulary)
    assert explanation.data["token"].values.tolist() == [vocabulary[token] for token in ids[1]]
    most = int(np.argmax(abs(explanation.data["causal"].values)))
    assert repr(vocabulary[ids[1, most]]) in explanation.sentence
    shown = [text.get_text() for text in explanation.figure.axes[0].texts]
    assert shown == [vocabulary[token] for token in ids[1]]


def test_phrases_are_what_the_method_says_of_their_steps(words):
    """Each beside contextual decomposition of that span alone; of sensors there are none."""
    model, ids, vocabulary = words
    ids = ids.copy()
    ids[2, 4:] = 0
    data = explain(model, ids, 1, sample=2, vocabulary=vocabulary).data
    assert data["phrase"].dims == ("time", "length")
    for first, length in ((0, 1), (1, 3), (2, 4), (5, 1)):
        span = slice(first, first + length)
        alone = attribute(model, ids[2:3], 1, "contextual_decomposition", steps=span)["contribution"][0]
        np.testing.assert_allclose(data["phrase"].sel(time=first, length=length), alone, atol=1e-6)
    assert np.isnan(data["phrase"].values).sum() == 4 + 3 + 2 + 1
    assert data["phrase"].sel(time=5, length=1) == 0


def test_phrases_through_a_layer_that_the_method_does_not_know_are_left_out(words):
    ids = keras.Input((STEPS,), dtype="int32")
    hidden = layers.LayerNormalization()(layers.Embedding(11, 3)(ids))
    model = keras.Model(ids, layers.Dense(1)(layers.LSTM(4)(hidden)))
    data = explain(model, words[1]).data
    assert "phrase" not in data
    assert "left out: contextual decomposition does not know the layer" in data.attrs["phrase"]


def test_the_picture_shows_the_numbers_of_the_real_steps(sensors):
    model, x = sensors
    explanation = explain(model, x, 0, sample=1)
    above, *lenses = plots.explanation(explanation.data).axes[:5]
    np.testing.assert_array_equal(above.images[0].get_array(), explanation.data["inputs"].values[:4].T)
    for axes, lens in zip(lenses, ("stored", "sensitive", "closed", "causal"), strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        np.testing.assert_allclose(heights, explanation.data[lens].values[:4])
        for bar in axes.patches:
            red, _, blue, _ = bar.get_facecolor()
            assert (red > blue) == (bar.get_height() >= 0)
    assert explanation._repr_png_().startswith(b"\x89PNG")
    assert explanation._repr_markdown_() == explanation.sentence


def test_a_gap_stays_empty_above_its_bars(sensors):
    model, x = sensors
    x = np.concatenate([x[:1, :2], np.zeros_like(x[:1, :2]), x[:1, 4:]], axis=1)
    explanation = explain(model, x, 0)
    above, below = plots.explanation(explanation.data).axes[:2]
    drawn, (left, right, *_) = above.images[0].get_array(), above.images[0].get_extent()
    assert (left, right) == below.get_xlim() == (-0.5, STEPS - 0.5)
    assert drawn.shape == (3, STEPS)
    np.testing.assert_array_equal(
        np.ma.getmaskarray(drawn).all(axis=0), [False, False, True, True] + [False] * (STEPS - 4)
    )
    np.testing.assert_array_equal(drawn[:, 4:], explanation.data["inputs"].values[4:].T)
    assert {float(step) for step in above.xaxis.get_ticklocs()} <= set(range(-10, 50))


def test_the_picture_has_the_names_of_the_columns_and_the_times(sensors):
    model, x = sensors
    explanation = explain(model, x, 0, sample=1, columns=["load", "$price$", "wind"])
    when = np.datetime64("2024-03-01T06:00") + np.arange(STEPS) * np.timedelta64(1, "h")
    figure = plots.explanation(explanation.data.assign_coords(when=("time", when)))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["load", "$price$", "wind"]
    # Of the four real steps.
    assert figure.axes[4].get_xlabel() == "time step, from 2024-03-01 06:00 to 2024-03-01 09:00"
    with pytest.raises(ValueError, match="expected a name for each of the 3 features; received 2 columns"):
        explain(model, x, 0, columns=["load", "price"])
    without = explain(model, x, 0).figure.axes
    assert (without[0].get_ylabel(), without[4].get_xlabel()) == ("channel", "time step")


def test_the_contributions_of_sub_sequences_are_summed_over_their_inner_steps(rng):
    inputs = keras.Input((STEPS, 4, 2))
    each = layers.TimeDistributed(layers.Flatten())(layers.TimeDistributed(layers.Conv1D(3, 2))(inputs))
    model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(4)(each)))
    explanation = explain(model, rng.normal(size=(2, STEPS, 4, 2)).astype("float32"), columns=["load", "wind"])
    above = explanation.figure.axes[0]
    contributions = explanation.data["inputs"].values
    assert contributions.shape == (STEPS, 4, 2)
    np.testing.assert_allclose(above.images[0].get_array(), contributions.sum(axis=1).T)
    assert [label.get_text() for label in above.get_yticklabels()] == ["load", "wind"]
    assert above.get_title(loc="left").endswith("summed over 4 inner steps")


def test_a_memory_that_holds_nothing_is_said(rng):
    """The answer is a sum of the input; the weight of what the LSTM says is 0."""
    inputs = keras.Input((STEPS, 2))
    said = layers.Dense(1, kernel_initializer="zeros")(layers.LSTM(3)(inputs))
    model = keras.Model(inputs, layers.Add()([said, layers.Dense(1)(layers.Flatten()(inputs))]))
    explanation = explain(model, rng.normal(size=(2, STEPS, 2)).astype("float32"))
    assert not explanation.data["stored"].values.any()
    assert explanation.sentence.endswith(". The memory holds nothing for it.")


def test_the_command_line_hands_on_the_names_of_a_csv(sensors, command, tmp_path, monkeypatch):
    model, x = sensors
    model.save(tmp_path / "model.keras")
    np.savetxt(tmp_path / "data.csv", x[0], delimiter=",", header="load,price,wind", comments="")
    drawn, picture = [], plots.explanation
    monkeypatch.setattr(plots, "explanation", lambda data: drawn.append(data) or picture(data))
    code, _, errors = command("explain", "model.keras", "data.csv", "--out", "out")
    assert code == 0, errors
    assert drawn[0].attrs["columns"] == ["load", "price", "wind"]


def test_the_page_has_a_section_for_it(sensors, tmp_path):
    model, x = sensors
    tree = tracing.trace(model, x[:1], progress=False)
    explanation = explain(model, x, 0)
    page = reporting.report(tree, tmp_path / "page.html", explanation=explanation).read_text(encoding="utf-8")
    assert 'id="explanation-title"' in page
    assert explanation.sentence in page
    assert 'id="explanation-title"' not in reporting.report(tree, tmp_path / "without.html").read_text(encoding="utf-8")


def test_on_the_command_line(sensors, command, tmp_path):
    model, x = sensors
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "data.npy", x)
    code, printed, _ = command("explain", "model.keras", "data.npy", "--sample", 2, "--target", 1, "--out", "out")
    assert code == 0
    assert explain(model, x, 1, sample=2).sentence in printed
    table = np.loadtxt(tmp_path / "out" / "explanation.csv", delimiter=",", skiprows=1, usecols=[1, 2, 3, 4])
    np.testing.assert_allclose(table[:, 3], explain(model, x, 1, sample=2).data["causal"], atol=1e-6)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"explanation.csv", "explanation.png", "report.html"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sample", 9], "expected a sample from 0 to 3; received 9"),
        (["--target", 2], "expected target, 1 indices into the output"),
        (["--target", "a"], "expected --target as 1 or 3,1, indices into the output; received 'a'"),
        (["--output", "z"], "expected output among ["),
    ],
)
def test_what_does_not_fit_is_told_on_the_command_line(sensors, command, tmp_path, arguments, told):
    model, x = sensors
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "data.npy", x)
    code, _, errors = command("explain", "model.keras", "data.npy", *arguments, "--out", "out")
    assert code == 1
    assert told in errors
    assert not (tmp_path / "out").exists()


def test_several_inputs_are_refused(rng):
    one, other = keras.Input((STEPS, 3)), keras.Input((4, 3))
    model = keras.Model([one, other], layers.Dense(1)(layers.Add()([layers.LSTM(4)(one), layers.LSTM(4)(other)])))
    with pytest.raises(ValueError, match="expected a model with one input; received 2"):
        explain(model, [rng.normal(size=(2, STEPS, 3)), rng.normal(size=(2, 4, 3))])


def test_steps_of_another_number_are_refused(rng):
    inputs = keras.Input((STEPS, 3))
    hidden = layers.LSTM(4)(layers.Conv1D(5, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(1)(hidden))
    with pytest.raises(ValueError, match="that read the input's own 6 steps; received 4"):
        explain(model, rng.normal(size=(2, STEPS, 3)))
