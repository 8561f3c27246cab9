"""Colours and lines that several pictures share."""

import matplotlib
import numpy as np

MODEL_COLOURS = ("#0b3c8c", "#d1495b", "#2a9d6f", "#e0a030", "#8a6fb0")
MODEL_LINES = ("-", "--", "-.", ":")


def shades(count):
    return matplotlib.colormaps["viridis"](np.linspace(0, 0.85, max(count, 2))[:count])
