"""The command that trains by a recipe: train."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import empty_folder, new_folder
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

    recipe = training.settled(recipe)
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
            run = training.fit(recipe, folder, resume=resume, callbacks=[progress])
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
