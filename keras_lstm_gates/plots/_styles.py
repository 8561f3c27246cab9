"""What several pictures share: colours, lines, coloured text, and how a notebook shows them."""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

MODEL_COLOURS = ("#0b3c8c", "#d1495b", "#2a9d6f", "#e0a030", "#8a6fb0")
MODEL_LINES = ("-", "--", "-.", ":")


def shades(count):
    return matplotlib.colormaps["viridis"](np.linspace(0, 0.85, max(count, 2))[:count])


class Picture(Figure):
    """A figure that shows itself in a notebook, once, whether or not pyplot is imported there."""

    def _repr_png_(self):
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()


def legend_below(axes, columns=2, of=None):
    """A legend below the label of an axis, where it lies on no line.

    Args:
        axes: `matplotlib.axes.Axes`, of a figure with a constrained layout.
        columns: int.
        of: the axes whose lines it names; None: the same.
    """
    handles, labels = (of or axes).get_legend_handles_labels()
    place = axes.transAxes + ScaledTranslation(0, -_BELOW, axes.get_figure().dpi_scale_trans)
    return axes.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=place, frameon=False, fontsize=8,
        ncols=columns, borderaxespad=0,
    )  # fmt: skip


_BELOW = 0.55
"""Inches for the numbers and the label of an axis."""


def with_gaps(values, steps):
    """Values of some steps, (steps, ...), as those of all from the first to the last: NaN, drawn empty, in between.

    Example:
        >>> with_gaps(np.array([[1.0], [2.0]]), np.array([3, 5])).T
        array([[ 1., nan,  2.]])
    """
    whole = np.full((steps[-1] + 1 - steps[0], *values.shape[1:]), np.nan)
    whole[steps - steps[0]] = values
    return whole


def lines_of(texts, width, gap=0):
    """[(line, column, text)] of tokens that fill lines of `width` characters, `gap` between two of them."""
    placed, line, column = [], 0, 0
    for text in texts:
        text = str(text).replace("\n", "↵").replace("\t", "⇥")
        if column and column + len(text) > width:
            line, column = line + 1, 0
        placed.append((line, column, text))
        column += len(text) + gap
    return placed


def height_of(lines):
    """How many lines there are, one or more."""
    return 1 + max((line for line, *_ in lines), default=0)


def coloured_text(axes, lines, shades, width):
    """Tokens on their colours, with ink that can be read on each.

    Args:
        axes: `matplotlib.axes.Axes`.
        lines: of `lines_of`.
        shades: of RGBA colours, one a token.
        width: int, characters a line.
    """
    for (line, column, text), shade in zip(lines, shades, strict=True):
        dark = np.dot(shade[:3], [0.2126, 0.7152, 0.0722]) < 0.45
        axes.add_patch(Rectangle((column, line), len(text), 1, facecolor=shade, edgecolor="none"))
        # parse_math=False: a dollar sign in the data is not a formula.
        axes.text(
            column + len(text) / 2, line + 0.52, text, family="monospace", fontsize=9, ha="center", va="center",
            color="white" if dark else "black", parse_math=False,
        )  # fmt: skip
    axes.set(xlim=(0, width), ylim=(height_of(lines), 0))
    axes.set_axis_off()
