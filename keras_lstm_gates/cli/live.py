"""The gates of an exported file in the terminal, live, step by step; NumPy and rich only."""

import time

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

GATES = "ifogch"
_BELOW_ZERO, _ZERO, _ABOVE_ZERO = (44, 104, 190), (32, 32, 36), (240, 150, 40)


def show(stream, sequence, console, interval=0.0, title=""):
    """Push a sequence through a stream and draw every step: a line per gate, a block per unit.

    A block is dark at 0, orange above and blue below; full colour is 1, or for c the largest value so far.

    Args:
        stream: `keras_lstm_gates.edge.Stream`.
        sequence: array, (time, features) or tokens (time,).
        console: `rich.console.Console`.
        interval: float >= 0, seconds between two steps.
        title: str, drawn above.

    Returns:
        {output name: array (time, ...)}.
    """
    steps, largest = [], 1.0
    with Live(console=console, auto_refresh=False) as display:
        for number, x in enumerate(sequence):
            steps.append(stream.push(x))
            largest = max([largest, *(np.abs(values).max() for name, values in steps[-1].items() if name[-1:] == "c")])
            display.update(view(steps[-1], f"{title}  step {number + 1} of {len(sequence)}", largest), refresh=True)
            if interval:
                time.sleep(interval)
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def view(step, title, largest):
    """One step, {output name: values}, as a rich renderable; `largest` is the value of c at full colour."""
    paths = [name[: -len("f")] for name in step if name == "f" or name.endswith("/f")]
    known = {path + gate for path in paths for gate in GATES}
    parts = [Text(title, style="bold")]
    for path in paths:
        table = Table(title=path.rstrip("/") or None, box=None, padding=(0, 1), show_header=False, title_justify="left")
        for gate in GATES:
            values = step[path + gate]
            table.add_row(gate, _blocks(values / (largest if gate == "c" else 1.0)), f"mean {values.mean():+.2f}")
        parts.append(table)
    table = Table(box=None, padding=(0, 1), show_header=False)
    for name in sorted(set(step) - known):
        table.add_row(name, np.array2string(step[name], precision=3, suppress_small=True, threshold=8, edgeitems=4))
    return Group(*parts, table)


def _blocks(values):
    text = Text()
    for value in np.clip(values, -1, 1):
        end = _ABOVE_ZERO if value > 0 else _BELOW_ZERO
        colour = (round(zero + abs(float(value)) * (full - zero)) for zero, full in zip(_ZERO, end, strict=True))
        text.append("█", style="rgb({},{},{})".format(*colour))
    return text
