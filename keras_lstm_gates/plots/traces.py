"""Pictures of a trace."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize

from keras_lstm_gates.gates import DESCRIPTIONS, KINDS, kind_of
from keras_lstm_gates.plots._columns import SIZE, WholeNumbers, column, left_of, panel_width, steps_label
from keras_lstm_gates.plots._inputs import panel_of
from keras_lstm_gates.plots._styles import Picture, coloured_text, height_of, legend_below, lines_of, shades, with_gaps
from keras_lstm_gates.tracing import flat, nodes
from keras_lstm_gates.tracing import node as node_of
from keras_lstm_gates.tracing import tokens as tokens_of
from keras_lstm_gates.tracing.gate_statistics import of_layer

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


# Both scales get lighter with the value, so they also work in grey and for colour-blind readers.
GATE_COLOURS = matplotlib.colormaps["viridis"]
STATE_COLOURS = LinearSegmentedColormap.from_list(
    "below_and_above_zero", ["#0b1d51", "#3b5c9e", "#a3a3a3", "#f2b169", "#fff1d6"]
)

_MEANINGS = {
    "LSTM": {
        "i": "how much of g is written",
        "f": "how much of the cell state is kept",
        "g": "what would be written",
        "o": "how much of the cell state is shown",
        "c": r"the memory, $i_t\,g_t + f_t\,c_{t-1}$",
        "h": r"what the layer says, $o_t\,\tanh c_t$",
    },
    "GRU": {
        "z": "how much of h is kept",
        "r": "how much of h the candidate sees",
        "candidate": "what would be written",
        "h": r"the memory, $z_t\,h_{t-1} + (1-z_t)\,k_t$, k the candidate",
    },
}
_PANELS = {"LSTM": ("f", "i", "g", "o", "c", "h"), "GRU": ("z", "r", "candidate", "h")}


def gates(tree: xr.DataTree, layer: str | None = None, sample: int = 0, title: str | None = None) -> Figure:
    """The six curves of every unit of an LSTM over one sequence, or the four of a GRU, below its input.

    Args:
        tree: `xarray.DataTree` from `keras_lstm_gates.tracing`.
        layer: str, a path of the trace; None takes its first.
        sample: int, which sequence.
        title: str, or None for the sample's number.

    Returns:
        `matplotlib.figure.Figure`: one column of panels whose steps stand above each other: the input, then time × unit
        for each of f, i, g, o, c, h, of a GRU z, r, candidate, h. Units are ordered by their mean forget gate (of a GRU
        z), the longest memory on top. Gates are coloured from 0 to 1, g, c and h, and the candidate, around 0, up to
        the 99th percentile of their magnitude or to 1, whichever is greater; where values lie beyond, the bar has an
        arrow. Masked steps are left out, those between real ones empty. Steps count from 0 as in the data.

        The input is drawn as tokens where the trace has a vocabulary, in a size in which they do not touch, or not at
        all where that is below 4 points; else as lines, each with a scale of its own, of more than 8 channels as a heat
        map with a row each. Their names are the trace's `columns`. Of sub-sequences, (step, inner step, channel), as a
        convolution within `TimeDistributed` reads them, the inner steps stand side by side within their step. A picture
        of fewer pixels than units shows some.

    Raises:
        ValueError: no such layer or sample in the tree, or one without a real step.
    """
    node, layer = _node_at(tree, layer, sample)
    real = node["mask"].values[sample]
    times = np.flatnonzero(real)
    if not len(times):
        raise ValueError(f"expected a sample with a real step; received {sample}, all of whose steps are masked")
    kind = KINDS[kind_of(node)]
    values = {name: node[name].values[sample][real].astype("float64") for name in kind.fields}
    by_memory = np.argsort(values[kind.memory].mean(axis=0))
    read = panel_of(tree, layer, sample, times, len(real))

    left = left_of(read.labels)
    of_gates = [float(np.clip(len(by_memory) / 110, 1.0, 1.75))]
    of_input = read.heights(panel_width(left) / (times[-1] - times[0] + 1))
    picture = column(
        {"input": of_input} | dict.fromkeys(_PANELS[kind_of(node)], of_gates),
        left,
        title or _title(node, layer, sample, len(times)),
        (times[0], times[-1]),
    )
    read.draw(picture, picture.panels["input"])
    picture.panels["input"][0].set_title(f"$\\bf{{x}}$  {read.title}", fontsize=10, loc="left")
    for name in _PANELS[kind_of(node)]:
        _gate_panel(picture, name, values[name][:, by_memory], times, name in (kind.modulation, *kind.states))
        (axes,) = picture.panels[name]
        meaning = _MEANINGS[kind_of(node)][name]
        axes.set_title(f"$\\bf{{{name}}}$  {DESCRIPTIONS[name]}: {meaning}", fontsize=10, loc="left")
        axes.set_ylabel(f"unit, by mean {kind.memory}", fontsize=SIZE)
    when = node["when"].values[sample, times] if "when" in node.coords else None
    axes.set_xlabel(steps_label(when), fontsize=9)
    return picture.figure


def _gate_panel(picture, name, values, times, signed):
    """The heat map of a gate or a state, (steps, units), and its colour bar."""
    (axes,) = picture.panels[name]
    limit = max(1.0, float(np.percentile(np.abs(values), 99))) if signed else 1.0
    axes.imshow(
        with_gaps(values, times).T,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(times[0] - 0.5, times[-1] + 0.5, -0.5, values.shape[1] - 0.5),
        cmap=STATE_COLOURS if signed else GATE_COLOURS,
        vmin=-limit if signed else 0.0,
        vmax=limit,
    )
    axes.yaxis.set_major_locator(WholeNumbers(4))
    beyond = bool(signed and values.min() < -limit), bool(signed and values.max() > limit)
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[beyond]
    bar = picture.bar(axes, ticks=[-limit, 0, limit] if signed else [0, 0.5, 1], extend=extend)
    labels = [f"{tick:.2g}".replace("-", "−") for tick in (-limit, 0, limit)]
    bar.ax.set_yticklabels(labels if signed else ["0 closed", "0.5", "1 open"])


def _title(node, layer, sample, steps):
    end = ", read from the end" if node.attrs.get("reads") == "backwards" else ""
    return f"Layer {layer!r}{end}, sample {sample}: {steps} step{'' if steps == 1 else 's'}"


def saturation(tree: xr.DataTree, layer: str | None = None) -> Figure:
    """How often each unit's gates are shut and how often open: a panel for each of i, f, o and g, of GRUs a row more.

    Args:
        tree: `xarray.DataTree` from `trace`.
        layer: str, a path of the trace; None draws all, each with a colour and a shape of its own.

    Returns:
        `matplotlib.figure.Figure`: a point per unit, its left-saturated share (below 0.1) to the right and its
        right-saturated share (above 0.9) upward; for g by |g|. A point at the top left is always open; at the bottom
        right always shut; at the origin it never saturates; on the diagonal it is a switch.

    Source: Karpathy, Johnson & Li 2015, Visualizing and understanding recurrent networks, figure 2.
    """
    numbers = _numbers(tree, layer)
    styles = dict(zip(numbers, zip(shades(len(numbers)), _shapes(), strict=False), strict=True))
    kinds = list(dict.fromkeys(kind_of(node["gate"].values) for node in numbers.values()))
    places = [(row, kind, gate) for row, kind in enumerate(kinds) for gate in _SATURATING[kind]]
    columns = max(len(_SATURATING[kind]) for kind in kinds)
    figure = Picture(figsize=(2.25 * columns, 2.9 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), columns, sharex=True, sharey=True, squeeze=False)
    for place, (row, kind, gate) in enumerate(places):
        column = place - next(at for at, (first, *_) in enumerate(places) if first == row)
        axes = grid[row, column]
        axes.plot([0, 1], [1, 0], color="0.8", linewidth=1, zorder=0)
        for path, node in numbers.items():
            if kind_of(node["gate"].values) != kind:
                continue
            of_gate, (shade, shape) = node.sel(saturating=gate), styles[path]
            axes.scatter(
                of_gate["left_saturated"], of_gate["right_saturated"], s=22, color=shade, marker=shape,
                edgecolors="white", linewidths=0.4, label=path, clip_on=False,
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="share of steps < 0.1")
        axes.set_title(
            f"$\\bf{{{gate}}}$  "
            + {"g": "modulation, by |g|", "candidate": "by magnitude"}.get(gate, DESCRIPTIONS[gate]),
            fontsize=10,
        )
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of steps > 0.9")
    for row, kind in enumerate(kinds):
        for axes in grid[row, len(_SATURATING[kind]) :]:
            axes.remove()
    if len(numbers) > 1:
        known = [axes.get_legend_handles_labels() for axes in grid[:, 0]]
        handles, labels = (list(itertools.chain(*one)) for one in zip(*known, strict=True))
        figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return figure


def memory(tree: xr.DataTree, layer: str | None = None) -> Figure:
    """The half-life of every unit's memory, from the longest to the shortest.

    Args:
        tree: `xarray.DataTree` from `trace`.
        layer: str, a path of the trace; None draws all.

    Returns:
        `matplotlib.figure.Figure`: half-life in steps on a logarithmic axis against the unit's rank; a line at the
        trace's longest sequence, beyond which a half-life is only known to be longer. Units that never forget
        are at the upper edge, those that forget at once at the lower.
    """
    numbers = _numbers(tree, layer)
    longest = max(int(node["mask"].sum(dim="time").max()) for node in nodes(tree).values())
    figure = Picture(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    low, high = 0.1, 10.0 * longest
    for (path, node), shade, shape in zip(numbers.items(), shades(len(numbers)), _shapes(), strict=False):
        lives = np.sort(node["half_life"].values)[::-1]
        axes.plot(
            np.arange(1, len(lives) + 1), np.clip(lives, low, high), color=shade, marker=shape, markersize=4,
            linewidth=1, label=f"{path}: effective memory {float(node['effective_memory']):.3g} steps", clip_on=False,
        )  # fmt: skip
    axes.axhline(longest, color="0.5", linestyle="--", linewidth=1)
    axes.annotate(
        f"longest sequence: {longest} steps", (1, longest), xycoords=("axes fraction", "data"), ha="right", va="bottom",
        color="0.35", fontsize=9,
    )  # fmt: skip
    axes.set(yscale="log", ylim=(low, high), xlabel="unit, by rank", ylabel="half-life of the memory, steps")
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(WholeNumbers(8))
    legend_below(axes, 1)
    return figure


def tokens(
    tree: xr.DataTree, unit: int, gate: str | None = None, layer: str | None = None, sample: int = 0, width: int = 60
) -> Figure:
    """A text with each token coloured by a gate or state of one unit.

    Args:
        tree: `xarray.DataTree` from `trace(..., vocabulary=...)`.
        unit: int.
        gate: one of i, f, g, o, c, h, of a GRU of z, r, candidate, h; None: the memory, c or h. Gates are coloured from
            0 to 1, g, c, h and the candidate around 0.
        layer: str, a path of the trace; None takes its first.
        sample: int, which sequence.
        width: int > 0, characters a line.

    Returns:
        `matplotlib.figure.Figure`. Masked tokens are left out.

    Raises:
        ValueError: no such layer, sample, unit or gate; "expected a trace with a vocabulary"; an input that has not
            one token a step of the layer.
    """
    node, layer = _node_at(tree, layer, sample)
    kind = KINDS[kind_of(node)]
    gate = kind.states[0] if gate is None else gate
    if gate not in kind.fields:
        raise ValueError(f"expected a gate of {list(kind.fields)}; received {gate!r}")
    if not 0 <= unit < node.sizes["unit"]:
        raise ValueError(f"expected a unit from 0 to {node.sizes['unit'] - 1}; received {unit}")
    texts = tokens_of(tree, sample, layer)
    if "vocabulary" not in tree.attrs:
        raise ValueError(
            "expected a trace with a vocabulary: trace(model, data, vocabulary=[...]); received one without"
        )
    if texts is None or len(texts) != node.sizes["time"]:
        raise ValueError(f"expected one input with a token for each of the steps of {layer!r}; received another")
    real = np.flatnonzero(node["mask"].values[sample])
    values = node[gate].values[sample, :, unit]
    signed = gate in (kind.modulation, *kind.states)
    limit = max(1.0, float(np.abs(values[real]).max())) if signed else 1.0
    scale = Normalize(-limit if signed else 0.0, limit)
    colours = STATE_COLOURS if signed else GATE_COLOURS
    lines = lines_of([texts[step] for step in real], width)
    figure = Picture(figsize=(max(3.0, 0.135 * width + 1.2), 0.3 * height_of(lines) + 0.7), layout="constrained")
    axes = figure.subplots()
    coloured_text(axes, lines, colours(scale(values[real])), width)
    axes.set_title(
        f"unit {unit}, {gate}: {DESCRIPTIONS[gate]}; layer {layer!r}, sample {sample}", fontsize=10, loc="left"
    )
    figure.colorbar(ScalarMappable(scale, colours), ax=axes, pad=0.01, aspect=8)
    return figure


def _node_at(tree, layer, sample):
    """The node of a path, without the axes of a `TimeDistributed`, and the path."""
    known = nodes(tree)
    node = node_of(tree, layer)
    path = next(name for name, other in known.items() if other is node)
    dataset = flat(node.to_dataset())
    if not 0 <= sample < dataset.sizes["sample"]:
        raise ValueError(f"expected a sample from 0 to {dataset.sizes['sample'] - 1}; received {sample}")
    return dataset, path


def _numbers(tree, layer):
    known = nodes(tree) if layer is None else {layer: node_of(tree, layer)}
    return {path: of_layer(node) for path, node in known.items()}


_SATURATING = {"LSTM": "ifog", "GRU": KINDS["GRU"].saturating}


def _shapes():
    return itertools.cycle("osD^vP")
