"""The commands of the zoo: list, show, evaluate, build."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app

group = typer.Typer(help="Small trained models with cards of measured numbers.", invoke_without_command=True)
app.add_typer(group, name="zoo")

Name = Annotated[
    str,
    typer.Argument(help="Of a preset; `keras-lstm-gates zoo` lists them.", show_default=False, callback=checks.preset),
]


@group.callback()
def listed(context: typer.Context):
    """List the models of the zoo, or run a subcommand."""
    if context.invoked_subcommand is not None:
        return
    checks.import_tensorflow()
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from keras_lstm_gates import zoo

    table = Table(title="The zoo")
    table.add_column("model")
    for column in ("parameters", "mean ± sd", "best baseline"):
        table.add_column(column, justify="right")
    for name in zoo.list():
        try:
            card = zoo.card(name)
        except (ValueError, OSError) as error:
            Console(stderr=True).print(f"{name} is left out: {error}", soft_wrap=True, markup=False)
            continue
        quality, metric = card["quality"], card["metric"]
        best = max if metric["higher_is_better"] else min
        table.add_row(
            f"[bold]{name}[/]\n[dim]{escape(card['title'])}[/]",
            f"{card['parameters']:,}",
            f"{metric['name'].replace('_', ' ')}\n{quality['mean']:.4g} ± {quality['sd']:.2g}",
            f"\n{best(card['baselines'].values()):.4g}",
            end_section=True,
        )
    Console().print(table)


@group.command()
def show(name: Name):
    """Show the card of a model."""
    checks.import_tensorflow()
    from rich.console import Console
    from rich.markdown import Markdown

    from keras_lstm_gates.presets.files import verified

    Console().print(Markdown((verified(name) / "README.md").read_text()))


@group.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Of a preset.", show_default="all of them", callback=checks.preset)] = "",
):
    """Measure the card's figure again and say whether it holds; the exit code is 1 if one does not."""
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import zoo

    console = Console()
    broken = []
    for preset in [name] if name else zoo.list():
        with console.status(f"evaluating {preset}"):
            evaluation = zoo.evaluate(preset)
        verdict = "[green]holds[/]" if evaluation.holds else "[red]does not hold[/]"
        console.print(
            f"{preset}: {evaluation.metric} {evaluation.measured:.5g}, on the card {evaluation.claimed:.5g}: {verdict}"
        )
        if not evaluation.holds:
            broken.append(preset)
    if broken:
        raise ArithmeticError(f"expected the figures of the cards; received others for {broken}")


@group.command()
def build(
    name: Name,
    runs: Annotated[
        Path, typer.Option(help="Folder for the run folders of its seeds; resumes.", callback=checks.folder)
    ] = Path("runs/zoo"),
):
    """Train all seeds of a preset, measure, export, and rewrite its folder."""
    checks.import_tensorflow()
    from rich.console import Console

    from keras_lstm_gates import zoo
    from keras_lstm_gates._support.terminal import files_table

    console = Console()
    console.print(files_table(zoo.build(name, runs, tell=console.print)))
