"""Running text as windows of characters."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_lstm_gates import datasets
from keras_lstm_gates.datasets import language, words
from keras_lstm_gates.recipes import Recipe

PLAYS = Recipe(dataset="shakespeare_plays", task="language", window=80, validation=0.05)


def text(numbers, entries):
    return "".join(entries[number] for number in np.ravel(numbers))


def test_shakespeare_as_windows_whose_targets_are_the_next_character():
    data = datasets.load(PLAYS)
    entries = data.names["vocabulary"]
    inputs, targets = next(iter(data.train))
    assert inputs.shape == targets.shape == (32, 80)
    assert text(inputs[0], entries).startswith("A Midsummer Night's Dream\n\nACT I\n\nSCENE I. Athens.")
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    # Window after window, the text as it is.
    assert text(inputs[0], entries)[1:] + text(inputs[1], entries)[:1] == text(targets[0], entries)


def test_parts_are_the_text_in_its_order():
    texts, entries = language.numbered(PLAYS)
    whole, _ = language.numbered(dataclasses.replace(PLAYS, validation=0.0))
    np.testing.assert_array_equal(np.concatenate([texts["train"], texts["validation"]]), whole["train"])
    assert len(texts["validation"]) == round(0.05 * len(whole["train"]))
    assert "PROSPERO" in text(texts["test"], entries)
    assert "PROSPERO" not in text(texts["train"], entries)
    assert "test" not in language.numbered(PLAYS, test=False)[0]
    assert datasets.load(PLAYS, test=False).test is None


def test_characters_that_training_does_not_know():
    entries = words.characters("hello\n")
    assert entries == ["\ufffd", "\n", "e", "h", "l", "o"]
    assert words.character_numbers("hé\ufffdlo😀~", entries).tolist() == [3, 0, 0, 4, 5, 0, 0]


def test_tiny_shakespeare():
    with tfds.testing.mock_data(num_examples=3):
        data = datasets.load(Recipe(dataset="tiny_shakespeare", task="language", window=3, batch_size=4))
    inputs, targets = next(iter(data.test))
    assert inputs.shape == targets.shape == (4, 3)


def test_a_text_shorter_than_the_window_is_refused(monkeypatch):
    monkeypatch.setattr(language, "_text", lambda name, split: {"train": "to be or not", "test": "to see"}[split])
    data = datasets.load(Recipe(dataset="tiny_shakespeare", task="language", window=3, batch_size=4))
    inputs, targets = next(iter(data.test))
    assert text(inputs, data.names["vocabulary"]) == "to "
    assert text(targets, data.names["vocabulary"]) == "o \ufffd"
    with pytest.raises(ValueError, match="expected the test part of tiny_shakespeare to hold a window of 6 characters"):
        datasets.load(Recipe(dataset="tiny_shakespeare", task="language", window=6))
