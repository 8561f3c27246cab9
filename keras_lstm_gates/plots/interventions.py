"""Pictures of ablations and patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates.plots._columns import WholeNumbers
from keras_lstm_gates.plots._styles import Picture
from keras_lstm_gates.plots.traces import STATE_COLOURS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


_BARS = 40
"""Units that are drawn, the most important first; steps and gates keep their order and are all drawn."""


def ablation(dataset: xr.Dataset) -> Figure:
    """How much worse a metric is without each unit, gate or step, a panel a layer.

    Args:
        dataset: `xarray.Dataset` of `keras_lstm_gates.steering.ablate`.

    Returns:
        `matplotlib.figure.Figure`: a bar a part, with a line from low to high. Of units the 40 that matter most are
        drawn, the largest first.
    """
    paths, what = list(dict.fromkeys(dataset["layer"].values.tolist())), dataset.attrs["what"]
    figure = Picture(figsize=(9, 0.8 + 2.4 * len(paths)), layout="constrained")
    panels = figure.subplots(len(paths), 1, squeeze=False)[:, 0]
    for axes, path in zip(panels, paths, strict=True):
        own = dataset.isel(part=np.flatnonzero(dataset["layer"].values == path))
        title = f"layer {path}"
        if what == "units":
            own = own.isel(part=np.argsort(-own["worse"].values, kind="stable"))
            title += f": the {_BARS} of {own.sizes['part']} units that matter most" if own.sizes["part"] > _BARS else ""
            own = own.isel(part=slice(_BARS))
        places, heights = np.arange(own.sizes["part"]), own["worse"].values
        axes.bar(places, heights, color=["#0b3c8c" if height >= 0 else "#d1495b" for height in heights])
        axes.vlines(places, own["low"].values, own["high"].values, color="0.3", linewidth=1)
        axes.axhline(0, color="0.6", linewidth=0.8)
        shown = places[:: max(1, len(places) // 20)]
        axes.set_xticks(shown, [str(one) for one in own[what.removesuffix("s")].values[shown]])
        axes.set_title(title, fontsize=10, loc="left")
        axes.set(xlabel=what.removesuffix("s"), ylabel="worse by")
        axes.spines[["top", "right"]].set_visible(False)
    to = "its mean" if dataset.attrs["to"] == "mean" else "0"
    figure.suptitle(
        f"{dataset.attrs['metric']}: how much worse without each {what.removesuffix('s')}, set to {to}", fontsize=12
    )
    return figure


def patching(tree: xr.DataTree) -> Figure:
    """What part of the difference between two runs each gate carries, a row a layer and a panel a gate.

    Args:
        tree: `xarray.DataTree` of `keras_lstm_gates.steering.patch`.

    Returns:
        `matplotlib.figure.Figure`: over time and units a heat map, lighter for what restores the clean answer (1) and
        darker for what leads away from it (below 0); over one of them a curve with its band from low to high; of whole
        gates a bar each. All panels share one scale.
    """
    paths = tree.attrs["layers"]
    gates = tree[paths[0]]["gate"].values.tolist()
    over = [axis for axis in ("time", "unit") if axis in tree[paths[0]]["restored"].dims]
    largest = max(1.0, *(float(abs(tree[path]["restored"]).max()) for path in paths))
    columns = len(gates) if over else 1
    size = (2.2 * columns + 1.2, 0.8 + 2.2 * len(paths)) if over else (6, 0.8 + 2.2 * len(paths))
    figure = Picture(figsize=size, layout="constrained")
    rows = figure.subplots(len(paths), columns, squeeze=False, sharey="row")
    for path, row in zip(paths, rows, strict=True):
        node = tree[path].to_dataset()
        if not over:
            row[0].bar(gates, node["restored"].values, color="#0b3c8c")
            row[0].vlines(gates, node["low"].values, node["high"].values, color="0.3", linewidth=1)
            row[0].axhline(0, color="0.6", linewidth=0.8)
        for axes, gate in zip(row if over else (), gates, strict=bool(over)):
            image = _panel(axes, node.sel(gate=gate), over, largest)
            axes.set_title(f"{path}/{gate}", fontsize=10, loc="left")
            axes.set_xlabel("time step" if over[0] == "time" else "unit")
            axes.xaxis.set_major_locator(WholeNumbers(4))
            if len(over) == 2:
                axes.yaxis.set_major_locator(WholeNumbers(4))
        row[0].set_ylabel("unit" if len(over) == 2 else f"{path}: restored")
    if len(over) == 2:
        figure.colorbar(image, ax=rows, pad=0.01, label="restored")
    figure.suptitle("What part of the difference between two runs each gate carries", fontsize=12)
    return figure


def _panel(axes, node, over, largest):
    values = node["restored"]
    if len(over) == 2:
        return axes.imshow(
            values.transpose("unit", "time").values, aspect="auto", origin="lower", interpolation="nearest",
            cmap=STATE_COLOURS, vmin=-largest, vmax=largest,
        )  # fmt: skip
    places = np.arange(values.size)
    axes.plot(places, values.values, color="#0b3c8c", linewidth=1.5)
    axes.fill_between(places, node["low"].values, node["high"].values, color="#0b3c8c", alpha=0.2, linewidth=0)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return None
