"""The arguments of the commands: models, sequences, and output folders."""

import datetime
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_lstm_gates._support.array_files import read_npy

Model = Annotated[Path, typer.Argument(help="A Keras model file (.keras) with LSTM layers.", show_default=False)]
Data = Annotated[
    Path,
    typer.Argument(
        help="Sequences: .npy of shape (time, features) or (samples, time, features), or a .csv with one time step a "
        "row and one feature a column; of tokens .npy of ints, (time,) or (samples, time).",
        show_default=False,
    ),
]
Recipe = Annotated[
    str,
    typer.Argument(
        help="A built-in recipe, a recipe file (.json), or a table to forecast a column of (.csv, .parquet).",
        show_default=False,
    ),
]
Target = Annotated[str | None, typer.Option(help="Of a table: the column to forecast.")]
Window = Annotated[int | None, typer.Option(help="Of a table: steps to read.")]
Horizon = Annotated[int | None, typer.Option(help="Of a table: steps to forecast.")]


def of_table(target, window, horizon):
    """The given settings of a recipe."""
    given = {"target": target, "window": window, "horizon": horizon}
    return {key: value for key, value in given.items() if value is not None}


def read_array(path):
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix == ".npy":
        return read_npy(path)
    if path.suffix == ".csv":
        return _csv(path)
    raise ValueError(f"expected a file that ends with .npy or .csv; received {path}")


def _csv(path):
    try:
        first = path.read_text().partition("\n")[0]
        header = any(not _is_number(cell) for cell in first.split(","))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            numbers = np.loadtxt(path, delimiter=",", ndmin=2, skiprows=int(header))
    except ValueError as error:
        raise ValueError(f"expected {path} to hold one time step of numbers a row: {error}") from None
    if numbers.size == 0:
        raise ValueError(f"expected {path} to hold one time step of numbers a row; received no numbers")
    return numbers


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_sequences(path, model):
    """The sequences of a file, with a sample axis added where it holds a single sequence of the model's input."""
    array = read_array(path)
    return array[None] if array.ndim == len(model.inputs[0].shape) - 1 else array


def new_folder(parent, name):
    """A new folder, named by name and time, with a number where two runs share a second."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        folder = parent / (f"{name}-{stamp}" if number == 1 else f"{name}-{stamp}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"no free run folder below {parent}")


def empty_folder(path):
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"expected a new or empty folder; {path} is taken")
    path.mkdir(parents=True, exist_ok=True)
    return path
