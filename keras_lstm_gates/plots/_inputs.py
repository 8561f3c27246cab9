"""The panel of what a layer's model read: its tokens, or a channel a row, each step above its column."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.ticker import FixedLocator

from keras_lstm_gates.plots._columns import POINTS, SIZE, WholeNumbers, left_of, panel_width, text_size
from keras_lstm_gates.plots._styles import MODEL_COLOURS, with_gaps
from keras_lstm_gates.tracing import channel_names, input_of, tokens

LEAST_SIZE, MOST_SIZE = 4.0, 10.0
"""Points of the tokens."""
MOST_LINES = 8
"""The most channels that are drawn as lines, each on an axis of its own."""
MOST_NAMES = 16
"""The most rows of a heat map that have their names beside them."""
_LABEL_WIDTH = 15  # characters
_LONGEST_WORD = 1.3  # inches
# What a step has for a token that lies, and for one that stands: letters are rounded to whole pixels.
_SPACES = (lambda width: width - 0.005), (lambda width: 0.85 * width)


class Nothing(NamedTuple):
    """No picture, but a title that says why."""

    title: str
    labels: tuple = ()

    def heights(self, width):
        return [0.01]

    def draw(self, picture, panel):
        panel[0].set_axis_off()


class Tokens(NamedTuple):
    """The tokens of the steps, lying or standing, in a size in which none touches the next."""

    title: str
    texts: list[str]
    times: np.ndarray
    labels: tuple = ()

    def fitted(self, width):
        """(points, whether they stand) for steps of a width in inches."""
        sizes = [text_size(text, 100, "monospace") for text in {*self.texts, "m"}]
        height = max(text_size("lp", 100, "monospace")[1], *(height for _, height in sizes))
        lying, standing = (
            min(MOST_SIZE, 100 * space(width) / extent)
            for space, extent in zip(_SPACES, (max(across for across, _ in sizes), height), strict=True)
        )
        return (lying, False) if lying >= min(standing, SIZE) else (standing, True)

    def heights(self, width):
        size, stands = self.fitted(width)
        across = [text_size(text, size, "monospace")[0] for text in self.texts]
        return [min(_LONGEST_WORD, max(across) + 0.04) if stands else 1.4 * size / POINTS]

    def draw(self, picture, panel):
        (axes,) = panel
        inches = axes.get_position().size * picture.figure.get_size_inches()
        size, stands = self.fitted(inches[0] / (self.times[-1] - self.times[0] + 1))
        axes.set_axis_off()
        most = max(1, int(inches[1] / text_size("m", size, "monospace")[0]))
        for step, text in zip(self.times, self.texts, strict=True):
            shown = text if not stands or len(text) <= most else f"{text[: most - 1]}…"
            # parse_math=False: a dollar sign in the data is not a formula.
            axes.text(
                step, 0.0 if stands else 0.5, shown, transform=axes.get_xaxis_transform(), family="monospace",
                fontsize=size, ha="center", va="bottom" if stands else "center", rotation=90 if stands else 0,
                parse_math=False,
            )  # fmt: skip


class Lines(NamedTuple):
    """A line a channel, on an axis of its own from its least to its greatest value."""

    title: str
    values: np.ndarray
    """(steps, inner steps, channels); the inner steps of a step stand side by side within it."""
    times: np.ndarray
    labels: list[str]

    def heights(self, width):
        return [float(np.clip(0.9 / len(self.labels), 0.27, 0.7))] * len(self.labels)

    def draw(self, picture, panel):
        inner, whole = self.values.shape[1], _unrolled(with_gaps(self.values, self.times))
        steps = self.times[0] - 0.5 + (np.arange(len(whole)) + 0.5) / inner
        for axes, label, values in zip(panel, self.labels, whole.T, strict=True):
            real = np.isfinite(values)
            beside = np.concatenate([[False], real, [False]])
            alone = real & ~beside[:-2] & ~beside[2:]
            dots = real if len(steps) <= 60 else alone
            axes.plot(
                steps, values, color=MODEL_COLOURS[0], linewidth=1, marker="o", markersize=2.2, clip_on=False,
                markevery=np.flatnonzero(dots).tolist(),
            )  # fmt: skip
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            spare = 0.12 * (high - low) or max(1.0, abs(low))
            axes.set_ylim(low - spare, high + spare)
            ticks = [low] if low == high else [low, high]
            axes.yaxis.set_major_locator(FixedLocator(ticks))
            axes.set_yticklabels(numbers(ticks))
            axes.tick_params(axis="y", left=False, labelleft=False, right=True, labelright=True, length=2)
            axes.tick_params(axis="x", length=0)
            axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=SIZE, labelpad=5, parse_math=False)
            axes.spines[["top", "left", "bottom"]].set_visible(False)
            axes.spines["right"].set_bounds(low, high)
        axes.tick_params(axis="x", length=3)
        axes.spines["bottom"].set_visible(True)


class Rows(NamedTuple):
    """A heat map with a row a channel, each coloured from its least to its greatest value."""

    title: str
    values: np.ndarray
    """As those of `Lines`."""
    times: np.ndarray
    labels: list[str]
    """Empty: rows are numbered."""

    def heights(self, width):
        return [min(2.0, 0.125 * self.values.shape[2])]

    def draw(self, picture, panel):
        (axes,) = panel
        low, high = self.values.min(axis=(0, 1)), self.values.max(axis=(0, 1))
        # Halfway, where a channel has one value.
        scaled = np.where(high > low, (self.values - low) / np.where(high > low, high - low, 1), 0.5)
        axes.imshow(
            _unrolled(with_gaps(scaled, self.times)).T,
            aspect="auto",
            interpolation="nearest",
            extent=(self.times[0] - 0.5, self.times[-1] + 0.5, scaled.shape[2] - 0.5, -0.5),
            cmap=matplotlib.colormaps["cividis"],
            vmin=0,
            vmax=1,
        )
        if self.labels:
            axes.set_yticks(range(len(self.labels)), self.labels, parse_math=False)
            axes.tick_params(axis="y", labelsize=SIZE - 1, length=2)
        else:
            axes.yaxis.set_major_locator(WholeNumbers(4))
            axes.set_ylabel("channel", fontsize=SIZE)
        bar = picture.bar(axes, ticks=[0, 1])
        bar.ax.set_yticklabels(["least", "greatest"])


def panel_of(tree: Any, layer: str, sample: int, times: np.ndarray, length: int) -> Nothing | Tokens | Lines | Rows:
    """How the input of one sample of a layer is to be drawn.

    Args:
        tree: `xarray.DataTree` from `trace`.
        layer: str, its path.
        sample: int, as `flat` counts them.
        times: (steps,) int, the real steps.
        length: int, how many steps the layer has: an input with another number has no step above each column.
    """
    values = input_of(tree, sample, layer)
    if values is None or values.ndim == 0 or len(values) != length:
        return Nothing("input: not one value a step")
    texts, noun = tokens(tree, sample, layer), "token"
    if texts is None and values.ndim == 1 and values.dtype.kind in "iu":
        texts, noun = values.astype(str).tolist(), "token id"
    if texts is not None:
        shown = [texts[step].replace("\n", "↵").replace("\t", "⇥") for step in times]
        panel = Tokens(f"input: {_counted(len(times), noun)}", shown, times)
        if panel.fitted(panel_width(left_of([])) / (times[-1] - times[0] + 1))[0] < LEAST_SIZE:
            return Nothing(f"{panel.title}, too many to write each above its step")
        return panel
    if values.ndim > 3:
        return Nothing(f"input: values of shape {values.shape[1:]} a step, which are not drawn")
    values = values.reshape(length, -1, values.shape[-1] if values.ndim > 1 else 1)[times].astype("float64")
    names = channel_names(tree, values.shape[2])
    title = f"input: {_counted(len(names), 'channel')}"
    if values.shape[1] > 1:
        title += f", {values.shape[1]} inner steps in each step"
    if len(names) <= MOST_LINES:
        return Lines(title, values, times, [_label(name) for name in names])
    labels = [shortened(name, 24) for name in names] if len(names) <= MOST_NAMES else []
    return Rows(f"{title}, each on a scale of its own", values, times, labels)


def _unrolled(values):
    """(steps, inner steps, channels) as (all inner steps, channels)."""
    return values.reshape(-1, values.shape[2])


def shortened(name, most):
    """A name without its middle where it is long: what tells it from others is often its end, and so is its unit."""
    name = " ".join(name.split())
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def _label(name):
    """A channel's name in three lines at most, its unit on a line of its own where the first is too short for both."""
    name = shortened(name, 3 * _LABEL_WIDTH)
    comma = -1 if len(name) <= _LABEL_WIDTH else name.find(", ")
    parts = [name[: comma + 1], name[comma + 2 :]] if comma > 0 else [name]
    lines = [line for part in parts for line in textwrap.wrap(part, _LABEL_WIDTH)]
    if len(lines) > 3:
        lines = [name[at : at + _LABEL_WIDTH] for at in range(0, len(name), _LABEL_WIDTH)]
    return "\n".join(lines)


def _counted(count, noun):
    return f"{count} {noun}{'' if count == 1 else 's'}"


def numbers(values):
    """A text for each number, with as many digits as tell the numbers from each other.

    Example:
        >>> numbers([982.31, 988.74]), numbers([-0.00012, 3.0]), numbers([5.0]), numbers([0.0, 1234567.0])
        (['982.3', '988.7'], ['0', '3'], ['5'], ['0', '1,234,567'])
    """
    span = max(values) - min(values) or max(abs(values[0]), 1e-300)
    places = max(0, int(np.ceil(-np.log10(0.02 * span))))
    if places > 6 or max(map(abs, values)) >= 1e7:
        return [f"{value:.3g}".replace("-", "−") for value in values]
    texts = [f"{round(value, places) + 0.0:,.{places}f}" for value in values]
    if places:
        texts = [text.rstrip("0").rstrip(".") for text in texts]
    return [text.replace("-", "−") for text in texts]
