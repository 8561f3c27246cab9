"""What several pictures share: colours, lines, and how a notebook shows them."""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure

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
