"""From the zoo's folders to models: every file's hash is checked first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lstm_gates._support import sums
from keras_lstm_gates.opening.exposing import expose
from keras_lstm_gates.opening.readers import load_model
from keras_lstm_gates.presets.registry import home, presets

if TYPE_CHECKING:
    import builtins

    import keras

    from keras_lstm_gates._support.annotations import StrPath


SUMS = "SHA256SUMS"


def list() -> builtins.list[str]:
    """The names of all presets whose files are present."""
    return [name for name in presets() if (home(name) / SUMS).is_file()]


def load(name: StrPath, gates: bool = True) -> keras.Model:
    """A trained model of the zoo, after checking every hash.

    Args:
        name: str, of `list()`, or the path of a folder of that form, with its SHA256SUMS.
        gates: bool. True: the model returns a dict of its own outputs and every gate by name, as from `expose`;
            False: the model as it was trained, for example to fine-tune.

    Returns:
        `keras.Model`.

    Raises:
        ValueError: an unknown name, or a changed, truncated or extra file, or a link: "saved_models/x/model.keras must
            have the sha256 ...; received ...".
        FileNotFoundError: a file is missing.

    Example:
        >>> import numpy as np
        >>> out = load("japanese_vowels")(np.random.default_rng(0).normal(size=(1, 20, 12)).astype("float32"))
        >>> {"i", "f", "g", "o", "c", "h"} <= {name.rpartition("/")[2] for name in out}
        True
    """
    model = load_model(verified(name) / "model.keras")
    return expose(model) if gates else model


def card(name: StrPath) -> dict[str, Any]:
    """The card of a preset: a dict of its measured numbers, after checking every hash."""
    return json.loads((verified(name) / "card.json").read_text())


def verified(name):
    """The folder of a preset, or a folder given by its path, after checking that all files match its SHA256SUMS.

    The sums detect damage to a file, not a forger who also rewrites the sums.
    """
    folder = home(name) if name in presets() or not Path(name).is_dir() else Path(name)
    if not (folder / SUMS).is_file():
        raise FileNotFoundError(f"expected the files of the preset {name!r} in {folder}; found no {SUMS} there")
    sums.check(folder, SUMS, read_sums(folder))
    return folder


def read_sums(folder):
    """{path: sha256} of a SHA256SUMS file, as `sha256sum` writes and checks it."""
    lines = (folder / SUMS).read_text().splitlines()
    pairs = [line.split("  ", 1) for line in lines]
    for pair in pairs:
        if len(pair) != 2 or len(pair[0]) != 64:
            raise ValueError(f"expected lines of a sha256, two spaces and a path in {folder / SUMS}; received {pair}")
    return {path: digest for digest, path in pairs}
