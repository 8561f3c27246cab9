"""Pictures of a trace."""

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from keras_lstm_gates.gates import DESCRIPTIONS, Gates

# Both scales grow lighter with the value, so that they keep their meaning in grey and for colour-blind readers.
GATE_COLOURS = matplotlib.colormaps["viridis"]
STATE_COLOURS = LinearSegmentedColormap.from_list(
    "below_and_above_zero", ["#0b1d51", "#3b5c9e", "#a3a3a3", "#f2b169", "#fff1d6"]
)

_MEANINGS = {
    "i": "how much of g is written",
    "f": "how much of the cell state is kept",
    "g": "what would be written",
    "o": "how much of the cell state is shown",
    "c": "the memory, $i_t\\,g_t + f_t\\,c_{t-1}$",
    "h": "what the layer says, $o_t\\,\\tanh c_t$",
}


def gates(tree, layer=None, sample=0, title=None):
    """The six curves of every unit over one sequence, below its input.

    Args:
        tree: `xarray.DataTree` from `keras_lstm_gates.tracing`.
        layer: str, a node of the tree; None takes its first.
        sample: int, which sequence.
        title: str, or None for the sample's number.

    Returns:
        `matplotlib.figure.Figure`: input channels above, then a panel time × unit for each of i, f, g, o, c, h. Units
        stand in the order of their mean forget gate, the longest memory on top. i, f and o are coloured from 0 to 1,
        g, c and h around 0. Masked steps are left out.

    Raises:
        ValueError: no such layer or sample in the tree.
    """
    names = list(tree.children)
    layer = names[0] if layer is None else layer
    if layer not in names:
        raise ValueError(f"expected one of the layers {names}; received {layer!r}")
    node = tree[layer]
    if not 0 <= sample < node.sizes["sample"]:
        raise ValueError(f"expected a sample from 0 to {node.sizes['sample'] - 1}; received {sample}")
    real = node["mask"].values[sample]
    times = np.flatnonzero(real)
    values = {name: node[name].values[sample][real] for name in Gates._fields}
    by_memory = np.argsort(values["f"].mean(axis=0))

    figure = Figure(figsize=(10, 9.5), layout="constrained")
    panels = figure.subplot_mosaic(
        [["input", "input"], ["f", "o"], ["i", "c"], ["g", "h"]], height_ratios=[0.8, 1, 1, 1]
    )
    _input_panel(panels["input"], tree["input"].values[sample], times)
    for name in Gates._fields:
        axes = panels[name]
        signed = name in ("g", "c", "h")
        limit = max(1.0, float(np.abs(values[name]).max())) if signed else 1.0
        picture = axes.imshow(
            values[name][:, by_memory].T,
            aspect="auto",
            origin="lower",
            interpolation="nearest",
            extent=(times[0] - 0.5, times[-1] + 0.5, -0.5, len(by_memory) - 0.5),
            cmap=STATE_COLOURS if signed else GATE_COLOURS,
            vmin=-limit if signed else 0.0,
            vmax=limit,
        )
        axes.set_title(f"$\\bf{{{name}}}$  {DESCRIPTIONS[name]}: {_MEANINGS[name]}", fontsize=10, loc="left")
        bar = figure.colorbar(picture, ax=axes, pad=0.01, ticks=[-limit, 0, limit] if signed else [0, 0.5, 1])
        if signed:
            bar.ax.set_yticklabels([f"{tick:.2g}" for tick in (-limit, 0, limit)])
        else:
            bar.ax.set_yticklabels(["0 closed", "0.5", "1 open"])
    for name in ("f", "i", "g"):
        panels[name].set_ylabel("unit, by mean f")
    for name in ("input", "g", "h"):
        panels[name].set_xlabel("time step")
    figure.suptitle(title or f"Layer {layer!r}, sample {sample}: {len(times)} steps", fontsize=12)
    return figure


def _input_panel(axes, values, times):
    shades = matplotlib.colormaps["cividis"](np.linspace(0, 0.9, values.shape[-1]))
    for channel, shade in zip(values[times].T, shades, strict=True):
        axes.plot(times, channel, color=shade, linewidth=1.2)
    axes.set_title(f"$\\bf{{x}}$  input: {values.shape[-1]} channels", fontsize=10, loc="left")
    axes.set_ylabel("value")
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
