"""The times of the steps to come."""

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets.forecasting import REGULAR

RECENT = 400
"""The most times, from the last, from which the step is told."""


def times_after(times, count):
    """The next `count` times of a series.

    Args:
        times: `pandas.Series` or index of times, increasing.
        count: int > 0.

    Returns:
        (`pandas.DatetimeIndex`, str): the times, and the step as pandas calls it: "h", "MS" (first of the month), "B"
        (from Monday to Friday); or None and "rows": no step is common enough to tell the next time.

    Example:
        >>> times_after(pd.to_datetime(["1960-10-01", "1960-11-01", "1960-12-01"]), 2)[0].strftime("%Y-%m").tolist()
        ['1961-01', '1961-02']
    """
    times = pd.DatetimeIndex(times)[-RECENT:]
    frequency = pd.infer_freq(times) if len(times) >= 3 else None
    if frequency is not None:
        return pd.date_range(times[-1], periods=count + 1, freq=frequency)[1:], frequency
    steps = times.to_series().diff().dropna()
    common = steps.mode()
    if not len(common):
        return None, "rows"
    if common[0] == pd.Timedelta(1, "D") and (times.dayofweek < 5).all():
        # Trading days: holidays are not known, weekends are.
        return pd.bdate_range(times[-1] + pd.Timedelta(1, "D"), periods=count), "B"
    if (steps == common[0]).mean() >= REGULAR:
        return pd.DatetimeIndex(times[-1] + common[0] * np.arange(1, count + 1)), str(common[0])
    return None, "rows"
