"""What the page says of a step and of the answer: z, the prediction and its loss, names, and an address for each."""

import keras
import numpy as np
import pytest
import reference
import xarray as xr
from browsers import chromium, opened, text_of, until

from keras_lstm_gates import reporting, tracing
from keras_lstm_gates.reporting.answers import answers
from keras_lstm_gates.steering import Set, steer

X = np.random.default_rng(0).normal(size=(4, 7, 2)).astype("float32")


@pytest.fixture(scope="module")
def browser():
    with chromium(1100, 900) as opened_browser:
        yield opened_browser


def tagger(units=5, classes=3, **options):
    keras.utils.set_random_seed(2)
    lstm = keras.layers.LSTM(units, return_sequences=True, name="lstm", **options)
    return keras.Sequential([keras.Input((7, 2)), lstm, keras.layers.Dense(classes, "softmax", name="tags")])


def batches(model, x, y):
    """The trace of data with targets."""
    return tracing.trace(model, iter([(x, y)]), progress=False)


def preactivations(model, x):
    """z (sample, time, gate i f g o, unit), NumPy float64 from the equations."""
    kernel, recurrent_kernel, bias = (np.asarray(w, "float64") for w in model.get_layer("lstm").get_weights())
    h = reference.lstm(x, kernel, recurrent_kernel, bias)["h"]
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)
    return (x @ kernel + before @ recurrent_kernel + bias).reshape(*x.shape[:2], 4, -1)


def test_z_is_that_of_the_equations(browser, tmp_path):
    model = tagger()
    z = preactivations(model, X)
    opened(browser, reporting.report(tracing.trace(model, X, progress=False), tmp_path / "page.html"))
    for sample, step, unit in ((0, 0, 0), (1, 3, 4), (3, 6, 2)):
        browser.execute_script(
            "show({sample: arguments[0], step: arguments[1], unit: arguments[2]})", sample, step, unit
        )
        said, drawn = text_of(browser, "equations").replace("\u00a0", " "), text_of(browser, "drawing")
        for place, gate in enumerate("ifgo"):
            number = z[sample, step, place, unit]
            squash, value = ("tanh", np.tanh(number)) if gate == "g" else ("σ", reference.sigmoid(number))
            assert f"{gate} = {squash}({number:.2f}) = {value:.3f}" in said.replace("-0.00", "0.00")
            assert f"z {number:.2f}" in drawn
        assert "from all 5 of hₜ₋₁" in said
        assert "with 4 others" in drawn


def test_z_tells_no_more_than_the_gate_allows(browser, tmp_path):
    model = tagger(units=1)
    layer = model.get_layer("lstm")
    layer.set_weights([0 * layer.get_weights()[0], 0 * layer.get_weights()[1], np.array([10.0, 60.0, -30.0, 0.0])])
    opened(browser, reporting.report(tracing.trace(model, X, progress=False), tmp_path / "page.html"))
    said = text_of(browser, "equations").replace("\u00a0", " ")
    assert "i = σ(10.0" in said
    assert "f = σ(> 1" in said
    assert "g = tanh(< -" in said
    assert "o = σ(0.00) = 0.500" in said
    assert "with 0 others" not in text_of(browser, "drawing")


@pytest.mark.parametrize("activation", ["relu", "hard_sigmoid"])
def test_z_of_other_activations(browser, tmp_path, activation):
    model = tagger(recurrent_activation=activation)
    opened(browser, reporting.report(tracing.trace(model, X, progress=False), tmp_path / "page.html"))
    browser.execute_script("show({sample: 1, step: 0, unit: 3})")
    said, z = text_of(browser, "equations").replace("\u00a0", " "), preactivations(model, X)[1, 0, 1, 3]
    expected = f"f = hard_si…({z:.2f}) = {z / 6 + 0.5:.3f}" if activation == "hard_sigmoid" else f"f = {max(z, 0):.3f}"
    assert expected in said


def test_of_a_gate_that_something_acts_on_no_z_is_told(browser, tmp_path):
    steered = steer(tagger(), {"lstm/f": Set(0.9), "lstm/c": Set(0.5, units=[0])}, return_gates=False)
    tree = tracing.trace(steered, X, progress=False)
    assert tree["lstm"].attrs["steered"] == ["c", "f"]
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    said = text_of(browser, "equations").replace("\u00a0", " ")
    assert "f = 0.900 (acted on)" in said
    assert "i = σ(" in said
    browser.execute_script("turn('i', 0.25)")
    assert "i = 0.250," in text_of(browser, "equations").replace("\u00a0", " ")


def test_the_answer_of_each_step_and_its_loss(browser, tmp_path):
    model, y = tagger(), np.random.default_rng(1).integers(0, 3, (4, 7))
    p = model.predict(X, verbose=0).astype("float64")
    losses = -np.log(np.take_along_axis(p, y[..., None], axis=-1)[..., 0])
    opened(browser, reporting.report(batches(model, X, y), tmp_path / "page.html"))
    browser.execute_script("show({sample: 2, step: 4})")
    best, target = p[2, 4].argmax(), y[2, 4]
    assert text_of(browser, "answer") == (
        f"At this step the model answers class {best}, p = {p[2, 4].max():.3f}. The target is class {target}, "
        f"p = {p[2, 4, target]:.3f}: cross-entropy -ln p = {losses[2, 4]:.3f}; "
        f"summed over the 7 steps {losses[2].sum():.2f}."
    )
    assert browser.get_log("browser") == []


def test_the_answer_for_a_sequence_with_and_without_a_target(browser, tmp_path):
    sequence = keras.Input((7, 2))
    h = keras.layers.LSTM(3, name="lstm")(sequence)
    model = keras.Model(sequence, keras.layers.Dense(6, name="forecast")(h))
    forecast, y = model.predict(X, verbose=0), np.ones((4, 6), "float32")
    for tree, said in ((batches(model, X, y), True), (tracing.trace(model, X, progress=False), False)):
        opened(browser, reporting.report(tree, tmp_path / "page.html"))
        browser.execute_script("show({sample: 3})")
        text = text_of(browser, "answer")
        assert text.startswith("The model answers ")
        assert text.partition("answers ")[2].startswith(f"{forecast[3, 0]:.5g}"[:5])
        assert "… (6 numbers)." in text
        error = np.abs(forecast[3].astype("float64") - 1).mean()
        assert (f"mean absolute error {error:.4g}"[:-1] in text) is said
        (tmp_path / "page.html").unlink()


def test_a_table_has_its_times_and_a_forecast_with_quantiles_its_first_numbers(browser, tmp_path):
    sequence = keras.Input((7, 2))
    h = keras.layers.LSTM(3, name="lstm")(sequence)
    forecast = keras.layers.Reshape((4, 3), name="forecast")(keras.layers.Dense(12)(h))
    model = keras.Model(sequence, forecast)
    tree = tracing.trace(model, X, progress=False)
    hours = np.datetime64("2024-03-01T05:00") + np.arange(7) * np.timedelta64(1, "h")
    node = tree["lstm"].to_dataset(inherit=False)
    tree["lstm"].dataset = node.assign_coords(
        when=(("sample", "time"), np.tile(hours, (4, 1)).astype("datetime64[us]"))
    )
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    browser.execute_script("show({sample: 1, step: 3})")
    assert text_of(browser, "place").startswith("step 3, 2024-03-01 08:00, of 0 to 6")
    said = text_of(browser, "answer")
    assert said.startswith(f"The model answers {model.predict(X, verbose=0)[1, 0, 0]:.5g}"[:24])
    assert said.endswith("… (12 numbers).")


def test_ids_without_words_stand_apart_and_several_ids_a_step_are_no_tokens(browser, tmp_path):
    words = keras.Input((6,), dtype="int32")
    model = keras.Model(words, keras.layers.LSTM(3, name="lstm")(keras.layers.Embedding(99, 4)(words)))
    tree = tracing.trace(model, np.array([[22, 5, 1, 84, 7, 1]]), progress=False)
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    assert browser.execute_script("return document.getElementById('text').className") == "words"
    assert browser.execute_script("return document.getElementById('sample').textContent") == "0: 22 5 1 84 7 1…"
    letters = keras.Input((6, 5), dtype="int32")
    x = keras.layers.Embedding(99, 4)(letters)
    x = keras.layers.TimeDistributed(keras.layers.LSTM(3, name="of_letters"), name="each")(x)
    model = keras.Model(letters, keras.layers.LSTM(2, name="of_words")(x))
    tree = tracing.trace(model, np.ones((2, 6, 5), "int32"), progress=False, vocabulary=["", *"abc"])
    opened(browser, reporting.report(tree, tmp_path / "letters.html"))
    assert browser.execute_script("return content.tokens") is None


def test_a_link_leads_to_a_step_of_a_unit_and_nonsense_to_the_beginning(browser, tmp_path):
    path = reporting.report(tracing.trace(tagger(), X, progress=False), tmp_path / "page.html")
    opened(browser, path)
    browser.execute_script("show({sample: 2, unit: 3, step: 5, gate: 'o'})")
    link = browser.current_url
    assert link.endswith("#layer=lstm&sample=2&unit=3&step=5&gate=o")
    shown = "return [view.sample, view.unit, view.step, view.gate]"
    browser.get("about:blank")
    browser.get(link)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    assert browser.execute_script(shown) == [2, 3, 5, "o"]
    assert text_of(browser, "place") == "step 5 of 0 to 6, unit 3"
    browser.execute_script("location.hash = '#layer=lstm&sample=1&unit=0&step=2&gate=f'")
    until(lambda: browser.execute_script(shown) == [1, 0, 2, "f"])
    for nonsense in ("unit", "layer=other&sample=x&unit=1e9&step=-3&gate=zz", "sample=1.5&<script>"):
        browser.get("about:blank")
        browser.get(f"file://{path}#{nonsense}")
        until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
        sample, unit, step, gate = browser.execute_script(shown)
        assert (sample, gate, 0 <= unit < 5, 0 <= step < 7) == (0, "f", True, True)
    assert browser.get_log("browser") == []


def test_channels_have_their_names_and_a_legend(browser, tmp_path):
    tree = tracing.trace(tagger(), X * [1, 1000], progress=False)
    tree.attrs["columns"] = ["load, MW", "<b>price</b>"]
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    legend = browser.execute_script(
        "return [...document.querySelectorAll('#legend span')].map((one) => one.textContent)"
    )
    assert legend == ["load, MW", "<b>price</b>"]
    assert f"load, MW {X[0, 2, 0]:.3f}" in text_of(browser, "drawing")
    drawn = "return document.getElementById('curves').data.filter((one) => one.yaxis === 'y7').map((one) => one.y)"
    np.testing.assert_allclose([[min(y), max(y)] for y in browser.execute_script(drawn)], [[0, 1], [0, 1]], atol=1e-6)
    tree.attrs["columns"] = ["one alone"]
    opened(browser, reporting.report(tree, tmp_path / "other.html"))
    assert text_of(browser, "legend") == "channel 0channel 1"


def test_a_layer_above_another_is_not_drawn_with_the_models_input(browser, tmp_path):
    words = keras.Input((6,), dtype="int32")
    x = keras.layers.LSTM(3, return_sequences=True, name="below")(keras.layers.Embedding(9, 4)(words))
    model = keras.Model(words, keras.layers.LSTM(2, name="above")(x))
    tree = tracing.trace(model, np.array([[5, 1, 2, 3, 4, 8]]), progress=False)
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    browser.execute_script("show({layer: 0, step: 5})")
    assert "xₜ8" in text_of(browser, "drawing")
    browser.execute_script("show({layer: 1, step: 5})")
    assert "what the layer below says, at 8" in text_of(browser, "drawing")


def test_a_page_is_written_to_a_html_file_alone(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"a model")
    with pytest.raises(ValueError, match=r"expected a path with the ending .html; received .*model.keras"):
        reporting.report(tracing.trace(tagger(), X, progress=False), tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == b"a model"


def test_from_the_command_line_with_targets_and_words(command, tmp_path):
    words = keras.Input((6,), dtype="int32")
    h = keras.layers.LSTM(3, name="lstm")(keras.layers.Embedding(4, 2)(words))
    keras.Model(words, keras.layers.Dense(1, "sigmoid", name="liked")(h)).save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", np.array([[1, 2, 3, 1, 2, 3]] * 3))
    np.save(tmp_path / "y.npy", np.array([0, 1, 1]))
    (tmp_path / "words.txt").write_text("nothing\ngood\nbad\nfilm\n")
    assert command("trace", "model.keras", "x.npy", "y.npy", "--vocabulary", "words.txt", "--out", "out")[0] == 0
    tree = tracing.load(tmp_path / "out" / "gates.zarr")
    assert tracing.tokens(tree, 0) == ["good", "bad", "film"] * 2
    (told,) = answers(tree, 3)
    p = tree["liked"].values[:, 0]
    assert told["target"] == [0, 1, 1]
    np.testing.assert_allclose(told["of_target"], [1 - p[0], p[1], p[2]], rtol=1e-4)
    code, _, errors = command("trace", "model.keras", "x.npy", "words.txt", "--out", "other")
    assert (code, "expected a file that ends with .npy or .csv" in errors) == (1, True)


def tree_of(output, target=None):
    root = {"answer": (["sample", *(f"a{axis}" for axis in range(1, output.ndim))], output, {"role": "output"})}
    if target is not None:
        root["target"] = (["sample", *(f"t{axis}" for axis in range(1, target.ndim))], target, {"role": "target"})
    return xr.DataTree(xr.Dataset(root))


HALVES = np.array([[0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        (HALVES, np.array([0, 1]), {"best": [1, 0], "target": [0, 1], "of_target": [0.25, 0.5]}),
        (HALVES, np.array([[0], [1]]), {"target": [0, 1]}),
        # A class that the model has not, one-hot rows, and labels of another shape are no targets of these classes.
        (HALVES, np.array([0, 2]), {"target": None, "of_target": None}),
        (HALVES, np.array([[0, 1], [1, 0]]), {"target": None}),
        (np.ones((2, 3, 2)) / 2, np.zeros((2, 2), int), {"target": None, "steps": True}),
        (np.array([[0.25], [0.5]]), np.array([1.0, 0.0]), {"best": [0, 0], "of_target": [0.25, 0.5], "target": [1, 0]}),
        (np.array([[0.25], [0.5]]), np.array([0.5, 0.0]), {"error": [0.25, 0.5]}),
        (np.array([[0.25], [1.5]]), np.array([1, 0]), {"error": [0.75, 1.5]}),
        (np.array([[2.0], [3.0]]), np.array([1.0, 5.0]), {"error": [1.0, 2.0], "numbers": [[2.0], [3.0]]}),
        (np.ones((2, 6)), np.zeros((2, 6)), {"error": [1.0, 1.0], "numbers": [[1.0] * 4] * 2, "count": 6}),
        (np.ones((2, 6)), np.zeros((2, 3)), {"error": None, "target": None}),
        (np.array([[np.nan], [1.0]]), None, {"numbers": [[None], [1.0]], "error": None}),
    ],
)
def test_answers_are_compared_with_targets_of_their_own_shape_alone(output, target, expected):
    (told,) = answers(tree_of(output, target), 5)
    assert {name: told[name] for name in expected} == expected


def test_too_many_answers_are_left_out():
    assert answers(tree_of(np.ones((20, 1000, 3)) / 3), 20)
    assert not answers(tree_of(np.ones((21, 2000, 3)) / 3), 21)
