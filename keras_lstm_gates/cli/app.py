"""The application that the commands join."""

import typer

app = typer.Typer(
    name="keras-lstm-gates",
    help="LSTMs whose gates you can see: train, look inside, export, run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
