"""Pictures of the gradient chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates.plots._columns import WholeNumbers
from keras_lstm_gates.plots._styles import MODEL_COLOURS, MODEL_LINES, Picture, legend_below

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


_TERM_STYLES = {
    "direct": ("#0b3c8c", "-", 2.2),
    "f": ("#d1495b", "-", 1.4),
    "i": ("#2a9d6f", "--", 1.4),
    "g": ("#e0a030", "-.", 1.6),
    "z": ("#d1495b", "-", 1.4),
    "r": ("#2a9d6f", "--", 1.4),
    "candidate": ("#e0a030", "-.", 1.6),
    "recurrent": ("#d1495b", "-", 1.4),
    "sum": ("#222222", ":", 1.8),
}
_PATH_STYLES = {
    "direct": ("#0b3c8c", "-", "direct: the product of f alone"),
    "full": ("#d1495b", "-", "full: all routes, through o too"),
    "chain": ("#111111", "--", "chain: the product of $dc_t/dc_{t-1}$"),
    "state": ("#777777", ":", "state: the whole Jacobian of (h, c)"),
}


def gradient_chain(tree: xr.DataTree, layer: str | None = None, title: str | None = None) -> Figure:
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
    datasets = [node.to_dataset() for node in tree.subtree if "product_frobenius" in node]
    names = [node.attrs["layer"] for node in datasets]
    if layer is not None and layer not in names:
        raise ValueError(f"expected one of the layers {names}; received {layer!r}")
    node = datasets[0 if layer is None else names.index(layer)]
    figure = Picture(figsize=(13, 5.2), layout="constrained")
    terms, paths, models = figure.subplots(1, 3)
    state = "c" if "chain" in node["path"].values else "h"

    times = np.arange(node.sizes["time"])
    real = node["mask"].values.any(axis=0)
    for name in node["term"].values:
        colour, line, width = _TERM_STYLES[name]
        # A masked step has no terms, and before a sequence's first real step the gradient has passed no gate.
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

    several = len({other.attrs["model"] for other in datasets}) > 1
    for place, other in enumerate(datasets):
        label = f"{other.attrs['model']}, {other.attrs['layer']}" if several else other.attrs["layer"]
        colour = MODEL_COLOURS[place % len(MODEL_COLOURS)]
        line = MODEL_LINES[place % len(MODEL_LINES)]
        _gain(models, other["product_frobenius"].sel(path="full").values, colour, line, label)
    _label(models, "All routes, layer by layer", "lag in steps, back from the last", "gain, relative to lag 0")
    for axes in (paths, models):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        # Over a decade or more, so that the ticks are whole powers of ten.
        axes.set_ylim(max(min(low, 0.09), 1e-12), min(max(high, 2.0), 1e6))
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
    axes.xaxis.set_major_locator(WholeNumbers(8))
    legend_below(axes, 1)
