"""The command that acts on gates: steer."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import All, At, Data, Model, Windows, free_folder, run_folder, sequences_of
from keras_lstm_gates.cli.models import open_model, opens_models


@app.command()
@opens_models
def steer(
    model: Model,
    data: Data,
    set_: Annotated[
        list[str], typer.Option("--set", help="PATH/GATE=NUMBER, as lstm/f=1; more than once for several.")
    ],
    units: Annotated[str | None, typer.Option(help="3,5 or 0:8.", show_default="all")] = None,
    steps: Annotated[str | None, typer.Option(help="7 or 10:20.", show_default="all")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for both runs: outputs .npz and gates .zarr.", show_default="new, in runs/"),
    ] = None,
    window: Windows = None,
    at: At = None,
    every: All = False,
):
    """Set gates to a number while a model runs, and keep its outputs and gates beside those of the plain run."""
    checks.at_or_all(at, every)
    values, places = _values(set_), {"units": _places("--units", units), "steps": _places("--steps", steps)}
    free_folder(out)
    checks.import_tensorflow()
    import keras
    import numpy as np
    from rich.console import Console

    from keras_lstm_gates import tracing
    from keras_lstm_gates._support.terminal import counted, files_table
    from keras_lstm_gates.steering import Set
    from keras_lstm_gates.steering import steer as steered_model

    console = Console()
    loaded = open_model(model)
    sequences = sequences_of(model, loaded, data, window=window, at=at, every=every)
    longest = max(array.shape[1] for array in keras.tree.flatten(sequences))
    interventions = {key: [Set(value, **places) for value in several] for key, several in values.items()}
    steered = steered_model(loaded, interventions, steps=longest)
    trees = {}
    with run_folder("steer", out) as (folder, temporary):
        for name, one in (("plain", loaded), ("steered", steered)):
            count = len(keras.tree.flatten(sequences)[0])
            with counted(console, f"sequences traced, {name}", count) as progress:
                trees[name] = tracing.trace(one, sequences, progress=progress)
        outputs = {name: {key: one.values for key, one in tree.data_vars.items()} for name, tree in trees.items()}
        for name, tree in trees.items():
            tracing.save(tree, temporary / f"{name}.zarr")
            np.savez(temporary / f"{name}.npz", **outputs[name])
    for key, plain in outputs["plain"].items():
        change = np.abs(outputs["steered"][key].astype("float64") - plain).max()
        console.print(f"{key} changes by {change:.3g} at most", highlight=False)
    console.print(files_table(folder))


def _values(settings):
    """{"lstm/f": [1.0]} of ["lstm/f=1"]."""
    values = {}
    for setting in settings:
        key, equals, number = setting.partition("=")
        try:
            values.setdefault(key, []).append(float(number))
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"expected --set PATH/GATE=NUMBER, as lstm/f=1; received {setting!r}")
    return values


def _places(option, text):
    """A list or a slice of "3,5" or "10:20"; None of None."""
    if text is None:
        return None
    try:
        if ":" in text:
            start, stop = text.split(":")
            return slice(int(start) if start else None, int(stop) if stop else None)
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"expected {option} as 3,5 or 10:20; received {text!r}") from None
