"""A time that somebody names, `at` or `until`, as one of the times of a table."""

import contextlib
import re

import pandas as pd

from keras_lstm_gates.datasets import table_times, tables


def moment(given, key, frame, recipe):
    """A time, its day and month in the order of a table's dates, as a `pandas.Timestamp` among the table's times.

    Args:
        given: str, in ISO form or as the table's dates, or a time of pandas, Python or NumPy.
        key: str, what the time is called in errors.
        frame: table of `tables.read`, with times.
        recipe: `Recipe`; of it dates, and timezone: that of a time without an offset.

    Raises:
        ValueError: no time; a date of two readings; an offset from UTC where the table's times have none.
    """
    if tables.TIME not in frame:
        raise ValueError(f"expected a table with times for {key}={given!r}; received one without")
    order = frame.attrs["dates"] or recipe.dates
    readings = {_read(given, one) for one in ((order,) if order else table_times.ORDERS)} - {None}
    if not readings:
        dates = f", of a table whose dates are {order}" if order else ""
        raise ValueError(f"expected {key} to be a time such as 2024-12-31 18:00; received {given!r}{dates}")
    if len(readings) > 1:
        raise ValueError(
            f"expected {key} in ISO form, such as 2024-12-31 18:00, as the table's dates do not tell the day from the "
            f"month; received {given!r}"
        )
    (time,) = readings
    if time.tz is not None and not frame.attrs["utc"]:
        raise ValueError(
            f"expected {key} without an offset from UTC, as the table's times have none (or --timezone with their "
            f"zone's name, where the model is trained); received {given!r}"
        )
    if time.tz is None and recipe.timezone is not None:
        time = time.tz_localize(recipe.timezone, ambiguous=False, nonexistent="shift_forward")
    return time if time.tz is None else time.tz_convert(None)


def _read(given, order):
    """A time, as a table's cell where it is text, as a `pandas.Timestamp`; None where it is none."""
    with contextlib.suppress(ValueError, TypeError):
        if not isinstance(given, str):
            return None if pd.isna(given) else pd.Timestamp(given)
        text = f"{given}-01" if re.fullmatch(r"\d{4}", given) else given
        times, _ = table_times.times_of(pd.DataFrame({"time": [text]}), "a time", order)
        if times is not None:
            return times.iloc[0].tz_localize("UTC") if times.attrs.get("utc") else times.iloc[0]
    return None
