"""The application that the commands join."""

from typing import Annotated

import typer

app = typer.Typer(
    name="keras-lstm-gates",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool):
    if requested:
        from importlib.metadata import version

        typer.echo(f"keras-lstm-gates {version('keras_lstm_gates')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
):
    """LSTMs whose gates you can see: train, look inside, export, run."""
