"""Columns that the times of a table tell: where in the day, the week and the year a row stands."""

import numpy as np
import pandas as pd

SPANS = ("day", "week", "year")


def names(spans):
    """The columns of some of `SPANS`, two of each.

    Example:
        >>> names(["day"])
        ['sin of day', 'cos of day']
    """
    return [f"{function} of {span}" for span in spans for function in ("sin", "cos")]


def columns(times, spans):
    """{name: (rows,) float64}: sine and cosine of the part of the span that has passed at each time.

    What they are at a step to come follows from the last row, so a model knows the calendar of its whole forecast.

    Args:
        times: `pandas.Series` of times.
        spans: of `SPANS`.
    """
    times = pd.DatetimeIndex(times)
    day = (times - times.normalize()) / pd.Timedelta(1, "D")
    days_of_year = np.where(times.is_leap_year, 366, 365)
    passed = {"day": day, "week": (times.dayofweek + day) / 7, "year": (times.dayofyear - 1 + day) / days_of_year}
    angles = [2 * np.pi * np.asarray(passed[span], float) for span in spans]
    values = [function(angle) for angle in angles for function in (np.sin, np.cos)]
    return dict(zip(names(spans), values, strict=True))
