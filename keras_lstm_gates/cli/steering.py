"""The command that acts on gates: steer."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import Data, Model, empty_folder, new_folder, read_sequences


@app.command()
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
):
    """Set gates to a number while a model runs, and keep its outputs and gates beside those of the plain run."""
    import numpy as np
    from rich.console import Console

    from keras_lstm_gates import tracing
    from keras_lstm_gates._support.files import replaced_when_whole
    from keras_lstm_gates._support.terminal import counted, files_table
    from keras_lstm_gates.opening.readers import load_model
    from keras_lstm_gates.steering import steer as steered_model

    console = Console()
    loaded = load_model(model)
    sequences = read_sequences(data, loaded)
    interventions = _interventions(set_, units, steps)
    runs = {"plain": loaded, "steered": steered_model(loaded, interventions, steps=sequences.shape[1])}
    folder = new_folder(Path("runs"), "steer") if out is None else empty_folder(out)
    outputs = {}
    for name, one in runs.items():
        with counted(console, f"sequences traced, {name}", len(sequences)) as progress:
            tree = tracing.trace(one, sequences, progress=progress)
        tracing.save(tree, folder / f"{name}.zarr")
        outputs[name] = {key: values.values for key, values in tree.data_vars.items() if key != "target"}
        with replaced_when_whole(folder / f"{name}.npz") as temporary, open(temporary, "wb") as file:
            np.savez(file, **outputs[name])
    for key, plain in outputs["plain"].items():
        change = np.abs(outputs["steered"][key].astype("float64") - plain).max()
        console.print(f"{key} changes by {change:.3g} at most", highlight=False)
    console.print(files_table(folder))


def _interventions(settings, units, steps):
    from keras_lstm_gates.steering import Set

    places = {"units": _places("--units", units), "steps": _places("--steps", steps)}
    interventions = {}
    for setting in settings:
        key, equals, number = setting.partition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"expected --set PATH/GATE=NUMBER, as lstm/f=1; received {setting!r}")
        interventions.setdefault(key, []).append(Set(value, **places))
    return interventions


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
