"""The commands for servers and devices: export, drift, run."""

import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_lstm_gates._support.array_files import write_npz
from keras_lstm_gates._support.standard_error import standard_error_to
from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import (
    All,
    At,
    Data,
    DataOrRandom,
    Model,
    RandomData,
    Windows,
    free_folder,
    read_arrays,
    run_folder,
    sequences_of,
    windows_of,
)
from keras_lstm_gates.cli.models import open_model, opens_models
from keras_lstm_gates.cli.words import explain_words

FORMATS = ("saved_model", "tflite", "tflite_fused", "onnx", "micro")
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")
SIGNATURES = ("predict", "gates", "step", "steer", "steer_step")
"""As in `exporting`, whose import takes seconds."""

COMPARED = 32
"""The most windows of a run's table that an exported file is compared with its model on."""


@app.command()
@opens_models
def export(
    model: Model,
    data: DataOrRandom = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the files.", show_default="new, in runs/")] = None,
    time: Annotated[
        int | None, typer.Option(min=1, help="Time steps of the TFLite file.", show_default="any number")
    ] = None,
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            help="saved_model, tflite, onnx or micro (for microcontrollers); may be repeated.",
            callback=checks.one_of("--format", *FORMATS),
        ),
    ] = ["saved_model", "tflite"],  # noqa: B006  typer's way
    precisions: Annotated[
        list[str],
        typer.Option(
            "--precision",
            help="float32, float16, dynamic_int8 or int8, of the TFLite file; may be repeated.",
            callback=checks.one_of("--precision", *PRECISIONS),
        ),
    ] = ["float32"],  # noqa: B006
    signatures: Annotated[
        list[str] | None,
        typer.Option(
            "--signature",
            help="predict, gates, step or steer, whose inputs act on gates; may be repeated.",
            show_default="predict, gates and, where the model can, step",
            callback=checks.one_of("--signature", *SIGNATURES),
        ),
    ] = None,
    window: Windows = None,
    random: RandomData = None,
):
    """Write SavedModel and TFLite files with the signatures `predict`, `gates` and, where the model can, `step`.

    Each file is compared with the model on the data.
    """
    checks.data(data, random)
    free_folder(out)
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import exporting
    from keras_lstm_gates._support.terminal import differences_table, files_table
    from keras_lstm_gates.training.descriptions import described

    console = Console()
    loaded = open_model(model)
    sequences = sequences_of(model, loaded, data, random, window, most=COMPARED)
    with (
        run_folder("export", out) as (folder, temporary),
        console.status("converting, then running each file against the Keras model"),
        # The converters and interpreters talk there.
        standard_error_to(os.devnull),
    ):
        exported = exporting.export(
            loaded,
            temporary,
            sequences,
            formats,
            precisions,
            signatures or None,
            time=time,
            trained_on=described(checks.run_of(model)),
        )
    samples = len(next(iter(sequences.values())) if isinstance(sequences, dict) else sequences)
    console.print(differences_table(exported, samples))
    explain_words(console, ("signature", "outputs", "of"))
    refused = [name for name in exported.missing if name in formats]
    for name, why in exported.missing.items():
        what = "format" if name in refused else "signature"
        console.print(f"no {what} {name}: {why}", soft_wrap=True, highlight=False)
    console.print(files_table(folder))
    if refused:
        raise typer.Exit(1)


@app.command()
@opens_models
def drift(
    model: Model,
    file: Annotated[
        Path, typer.Argument(help="A .tflite file from `export`.", show_default=False, callback=checks.file)
    ],
    data: DataOrRandom = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for drift.csv and drift.png.", show_default="new, in runs/")
    ] = None,
    window: Windows = None,
    random: RandomData = None,
):
    """Show how a quantized file drifts from its model: gate by gate, and along the sequence."""
    checks.data(data, random)
    free_folder(out)
    checks.import_tensorflow()
    from rich.console import Console
    from rich.table import Table

    from keras_lstm_gates import exporting, plots
    from keras_lstm_gates._support.terminal import files_table

    console, loaded = Console(), open_model(model)
    sequences = sequences_of(model, loaded, data, random, window, most=COMPARED)
    with run_folder("drift", out) as (folder, temporary):
        with warnings.catch_warnings(record=True) as caught, standard_error_to(os.devnull):
            warnings.simplefilter("always")
            dataset = exporting.drift(loaded, file, sequences)
        figure = plots.drift(dataset)
        dataset[["mean_difference", "largest_difference"]].to_dataframe().to_csv(temporary / "drift.csv")
        figure.savefig(temporary / "drift.png", dpi=130)
    table = Table(title=f"{file.name}, signature {dataset.signature}: |file - model|")
    columns = "output", "mean", "largest", "last quarter / first", "units of another class"
    for column in columns:
        table.add_column(column, justify="left" if column == "output" else "right")
    for name in dataset["output"].values.tolist():
        one = dataset.sel(output=name)
        table.add_row(
            name,
            f"{float(one['mean_difference'].mean()):.1e}",
            f"{float(one['largest_difference'].max()):.1e}",
            f"{float(one['growth']):.1f}",
            str(int(one["class_changes"])),
        )
    console.print(table)
    explain_words(console, columns)
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            console.print(str(warning.message), soft_wrap=True, highlight=False)
    console.print(files_table(folder))


@app.command()
def run(
    file: Annotated[
        Path,
        typer.Argument(help="A .tflite file, or the folder of its export.", show_default=False, callback=checks.exists),
    ],
    data: Data,
    signature: Annotated[
        str | None,
        typer.Option(
            help="predict: the model's outputs; gates: these and i, f, g, o, c, h.",
            show_default="predict, or the file's own default",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Save the outputs by name as .npz.", show_default="print only")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Step by step, with every gate drawn live.")] = False,
    interval: Annotated[float, typer.Option(min=0, help="Of --stream: seconds between two steps.")] = 0.05,
    at: At = None,
    every: All = False,
):
    """Run an exported .tflite file with the LiteRT interpreter alone, as a device would."""
    checks.at_or_all(at, every)
    if out is not None and out.suffix != ".npz":
        raise ValueError(f"expected --out with the ending .npz; received {out}")
    from rich.console import Console
    from rich.table import Table

    from keras_lstm_gates._support.files import replaced_when_whole

    file = file / "model.tflite" if (file / "model.tflite").is_file() else file
    console, array = Console(), _array_for(file, data, at, every)
    with standard_error_to(os.devnull):
        runner = runner_of(file)
    if signature is None:
        # Another converter calls it as it likes.
        known = [name for name in ("predict", "serving_default") if name in runner.signatures]
        signature = next(iter([*known, *runner.signatures]))
    with standard_error_to(os.devnull):
        outputs = _streamed(runner, array, console, interval) if stream else runner.run(signature, array)
    if out is not None:
        with replaced_when_whole(out) as temporary:
            write_npz(temporary, outputs)
    table = Table(title=f"{file.name}, signature {'step' if stream else signature}")
    for column in ("output", "shape", "values"):
        table.add_column(column)
    for name, values in outputs.items():
        table.add_row(name, str(values.shape), np.array2string(values, precision=4, threshold=12, edgeitems=3))
    console.print(table)


def runner_of(file):
    """The `edge.Runner` of a file, also of one from before there were signatures."""
    from keras_lstm_gates.edge import Runner
    from keras_lstm_gates.exporting.tflite.graphs import signed

    try:
        return Runner(file)
    except ValueError as error:
        if "has no named signatures" not in str(error):
            raise
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        copy.write_bytes(signed(file.read_bytes()))
        return Runner(copy)


def _array_for(file, data, at, every):
    """What an exported file reads: of a forecaster's table its windows, else what a file of arrays holds."""
    manifest = file.parent / "manifest.json"
    if not data.name.lower().endswith((".csv", ".tsv", ".txt", ".gz", ".parquet")) or not manifest.is_file():
        return read_arrays(data)
    if "trained_on" not in json.loads(manifest.read_text()):
        return read_arrays(data)
    # Tables are read by pandas, beside TensorFlow.
    with standard_error_to(os.devnull):
        windows = windows_of(file, object(), data, at, every)
    return read_arrays(data) if windows is None else windows.inputs


def _streamed(runner, array, console, interval):
    """{output: array} of one sequence, or of several one after the other, drawn step by step."""
    from keras_lstm_gates.cli import live

    stream = runner.stream()
    if isinstance(array, dict):
        raise ValueError(f"expected one array for a stream, .npy or .csv; received those called {[*array]}")
    alone = array.ndim == len(runner.signatures["step"]["inputs"]["x"])
    sequences = array[None] if alone else array
    parts = []
    for number, sequence in enumerate(sequences):
        stream.reset()
        title = f"sequence {number + 1} of {len(sequences)}"
        parts.append(live.show(stream, sequence, console, interval, title))
    return parts[0] if alone else {name: np.stack([part[name] for part in parts]) for name in parts[0]}
