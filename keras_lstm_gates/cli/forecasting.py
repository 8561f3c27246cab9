"""The commands that use a trained forecaster on a table: forecast, evaluate, backtest."""

import os
from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates._support.standard_error import standard_error_to
from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.arguments import TABLES, Sharded, check_out, place_of_run, run_folder, shared_folder
from keras_lstm_gates.cli.recipes import takes_recipe
from keras_lstm_gates.cli.words import explain_words

Run = Annotated[
    str,
    typer.Argument(
        help="The run folder of `train`, the folder of its export, or a forecasting preset of the zoo.",
        metavar="RUN",
        show_default=False,
        callback=checks.run,
    ),
]
Table = Annotated[
    Path,
    typer.Argument(
        help=f"A table with the columns of the training, in any order: {TABLES}.",
        metavar="FILE",
        show_default=False,
        callback=checks.file,
    ),
]


@app.command()
def forecast(
    run: Run,
    table: Table,
    at: Annotated[
        str | None,
        typer.Option(
            help="Forecast what follows this time, in ISO form or as the table's dates.",
            show_default="the table's last row",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="From many points of the table, so that each row is forecast once.")
    ] = False,
    shard: Sharded = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write forecast.parquet, not forecast.csv.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for forecast.csv and forecast.png.", show_default="new, in runs/")
    ] = None,
):
    """Forecast the steps that follow a table, with times, in its own units."""
    checks.at_or_all(at, every)
    check_out(out, shard)
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import plots
    from keras_lstm_gates._support.terminal import files_table
    from keras_lstm_gates.forecasting.shards import write_table

    console = Console()
    if shard is not None:
        forecaster = _forecaster(run)
        _write_shard(console, forecaster, forecaster.windows(table, at, rolling=every), shard, out, every)
        return
    with run_folder("forecast", out) as (folder, temporary):
        forecaster = _forecaster(run)
        result = forecaster.rolling(table) if every else forecaster.forecast(table, at)
        if parquet:
            write_table(result, temporary / "forecast.parquet")
        else:
            result.to_csv(temporary / "forecast.csv", index=False)
        if not every:
            figure = plots.forecast(result, forecaster.history(table, at), forecaster.recipe.targets)
            figure.savefig(temporary / "forecast.png", dpi=120)
    _tell_ignored(console, result)
    console.print(result.head(12).to_string(index=False), soft_wrap=True, highlight=False)
    if len(result) > 12:
        console.print(f"... {len(result):,} rows in all", highlight=False)
    explain_words(console, result.columns)
    console.print(files_table(folder))


def _write_shard(console, forecaster, windows, text, out, origin):
    """Write one part of a forecast, unless it is there already."""
    from keras_lstm_gates.forecasting.shards import shard_of, write_table

    shard, folder = shard_of(text), shared_folder(out)
    if not (folder / shard.file("parquet")).exists():
        write_table(forecaster.of(shard.of(windows), origin), folder / shard.file("parquet"))
    done = len(list(folder.glob(f"part-*-of-{shard.count:05}.parquet")))
    console.print(f"{folder / shard.file('parquet')}: {done} of {shard.count} parts are there", highlight=False)


@app.command()
def evaluate(run: Run, table: Table):
    """How good a forecaster is on new rows, beside the baselines that need no training."""
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import forecasting

    result = forecasting.scores(_forecaster(run), table)
    console = Console()
    _tell_ignored(console, result)
    console.print(f"{result.attrs['windows']:,} windows", highlight=False)
    console.print(result.to_string(float_format="{:.5g}".format, na_rep=""), soft_wrap=True, highlight=False)
    explain_words(console, [*result.columns, *_forecasts_of(result)])
    _tell_lost(console, result["mae"])


@app.command()
@takes_recipe
def backtest(
    recipe,
    folds: Annotated[int, typer.Option(min=1, help="How many origins, evenly spaced in the last half.")] = 5,
    refit: Annotated[
        bool, typer.Option("--refit/--no-refit", help="Train anew for each fold, or once, for the first.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder; an interrupted backtest in it resumes.", show_default="new, in runs/", callback=checks.folder
        ),
    ] = None,
):
    """How a recipe would have done in the past: an origin that rolls, beside the baselines."""
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates._support.terminal import counted, files_table

    # Not by `forecasting.backtest` below: while a bar is drawn nothing may be imported for the first time.
    from keras_lstm_gates.forecasting.backtests import backtest as backtested

    console = Console()
    with place_of_run("backtest", out, resumes=True) as folder:
        try:
            with counted(console, "folds", folds) as progress:
                result = backtested(recipe, folder, folds, refit=refit, progress=progress)
        except KeyboardInterrupt:
            console.print(f"stopped; the same command with --out {folder} resumes", soft_wrap=True, highlight=False)
            raise typer.Exit(130) from None
    shown = result.drop(columns=["first", "last"]).to_string(float_format="{:.5g}".format, na_rep="")
    console.print(shown, soft_wrap=True, highlight=False)
    explain_words(console, ["fold", *result.columns, *_forecasts_of(result)])
    _tell_lost(console, result["mae"].xs("all", level="fold"))
    console.print(files_table(folder))


def _forecasts_of(result):
    """The names of the model and the baselines in a table of scores."""
    return list(dict.fromkeys(result.index.get_level_values(-1)))


def _tell_lost(console, errors):
    """Say which baselines do better, of the mean absolute errors by name; of several targets of each."""
    from keras_lstm_gates import baselines

    if errors.index.nlevels > 1:
        for target in errors.index.unique(level=0):
            console.print(f"{target}:", highlight=False, markup=False)
            _tell_lost(console, errors[target])
        return
    lost = baselines.beaten_by("forecasting", errors["model"], errors.drop("model").to_dict())
    if lost is not None:
        console.print(lost, soft_wrap=True, highlight=False)


def _tell_ignored(console, result):
    if result.attrs["ignored"]:
        console.print(f"not read: {', '.join(result.attrs['ignored'])}", soft_wrap=True, highlight=False, markup=False)


def _forecaster(run):
    from keras_lstm_gates import forecasting

    with standard_error_to(os.devnull):  # The interpreter of an exported file talks there.
        return forecasting.load(checks.run_of(run))
