"""The commands that look inside a trained model: trace, report, gradients."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import Data, Model, empty_folder, new_folder, read_sequences


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
    from keras_lstm_gates._support.files import replaced_when_whole
    from keras_lstm_gates._support.terminal import counted, files_table
    from keras_lstm_gates.opening.readers import load_model

    console = Console()
    loaded = load_model(model)
    sequences = read_sequences(data, loaded)
    with counted(console, "sequences traced", len(sequences)) as progress:
        tree = tracing.trace(loaded, sequences, progress=progress)
    figure = plots.gates(tree, layer=layer, sample=sample)
    folder = new_folder(Path("runs"), "trace") if out is None else empty_folder(out)
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
    """Write one HTML page of a trace: statistics, heat maps, curves, and a drawing of every step of every unit."""
    from rich.console import Console

    from keras_lstm_gates import reporting

    trees = [None if store is None else _whole(store) for store in (gates, gradients)]
    out = gates.parent / "report.html" if out is None else out
    if out.suffix != ".html":
        raise ValueError(f"expected --out with the ending .html; received {out}")
    if out.exists():
        raise FileExistsError(f"expected no file at {out}; it exists")
    reporting.report(trees[0], out, title=title, samples=samples, gradients=trees[1])
    Console().print(f"{out}  ({out.stat().st_size / 1024**2:.1f} MiB): open it in a browser", soft_wrap=True)


def _whole(store):
    """The tree of a store, in memory: what is damaged in it shows here."""
    from keras_lstm_gates import tracing

    if not store.is_dir():
        raise FileNotFoundError(f"no such trace: {store}")
    try:
        return tracing.load(store).load()
    except (LookupError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{store} is no whole trace: {error}") from error


@app.command()
def gradients(
    models: Annotated[
        list[Path], typer.Argument(help="Model files (.keras), then the sequences: .npy or .csv.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for gradients.zarr and gradients.png.", show_default="new, in runs/")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to draw.", show_default="the first")] = None,
    samples: Annotated[int, typer.Option(min=1, help="The number of sequences, from the first.")] = 8,
):
    """Why the gradient survives or vanishes: its terms, its products over the lag, and models side by side."""
    from rich.console import Console

    from keras_lstm_gates._support.files import replaced_when_whole
    from keras_lstm_gates._support.terminal import files_table
    from keras_lstm_gates.gradients import save, summary
    from keras_lstm_gates.opening.readers import load_model

    *files, data = models
    if not files:
        raise ValueError(f"expected one or more model files, then the sequences; received {data} alone")
    console = Console()
    loaded = {}
    for file in files:
        if file.stem in loaded:
            raise ValueError(f"expected model files with names that differ; received {file.stem!r} twice")
        loaded[file.stem] = load_model(file)
    sequences = read_sequences(data, loaded[files[0].stem])[:samples]
    with console.status("walking back through time"):
        result = summary(loaded, sequences, layer=layer)
    folder = new_folder(Path("runs"), "gradients") if out is None else empty_folder(out)
    save(result.tree, folder / "gradients.zarr")
    with replaced_when_whole(folder / "gradients.png") as temporary:
        result.figure.savefig(temporary, dpi=130)
    for verdict in result.verdicts:
        console.print(str(verdict), soft_wrap=True, highlight=False)
    console.print(files_table(folder))
