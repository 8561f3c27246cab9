"""The command that explains one answer: explain."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import (
    All,
    At,
    DataOrRandom,
    Model,
    RandomData,
    Windows,
    columns_of,
    free_folder,
    run_folder,
    sequences_for,
    some_of,
    windows_of,
)
from keras_lstm_gates.cli.models import open_model, opens_models

LENSES = """The words of explanation.csv, a row a step. stored: what the answer owes to what was written at the step and
kept. sensitive: how much a change of the cell state there would matter. closed: what the answer loses where nothing is
written there. causal: what it loses without the step's input. mask: whether the step is real. when: its time or row.
token: what was read."""


@app.command(epilog=LENSES)
@opens_models
def explain(
    model: Model,
    data: DataOrRandom = None,
    sample: Annotated[int, typer.Option(min=0, help="Which sequence.")] = 0,
    target: Annotated[
        str | None,
        typer.Option(
            help="Which number of the output: a class, or comma-separated indices as STEP,CLASS or HORIZON,QUANTILE.",
            show_default="the largest; of a run's table the next step",
        ),
    ] = None,
    output: Annotated[str | None, typer.Option(help="Which of several outputs.", show_default="the only one")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for explanation.png, explanation.csv and report.html.", show_default="new, in runs/"),
    ] = None,
    window: Windows = None,
    random: RandomData = None,
    at: At = None,
    every: All = False,
):
    """Why this answer: what the memory holds for it, where it is sensitive, and what it loses without each step."""
    checks.data(data, random)
    checks.at_or_all(at, every)
    index = _index(target)
    free_folder(out)
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import forecasting, reporting, tracing
    from keras_lstm_gates._support.terminal import files_table
    from keras_lstm_gates.attribution import explain

    console = Console()
    loaded = open_model(model)
    windows = None if window is not None else windows_of(model, loaded, data, at, every)
    sequences = sequences_for(loaded, data, random, window) if windows is None else windows.inputs
    columns = columns_of(loaded, data, sequences) if windows is None else windows.columns
    index = windows.first_answer if index is None and windows is not None else index
    with run_folder("explain", out) as (folder, temporary):
        with console.status("asking what the answer comes from"):
            explanation = explain(loaded, sequences, index, sample=sample, output=output, columns=columns)
            tree = tracing.trace(loaded, some_of(sequences, sample, sample + 1), progress=False, columns=columns)
        if windows is not None:
            tree = forecasting.with_times(tree, windows.at([sample]))
            explanation.data = explanation.data.assign_coords(when=("time", windows.places[sample]))
        explanation.figure.savefig(temporary / "explanation.png", dpi=130)
        answer = explanation.data
        names = [name for name in ("token", "stored", "sensitive", "closed", "causal", "mask") if name in answer]
        answer[names].to_dataframe().to_csv(temporary / "explanation.csv")
        reporting.report(tree, temporary / "report.html", explanation=explanation)
    console.print(explanation.sentence, soft_wrap=True, highlight=False)
    console.print(files_table(folder))


def _index(target):
    if target is None:
        return None
    try:
        index = tuple(int(part) for part in target.split(","))
    except ValueError:
        raise ValueError(f"expected --target as 1 or 3,1, indices into the output; received {target!r}") from None
    return index[0] if len(index) == 1 else index
