"""The command that trains by a recipe: train."""

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import place_of_run
from keras_lstm_gates.cli.recipes import takes_recipe

_BEFORE_TRAINING = {"recipe.json", "environment.json"}


@app.command()
@takes_recipe
def train(
    recipe,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="new, in runs/")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --out.")] = False,
):
    """Train a model by a recipe; the run folder keeps all that is needed to reproduce it."""
    from rich.console import Console

    from keras_lstm_gates import baselines, datasets, training
    from keras_lstm_gates._support.terminal import EpochProgress, files_table

    if resume and out is None:
        raise ValueError("expected --out, the folder of the run to resume; received none")
    recipe = training.settled(recipe)
    console = Console()
    with place_of_run("train", out, resumes=resume) as folder:
        try:
            with _empty_again(folder), EpochProgress(console) as progress:
                run = training.fit(recipe, folder, resume=resume, callbacks=[progress])
        except KeyboardInterrupt:
            console.print(
                f"stopped; to resume:\n  keras-lstm-gates train {folder}/recipe.json --out {folder} --resume",
                soft_wrap=True,
                highlight=False,
            )
            raise typer.Exit(130) from None
    if recipe.task == "forecasting":
        names = json.loads((folder / "names.json").read_text())
        lines = datasets.forecasting.summary(names) if "table" in names else []
        if training.is_residual(recipe):
            metrics = {name.removeprefix("test_"): value for name, value in run.metrics.items()}
            lines += training.told(recipe, names.get("finish"), metrics)
        for line in lines:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    for name, value in run.metrics.items():
        console.print(f"{name}: {value:.5g}" if isinstance(value, float) else f"{name}: {value:,}")
    console.print(files_table(folder))
    metric = baselines.METRICS[recipe.task]
    console.print(f"baselines, test_{metric}:")
    figures = baselines.measure(recipe, datasets.load(recipe))
    for name, value in figures.items():
        console.print(f"  {name}: {value:.5g}", highlight=False)
    lost = baselines.beaten_by(recipe.task, run.metrics[f"test_{metric}"], figures)
    if lost is not None:
        console.print(lost, soft_wrap=True, highlight=False)


@contextlib.contextmanager
def _empty_again(folder):
    """Where nothing was trained in an empty folder it is empty again: the corrected command finds it as it was."""
    was_empty = not folder.is_dir() or not any(folder.iterdir())
    try:
        yield
    except Exception:
        files = [*folder.iterdir()] if was_empty and folder.is_dir() else []
        if {path.name for path in files} <= _BEFORE_TRAINING:
            for path in files:
                path.unlink()
        raise
