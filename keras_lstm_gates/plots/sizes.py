"""Pictures of models of several sizes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from keras_lstm_gates.plots._styles import MODEL_COLOURS, MODEL_LINES, Picture, legend_below

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def shrinking(
    curves: pd.DataFrame | dict[str, pd.DataFrame], title: str | None = None, *, card: tuple[float, float] | None = None
) -> Figure:
    """How good a model is over how many parameters it has, a line a curve.

    Args:
        curves: `pandas.DataFrame` of `keras_lstm_gates.shrinking.Shrunk.curve`, a row a size, with the columns `units`
            and `parameters` and what is measured; or {name: such a table}, which measure the same.
        title: str, or None for what is measured.
        card: (mean, standard deviation) that is drawn as a band, or None.

    Returns:
        `matplotlib.figure.Figure`: a point a size, with the number of its units, from the whole model on the right.

    Raises:
        ValueError: "expected curves that measure one thing; received ['accuracy', 'loss']".
    """
    curves = curves if isinstance(curves, dict) else {"": curves}
    names = sorted({name for curve in curves.values() for name in curve if name not in ("units", "parameters")})
    if len(names) != 1:
        raise ValueError(f"expected curves that measure one thing; received {names}")
    (name,) = names
    figure = Picture(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    if card is not None:
        mean, spread = card
        axes.axhspan(mean - spread, mean + spread, color="0.9", label="the card, ± 1 standard deviation")
        axes.axhline(mean, color="0.6", linewidth=0.8)
    styles = zip(itertools.cycle(MODEL_COLOURS), itertools.cycle(MODEL_LINES))
    for (label, curve), (colour, line) in zip(curves.items(), styles):
        axes.plot(
            curve["parameters"], curve[name], line, color=colour, marker="o", markersize=4, linewidth=1.5,
            label=label or None,
        )  # fmt: skip
        for units, parameters, value in zip(curve["units"], curve["parameters"], curve[name], strict=True):
            axes.annotate(
                f"{units:g}", (parameters, value), xytext=(0, 5), textcoords="offset points", fontsize=7, ha="center",
                color=colour,
            )  # fmt: skip
    axes.set(xlabel="parameters (beside the points: units)", ylabel=name)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    if card is not None or any(curves):
        legend_below(axes)
    figure.suptitle(title or f"{name} over size", fontsize=12)
    return figure
