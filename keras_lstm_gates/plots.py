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


_TERM_STYLES = {
    "direct": ("#0b3c8c", "-", 2.2),
    "f": ("#d1495b", "-", 1.4),
    "i": ("#2a9d6f", "--", 1.4),
    "g": ("#e0a030", "-.", 1.6),
    "z": ("#d1495b", "-", 1.4),
    "r": ("#2a9d6f", "--", 1.4),
    "k": ("#e0a030", "-.", 1.6),
    "recurrent": ("#d1495b", "-", 1.4),
    "sum": ("#222222", ":", 1.8),
}
_PATH_STYLES = {
    "direct": ("#0b3c8c", "-", "direct: the product of f alone"),
    "full": ("#d1495b", "-", "full: all routes, through o too"),
    "chain": ("#111111", "--", "chain: the product of $dc_t/dc_{t-1}$"),
    "state": ("#777777", ":", "state: the whole Jacobian of (h, c)"),
}
_MODEL_COLOURS = ("#0b3c8c", "#d1495b", "#2a9d6f", "#e0a030", "#8a6fb0")
_MODEL_LINES = ("-", "--", "-.", ":")


def gradient_chain(tree, layer=None, title=None):
    """The terms of the gradient over time, its products over the lag, and each model's gradient beside the others'.

    Args:
        tree: `xarray.DataTree` from `keras_lstm_gates.gradients`: of `gradient_chain`, or of `compare`.
        layer: str, the layer whose terms and products are drawn; None takes the first.
        title: str, or None for the layer's name.

    Returns:
        `matplotlib.figure.Figure`: the spectral norm of each term at every step; the gain over the lag along each path;
        and the gain along all routes of every layer of every model. Lines are medians over the sequences, bands their
        quartiles; a gain is the Frobenius norm of the product relative to lag 0; gains below 1e-12 or above 1e6 are
        outside the axes.

    Raises:
        ValueError: no such layer in the tree.
    """
    found = [node.to_dataset() for node in tree.subtree if "product_frobenius" in node]
    names = [node.attrs["layer"] for node in found]
    if layer is not None and layer not in names:
        raise ValueError(f"expected one of the layers {names}; received {layer!r}")
    node = found[0 if layer is None else names.index(layer)]
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    terms, paths, models = figure.subplots(1, 3)
    state = "c" if "chain" in node["path"].values else "h"

    times = np.arange(node.sizes["time"])
    real = node["mask"].values.any(axis=0)
    for name in node["term"].values:
        colour, line, width = _TERM_STYLES[name]
        # A masked step has no terms, and up to a sequence's first real one no gate has been passed yet.
        norms = node["spectral"].sel(term=name).where(node["mask"]).values[:, real]
        if not (norms[~np.isnan(norms)] > 0).any():
            continue
        label = {"sum": f"sum: $d{state}_t/d{state}_{{t-1}}$", "direct": "direct"}.get(name, f"through {name}")
        _median_and_quartiles(terms, times[real], norms, colour, line, label, width)
    terms.set_ylim(bottom=0)
    _label(terms, f"Terms of $d{state}_t/d{state}_{{t-1}}$", "time step", "spectral norm")

    for name, (colour, line, label) in _PATH_STYLES.items():
        if name not in node["path"].values:
            continue
        if state == "h":
            label = {"direct": "direct: the product of z alone", "full": "full: all routes"}[name]
        _gain(paths, node["product_frobenius"].sel(path=name).values, colour, line, label)
    _label(paths, "Products over the lag", "lag in steps, back from the last", "gain, relative to lag 0")

    several = len({other.attrs["model"] for other in found}) > 1
    for place, other in enumerate(found):
        label = f"{other.attrs['model']}, {other.attrs['layer']}" if several else other.attrs["layer"]
        colour = _MODEL_COLOURS[place % len(_MODEL_COLOURS)]
        line = _MODEL_LINES[place % len(_MODEL_LINES)]
        _gain(models, other["product_frobenius"].sel(path="full").values, colour, line, label)
    _label(models, "All routes, layer by layer", "lag in steps, back from the last", "gain, relative to lag 0")
    for axes in (paths, models):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 1e-12), min(max(high, 2.0), 1e6))
        if low < 1e-3:
            axes.axhline(1e-3, color="0.5", linewidth=0.8)
            place = {"xycoords": ("axes fraction", "data"), "va": "bottom"}
            axes.annotate("$10^{-3}$", (0.01, 1e-3), fontsize=8, color="0.4", **place)
    figure.suptitle(
        title or f"Gradient chain of layer {node.attrs['layer']!r}, model {node.attrs['model']!r}", fontsize=12
    )
    return figure


def _gain(axes, norms, colour, line, label):
    relative = norms / norms[:, :1]
    relative = relative[:, ~np.isnan(relative).all(axis=0)]
    _median_and_quartiles(axes, np.arange(relative.shape[1]), relative, colour, line, label, 1.8)


def _median_and_quartiles(axes, x, values, colour, line, label, width):
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    axes.plot(x, middle, line, color=colour, linewidth=width, label=label)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _label(axes, title, xlabel, ylabel):
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
