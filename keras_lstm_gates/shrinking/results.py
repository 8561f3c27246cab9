"""What `shrink` returns, and what a model weighs."""

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from keras_lstm_gates import exporting
from keras_lstm_gates._support.notebooks import table

COMPARED = 32
"""Sequences that an exported file is compared with its model on."""


class Shrunk(NamedTuple):
    """The result of `shrink`.

    Attributes:
        model: `keras.Model`, smaller, of the same layers.
        removed: `pandas.DataFrame`, a row a unit that went, in the order in which they went: `layer` (its path),
            `unit`, `why` ("never writes", "never shows", "stands still" or "unimportant"), `exact` (whether every
            output stayed what it was), and `worse`, how much worse the model was without it alone (0 where exact).
        kept: {path: list of int}, the units of the given model that those of the smaller one are.
        sizes: `pandas.DataFrame`, rows "before" and "after": `units`, `parameters`, with `export` also `bytes` and
            `milliseconds` of a call with one sequence, of the float32 TFLite file, and what is measured, by its name.
        curve: `pandas.DataFrame`, a row a round: `units`, `parameters`, and what is measured, before any fine-tuning.
        refused: {path or layer's name: why it keeps its size}.
    """

    model: Any
    removed: Any
    kept: dict
    sizes: Any
    curve: Any
    refused: dict

    def _repr_html_(self):
        sizes = [
            (name, *(f"{one:,.6g}" for one in row))
            for name, row in zip(self.sizes.index, self.sizes.values, strict=True)
        ]
        counts = self.removed.groupby(["layer", "why", "exact"], sort=False).size()
        rows = [
            (layer, number, why, "exactly" if exact else "nearly") for (layer, why, exact), number in counts.items()
        ]
        refused = [(name, why) for name, why in self.refused.items()]
        return (
            table(f"Shrunk: {self.model.name}", ("", *self.sizes.columns), sizes)
            + table("Units removed", ("layer", "units", "why", "outputs stay"), rows)
            + (table("Of the same size", ("layer", "why"), refused) if refused else "")
        )


def weight_of(model, arrays):
    """{"bytes", "milliseconds"} of the float32 TFLite file that `keras_lstm_gates.exporting.export` makes of a model.

    Args:
        model: `keras.Model`.
        arrays: {input: array}, of which some sequences are compared.
    """
    some = {name: one[:COMPARED] for name, one in arrays.items()}
    with tempfile.TemporaryDirectory() as folder:
        data = some if len(some) > 1 else next(iter(some.values()))
        exporting.export(model, Path(folder) / "export", data, formats=("tflite",))
        file = json.loads((Path(folder) / "export" / "manifest.json").read_text())["formats"]["tflite"]
    return {"bytes": file["bytes"], "milliseconds": file["signatures"]["predict"]["latency_ms"]}
