"""The tutorial and what a notebook shows of this package's objects, from one run of a notebook."""

import re

import numpy as np
import pytest

for library in ("jupytext", "nbclient", "nbconvert", "ipykernel"):
    pytest.importorskip(library)

import notebooks  # noqa: E402  it is of no use without them

SHOWN = {
    "figure": "plots.gates(trace(two_units, steps, progress=False))",
    "verdicts": "verdict(chains)",
    "statistics": "from keras_lstm_gates import statistics\nstatistics(trace(two_units, steps, progress=False))",
    "recipe": "from keras_lstm_gates.recipes import Recipe\nRecipe(dataset='japanese_vowels', units=32)",
    "run": "from keras_lstm_gates.training.runs import Run\nRun(None, {'test_accuracy': 0.97}, 'runs/one')",
    "exported": "from keras_lstm_gates.exporting.writing import Exported\n"
    "Exported({'tflite': 'model.tflite'}, {'tflite': {'gates': {'lstm/f': 2e-8}}}, {'step': 'it looks back'})",
    "page": "import tempfile\nfrom keras_lstm_gates import report\n"
    "report(trace(two_units, steps, progress=False), tempfile.mkdtemp() + '/page.html', title='Two units')",
}


@pytest.fixture(scope="module")
def notebook():
    return notebooks.executed(*SHOWN.values())


@pytest.fixture(scope="module")
def shown(notebook):
    """{what is shown: the outputs of its cell, without what libraries say on standard error}."""
    cells = notebook.cells[-len(SHOWN) :]
    return {name: [one for one in cell.outputs if one.get("name") != "stderr"] for name, cell in zip(SHOWN, cells)}


def test_the_page_of_the_tutorial_is_what_the_notebook_gives(notebook):
    tutorial = notebook.copy()
    tutorial.cells = notebook.cells[: -len(SHOWN)]
    text, pictures = notebooks.page(tutorial)
    kept = (notebooks.ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    number = r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?"
    assert re.sub(number, "0", text) == re.sub(number, "0", kept)
    computed, written = (np.array([float(one) for one in re.findall(number, page)]) for page in (text, kept))
    np.testing.assert_allclose(computed, written, rtol=0.05, atol=0.01)
    assert set(pictures) == {f"tutorial/{path.name}" for path in (notebooks.ROOT / "docs" / "tutorial").iterdir()}


def test_a_figure_shows_itself_once(shown):
    (output,) = shown["figure"]
    assert output["data"]["image/png"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("verdicts", "plain RNN, layer rnn: below 1e-03 of its start"),
        ("statistics", "half_life"),
        ("recipe", "<td>units</td><td>32</td>"),
        ("run", "<td>test_accuracy</td><td>0.97</td>"),
        ("exported", "<td>model.tflite</td><td>gates</td><td>2.0e-08</td>"),
        ("page", "&lt;title&gt;Two units&lt;/title&gt;"),
    ],
)
def test_objects_show_themselves_in_html(shown, name, text):
    (output,) = shown[name]
    assert text in output["data"]["text/html"]
