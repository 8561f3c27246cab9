"""Pictures of exported files beside their models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.plots._columns import WholeNumbers
from keras_lstm_gates.plots._styles import MODEL_LINES, Picture, shades

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def drift(dataset: xr.Dataset, title: str | None = None) -> Figure:
    """How an exported file drifts from its model along the sequence, a line per output.

    Args:
        dataset: `xarray.Dataset` from `keras_lstm_gates.exporting.drift`.
        title: str, or None for the file's name.

    Returns:
        `matplotlib.figure.Figure`: the mean absolute difference of each output on a log scale over time, on the
        left, and the largest one on the right; a row of panels per layer, and one for the model's own outputs. An
        output that has one value per sequence is a point at the last step; a difference of exactly 0 is not drawn.
    """
    rows = {}
    for name in dataset["output"].values.tolist():
        path, _, gate = name.rpartition("/")
        rows.setdefault(f"layer {path}".strip() if gate in Gates._fields else "outputs", []).append(name)
    figure = Picture(figsize=(10, 0.6 + 2.6 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 2, sharex=True, squeeze=False)
    for (row, names), pair in zip(rows.items(), panels, strict=True):
        for axes, quantity in zip(pair, ("mean_difference", "largest_difference"), strict=True):
            for place, name in enumerate(names):
                values = dataset[quantity].sel(output=name).values
                values = np.where(values > 0, values, np.nan)
                once = np.isfinite(values).sum() == 1
                label = name.rpartition("/")[2]
                axes.plot(
                    dataset["time"], values, "s" if once else MODEL_LINES[place % len(MODEL_LINES)],
                    color=shades(len(names))[place], linewidth=1.5, label=label,
                )  # fmt: skip
            axes.set_yscale("log")
            axes.set_title(f"{row}: {quantity.replace('_', ' ')}", fontsize=10, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
        pair[0].set_ylabel("|file - model|")
        pair[1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in panels[-1]:
        axes.set_xlabel("time step")
        axes.xaxis.set_major_locator(WholeNumbers(8))
    signature, file, model = (dataset.attrs[name] for name in ("signature", "file", "model"))
    figure.suptitle(title or f"{file}, signature {signature!r}, beside the model {model!r}", fontsize=12)
    return figure
