"""The commands that look inside a trained model: trace, report, gradients."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import (
    DATA,
    All,
    At,
    DataOrRandom,
    Model,
    RandomData,
    Sharded,
    Windows,
    check_out,
    columns_of,
    free_folder,
    new_folder,
    read_array,
    run_folder,
    sequences_for,
    sequences_of,
    shared_folder,
    some_of,
    windows_of,
)
from keras_lstm_gates.cli.models import open_model, opens_models
from keras_lstm_gates.cli.words import explain_words


@app.command()
@opens_models
def trace(
    model: Model,
    data: DataOrRandom = None,
    targets: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TARGETS]",
            help="What should have been answered, a row a sample: .npy.",
            show_default=False,
            callback=checks.file,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for gates.zarr and gates.png.", show_default="new, in runs/")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to draw.", show_default="the first")] = None,
    sample: Annotated[int, typer.Option(min=0, help="Sequence to draw.")] = 0,
    window: Windows = None,
    random: RandomData = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Sequences to run at once.", show_default="what the model fixes, or 32")
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="Of tokens: a text file with one a line, the first that of id 0.",
            show_default="the run's own",
            callback=checks.file,
        ),
    ] = None,
    at: At = None,
    every: All = False,
    shard: Sharded = None,
):
    """Run sequences through any trained model with LSTMs; save every gate of every step, and draw one sequence."""
    checks.data(data, random)
    checks.at_or_all(at, every)
    check_out(out, shard)
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import forecasting, plots, tracing
    from keras_lstm_gates._support.terminal import counted, files_table

    console = Console()
    loaded = open_model(model)
    windows = None if window is not None else windows_of(model, loaded, data, at, every)
    if shard is not None:
        _trace_shard(console, loaded, windows, shard, out, batch_size)
        return
    sequences = sequences_for(loaded, data, random, window) if windows is None else windows.inputs
    columns = columns_of(loaded, data, sequences) if windows is None else None
    if windows is not None and targets is not None:
        raise ValueError(f"expected a table without targets, which are in it; received {targets}")
    y, entries = None if targets is None else read_array(targets), _vocabulary(model, vocabulary)
    samples = _samples(sequences)
    _check_drawn(loaded, samples, layer, sample)
    with run_folder("trace", out) as (folder, temporary):
        with counted(console, "sequences traced", samples) as progress:
            tree = tracing.trace(
                loaded, sequences, batch_size, progress, vocabulary=entries, targets=y, columns=columns
            )
        tree = tree if windows is None else forecasting.with_times(tree, windows)
        figure = plots.gates(tree, layer=layer, sample=sample)
        tracing.save(tree, temporary / "gates.zarr")
        figure.savefig(temporary / "gates.png", dpi=130)
    console.print(files_table(folder))


def _vocabulary(run, file):
    """The tokens by id: the lines of a file, or those that a run or a preset was trained with; or None."""
    from keras_lstm_gates.training.descriptions import described

    if file is not None:
        return file.read_text(encoding="utf-8").splitlines()
    about = described(checks.run_of(run))
    return None if about is None else about.names.get("vocabulary")


def _trace_shard(console, model, windows, text, out, batch_size):
    """Write the trace of one part, unless it is there already; the last part joins all."""
    from keras_lstm_gates import forecasting, tracing
    from keras_lstm_gates.forecasting.shards import join_traces, shard_of

    if windows is None:
        raise ValueError("expected a run that forecasts, and a table, with --shard")
    shard, folder = shard_of(text), shared_folder(out)
    part = folder / shard.file("zarr")
    if not part.exists() and not (folder / "gates.zarr").exists():
        windows = shard.of(windows)
        tree = tracing.trace(model, windows.inputs, batch_size, progress=False)
        tracing.save(forecasting.with_times(tree, windows), part)
    joined = join_traces(folder, shard, "gates.zarr")
    console.print(f"{folder / 'gates.zarr'} is whole" if joined else f"{part} is one of {shard.count} parts")


def _samples(sequences):
    return len(next(iter(sequences.values())) if isinstance(sequences, dict) else sequences)


def _check_drawn(model, samples, layer, sample):
    """Raise a `ValueError` where there is no such layer or sample, as `plots.gates` would after the work."""
    from keras_lstm_gates.opening import open_graph

    gates = open_graph(model, grus=True).gates
    if layer is not None and layer not in gates:
        raise ValueError(f"expected one of the layers {[*gates]}; received {layer!r}")
    # Below `TimeDistributed` each step is a sample of its own.
    for steps in gates[layer or next(iter(gates))].h.shape[1:-2]:
        samples = None if samples is None or steps is None else samples * steps
    if samples is not None and sample >= samples:
        raise ValueError(f"expected a sample from 0 to {samples - 1}; received {sample}")


@app.command()
def report(
    gates: Annotated[
        Path,
        typer.Argument(
            help="A trace: gates.zarr from `trace`, or the folder that holds it. Before FILE: a run that forecasts.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="A table to trace first, as `forecast` reads it.",
            show_default=False,
            callback=checks.file,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The .html file.", show_default="report.html beside the trace, or in runs/")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page.", show_default="the model's name")] = None,
    gradients: Annotated[
        Path | None,
        typer.Option(
            help="gradients.zarr from `gradients`, or its folder, for a section on it.",
            show_default="none",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="The most sequences to show.")] = 20,
    at: At = None,
    every: All = False,
):
    """Write one HTML page of a trace: statistics, heat maps, curves, and a drawing of every step of every unit."""
    checks.at_or_all(at, every)
    if data is not None:
        checks.model(gates)
    store = _store(gates, "gates.zarr") if data is None else None
    gradients = None if gradients is None else _store(gradients, "gradients.zarr")
    if out is None:
        out = (new_folder(Path("runs"), "report") if store is None else store.parent) / "report.html"
    if out.suffix != ".html":
        raise ValueError(f"expected --out with the ending .html; received {out}")
    if out.exists():
        raise FileExistsError(f"expected no file at {out}; it exists")
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import reporting

    tree = _traced(gates, data, at, every) if store is None else _whole(store)
    gradients = None if gradients is None else _whole(gradients)
    reporting.report(tree, out, title=title, samples=samples, gradients=gradients)
    Console().print(f"{out}  ({out.stat().st_size / 1024**2:.1f} MiB): open it in a browser", soft_wrap=True)


def _traced(run, table, at, every):
    """The trace of a run on a table."""
    from keras_lstm_gates import forecasting, tracing

    model = open_model(run)
    windows = windows_of(run, model, table, at, every)
    if windows is None:
        raise ValueError(f"expected a trace, or a run that forecasts and a table; received {run} and {table}")
    return forecasting.with_times(tracing.trace(model, windows.inputs, progress=False), windows)


def _store(path, name):
    """The store itself, of the folder that a command left the one in it."""
    path = path / name if (path / name).is_dir() else path
    if path.is_file():
        raise ValueError(f"expected {name}, a folder that this package wrote; received the file {path}")
    if not path.is_dir():
        raise FileNotFoundError(f"no such trace: {path}")
    return path


def _whole(store):
    """The tree of a store, in memory: what is damaged in it shows here."""
    from keras_lstm_gates import tracing

    try:
        tree = tracing.load(store).load()
        for one in (one for node in tree.subtree for one in node.variables.values() if one.dtype.kind == "U"):
            one.values.tolist()  # A SystemError where numbers are no characters.
        return tree
    # Of xarray, Zarr, NumPy, pandas and pyarrow, each of which has errors of its own.
    except Exception as error:
        raise ValueError(f"{store} is no whole trace: {error}") from error


@app.command()
@opens_models
def gradients(
    models: Annotated[
        list[Path], typer.Argument(help=f"Model files or run folders, then the data. {DATA}", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for gradients.zarr and gradients.png.", show_default="new, in runs/")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to draw.", show_default="the first")] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="The number of sequences, from the first; of a table the last.")
    ] = 8,
    norms: Annotated[
        str,
        typer.Option(
            help="exact; estimated, within some percent and much sooner; auto: exact where it takes seconds.",
            callback=checks.one_of("--norms", "auto", "exact", "estimated"),
        ),
    ] = "auto",
    window: Windows = None,
    random: RandomData = None,
):
    """Why the gradient survives or vanishes: its terms, its products over the lag, and models side by side."""
    files, data = (models[:-1], models[-1]) if random is None else (models, None)
    if not files:
        raise ValueError(f"expected one or more model files, then the sequences; received {data} alone")
    names = [checks.model(file).stem for file in files]
    checks.file(data)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"expected model files with names that differ; received {name!r} twice")
    free_folder(out)
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates._support.terminal import counted, files_table
    from keras_lstm_gates.gradients import save, summary

    console = Console()
    loaded = {name: open_model(file) for name, file in zip(names, files, strict=True)}
    sequences = sequences_of(files[0], loaded[files[0].stem], data, random, window, most=samples)
    sequences = some_of(sequences, 0, samples)
    _check_layer(loaded, layer)
    with run_folder("gradients", out) as (folder, temporary):
        with counted(console, "% walked back through time", 100) as done:
            result = summary(
                loaded, sequences, layer=layer, norms=norms, progress=lambda share: done(round(100 * share))
            )
        save(result.tree, temporary / "gradients.zarr")
        result.figure.savefig(temporary / "gradients.png", dpi=130)
    for verdict in result.verdicts:
        console.print(str(verdict), soft_wrap=True, highlight=False)
    explain_words(console, ["of its start"])
    console.print(files_table(folder))


def _check_layer(models, layer):
    """Raise a `ValueError` where no model has a layer of this path, as the picture would after the work."""
    from keras_lstm_gates.gradients.recording import watch

    if layer is not None:
        known = list(dict.fromkeys(path for model in models.values() for path in watch(model)[1]))
        if layer not in known:
            raise ValueError(f"expected one of the layers {known}; received {layer!r}")
