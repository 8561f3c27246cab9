"""The arguments of the commands: models, sequences, and output folders."""

import contextlib
import csv
import datetime
import glob
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_lstm_gates._support.array_files import read_npy, read_npz
from keras_lstm_gates._support.files import UNFINISHED, clean, filled_when_whole
from keras_lstm_gates.cli import checks
from keras_lstm_gates.recipe_keys import is_table

Model = Annotated[
    Path,
    typer.Argument(
        help="A Keras model with LSTM layers: .keras, .h5, a SavedModel; a run folder of `train`; a preset of the zoo.",
        show_default=False,
        callback=checks.model,
    ),
]
TABLES = ".csv, .tsv, .txt (also .gz) or .parquet"
DATA = (
    f"Of a run that forecasts, a table as `forecast` reads it ({TABLES}). Otherwise sequences: .npy of shape (time, "
    "features) or (samples, time, features), or a .csv with one time step a row and one feature a column; of tokens "
    "ints, (time,) or (samples, time); of several inputs an .npz with an array for each, by its name."
)
Data = Annotated[Path, typer.Argument(help=DATA, show_default=False, callback=checks.file)]
DataOrRandom = Annotated[Path | None, typer.Argument(help=DATA, show_default=False, callback=checks.file)]
Windows = Annotated[
    int | None,
    typer.Option(
        "--window", min=1, help="Cut one array (time, ...) into windows of so many steps; a run's table needs none."
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="Of a run's table: the window that ends at this time, in ISO form or as its dates.",
        show_default="the last row",
    ),
]
All = Annotated[
    bool,
    typer.Option("--all", help="Of a run's table: the windows from many points, so that each row is forecast once."),
]


def _part(text):
    from keras_lstm_gates.forecasting.shards import shard_of

    if text is not None:
        shard_of(text)
    return text


Sharded = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Of a run's table: do this part alone, as 3/16, into --out, which all parts share.",
        callback=_part,
    ),
]
RandomData = Annotated[
    int | None,
    typer.Option(
        "--random", min=1, help="In place of data: so many made-up sequences of the model's shapes and types."
    ),
]
Recipe = Annotated[
    str,
    typer.Argument(
        help=f"A built-in recipe, a recipe file (.json), a table to forecast a column of ({TABLES}), or tfds:NAME, any "
        "data set of TFDS.",
        show_default=False,
        callback=checks.recipe,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        help="Of a table: the column to forecast, or several: load,price. A name with a comma stands in quotes of its "
        "own: '\"load, MW\"'."
    ),
]
Window = Annotated[int | None, typer.Option(help="Of a table: steps to read.")]
Horizon = Annotated[int | None, typer.Option(help="Of a table: steps to forecast.")]


def read_array(path):
    checks.file(path)
    if path.suffix == ".npy":
        return read_npy(path)
    if path.suffix == ".csv":
        return _csv(path)
    raise ValueError(f"expected a file that ends with .npy or .csv, of several inputs with .npz; received {path}")


def read_arrays(path):
    """The array of a file, or {name: array} of an .npz."""
    return read_npz(path, compressed=True) if path.suffix == ".npz" and path.is_file() else read_array(path)


def _csv(path):
    try:
        header = _is_header(_first_line(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            numbers = np.loadtxt(path, delimiter=",", ndmin=2, skiprows=int(header))
    except ValueError as error:
        raise ValueError(f"expected {path} to hold one time step of numbers a row: {error}") from None
    if numbers.size == 0:
        raise ValueError(f"expected {path} to hold one time step of numbers a row; received no numbers")
    return numbers


def _first_line(path):
    return path.read_text().partition("\n")[0]


def _is_header(line):
    return any(not _is_number(cell) for cell in line.split(","))


def columns_of(model, path, sequences):
    """The names of the features in the file of data for `plots`; None where it has none, or others than the data."""
    from keras_lstm_gates.opening.inputs import inputs_of

    if path is None or path.suffix != ".csv" or not _is_header(_first_line(path)):
        return None
    (one,) = inputs_of(model).values()
    (names,) = csv.reader([_first_line(path).removeprefix("\ufeff")], skipinitialspace=True)
    return [name.strip() for name in names] if len(one.shape) == 3 and len(names) == sequences.shape[-1] else None


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def windows_of(run, model, path, at=None, every=False, most=None):
    """The windows of a table that the model of a run reads; None where it is no run, or the file is no table.

    Args:
        run: `Path`, as `open_model` takes it.
        model: its `keras.Model`.
        path: `Path` of the data, or None.
        at: str, of --at.
        every: bool, of --all.
        most: int, how many of the last windows whose targets are known; None: what --at and --all say.

    Returns:
        `keras_lstm_gates.forecasting.windows.TableWindows`.
    """
    from keras_lstm_gates import forecasting
    from keras_lstm_gates.training.descriptions import described

    about = (
        described(checks.run_of(run)) if path is not None and is_table(path) and checks.run_of(run).exists() else None
    )
    if about is None or about.recipe.task != "forecasting":
        if at is not None or every:
            raise ValueError(f"expected a run that forecasts, and a table, with --at or --all; received {run}, {path}")
        return None
    checks.at_or_all(at, every)
    windows = forecasting.load(checks.run_of(run), model).windows(path, at, rolling=every or most is not None)
    if windows.ignored:
        typer.echo(f"not read: {', '.join(windows.ignored)}")
    return windows if most is None else windows.last(most)


def sequences_of(run, model, path, random=None, window=None, at=None, every=False, most=None):
    """What the model of a run, or of a file, is to read: of a run's table its windows, else as `sequences_for`."""
    windows = None if window is not None else windows_of(run, model, path, at, every, most)
    return sequences_for(model, path, random, window) if windows is None else windows.inputs


def sequences_for(model, path, random=None, window=None):
    """What a model is to read: one input's array, or {input: array} of several.

    Args:
        model: `keras.Model`.
        path: `Path` of the data, or None with `random`.
        random: int, of made-up sequences; `window` then says how many steps they have where the model leaves it free.
        window: int, of steps of the windows into which a table is cut; the rest is left out, and told.

    Raises:
        ValueError: not one of `path` and `random`, an input that is missing or unknown, or data that do not fit, with
            the shape that they have in the file.
    """
    from keras_lstm_gates.opening.inputs import by_name, check, inputs_of, random_data

    checks.data(path, random)
    inputs = inputs_of(model)
    if path is None:
        arrays = random_data(model, random, window)
    else:
        if len(inputs) > 1 and path.suffix != ".npz":
            raise ValueError(f"expected an .npz file with an array for each of the inputs {[*inputs]}; received {path}")
        given = by_name(inputs, read_arrays(path))
        arrays = {name: _sequences(one, given[name], window, path) for name, one in inputs.items()}
        check(inputs, arrays, {name: array.shape for name, array in given.items()})
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def _sequences(one, array, window, path):
    """The array of an input with a sample axis, its tokens as ints where they are whole."""
    from keras_lstm_gates.opening.inputs import windows

    rank = len(one.shape)
    if one.whole and array.dtype.kind == "f":
        # A table of numbers with one token a row.
        array = array[:, 0] if path.suffix == ".csv" and rank == 2 and array.shape[1] == 1 else array
        array = array.astype("int64") if np.all(array == np.floor(array)) else array
    if window is None:
        return array[None] if array.ndim == rank - 1 else array
    if array.ndim != rank - 1:
        raise ValueError(f"expected a table of {rank - 1} axes to cut into windows; received shape {array.shape}")
    left_out = len(array) % window
    if left_out and len(array) > window:
        typer.echo(f"the last {left_out} of {len(array)} steps fill no window of {window}: left out")
    return windows(array, window)


def some_of(sequences, start, end):
    """Some of the samples of what `sequences_for` gives."""
    if isinstance(sequences, dict):
        return {name: array[start:end] for name, array in sequences.items()}
    return sequences[start:end]


def new_folder(parent, name):
    """A new folder, named by name and time, with a number where two runs share a second.

    Of runs of this name that were killed nothing stays behind.
    """
    for left in parent.glob(f".{name}-*{UNFINISHED}"):
        # A run that is not killed but going on keeps its own.
        with contextlib.suppress(BlockingIOError):
            killed = left.name.removeprefix(".").removesuffix(UNFINISHED)
            clean(parent, glob.escape(killed), patience=0)
            with contextlib.suppress(OSError):
                (parent / killed).rmdir()
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


def check_out(out, shard):
    """Raise where --out is taken; with --shard, whose parts share it, where there is none."""
    if shard is None:
        free_folder(out)
    elif out is None:
        raise ValueError("expected --out, the folder that all shards share, with --shard; received none")
    else:
        checks.folder(out)


def shared_folder(out):
    """The folder of --out, which several processes fill."""
    out.mkdir(parents=True, exist_ok=True)
    return out


def free_folder(path):
    """The path itself, where there is no folder or an empty one; None is a new one.

    Raises:
        FileExistsError: "expected a new or empty folder; out is taken".
    """
    if path is None:
        return None
    clean(path.parent, glob.escape(path.name))
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"expected a new or empty folder; {path} is taken")
    return path


@contextlib.contextmanager
def place_of_run(name, out, runs=Path("runs"), resumes=False):
    """The folder of a run: `out`, or where that is None a new one in `runs`; what raises leaves none that is empty.

    Args:
        resumes: bool, whether `out` may hold an earlier run.
    """
    last = runs if out is None else out
    made = [path for path in (last, *last.parents) if not path.exists()]
    folder = new_folder(runs, name) if out is None else out if resumes else free_folder(out)
    try:
        yield folder
    except BaseException:
        for path in dict.fromkeys([*([folder] if out is None else []), *made]):
            # `rmdir` removes an empty folder only.
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def run_folder(name, out):
    """The folder of a run, as `place_of_run`, and a temporary one: what is written there is in the first, in one step.

    Yields:
        (folder, temporary folder).
    """
    with place_of_run(name, out) as folder, filled_when_whole(folder) as temporary:
        yield folder, temporary
