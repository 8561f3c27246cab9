"""A forecaster of a run folder, a preset, a model's file or an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.saved_model import open_saved_model
from keras_lstm_gates.forecasting.forecasters import Forecaster
from keras_lstm_gates.opening.readers import load_model
from keras_lstm_gates.training.descriptions import SAVED_MODEL, described

if TYPE_CHECKING:
    import keras

    from keras_lstm_gates._support.annotations import StrPath


EXPORTS = ("model.tflite", "saved_model")
"""What is run of an export folder, the first that it holds; another .tflite file is run by its own path."""


def load(run: StrPath, model: keras.Model | None = None) -> Forecaster:
    """The forecaster of a run.

    Args:
        run: str or `Path` of the folder that `train` made from a table, of a forecasting preset of the zoo, of an
            export of one of these (`keras-lstm-gates export`), or of a file in them: model.keras, model_int8.tflite.
        model: `keras.Model`, where it is open already; None: that of the run.

    Returns:
        `Forecaster`.

    Raises:
        FileNotFoundError: "no such run: ...".
        ValueError: a run of another task, or one that does not say what its columns are called.
    """
    path = Path(run)
    if not (path.is_file() or _holds_model(path)):
        raise FileNotFoundError(f"no such run: expected a folder with model.keras, or an export; received {run}")
    about = described(path)
    if about is None:
        raise ValueError(
            f"expected {run} to say what its columns are called, as `keras-lstm-gates train` and `export` write it; "
            "received a model without its names.json. Train or export it again"
        )
    if about.recipe.task != "forecasting":
        raise ValueError(f"expected a run that forecasts; received {run}, a run of {about.recipe.task}")
    columns = about.names["features"]
    model = _model(path) if model is None else model
    expected = about.recipe.window, len(columns)
    received = [tuple(one.shape[1:]) for one in getattr(model, "inputs", None) or ()]
    if received and received not in ([expected], [(None, len(columns))]):
        raise ValueError(f"expected a model of (window, columns) {expected}, as {run} says; received {received}")
    return Forecaster(model, about.recipe, columns)


def _holds_model(folder):
    return any((folder / name).is_file() for name in ("model.keras", SAVED_MODEL, "manifest.json"))


def _model(path):
    if path.is_dir() and (path / "model.keras").is_file():
        return load_model(path / "model.keras")
    if path.is_dir() and (path / "manifest.json").is_file():
        held = next((path / name for name in EXPORTS if (path / name).exists()), None)
        if held is None:
            formats = [*json.loads((path / "manifest.json").read_text())["formats"]]
            raise ValueError(f"expected an export with one of {list(EXPORTS)}; received {path} with {formats}")
        path = held
    if path.suffix == ".tflite":
        return _OnDevice(Runner(path))
    if not path.is_dir():
        return load_model(path)
    if not (path / SAVED_MODEL).is_file():
        raise FileNotFoundError(f"expected a SavedModel in {path}; there is no {SAVED_MODEL}")
    return _OnServer(path)


class _OnDevice:
    """A .tflite file, called as a `keras.Model` is."""

    def __init__(self, runner):
        self.runner = runner

    def predict(self, inputs, **_):
        return next(iter(self.runner.predict(inputs).values()))


class _OnServer:
    """A SavedModel of `export`, called as a `keras.Model` is."""

    def __init__(self, path):
        self._call = open_saved_model(path)

    def predict(self, inputs, batch_size=256, **_):
        firsts = range(0, len(inputs), batch_size)
        parts = [self._call("predict", {"sequence": inputs[first : first + batch_size]}) for first in firsts]
        return np.concatenate([next(iter(part.values())) for part in parts])
