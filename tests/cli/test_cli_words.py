"""The words of what the commands print have an explanation, below the table and in the docs."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from keras_lstm_gates.cli import explaining, questions, shrinking
from keras_lstm_gates.cli.words import MEANINGS, explain_words
from keras_lstm_gates.forecasting.scoring import Figures

DOCS = Path(__file__).parents[2] / "docs"


def test_each_score_is_explained_below_the_table_and_in_the_docs(rng):
    figures = Figures((0.1, 0.5, 0.9))
    actual = rng.normal(size=(4, 3))
    figures.add("model", actual, actual, np.stack([actual] * 3, axis=-1))
    columns = [*figures.table(1.0).columns, "windows"]
    assert {"mae", "coverage", "nominal"} <= set(columns) <= set(MEANINGS)
    text = (DOCS / "forecasting.md").read_text(encoding="utf-8")
    assert [name for name in columns if f"`{name}`" not in text] == []


def test_names_of_the_users_own_have_no_line():
    console = Console(width=40, record=True)
    explain_words(console, ["mae", "load, MW"])
    assert console.export_text().splitlines() == [f"  mae: {MEANINGS['mae']}"]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (explaining.LENSES, ["stored", "sensitive", "closed", "causal", "mask", "when", "token"]),
        (questions.PATCHING, ["restored", "low", "high", "layer", "gate", "time", "unit"]),
        (questions.ABLATION, ["worse", "low", "high", "layer", "unit", "gate", "step"]),
        (shrinking.REMOVED, ["why", "exact", "worse"]),
    ],
)
def test_the_help_has_the_words_of_the_files(text, columns):
    words = {word.strip(".,:") for word in text.split()}
    assert set(columns) <= words
