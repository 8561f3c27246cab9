"""The command that makes a smaller model: shrink."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import Data, Model, free_folder, read_array, run_folder, sequences_for, windows_of
from keras_lstm_gates.cli.models import open_model, opens_models
from keras_lstm_gates.cli.words import explain_words

READ = 4096
"""The most windows of a run's table that are read."""


REMOVED = """The words of removed.csv, a row a unit that went. why: it never writes, never shows, stands still, or is
unimportant. exact: whether the outputs are what they were with it. worse: how much worse the metric got when it
went."""


@app.command(epilog=REMOVED)
@opens_models
def shrink(
    model: Model,
    data: Data,
    targets: Annotated[
        Path | None,
        typer.Argument(
            help=".npy or .csv, a row a sequence; a run's table holds its own. Without any, what counts is how far the "
            "outputs are from what they were.",
            show_default=False,
            callback=checks.file,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="The share of each LSTM's units, as 0.5; or PATH=NUMBER,...", show_default="what says something"
        ),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="How much worse the metric may get.", show_default="none")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="A Keras loss, or accuracy.", show_default="the loss of the model")
    ] = None,
    fine_tune: Annotated[int, typer.Option(min=0, help="Epochs that the smaller model trains.")] = 0,
    export: Annotated[bool, typer.Option(help="Weigh and time the TFLite files of both.")] = True,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--output", help="Folder for the model and the tables.", show_default="new, in runs/"),
    ] = None,
):
    """A smaller model: without the units that say nothing, and then without those that matter least."""
    kept = _kept(keep)
    free_folder(out)
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import plots
    from keras_lstm_gates._support.terminal import files_table
    from keras_lstm_gates.shrinking import shrink as shrunk_model

    console = Console()
    loaded = open_model(model)
    sequences, y = _read(model, loaded, data, targets)
    with run_folder("shrink", out) as (folder, temporary):
        result = shrunk_model(
            loaded, sequences, y, keep=kept, tolerance=tolerance, metric=metric, fine_tune=fine_tune, export=export,
            progress=lambda line: console.print(line, soft_wrap=True, highlight=False),
        )  # fmt: skip
        result.model.save(temporary / "model.keras")
        result.removed.to_csv(temporary / "removed.csv", index=False)
        result.sizes.to_csv(temporary / "sizes.csv", index_label="model")
        result.curve.to_csv(temporary / "shrinking.csv", index=False)
        plots.shrinking(result.curve).savefig(temporary / "shrinking.png", dpi=130)
    for name, why in result.refused.items():
        console.print(f"{name} keeps its size: {why}", soft_wrap=True, highlight=False)
    console.print(_sizes_table(result.sizes))
    explain_words(console, result.sizes.columns)
    console.print(files_table(folder))


def _kept(text):
    """A share, {path: number of units}, or None."""
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        pairs = [part.rpartition("=") for part in text.split(",")]
        return {path: int(number) for path, _, number in pairs}
    except ValueError:
        raise ValueError(f"expected --keep as 0.5, or as lstm=12,encoder/lstm=8; received {text!r}") from None


def _read(run, model, data, targets):
    """(what the model reads, what it should answer or None): of a run's table both, else of files."""
    if targets is not None:
        return sequences_for(model, data), read_array(targets)
    windows = windows_of(run, model, data, most=READ)
    if windows is None:
        return sequences_for(model, data), None
    return windows.inputs, windows.actual.astype("float32")


def _sizes_table(sizes):
    from rich.table import Table

    table = Table(title="Before and after")
    for name in ("", *sizes.columns):
        table.add_column(name, justify="right" if name else "left")
    for name, row in zip(sizes.index, sizes.values, strict=True):
        table.add_row(name, *(f"{value:,.6g}" for value in row))
    return table
