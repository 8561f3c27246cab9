"""The commands that ask by interventions: ablate, patch."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import (
    At,
    Data,
    Model,
    free_folder,
    read_array,
    run_folder,
    sequences_for,
    sequences_of,
    windows_of,
)
from keras_lstm_gates.cli.models import open_model, opens_models

ABLATED = 256
"""The most windows of a run's table that are run without each part."""

Out = Annotated[
    Path | None, typer.Option(help="Folder for the table, the picture and the store.", show_default="new, in runs/")
]


class What(StrEnum):
    units = "units"
    gates = "gates"
    steps = "steps"


class To(StrEnum):
    mean = "mean"
    zero = "0"


class Over(StrEnum):
    places = "places"
    steps = "steps"
    units = "units"
    gates = "gates"


def _letters(gates):
    if not gates or set(gates) - set("ifgoch"):
        raise ValueError(f"expected --gates among i, f, g, o, c and h, as fch; received {gates!r}")
    return gates


ABLATION = """The words of ablation.csv, a row a part. worse: how much worse the metric gets without the part, in the
mean over the sequences. low, high: between which 95 of 100 draws of the sequences lie. layer, unit, gate, step: the
part."""
PATCHING = """The words of patching.csv. restored: the share of the difference between the answers that the patch brings
back, in the mean over the pairs; 1 all of it, 0 nothing. low, high: between which 95 of 100 draws of the pairs lie.
layer, gate, time, unit: the place."""


@app.command(epilog=ABLATION)
@opens_models
def ablate(
    model: Model,
    data: Data,
    targets: Annotated[
        Path | None,
        typer.Argument(
            help=".npy or .csv, a row a sequence; a run's table holds its own.",
            show_default=False,
            callback=checks.file,
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="A Keras loss, or accuracy.", show_default="the loss of the model")
    ] = None,
    what: Annotated[What, typer.Option(help="What to do without.")] = What.units,
    to: Annotated[To, typer.Option(help="What to set it to.")] = To.mean,
    out: Out = None,
):
    """How much worse a metric gets without each unit, gate or step."""
    free_folder(out)
    checks.import_tensorflow()
    from keras_lstm_gates import plots, steering

    loaded = open_model(model)
    sequences, y = _with_targets(model, loaded, data, targets)
    with run_folder("ablate", out) as (folder, temporary), _counted("parts ablated") as progress:
        result = steering.ablate(
            loaded, sequences, y, metric, what.value, 0 if to is To.zero else "mean",
            progress=progress, store=temporary / "ablation.zarr",
        )  # fmt: skip
        table = result[["worse", "low", "high"]].to_dataframe()
        _write(temporary, "ablation", table, plots.ablation(result))
    worst = result.isel(part=int(result["worse"].values.argmax()))
    _tell(
        folder, f"{result.attrs['metric']} gets worse most without {worst['part'].item()}: {float(worst['worse']):.4g}"
    )


@app.command(epilog=PATCHING)
@opens_models
def patch(
    model: Model,
    clean: Data,
    corrupted: Data,
    metric: Annotated[
        str | None, typer.Option(help="Which number of the output: 1, or 3,1.", show_default="the only one")
    ] = None,
    over: Annotated[
        Over, typer.Option(help="Patch each unit and step alone, whole steps, whole units or whole gates.")
    ] = Over.places,
    gates: Annotated[str, typer.Option(help="Any of i, f, g, o, c, h, as fch.", callback=_letters)] = "ifgoch",
    out: Out = None,
    at: At = None,
):
    """What part of the difference between two runs each gate carries, at each unit and step."""
    index = _index(metric)
    free_folder(out)
    checks.import_tensorflow()
    import pandas as pd

    from keras_lstm_gates import plots, steering

    axes = {Over.places: ("time", "unit"), Over.steps: ("time",), Over.units: ("unit",), Over.gates: ()}[over]
    loaded = open_model(model)
    first, second = (sequences_of(model, loaded, path, at=at) for path in (clean, corrupted))
    with run_folder("patch", out) as (folder, temporary), _counted("places patched") as progress:
        store = temporary / "patching.zarr"
        tree = steering.patch(loaded, first, second, index, axes, gates, progress=progress, store=store)
        paths = tree.attrs["layers"]
        tables = {path: tree[path].to_dataset()[["restored", "low", "high"]].to_dataframe() for path in paths}
        _write(temporary, "patching", pd.concat(tables, names=["layer"]), plots.patching(tree))
    largest = {path: table["restored"].max() for path, table in tables.items()}
    path = max(largest, key=largest.__getitem__)
    place = tables[path]["restored"].idxmax()
    named = ", ".join(map(str, place if isinstance(place, tuple) else (place,)))
    _tell(
        folder,
        f"most is restored in {path} at ({', '.join(tables[path].index.names)}) = ({named}): {largest[path]:.3g}",
    )


def _with_targets(run, model, data, targets):
    """(what the model reads, what it should answer): of a run's table both, else of two files."""
    if targets is not None:
        return sequences_for(model, data), read_array(targets)
    windows = windows_of(run, model, data, most=ABLATED)
    if windows is None:
        raise ValueError(f"expected TARGETS, a file with a row a sequence of {data}; received none")
    return windows.inputs, windows.actual.astype("float32")


def _counted(text):
    from contextlib import contextmanager

    from rich.console import Console

    @contextmanager
    def counting():
        with Console().status(text) as status:
            yield lambda done: status.update(f"{text}: {done}")

    return counting()


def _write(folder, name, table, figure):
    table.to_csv(folder / f"{name}.csv")
    figure.savefig(folder / f"{name}.png", dpi=130)


def _tell(folder, sentence):
    from rich.console import Console

    from keras_lstm_gates._support.terminal import files_table

    console = Console()
    console.print(sentence, soft_wrap=True, highlight=False)
    console.print(files_table(folder))


def _index(text):
    if text is None:
        return None
    try:
        index = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"expected --metric as 1 or 3,1, indices into the output; received {text!r}") from None
    return index[0] if len(index) == 1 else index
