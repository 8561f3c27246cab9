"""The page: one file, small, quick, and in a browser its controls change what is seen."""

import base64
import html
import re

import keras
import numpy as np
import pytest
import xarray as xr
from browsers import chromium, opened, plots_drawn, press, text_of, until
from small import small_model

from keras_lstm_gates import cli, reporting
from keras_lstm_gates.attribution import explain
from keras_lstm_gates.gradients import gradient_chain, verdict
from keras_lstm_gates.models import SequenceClassifier
from keras_lstm_gates.reporting import page as page_module
from keras_lstm_gates.tracing import trace

EVIL = "<script>document.title = 'owned'</script>"


def noise(samples, steps, units, **attributes):
    """A trace that obeys the equations and cannot be compressed."""
    rng = np.random.default_rng(0)
    shape, dims = (samples, steps, units), ("sample", "time", "unit")
    i, f, o = (1 / (1 + np.exp(-2 * rng.normal(size=shape))) for _ in range(3))
    g, c, before = np.tanh(rng.normal(size=shape)), np.zeros(shape), 0
    for step in range(steps):
        before = c[:, step] = i[:, step] * g[:, step] + f[:, step] * before
    values = {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * np.tanh(c)}
    mask = np.ones(shape[:2], bool)
    mask[-1, steps // 2 :] = False
    ids = rng.integers(0, 4, size=shape[:2])
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(coords={"input": (("sample", "input_time"), ids)}),
            "one": xr.Dataset({**{name: (dims, value) for name, value in values.items()}, "mask": (dims[:2], mask)}),
            "two/backward": xr.Dataset(
                {**{name: (dims, value[..., :3]) for name, value in values.items()}, "mask": (dims[:2], mask)},
                attrs={"reads": "backwards"},
            ),
        }
    )
    tree.attrs = {"model": EVIL, "vocabulary": ["a", " ", EVIL, "<b>&amp;"], **attributes}
    return tree


def test_the_largest_page_is_below_8_mb(tmp_path):
    path = reporting.report(noise(20, 200, 128), tmp_path / "page.html")
    assert path.stat().st_size < 8_000_000
    text = path.read_text()
    # No network: nothing is fetched, and the only addresses are names within the packed library.
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text)
    ours = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.S)
    assert set(re.findall(r"https?://[\w./]*", ours)) == {"http://www.w3.org/2000/svg"}


def test_too_much_shows_fewer_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "MOST", 1000)
    content, _ = page_module._content(noise(20, 10, 5), 20)
    assert [layer["shape"][0] for layer in content["layers"]] == [2, 2]
    assert content["layers"][0]["total"] == 20


def test_a_section_on_the_gradient(tmp_path):
    model, data = small_model()
    chain = gradient_chain(model, data)
    tree = trace(model, data, progress=False)
    without = reporting.report(tree, tmp_path / "without.html").read_text(encoding="utf-8")
    page = reporting.report(tree, tmp_path / "page.html", gradients=chain).read_text(encoding="utf-8")
    assert 'id="gradients-title"' not in without
    assert 'id="gradients-title"' in page
    (told,) = verdict(chain)
    assert f"<li>{html.escape(str(told))}</li>" in page
    assert base64.b64decode(page.partition("data:image/svg+xml;base64,")[2].partition('"')[0]).startswith(b"<?xml")


def test_other_activations_keep_their_h():
    tree = noise(2, 5, 3)
    tree["one"]["h"] = tree["one"]["h"] * 0.5
    content, numbers = page_module._content(tree, 2)
    assert ["".join(layer["kept"]) for layer in content["layers"]] == ["ifgoch", "ifgoc"]
    assert len(numbers) == 4 * (6 + 5) * 2 * 5 * 3


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: reporting.report(noise(1, 4, 2), path, samples=0), "samples of 1 or more; received 0"),
        (lambda path: reporting.report(xr.DataTree(), path), "one or more layers; received one with none"),
    ],
)
def test_mistakes(make, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        make(tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    with chromium(1100, 900) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The page of two layers of noise with tokens that try to be code: a function that runs a script in it."""
    path = reporting.report(noise(3, 30, 16), tmp_path_factory.mktemp("page") / "page.html")
    browser.get(f"file://{path}")
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    # A plot far down is drawn when it is scrolled to, or for the printer.
    assert plots_drawn(browser) == [False, False, False]
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    until(lambda: all(plots_drawn(browser)))
    return browser


def turn(page, gate, value):
    page.execute_script(
        "const knob = document.querySelector(`#knobs input[data-gate='${arguments[0]}']`); knob.value = arguments[1];"
        "knob.dispatchEvent(new Event('input', {bubbles: true}))",
        gate,
        value,
    )


def drawing(page):
    return page.execute_script("return document.getElementById('drawing').textContent")


def test_page_loads_without_a_word_on_the_console(page):
    assert page.get_log("browser") == []
    assert all(plots_drawn(page))


def test_data_stay_text(page):
    assert page.title == f"The gates of {EVIL}"
    assert page.execute_script("return document.getElementById('title').textContent") == f"The gates of {EVIL}"
    assert EVIL in page.execute_script("return document.getElementById('text').textContent")
    assert page.execute_script("return document.querySelectorAll('#text script, #text b, #curves script').length") == 0


def test_the_numbers_are_those_of_the_trace(page):
    tree = noise(3, 30, 16)
    page.execute_script("show({layer: 0, sample: 1, unit: 5, step: 7})")
    now = page.execute_script("return meeting(7)")
    for name in "ifgoch":
        assert now[name] == pytest.approx(float(tree["one"][name][1, 7, 5]), abs=1e-6)
        assert f"{float(tree['one'][name][1, 7, 5]):.3f}".replace("-", "−") in drawing(page)
    assert now["cBefore"] == pytest.approx(float(tree["one"]["c"][1, 6, 5]), abs=1e-6)
    assert now["kept"] + now["written"] == pytest.approx(now["c"], abs=1e-6)


def test_a_gate_is_turned_and_the_step_says_what_it_would_hold(page):
    node = noise(3, 30, 16)["one"]
    page.execute_script("show({layer: 0, sample: 1, unit: 5, step: 7})")
    i, g, o, c = (float(node[name][1, 7, 5]) for name in "igoc")
    before, said, untouched = float(node["c"][1, 6, 5]), text_of(page, "said"), drawing(page)
    turn(page, "f", 0.25)
    expected = 0.25 * before + i * g
    h = float(node["h"][1, 7, 5])
    assert text_of(page, "turned") == f"c {c:.3f} → {expected:.3f}, h {h:.3f} → {o * np.tanh(expected):.3f}"
    assert f"{expected:.3f}" in drawing(page).replace("−", "-")
    assert "It keeps 25 %" in text_of(page, "said")
    turn(page, "o", 0)
    assert text_of(page, "turned").endswith("→ 0.000")
    # The trace itself is as it was, and so is every other step.
    assert page.execute_script("return valueAt('c', 7)") == pytest.approx(c, abs=1e-6)
    page.execute_script("document.getElementById('as-it-was').click()")
    assert (text_of(page, "said"), drawing(page), text_of(page, "turned")) == (said, untouched, "")
    turn(page, "o", 0.5)
    assert text_of(page, "turned").startswith(f"c {c:.3f} → {c:.3f}, h")
    press(page, "ArrowRight")
    assert text_of(page, "turned") == ""
    assert page.execute_script("return document.getElementById('as-it-was').disabled")
    assert page.get_log("browser") == []


def test_a_backward_layer_is_walked_from_the_end(page):
    tree = noise(3, 30, 16)
    page.execute_script("show({layer: 1, sample: 0, unit: 1, step: 7})")
    assert page.execute_script("return meeting(7)")["cBefore"] == pytest.approx(
        float(tree["two/backward"]["c"][0, 8, 1])
    )
    page.execute_script("show({layer: 0})")


def test_keys_move(page):
    page.execute_script("show({layer: 0, sample: 0, unit: 5, step: 7, gate: 'f'})")
    for key, expected in [
        ("ArrowRight", {"step": 8}),
        ("ArrowUp", {"unit": 6}),
        ("ArrowDown", {"unit": 5}),
        ("ArrowLeft", {"step": 7}),
        ("c", {"gate": "c"}),
        ("]", {"sample": 1}),
        ("Home", {"step": 0}),
        ("End", {"step": 29}),
    ]:
        before = drawing(page)
        press(page, key)
        view = page.execute_script("return view")
        assert {name: view[name] for name in expected} == expected
        assert key == "c" or drawing(page) != before
    press(page, "Home")
    press(page, " ")
    until(lambda: page.execute_script("return view.step") > 0)
    press(page, " ")
    assert page.execute_script("return playing") is None


def test_controls_change_the_picture(page):
    def choose(name, value):
        page.execute_script(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change')); e.dispatchEvent(new Event('input'))",
            name,
            str(value),
        )

    colours = "return JSON.stringify(document.getElementById('map').data[0].z.slice(0, 2))"
    page.execute_script("show({layer: 0, sample: 0, gate: 'f'})")
    for name, value in [("layer", 1), ("layer", 0), ("sample", 1), ("sample", 2), ("gate", "g")]:
        before = page.execute_script(colours)
        choose(name, value)
        assert page.execute_script(colours) != before, name
    before = drawing(page)
    choose("unit-number", 3)
    assert drawing(page) != before
    # The last sample's second half is masked: its nearest real step is shown, and no others.
    choose("step-number", 25)
    assert page.execute_script("return view.step") == 14
    assert page.execute_script("return document.getElementById('map').data[0].z[0][20]") is None


def test_the_table_sorts(page):
    page.execute_script("show({layer: 0})")
    first = "return [...document.querySelectorAll('#table tbody td:first-child')].map((cell) => cell.textContent)"
    heading = "[...document.querySelectorAll('#table th button')].find((one) => one.textContent.startsWith('f mean'))"
    page.execute_script(f"{heading}.click()")
    means = noise(3, 30, 16)["one"]
    f = means["f"].values[means["mask"].values].mean(axis=0)
    order = [int(unit) for unit in page.execute_script(first)]
    assert (np.diff(f[order]) <= 1e-4).all()
    page.execute_script(f"{heading}.click()")
    assert int(page.execute_script(first)[0]) == order[-1]


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1100, "dark")])
def test_phone_and_dark(page, width, scheme):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    until(lambda: page.execute_script("return document.documentElement.scrollWidth") <= width)
    paper = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in re.findall(r"\d+", paper)[:3]) / 3
    assert light < 60 if scheme == "dark" else light > 200
    assert page.get_log("browser") == []


def test_page_of_features_and_of_a_model(browser, tmp_path):
    model, data = small_model()
    path = reporting.report(trace(model, data, progress=False), tmp_path / "page.html", title="A <small> model")
    browser.get(f"file://{path}")
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    assert browser.title == "A <small> model"
    browser.execute_script("show({sample: 1, step: 2})")
    np.testing.assert_allclose(browser.execute_script("return [...inputAt(2)]"), data[1, 2], atol=1e-6)
    browser.execute_script("document.getElementById('saturation').scrollIntoView()")
    until(lambda: plots_drawn(browser)[2])
    assert browser.get_log("browser") == []


def test_page_of_other_activations_and_many_channels(browser, tmp_path):
    """The drawing names the layer's own activations, and shows what o shows; not every channel is drawn."""
    keras.utils.set_random_seed(1)
    lstm = keras.layers.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid", name="lstm")
    model = keras.Sequential([keras.Input((5, 20)), lstm])
    data = np.random.default_rng(0).normal(size=(2, 5, 20)).astype("float32")
    tree = trace(model, data, progress=False)
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    texts = "return [...document.querySelectorAll('#drawing text')].map((one) => one.textContent)"
    for unit in range(3):
        now = browser.execute_script("show({sample: 0, unit: arguments[0], step: 3}); return meeting(3)", unit)
        c, o = (float(tree["lstm"][name][0, 3, unit]) for name in "co")
        if o > 0.01:
            assert now["squashed"] == pytest.approx(max(c, 0), abs=1e-4)
    said = browser.execute_script(texts)
    assert "relu" in said
    assert "hard_si…" in said
    assert not {"tanh", "σ"} & set(said)
    assert "16 of 20 channels" in said
    assert "h = o · relu(c) = " in browser.execute_script("return document.getElementById('equations').textContent")
    assert browser.get_log("browser") == []


def test_page_of_a_gru_and_an_lstm(browser, tmp_path):
    keras.utils.set_random_seed(1)
    x = keras.Input((6, 3))
    gru, lstm = keras.layers.GRU(4, return_sequences=True, name="gru"), keras.layers.LSTM(3, name="lstm")
    tree = trace(keras.Model(x, lstm(gru(x))), np.random.default_rng(0).normal(size=(2, 6, 3)), progress=False)
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    for step in range(6):
        now = browser.execute_script(
            "show({sample: 1, unit: 2, step: arguments[0]}); return meeting(arguments[0])", step
        )
        for name in ("z", "r", "candidate", "h"):
            assert now[name] == pytest.approx(float(tree["gru"][name][1, step, 2]), abs=1e-6)
        assert now["kept"] + now["written"] == pytest.approx(now["h"], abs=1e-5)
        assert now["hBefore"] == pytest.approx(float(tree["gru"]["h"][1, step - 1, 2]) if step else 0, abs=1e-5)
    now = browser.execute_script("return meeting(5)")
    turn(browser, "z", 0.5)
    expected = 0.5 * now["hBefore"] + 0.5 * now["candidate"]
    assert text_of(browser, "turned") == f"h {now['h']:.3f} → {expected:.3f}"
    offered = "return [...document.getElementById('gate').options].map((one) => one.value)"
    assert browser.execute_script(offered) == ["z", "r", "candidate", "h"]
    assert "candidate = " in browser.execute_script("return document.getElementById('equations').textContent")
    press(browser, "c")
    assert browser.execute_script("return view.gate") == "candidate"
    # The LSTM has no candidate: the gate that keeps its memory is shown.
    browser.execute_script("show({layer: 1})")
    assert browser.execute_script("return view.gate") == "f"
    assert browser.execute_script(offered) == list("figoch")
    assert browser.execute_script("return document.getElementById('saturation').data.length") == 4
    assert browser.get_log("browser") == []


def test_phrases_of_the_explained_text(browser, tmp_path):
    """Their tokens stay text, the largest is named, and a length and a click choose others."""
    keras.utils.set_random_seed(2)
    model, vocabulary = SequenceClassifier(vocabulary=5, classes=2, units=3), ["", "not", "good", EVIL, "film"]
    ids = np.array([[1, 2, 3, 4, 0, 0]])
    explanation = explain(model, ids, 1, vocabulary=vocabulary)
    tree = trace(model, ids, vocabulary=vocabulary, progress=False)
    opened(browser, reporting.report(tree, tmp_path / "page.html", explanation=explanation))
    tokens = "return [...document.querySelectorAll('#phrase-text button')].map((one) => one.textContent)"
    assert browser.execute_script(tokens) == ["not", "good", EVIL, "film"]
    values = explanation.data["phrase"].values
    largest = int(np.nanargmax(abs(np.where(np.arange(6) < 3, values[:, 1], np.nan))))
    words = " ".join(vocabulary[one] for one in ids[0, largest : largest + 2])
    assert text_of(browser, "phrase-said").startswith(f"“{words}” {'lowers' if values[largest, 1] < 0 else 'raises'}")
    browser.execute_script(
        "const e = document.getElementById('phrase-length'); e.value = 3; e.dispatchEvent(new Event('change'));"
        "document.querySelectorAll('#phrase-text button')[1].click()"
    )
    assert text_of(browser, "phrase-said").endswith(f"the answer by {abs(values[1, 2]):.3f}.")
    chosen = "return [...document.querySelectorAll('#phrase-text .now')].map((one) => one.textContent)"
    assert browser.execute_script(chosen) == ["good", EVIL, "film"]
    # What would reach into the padding is no phrase.
    assert browser.execute_script("return document.querySelectorAll('#phrase-text button')[2].disabled")
    assert browser.get_log("browser") == []


def test_page_of_a_stateful_model(browser, tmp_path):
    """The first step of a later batch begins with the memory in which the batch before it ended."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), keras.layers.LSTM(4, stateful=True, name="lstm")])
    data = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    tree = trace(model, data, batch_size=2, progress=False)
    path = reporting.report(tree, tmp_path / "page.html")
    browser.get(f"file://{path}")
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    for sample, before in [(0, 0), (2, float(tree["lstm"]["c"][0, -1, 1]))]:
        browser.execute_script("show({sample: arguments[0], unit: 1, step: 0})", sample)
        now = browser.execute_script("return meeting(0)")
        assert now["c"] == pytest.approx(float(tree["lstm"]["c"][sample, 0, 1]), abs=1e-6)
        assert now["cBefore"] == pytest.approx(before, abs=1e-5)
    assert browser.get_log("browser") == []


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    """Token ids and a plain Keras model in, a page out."""
    sequence = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, 3)(sequence)
    keras.Model(sequence, keras.layers.LSTM(4, name="lstm")(x)).save(tmp_path / "model.keras")
    np.save(tmp_path / "ids.npy", np.arange(1, 9).reshape(2, 4))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["keras-lstm-gates", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code or 0, capsys.readouterr()

    out = tmp_path / "out"
    assert run("trace", tmp_path / "model.keras", tmp_path / "ids.npy", "--out", out)[0] == 0
    code, printed = run("report", out / "gates.zarr", "--title", "A page")
    assert code == 0
    assert str(out / "report.html") in printed.out
    assert "<title>A page</title>" in (out / "report.html").read_text()
    for arguments, text in [
        ((out / "gates.zarr",), "expected no file at"),
        ((out / "none.zarr",), "no such trace"),
        ((out / "gates.png",), "expected gates.zarr, a folder that this package wrote; received the file"),
        ((out / "gates.zarr", "--out", "page.pdf"), "expected --out with the ending .html; received page.pdf"),
    ]:
        code, printed = run("report", *arguments)
        assert code == 1
        assert text in printed.err


def test_what_slips_into_a_page_does_not_run(browser, tmp_path):
    """The policy: the page works with a script, an image and a style put into it, and none of them has its way."""
    path = reporting.report(noise(3, 30, 16), tmp_path / "page.html")
    text = path.read_text(encoding="utf-8")
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-"
    assert policy in text.partition("</head>")[0]
    slipped = (
        "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
        "<style>h1 { color: rgb(1, 2, 3) }</style><script src='data:text/javascript,document.title=\"owned\"'></script>"
    )
    path.write_text(text.replace("<main>", "<main>" + slipped), encoding="utf-8")
    opened(browser, path)
    assert browser.title == f"The gates of {EVIL}"
    assert browser.execute_script("return getComputedStyle(document.querySelector('h1')).color") != "rgb(1, 2, 3)"
    said = " ".join(one["message"] for one in browser.get_log("browser"))
    assert said.count("violates the following Content Security Policy directive") >= 4
    fetched = "return performance.getEntriesByType('resource').map((one) => one.name)"
    assert [one for one in browser.execute_script(fetched) if one.startswith("http")] == []


def test_samples_that_are_masked_as_a_whole(browser, tmp_path):
    tree = noise(3, 30, 16)
    for path in ("one", "two/backward"):
        tree[path]["mask"][:2] = False
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    for sample in (0, 1, 2, 0):
        browser.execute_script("show({sample: arguments[0]})", sample)
        press(browser, "ArrowRight")
        press(browser, "c")
    assert browser.get_log("browser") == []
    for path in ("one", "two/backward"):
        tree[path]["mask"][:] = False
    with pytest.raises(ValueError, match="received the layer 'one' with every step masked"):
        reporting.report(tree, tmp_path / "masked.html")


def test_large_numbers_stay_finite(browser, tmp_path, monkeypatch):
    """Beyond 65504 there is no float16."""
    monkeypatch.setattr(page_module, "EXACT", 10)
    tree = noise(2, 30, 4)
    tree["one"]["c"][:] = 1e6
    tree.dataset = tree.to_dataset().assign_coords(
        input=(("sample", "input_time", "feature"), np.full((2, 30, 2), 3e7))
    )
    del tree.attrs["vocabulary"]
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    assert browser.execute_script("show({layer: 0, sample: 0, unit: 0, step: 7}); return meeting(7).c") == 1e6
    assert browser.execute_script("return [...inputAt(7)]") == [3e7, 3e7]


ODD = {
    "model": ["\ud800 half", 3, None, ["a"], {"a": {}}, "$x$ </script> \0"],
    "__proto__": ["x"],
    "constructor": [{"a": 1}],
    "made": ["\u2028\udfff"],
}


@pytest.mark.few(4)
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ODD.items() for value in values])
def test_odd_attributes_are_shown_as_text(browser, tmp_path, name, value):
    tree = noise(2, 6, 3, **{name: value})
    tree.attrs["vocabulary"] = ["\udc00", "\0", "", "a" * 2000]
    opened(browser, reporting.report(tree, tmp_path / "page.html"))
    assert browser.get_log("browser") == []
    made = browser.execute_script("return [...document.querySelectorAll('#made dt')].map((one) => one.textContent)")
    assert name.replace("_", " ") in made


def spoilt(change):
    tree = noise(2, 6, 3)
    change(tree)
    return tree


def put(name, value):
    def change(tree):
        tree["one"] = tree["one"].to_dataset().assign({name: value})

    return change


def nan(tree):
    tree["one"]["f"][1, 2, 0] = np.nan


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (nan, r"expected finite numbers; received nan in 'one/f' at \(1, 2, 0\)"),
        (lambda tree: tree.attrs.update(vocabulary=[1, 2]), r"'vocabulary' is a list of texts; received \[1, 2\]"),
        (lambda tree: tree.attrs.update(vocabulary="abc"), "'vocabulary' is a list of texts; received 'abc'"),
        (lambda tree: tree.attrs.update(layers=3), "'layers' is a list of texts; received 3"),
        (lambda tree: tree.attrs.update(layers=[["x"]]), r"'layers' is a list of texts; received \[\['x'\]\]"),
        (lambda tree: tree["one"].__delitem__("h"), r"received the layer 'one' without \['h'\]"),
        (put("f", (("sample", "unit"), np.ones((2, 3)))), "expected gates"),
        (put("o", (("sample", "time", "unit"), np.full((2, 6, 3), "x"))), "expected gates .* received o of"),
        (put("mask", (("sample", "time"), np.ones((2, 6)))), "expected a mask of bools"),
        (lambda tree: tree.coords.update({"input": ("sample", ["a", "b"])}), "expected numbers in 'input'"),
    ],
)
def test_a_trace_of_another_making_is_one_line(tmp_path, change, text):
    with pytest.raises(ValueError, match=text) as error:
        reporting.report(spoilt(change), tmp_path / "page.html")
    assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("attrs", [{}, {"model": "\udc00$x", "layer": 3}])
def test_gradients_of_another_making(tmp_path, attrs):
    model, data = small_model()
    chain = gradient_chain(model, data)
    chain["lstm"].attrs = attrs
    path = tmp_path / "page.html"
    if attrs:
        assert "?$x, layer 3: " in reporting.report(noise(2, 6, 3), path, gradients=chain).read_text("utf-8")
    else:
        with pytest.raises(ValueError, match="expected gradients of gradient_chain or compare; received others: Key"):
            reporting.report(noise(2, 6, 3), path, gradients=chain)
