"""The command that trains by a recipe: train."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import Horizon, Recipe, Target, Window, empty_folder, new_folder, of_table

_BEFORE_TRAINING = {"recipe.json", "environment.json"}


@app.command()
def train(
    recipe: Recipe,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe; repeatable.")
    ] = None,
    target: Target = None,
    window: Window = None,
    horizon: Horizon = None,
    dates: Annotated[str | None, typer.Option(help="Of a table: day-first, month-first or year-first.")] = None,
    decimal: Annotated[str | None, typer.Option(help="Of a table: point or comma before decimals.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of times without an offset, as Europe/Berlin; they become UTC.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Of a table of several series: the column that names them.")] = None,
    missing: Annotated[str | None, typer.Option(help="Of empty cells: interpolate, forward or drop.")] = None,
    sentinel: Annotated[
        list[str] | None, typer.Option(help="A cell that marks a missing value, as -200; repeatable.")
    ] = None,
    step: Annotated[str | None, typer.Option(help="Resample the rows to this step, as 1h.")] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Fill steps without a row; with --step.")] = False,
    duplicates: Annotated[str | None, typer.Option(help="Of rows of the same time: error, mean or first.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="new, in runs/")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --out.")] = False,
):
    """Train a model by a recipe; the run folder keeps all that is needed to reproduce it."""
    from rich.console import Console

    from keras_lstm_gates import baselines, datasets, training
    from keras_lstm_gates._support.terminal import EpochProgress, files_table
    from keras_lstm_gates.recipes import resolve

    given = {"dates": dates, "decimal": decimal, "missing": missing, "step": step, "duplicates": duplicates}
    given |= {"timezone": timezone, "group": group}
    given |= {"sentinels": list(sentinel) if sentinel else None, "fill": fill or None}
    values = of_table(target, window, horizon) | {key: value for key, value in given.items() if value is not None}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"expected --set KEY=VALUE; received {setting!r}")
        values[key] = value
    chosen_recipe = resolve(recipe, values)
    existed = out is not None and out.exists()
    if resume:
        if out is None:
            raise ValueError("expected --out, the folder of the run to resume; received none")
        folder = out
    else:
        folder = new_folder(Path("runs"), "train") if out is None else empty_folder(out)
    console = Console()
    was_new = not any(folder.iterdir()) if folder.is_dir() else True
    try:
        with EpochProgress(console) as progress:
            run = training.fit(chosen_recipe, folder, resume=resume, callbacks=[progress])
    except KeyboardInterrupt:
        console.print(
            f"stopped; to resume:\n  keras-lstm-gates train {folder}/recipe.json --out {folder} --resume",
            soft_wrap=True,
            highlight=False,
        )
        raise typer.Exit(130) from None
    except Exception:
        # Nothing was trained: the corrected command finds the place as it was.
        if was_new and folder.is_dir() and {path.name for path in folder.iterdir()} <= _BEFORE_TRAINING:
            shutil.rmtree(folder)
            if existed:
                folder.mkdir()
        raise
    if chosen_recipe.task == "forecasting":
        names = json.loads((folder / "names.json").read_text())
        for line in datasets.forecasting.summary(names) if "table" in names else ():
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    for name, value in run.metrics.items():
        console.print(f"{name}: {value:.5g}" if isinstance(value, float) else f"{name}: {value:,}")
    console.print(files_table(folder))
    metric = baselines.METRICS[chosen_recipe.task]
    console.print(f"baselines, test_{metric}:")
    figures = baselines.measure(chosen_recipe, datasets.load(chosen_recipe))
    for name, value in figures.items():
        console.print(f"  {name}: {value:.5g}", highlight=False)
    lost = baselines.beaten_by(chosen_recipe.task, run.metrics[f"test_{metric}"], figures)
    if lost is not None:
        console.print(lost, soft_wrap=True, highlight=False)
