"""Pictures of one column: panels that share the axis of the steps, each with a place for a colour bar at the right."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import MaxNLocator

from keras_lstm_gates.plots._styles import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

# In inches. So narrow that a phone shows the text in a size that can be read.
WIDTH, RIGHT, BOTTOM, LEAST_LEFT, TITLE, GAP = 6.6, 0.85, 0.5, 0.75, 0.29, 0.1
POINTS = 72
SIZE = 8
"""Points of the labels."""
_TITLE_WIDTH, _TITLE_LINE = 64, 0.22


def text_size(text: str, size: float = SIZE, family: str = "sans-serif") -> tuple[float, float]:
    """(width, height) of a line of text, in inches."""
    width, height, _ = TextToPath().get_text_width_height_descent(text, FontProperties(family=family, size=size), False)
    return width / POINTS, height / POINTS


def left_of(labels: Sequence[str]) -> float:
    """The inches that labels, of some lines each, need at the left of the panels."""
    widths = [text_size(line)[0] for label in labels for line in label.split("\n")]
    return max(LEAST_LEFT, max(widths, default=0) + 0.15)


def panel_width(left: float) -> float:
    """The inches that are left to the panels."""
    return WIDTH - left - RIGHT


def steps_label(when: Sequence[object] | None = None) -> str:
    """What the axis of the steps is called: with the times of the first and the last, where the data have them."""
    if when is None:
        return "time step"
    first, last = (str(when[place])[:16].replace("T", " ") for place in (0, -1))
    return f"time step, from {first} to {last}"


class WholeNumbers(MaxNLocator):
    """Ticks at whole numbers, so many intervals at most: of steps, units and channels."""

    def __init__(self, most):
        super().__init__(most, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])


class Column(NamedTuple):
    """A picture, the axes of its panels, {panel: [axes]} from the top down, and its size in inches."""

    figure: Picture
    panels: dict[str, list]
    left: float
    height: float

    def bar(self, axes, **options):
        """The colour bar of a panel of one axes, in its place at the right, so that no panel gets narrower.

        Args:
            axes: `matplotlib.axes.Axes` with an image.
            options: of `matplotlib.figure.Figure.colorbar`.
        """
        box = axes.get_position()
        place = (box.x1 + 0.08 / WIDTH, box.y0, 0.11 / WIDTH, box.height)
        bar = self.figure.colorbar(axes.images[0], cax=self.figure.add_axes(place, label="<colorbar>"), **options)
        bar.ax.tick_params(labelsize=SIZE)
        return bar


def column(heights: dict[str, list[float]], left: float, title: str, steps: tuple[int, int]) -> Column:
    """An empty picture of one column.

    Args:
        heights: {panel: inches of each of its axes}, from the top down; above each panel is room for its title.
        left: inches at the left of the panels.
        title: str, of the picture, broken into lines.
        steps: the first and the last step; a step is as wide as 1 of the axis and has its number in the middle.
    """
    lines = [part for line in title.split("\n") for part in _balanced(line)]
    top = 0.1 + _TITLE_LINE * len(lines)
    height = top + sum(TITLE + sum(of_panel) + GAP * (len(of_panel) - 1) for of_panel in heights.values()) + BOTTOM
    figure = Picture(figsize=(WIDTH, height))
    figure.suptitle("\n".join(lines), fontsize=11.5, y=1 - 0.08 / height, va="top")
    panels, first, at = {}, None, top
    for name, of_panel in heights.items():
        at += TITLE
        panels[name] = []
        for inches in of_panel:
            place = (left / WIDTH, 1 - (at + inches) / height, panel_width(left) / WIDTH, inches / height)
            axes = figure.add_axes(place, sharex=first)
            first = first or axes
            axes.tick_params(labelbottom=False, labelsize=SIZE)
            panels[name].append(axes)
            at += inches + GAP
        at -= GAP
    axes.set_xlim(steps[0] - 0.5, steps[1] + 0.5)
    axes.xaxis.set_major_locator(WholeNumbers(8))
    axes.tick_params(labelbottom=True)
    return Column(figure, panels, left, height)


def _balanced(line):
    """The lines into which a title is broken, about as long as each other."""
    count = len(textwrap.wrap(line, _TITLE_WIDTH))
    widths = range(-(-len(line) // max(count, 1)), _TITLE_WIDTH + 1)
    return next(
        (lines for lines in (textwrap.wrap(line, width) for width in widths if width) if len(lines) == count), [""]
    )
