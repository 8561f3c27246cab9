"""The picture of an explained answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.colors import Normalize

from keras_lstm_gates.plots._columns import WholeNumbers, steps_label
from keras_lstm_gates.plots._inputs import MOST_NAMES, shortened
from keras_lstm_gates.plots._styles import Picture, coloured_text, height_of, lines_of, with_gaps
from keras_lstm_gates.plots.traces import STATE_COLOURS
from keras_lstm_gates.tracing import channel_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


WIDTH = 90
"""Characters a line."""

_LENSES = {
    "stored": "what was written here and kept for the answer",
    "sensitive": "how much a change of the cell state here would matter",
    "closed": "what the answer loses where nothing is written here",
    "causal": "what the answer loses without this step's input",
}


def explanation(data: xr.Dataset) -> Figure:
    """The lenses on one answer, below the input coloured by what it contributes.

    Args:
        data: `xarray.Dataset` of `keras_lstm_gates.attribution.explain(...).data`.

    Returns:
        `matplotlib.figure.Figure`. Above: of tokens the text, of sensors a heat map of channels over time, lighter for
        what raises the answer and darker for what lowers it; below a bar a step for each lens. Masked steps are left
        out. Orange raises the answer and blue lowers it, above and below. Up to 16 channels have their names, where the
        attribute `columns` has them, and the axis of the steps the first and the last time, where there is a coordinate
        `when` (time). Of sub-sequences, (time, inner step, channel), the sum over the inner steps is drawn.
    """
    real = np.flatnonzero(data["mask"].values)
    values = data["inputs"].values[real]
    of_text, title = values.ndim == 1, "the input, by integrated gradients"
    if values.ndim > 2:
        title += f", summed over {' × '.join(map(str, values.shape[1:-1]))} inner steps"
        values = values.sum(axis=tuple(range(1, values.ndim - 1)))
    texts = _texts(data)[real] if of_text else []
    lines = lines_of(texts, WIDTH, gap=int(any(len(str(text)) > 1 for text in texts)))
    above = 0.5 + 0.3 * height_of(lines) if of_text else 1.2 + 0.12 * values.shape[-1]
    lenses = {lens: meaning for lens, meaning in _LENSES.items() if lens in data}
    figure = Picture(figsize=(9, min(above, 8) + 0.6 + 1.2 * len(lenses)), layout="constrained")
    panels = figure.subplots(1 + len(lenses), 1, height_ratios=[min(above, 8), *[1.2] * len(lenses)])
    limit = float(np.abs(values).max()) or 1.0
    scale = Normalize(-limit, limit)
    if of_text:
        coloured_text(panels[0], lines, STATE_COLOURS(scale(values)), WIDTH)
    else:
        panels[0].imshow(
            with_gaps(values, real).T, aspect="auto", interpolation="nearest", cmap=STATE_COLOURS, norm=scale,
            extent=(real[0] - 0.5, real[-1] + 0.5, values.shape[1] - 0.5, -0.5),
        )  # fmt: skip
        _name_channels(panels[0], data, values.shape[1])
        panels[0].xaxis.set_major_locator(WholeNumbers(8))
    figure.colorbar(
        matplotlib.cm.ScalarMappable(scale, STATE_COLOURS), ax=panels[0], pad=0.01, label="contribution", aspect=10
    )
    panels[0].set_title(title, fontsize=10, loc="left")
    for axes, (lens, meaning) in zip(panels[1:], lenses.items(), strict=True):
        heights = data[lens].values[real]
        # As above: orange raises the answer, blue lowers it.
        axes.bar(real, heights, width=0.9, color=STATE_COLOURS(np.where(heights >= 0, 0.75, 0.15)))
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_title(f"$\\bf{{{lens}}}$  {meaning}", fontsize=10, loc="left")
        axes.set_xlim(real[0] - 0.5, real[-1] + 0.5)
        axes.xaxis.set_major_locator(WholeNumbers(8))
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel(steps_label(data["when"].values[real] if "when" in data.coords else None))
    attrs = data.attrs
    before = f", before {attrs['before']}" if attrs["before"] else ""
    place = "" if attrs["target"] == "None" else f", number {attrs['target'].strip('(),')} of the output,"
    figure.suptitle(f"Sample {attrs['sample']}: the answer{place} is {attrs['answer']:.3g}{before}", fontsize=12)
    return figure


def _name_channels(axes, data, count):
    """Names beside the rows where there are as many and not too many, else numbers."""
    names = channel_names(data, count)
    if "columns" in data.attrs and len(data.attrs["columns"]) == count <= MOST_NAMES:
        axes.set_yticks(range(count), [shortened(name, 24) for name in names], parse_math=False, fontsize=8)
    else:
        axes.yaxis.set_major_locator(WholeNumbers(4))
        axes.set_ylabel("channel")


def _texts(data):
    """The token, or the number of it, of each step."""
    return data["token"].values if "token" in data else data["input"].values.astype(str)
