"""The command line: `keras-lstm-gates`."""

import datetime
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

app = typer.Typer(
    name="keras-lstm-gates",
    help="LSTMs whose gates you can see: train, look inside, export, run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Model = Annotated[Path, typer.Argument(help="A Keras model file (.keras) with LSTM layers.", show_default=False)]
Data = Annotated[
    Path,
    typer.Argument(
        help="Sequences: .npy of shape (time, features) or (samples, time, features), or a .csv with one time step a "
        "row and one feature a column.",
        show_default=False,
    ),
]


@app.command()
def demo(
    seed: Annotated[int, typer.Option(min=0, help="Of the weights, the order of the examples and the noise.")] = 0,
    runs: Annotated[Path, typer.Option(help="Folder for run folders; each run makes a new one.")] = Path("runs"),
):
    """Train a small LSTM on real speech data, look at its gates, export it and prove the exported files.

    Takes about a minute. Everything it makes is left in a new folder below --runs.
    """
    from keras_lstm_gates.demo import demo

    demo(_new_folder(runs, "demo"), seed=seed)


@app.command()
def trace(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None, typer.Option(help="Folder for gates.zarr and gates.png.", show_default="new, in runs/")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to draw.", show_default="the first")] = None,
    sample: Annotated[int, typer.Option(min=0, help="Sequence to draw.")] = 0,
):
    """Run sequences through any trained model with LSTMs; save every gate of every step, and draw one sequence."""
    from rich.console import Console

    from keras_lstm_gates import plots, tracing
    from keras_lstm_gates.files import replaced_when_whole
    from keras_lstm_gates.terminal import counted, files_table

    console = Console()
    sequences, loaded = _array(data), _model(model)
    if sequences.ndim == len(loaded.inputs[0].shape) - 1:
        sequences = sequences[None]
    with counted(console, "sequences traced", len(sequences)) as progress:
        tree = tracing.trace(loaded, sequences, progress=progress)
    figure = plots.gates(tree, layer=layer, sample=sample)
    folder = _new_folder(Path("runs"), "trace") if out is None else _empty_folder(out)
    tracing.save(tree, folder / "gates.zarr")
    with replaced_when_whole(folder / "gates.png") as temporary:
        figure.savefig(temporary, dpi=130)
    console.print(files_table(folder))


@app.command()
def report(
    gates: Annotated[Path, typer.Argument(help="A trace: gates.zarr from `trace`.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="The .html file.", show_default="report.html beside the trace")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page.", show_default="the model's name")] = None,
    gradients: Annotated[
        Path | None, typer.Option(help="gradients.zarr from `gradients`, for a section on it.", show_default="none")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="The most sequences to show.")] = 20,
):
    """Write one HTML page of a trace: the numbers, heat maps, curves, and each step drawn through each unit."""
    from rich.console import Console

    from keras_lstm_gates import reporting, tracing

    for store in (gates, gradients):
        if store is not None and not store.is_dir():
            raise FileNotFoundError(f"no such trace: {store}")
    out = gates.parent / "report.html" if out is None else out
    if out.suffix != ".html":
        raise ValueError(f"expected --out with the ending .html; received {out}")
    if out.exists():
        raise FileExistsError(f"expected no file at {out}; it exists")
    chain = None if gradients is None else tracing.load(gradients)
    reporting.report(tracing.load(gates), out, title=title, samples=samples, gradients=chain)
    Console().print(f"{out}  ({out.stat().st_size / 1024**2:.1f} MiB): open it in a browser", soft_wrap=True)


@app.command()
def export(
    model: Model,
    data: Annotated[
        Path,
        typer.Argument(help="Sequences (.npy or .csv) to compare the files with the model on.", show_default=False),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the files.", show_default="new, in runs/")] = None,
    time: Annotated[
        int | None, typer.Option(min=1, help="Time steps of the TFLite file.", show_default="any number")
    ] = None,
):
    """Write SavedModel and TFLite files with the signatures `predict` and `gates`, each proven against the model."""
    from rich.console import Console

    from keras_lstm_gates import exporting
    from keras_lstm_gates.terminal import differences_table, files_table

    console = Console()
    sequences = _sequences(data)
    loaded = _model(model)
    folder = _new_folder(Path("runs"), "export") if out is None else _empty_folder(out)
    with console.status("converting, then running each file against the Keras model"):
        exported = exporting.export(loaded, folder, sequences, time=time)
    console.print(differences_table(exported, len(sequences), exporting.TOLERANCE))
    console.print(files_table(folder))


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A .tflite file from `export`.", show_default=False)],
    data: Data,
    signature: Annotated[
        str, typer.Option(help="predict: the model's outputs; gates: these and i, f, g, o, c, h.")
    ] = "predict",
    out: Annotated[
        Path | None, typer.Option(help="Save the outputs by name as .npz.", show_default="print only")
    ] = None,
):
    """Run an exported .tflite file with the LiteRT interpreter alone, as a device would."""
    from rich.console import Console
    from rich.table import Table

    from keras_lstm_gates.edge import Runner
    from keras_lstm_gates.files import replaced_when_whole

    outputs = Runner(file).run(signature, _array(data))
    if out is not None:
        if out.suffix != ".npz":
            raise ValueError(f"expected --out with the ending .npz; received {out}")
        with replaced_when_whole(out) as temporary:
            np.savez(temporary, **outputs)
    table = Table(title=f"{file.name}, signature {signature}")
    for column in ("output", "shape", "values"):
        table.add_column(column)
    for name, values in outputs.items():
        table.add_row(name, str(values.shape), np.array2string(values, precision=4, threshold=12, edgeitems=3))
    Console().print(table)


@app.command()
def gradients(
    models: Annotated[
        list[Path], typer.Argument(help="Model files (.keras), then the sequences: .npy or .csv.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for gradients.zarr and gradients.png.", show_default="new, in runs/")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to draw.", show_default="the first")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Sequences to take, from the first.")] = 8,
):
    """Why the gradient survives or vanishes: its terms, its products over the lag, and models side by side."""
    from rich.console import Console

    from keras_lstm_gates.files import replaced_when_whole
    from keras_lstm_gates.gradients import save, summary
    from keras_lstm_gates.terminal import files_table

    *files, data = models
    if not files:
        raise ValueError(f"expected one or more model files, then the sequences; received {data} alone")
    console = Console()
    sequences = _sequences(data)[:samples]
    loaded = {}
    for file in files:
        if file.stem in loaded:
            raise ValueError(f"expected model files with names that differ; received {file.stem!r} twice")
        loaded[file.stem] = _model(file)
    with console.status("walking back through time"):
        found = summary(loaded, sequences, layer=layer)
    folder = _new_folder(Path("runs"), "gradients") if out is None else _empty_folder(out)
    save(found.tree, folder / "gradients.zarr")
    with replaced_when_whole(folder / "gradients.png") as temporary:
        found.figure.savefig(temporary, dpi=130)
    for verdict in found.verdicts:
        console.print(str(verdict), soft_wrap=True, highlight=False)
    console.print(files_table(folder))


def main():
    """Run the command line; what a user can mend is printed as one line, and the exit code is 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        app()
    except (ValueError, OSError, ArithmeticError, ImportError) as error:
        _fail(error)
    except Exception as error:
        # TensorFlow's own errors on a full or read-only disk are no OSError; without TensorFlow there are none.
        if not any(kind.__module__.startswith("tensorflow") for kind in type(error).__mro__):
            raise
        _fail(error)


def _fail(error):
    text = " ".join(str(error).split())
    print(f"error: {text[:600]}", file=sys.stderr)
    sys.exit(1)


def _array(path):
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"expected {path} to be a whole .npy file of numbers: {error}") from None
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


def _sequences(path):
    array = _array(path)
    return array[None] if array.ndim == 2 else array


def _model(path):
    import zipfile

    import keras

    # Opening a saved GatedLSTM, or a model that `expose` opened, needs the classes to be registered.
    import keras_lstm_gates.exposing  # noqa: F401

    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is not a whole .keras file: expected a zip archive; "
            f"received {path.stat().st_size} bytes that are none"
        )
    return keras.models.load_model(path)


def _new_folder(parent, name):
    """A folder that nobody has: name and time, and a number where two runs share a second."""
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


def _empty_folder(path):
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"expected a new or empty folder; {path} is taken")
    path.mkdir(parents=True, exist_ok=True)
    return path
