"""The options of the commands that train: a recipe, and how its table is read."""

import csv
import functools
import inspect
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.arguments import Horizon, Recipe, Target, Window

_OPTIONS = {
    "target": Target,
    "window": Window,
    "horizon": Horizon,
    "known": Annotated[
        str | None, typer.Option(help="Of a table: columns that are known in the future too, as holiday,promo.")
    ],
    "group": Annotated[str | None, typer.Option(help="Of a table of several series: the column that names them.")],
    "dates": Annotated[str | None, typer.Option(help="Of a table: day-first, month-first or year-first.")],
    "decimal": Annotated[str | None, typer.Option(help="Of a table: point or comma before decimals.")],
    "timezone": Annotated[
        str | None, typer.Option(help="Of times without an offset, as Europe/Berlin; they become UTC.")
    ],
    "missing": Annotated[str | None, typer.Option(help="Of empty cells: interpolate, forward or drop.")],
    "sentinels": Annotated[
        list[str] | None, typer.Option("--sentinel", help="A cell that marks a missing value, as -200; repeatable.")
    ],
    "step": Annotated[str | None, typer.Option(help="Resample the rows to this step, as 1h.")],
    "fill": Annotated[bool, typer.Option("--fill", help="Fill steps without a row; with --step.")],
    "duplicates": Annotated[str | None, typer.Option(help="Of rows of the same time: error, mean or first.")],
    "settings": Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe; repeatable.")
    ],
}


def _listed(text):
    """Names as a line of a .csv has them: in quotes where there is a comma in one."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])] or [""]


def takes_recipe(command):
    """Give a command the argument RECIPE and the options of a recipe; it is called with the `Recipe` first.

    An option that the command has itself, as `tune` has --set, is left to it.
    """
    kind = inspect.Parameter.KEYWORD_ONLY
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = {name: option for name, option in _OPTIONS.items() if name not in {one.name for one in own}}

    @functools.wraps(command)
    def with_options(recipe, **options):
        from keras_lstm_gates.recipes import resolve

        values = {name: options.pop(name) for name in shared}
        settings = values.pop("settings", None) or []
        values = {name: value for name, value in values.items() if value not in (None, False, [])}
        for name in {"known", "target"} & {*values}:
            names = _listed(values[name])
            values[name] = names if name == "known" or names[1:] else names[0]
        for setting in settings:
            key, equals, value = setting.partition("=")
            if not equals:
                raise ValueError(f"expected --set KEY=VALUE; received {setting!r}")
            values[key] = value
        resolved = resolve(recipe, values)
        checks.recipe(resolved.dataset)
        return command(resolved, **options)

    added = [
        inspect.Parameter(name, kind, annotation=annotation, default=False if name == "fill" else None)
        for name, annotation in shared.items()
    ]
    first = inspect.Parameter("recipe", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Recipe)
    with_options.__signature__ = inspect.Signature([first, *added, *(one.replace(kind=kind) for one in own)])
    annotations = {one.name: one.annotation for one in (first, *added, *own)}
    with_options.__annotations__ = annotations
    return with_options
