"""The command that tells what a file is: inspect."""

from pathlib import Path
from typing import Annotated

import typer

from keras_lstm_gates.cli import checks
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.cli.deployment import runner_of
from keras_lstm_gates.cli.models import given_weights, opens_models


@app.command()
@opens_models
def inspect(
    file: Annotated[
        Path, typer.Argument(help="A model's file or folder, of any kind.", show_default=False, callback=checks.exists)
    ],
):
    """Tell what a file is: who wrote it, its layers and inputs, what can be traced, and what an export would refuse."""
    checks.import_tensorflow()
    from rich.console import Console

    console = Console()
    from keras_lstm_gates.opening.readers.contents import Content
    from keras_lstm_gates.opening.readers.facts import arrays, facts

    if Content(file).head[4:8] == b"TFL3":
        _tflite(console, file)
        return

    of_weights = arrays(file)
    if of_weights is not None:
        words, listed = of_weights
        _print(console, f"{file} is {words}: load_weights(model, path), or --weights with its architecture")
        _table(console, ("array", "shape"), listed)
        return
    found = facts(file, weights=given_weights())
    _print(console, f"{file} is {found.words}; {found.numbers:,} numbers are stored in it")
    for name, (shape, dtype) in found.inputs.items():
        _print(console, f"input {name}: {dtype} {tuple('any' if size is None else size for size in shape)}")
    for path, vocabulary in found.vocabularies.items():
        _print(console, f"tokens of {path}: 0 to {vocabulary - 1}")
    _table(console, ("layer", "class", "settings"), found.layers)
    backwards = [f"{path} (reads backwards)" if path in found.backwards else path for path in found.lstms]
    _print(console, f"gates: {', '.join(backwards) or 'none, it has no LSTM'}")
    for name, why in found.unknown.items():
        _print(console, f"the layer {name!r} {why}; a class of your own comes with --import MODULE")
    for refusal in _refusals(found):
        _print(console, refusal)


def _refusals(found):
    """What an export would refuse, as far as a file tells."""
    refusals = []
    if found.backwards:
        refusals.append(f"export: no signature step and no micro, as {found.backwards[0]} reads time from its end")
    try:
        from keras_lstm_gates.exporting.onnx.layers import LAYERS
    except ImportError:
        return refusals
    known = {cls.__name__ for cls in LAYERS} | {"LSTM", "RNN", "Bidirectional", "TimeDistributed", "Model"}
    known |= {"Functional", "Sequential", "GatedLSTM", "TensorFlowOperation"}
    for path, kind, _ in found.layers:
        if kind[:1].isupper() and kind not in known and path not in found.operations:
            refusals.append(f"export: no onnx, as {path} is a {kind}")
    return refusals


def _tflite(console, file):
    from keras_lstm_gates.exporting.tflite.graphs import signed
    from keras_lstm_gates.exporting.tflite.operators import operators

    runner = runner_of(file)
    _print(console, f"{file} is a TFLite file; the gates of its LSTMs need the Keras file that it was made of")
    counted = operators(signed(file.read_bytes()))
    for name, signature in runner.signatures.items():
        _print(console, f"signature {name}: {signature['inputs']} to {signature['outputs']}")
        lstms = {kind: number for kind, number in counted.get(name, {}).items() if "LSTM" in kind}
        words = ", ".join(f"{number} {kind}" for kind, number in lstms.items())
        _print(console, f"  LSTM operators: {words or 'none; an LSTM may be a loop (WHILE) or unrolled'}")
        _print(console, f"  all operators: {', '.join(f'{number} {kind}' for kind, number in counted[name].items())}")


def _table(console, columns, rows):
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell).replace("[", r"\[") for cell in row))
    console.print(table)


def _print(console, text):
    console.print(text, soft_wrap=True, highlight=False, markup=False)
