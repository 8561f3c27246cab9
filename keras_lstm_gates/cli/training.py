"""The command that trains by a recipe: train."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates._support.files import read_json
from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import free_folder, place_of_run
from keras_lstm_gates.cli.recipes import takes_recipe
from keras_lstm_gates.cli.words import explain_words

_BEFORE_TRAINING = {"recipe.json", "environment.json"}


@app.command()
@takes_recipe
def train(
    recipe,
    out: Annotated[
        Path | None, typer.Option(help="The run folder.", show_default="new, in runs/", callback=checks.folder)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --out.")] = False,
):
    """Train a model by a recipe; the run folder keeps all that is needed to reproduce it."""
    if resume and out is None:
        raise ValueError("expected --out, the folder of the run to resume; received none")
    if not resume:
        free_folder(out)
    checks.import_tensorflow()
    from rich.console import Console
    from rich.markup import escape

    from keras_lstm_gates import training
    from keras_lstm_gates._support.terminal import EpochProgress, files_table
    from keras_lstm_gates.recipes import Recipe

    recipe = training.settled(recipe)
    console = Console()
    with place_of_run("train", out, resumes=resume) as folder:
        try:
            with _empty_again(folder), EpochProgress(console) as progress:
                training.fit(recipe, folder, resume=resume, callbacks=[progress])
        except KeyboardInterrupt:
            console.print(
                f"stopped; to resume:\n  keras-lstm-gates train {folder}/recipe.json --out {folder} --resume",
                soft_wrap=True,
                highlight=False,
            )
            raise typer.Exit(130) from None
    words: dict = {}
    several = len(recipe.targets) > 1 and recipe.task == "forecasting"
    for part in training.folders(recipe, folder) if several else [folder]:
        own = Recipe.from_file(part / "recipe.json")
        if several:
            console.print(f"[bold]{escape(str(own.target))}[/], in {part}", highlight=False, soft_wrap=True)
        words |= dict.fromkeys(_summarize(console, own, part))
    explain_words(console, words)
    console.print(files_table(folder))


def _summarize(console, recipe, folder):
    """Say what a training did with its data, what it learned, and which baselines do better; its figures' names."""
    from keras_lstm_gates import baselines, datasets
    from keras_lstm_gates.training import residual_fit

    metrics = read_json(folder / "metrics.json")
    if recipe.task == "forecasting":
        names = read_json(folder / "names.json")
        lines = datasets.forecasting.summary(names) if "table" in names else []
        season = "no season" if recipe.season is None else f"season {recipe.season}"
        lines.append(f"window {recipe.window}, horizon {recipe.horizon}, {season}, in rows")
        if residual_fit.is_residual(recipe):
            tested = {name.removeprefix("test_"): value for name, value in metrics.items()}
            lines += residual_fit.told(recipe, names.get("finish"), tested)
        for line in lines:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    for name, value in metrics.items():
        console.print(f"{name}: {value:.5g}" if isinstance(value, float) else f"{name}: {value:,}")
    metric = baselines.METRICS[recipe.task]
    console.print(f"baselines, test_{metric}:")
    figures = baselines.measure(recipe, datasets.load(recipe))
    for name, value in figures.items():
        console.print(f"  {name}: {value:.5g}", highlight=False)
    lost = baselines.beaten_by(recipe.task, metrics[f"test_{metric}"], figures)
    if lost is not None:
        console.print(lost, soft_wrap=True, highlight=False)
    return [*(name.removeprefix("test_") for name in metrics), *figures]


@contextlib.contextmanager
def _empty_again(folder):
    """Where nothing was trained in an empty folder it is empty again: the corrected command finds it as it was."""
    was_empty = not folder.is_dir() or not any(folder.iterdir())
    try:
        yield
    except Exception:
        # Innermost first: of several targets each has a folder within.
        paths = sorted(folder.rglob("*"), reverse=True) if was_empty and folder.is_dir() else []
        if {path.name for path in paths if path.is_file()} <= _BEFORE_TRAINING:
            for path in paths:
                path.unlink() if path.is_file() else path.rmdir()
        raise
