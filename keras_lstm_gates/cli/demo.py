"""The command that shows everything at once: demo."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import place_of_run


@app.command()
def demo(
    seed: Annotated[int, typer.Option(min=0, help="Of the weights, the order of the examples and the noise.")] = 0,
    runs: Annotated[
        Path, typer.Option(help="Folder for run folders; each run makes a new one.", callback=checks.folder)
    ] = Path("runs"),
):
    """Train a small LSTM on real speech data, look at its gates, export it and check the exported files.

    Takes about a minute. All results are written to a new folder below --runs.
    """
    checks.import_tensorflow()
    from keras_lstm_gates.demo import demo

    with place_of_run("demo", None, runs) as folder:
        demo(folder, seed=seed)
