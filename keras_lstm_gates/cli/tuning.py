"""The command that searches: tune."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import place_of_run
from keras_lstm_gates.cli.recipes import takes_recipe

SPACE = """Searched by default, as far as the recipe's task uses it: learning_rate=0.0003:0.03:log units=16:256:log
layers=[1,2] bidirectional=[false,true] dropout=0.0:0.5 recurrent_dropout=0.0:0.3 forget_bias=[0.0,1.0,2.0]
chrono_t_max=[null,20.0,100.0] gate_l1.f=[0.0,1e-05,0.0001] schedule=["constant","cosine"] batch_size=[16,32,64]
clip_norm=[null,0.5,1.0,5.0] weight_decay=1e-06:0.01:log"""


TUNERS = ("random", "bayesian", "hyperband", "grid")
"""As in `keras_lstm_gates.tuning`, whose import takes seconds."""


def _address(chief):
    from keras_lstm_gates.tuning.addresses import host_and_port

    if chief is not None:
        host_and_port(chief)
    return chief


@app.command(epilog=SPACE)
@takes_recipe
def tune(
    recipe,
    tuner: Annotated[
        str,
        typer.Option(help="random, bayesian, hyperband or grid.", callback=checks.one_of("--tuner", *TUNERS)),
    ] = "random",
    trials: Annotated[int | None, typer.Option(min=1, help="The most trials.", show_default="20")] = None,
    minutes: Annotated[float | None, typer.Option(help="No trial starts later.", show_default="no limit")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: in this process.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="units=32 fixes; units=16:256:log is a range, units=[32,64] choices; may be repeated."
        ),
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Search what --set names, and fix all else.")] = False,
    objective: Annotated[str, typer.Option(help="A metric of the training.")] = "val_loss",
    max_parameters: Annotated[float | None, typer.Option(help="Budget of a model.", show_default="none")] = None,
    max_tflite_kib: Annotated[float | None, typer.Option(help="Of its TFLite file.", show_default="none")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Of one sequence here.", show_default="none")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the trials, and of their weights.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder; an earlier search in it resumes.", show_default="new, in runs/", callback=checks.folder
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            help="Many machines: chief or worker.",
            show_default="one",
            callback=checks.one_of("--role", "chief", "worker"),
        ),
    ] = None,
    chief: Annotated[
        str | None,
        typer.Option(help="Where the chief listens: HOST:PORT.", show_default="none", callback=_address),
    ] = None,
    worker: Annotated[int, typer.Option("--id", min=0, help="The worker's number.")] = 0,
):
    """Search the hyperparameters of a recipe; the best recipe is written to best.json, which `train` takes."""
    from keras_lstm_gates.tuning import spaces

    if role is not None and out is None:
        raise ValueError("expected --out, a folder that all machines share, with --role; received none")
    changes = dict(map(spaces.parse, settings or ()))
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import training
    from keras_lstm_gates.tuning import GatedLSTMHyperModel, TrialTable, figures, hparams, results, search

    start = training.settled(recipe)
    model = GatedLSTMHyperModel(start, changes, only)
    if not any(isinstance(values, dict | list) for values in model.space.values()):
        raise ValueError(
            f"expected one or more keys with a range or choices to search; received only fixed values: {model.space}"
        )
    budget = {"parameters": max_parameters, "latency_ms": max_latency_ms}
    budget["tflite_bytes"] = None if max_tflite_kib is None else 1024 * max_tflite_kib
    budget = {name: value for name, value in budget.items() if value is not None}
    console = Console()
    with place_of_run("tune", out, resumes=True) as folder:
        try:
            result = search(
                model,
                folder,
                tuner=tuner,
                trials=trials,
                minutes=minutes,
                objective=objective,
                budget=budget,
                sample=model.sample() if {"tflite_bytes", "latency_ms"} & set(budget) else None,
                epochs=start.epochs if tuner == "hyperband" else None,
                seed=seed,
                workers=0 if role else workers,
                role=role,
                chief=chief,
                worker=worker,
                console=console,
            )
        except KeyboardInterrupt:
            console.print(f"stopped; the same command with --out {folder} resumes", soft_wrap=True)
            raise typer.Exit(130) from None
    if role != "worker":
        best = results.write_best(result, model)
        figures.write(result)
        hparams.write(result)
        console.print(TrialTable(result, str(folder)))
        console.print(f"the best recipe: {best}", soft_wrap=True)
