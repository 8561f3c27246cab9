"""Running text as windows of characters, from any TFDS data set with a text."""

import numpy as np
import tensorflow_datasets as tfds

from keras_lstm_gates.datasets import examples, tfds_names, words


def parts(recipe, test):
    """((train, validation, test), arguments, names) of a language recipe; `keras_lstm_gates.datasets.load`."""
    texts, entries = numbered(recipe, test)

    def windows(name):
        if name not in texts:
            return None
        starts = np.arange(0, len(texts[name]) - recipe.window, recipe.window)
        if not len(starts):
            raise ValueError(
                f"expected the {name} part of {recipe.dataset} to hold a window of {recipe.window} characters and one "
                f"more; received {len(texts[name])}"
            )
        return examples.Windows(texts[name], None, starts, recipe.window)

    names = {"vocabulary": entries, "step": "1 character"}
    return tuple(map(windows, ("train", "validation", "test"))), {"vocabulary": len(entries)}, names


def numbered(recipe, test=True):
    """({"train", "validation", "test": (time,) int32}, entries of the vocabulary): the complete texts of a recipe."""
    text = _text(recipe.dataset, "train")
    border = round(len(text) * (1 - recipe.validation))
    texts = {"train": text[:border]}
    if recipe.validation:
        texts["validation"] = text[border:]
    if test:
        texts["test"] = _text(recipe.dataset, "test")
    entries = words.characters(texts["train"])
    return {name: words.character_numbers(text, entries) for name, text in texts.items()}, entries


def _text(name, split):
    """The texts of a split, joined by newlines."""
    builder = tfds_names.prepared(name)
    texts = [key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.Text)]
    if "text" not in texts and len(texts) != 1:
        raise ValueError(f"expected {name} to have a feature 'text', or one text alone; received {texts}")
    key = "text" if "text" in texts else texts[0]
    return "\n".join(example[key].decode() for example in tfds.as_numpy(builder.as_dataset(split=split)))
