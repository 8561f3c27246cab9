"""The commands of the zoo: list, show, evaluate, build."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli.app import app

group = typer.Typer(help="Small trained models with cards of measured numbers.", invoke_without_command=True)
app.add_typer(group, name="zoo")

Name = Annotated[str, typer.Argument(help="Of a preset; `keras-lstm-gates zoo` lists them.", show_default=False)]


@group.callback()
def listed(context: typer.Context):
    """List the models of the zoo, or do what a subcommand says."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from keras_lstm_gates import zoo

    table = Table(title="The zoo")
    table.add_column("model")
    for column in ("parameters", "mean ± sd", "best baseline"):
        table.add_column(column, justify="right")
    for name in zoo.list():
        card = zoo.card(name)
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
    from rich.console import Console
    from rich.markdown import Markdown

    from keras_lstm_gates.zoo.files import verified

    Console().print(Markdown((verified(name) / "README.md").read_text()))


@group.command()
def evaluate(name: Annotated[str, typer.Argument(help="Of a preset.", show_default="all of them")] = ""):
    """Measure the card's figure again and say whether it holds; the exit code is 1 where one does not."""
    from rich.console import Console

    from keras_lstm_gates import zoo

    console = Console()
    broken = []
    for one in [name] if name else zoo.list():
        with console.status(f"evaluating {one}"):
            found = zoo.evaluate(one)
        verdict = "[green]holds[/]" if found.holds else "[red]does not hold[/]"
        console.print(f"{one}: {found.metric} {found.measured:.5g}, the card says {found.claimed:.5g}: {verdict}")
        if not found.holds:
            broken.append(one)
    if broken:
        raise ArithmeticError(f"expected the cards' figures; {broken} measured others")


@group.command()
def build(
    name: Name,
    runs: Annotated[Path, typer.Option(help="Folder for the run folders of its seeds; resumes.")] = Path("runs/zoo"),
):
    """Train all seeds of a preset, measure, export, and write its folder anew."""
    from rich.console import Console

    from keras_lstm_gates import zoo
    from keras_lstm_gates._support.terminal import files_table

    console = Console()
    console.print(files_table(zoo.build(name, runs, tell=console.print)))
