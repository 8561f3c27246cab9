"""The command that trains by a recipe: train."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import Horizon, Recipe, Target, Window, empty_folder, new_folder, of_table


@app.command()
def train(
    recipe: Recipe,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe; repeatable.")
    ] = None,
    target: Target = None,
    window: Window = None,
    horizon: Horizon = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="new, in runs/")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --out.")] = False,
):
    """Train a model by a recipe; the run folder keeps all that is needed to reproduce it."""
    from rich.console import Console

    from keras_lstm_gates import baselines, datasets, training
    from keras_lstm_gates._support.terminal import EpochProgress, files_table
    from keras_lstm_gates.recipes import resolve

    values = of_table(target, window, horizon)
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"expected --set KEY=VALUE; received {setting!r}")
        values[key] = value
    chosen_recipe = resolve(recipe, values)
    if resume:
        if out is None:
            raise ValueError("expected --out, the folder of the run to resume; received none")
        folder = out
    else:
        folder = new_folder(Path("runs"), "train") if out is None else empty_folder(out)
    console = Console()
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
