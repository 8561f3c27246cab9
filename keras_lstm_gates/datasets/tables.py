"""Tables of a user: .csv or .parquet with one row a time step, checked and sorted by time."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

SUFFIXES = (".csv", ".parquet")


def read(path, target, features=(), group=None):
    """A .csv or .parquet file as `checked` hands it on.

    A .csv may be separated by commas, semicolons or tabs, may have decimal commas beside semicolons, and be encoded in
    UTF-8, UTF-16 with a byte order mark, or else Windows-1252.

    Raises:
        ValueError: the file is empty, or no table; and what `checked` raises.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a .csv or .parquet file; found none at {path}")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except pd.errors.EmptyDataError:
        raise ValueError(f"expected {path} to hold a header and rows; it is empty") from None
    except pd.errors.ParserError as error:
        raise ValueError(f"expected {path} to be a table: {error}") from None
    return checked(frame, path, target, features, group)


def checked(frame, source, target, features=(), group=None):
    """A table with the columns that a forecaster needs: "time" and "group" where there are such, then its numbers.

    The time is the first column that holds dates; without one the rows follow each other in steps of one. The rows are
    sorted by group and time. Cells without a number stay empty (NaN).

    Args:
        frame: `pandas.DataFrame`.
        source: str, what errors call it.
        target: str, the column to forecast.
        features: of str, the columns the forecast is made from; none: all but time and group. The target is always
            one of them.
        group: str or None, the column that says which of several series a row belongs to.

    Raises:
        ValueError: a column is missing, holds text where a number is expected, or a time comes twice; it says where.
    """
    frame = frame.rename(columns=str)
    for name in [target, *features, *([group] if group else [])]:
        if name not in frame:
            raise ValueError(f"expected {source} to have the column {name!r}; received {list(frame.columns)}")
    if len(frame) < 2:
        raise ValueError(f"expected {source} to hold at least 2 rows below its header; received {len(frame)}")
    table = {}
    time = next((name for name in frame if name != group and _holds_dates(frame[name])), None)
    if time is not None:
        table["time"] = _times(frame[time], source)
    if group is not None:
        table["group"] = frame[group].astype(str)
    wanted = list(features) or [name for name in frame if name not in (time, group)]
    for name in dict.fromkeys([*wanted, target]):
        table[name if name not in table else f"{name} (number)"] = _numbers(frame[name], source)
    table = pd.DataFrame(table)
    keys = [name for name in ("group", "time") if name in table]
    if time is not None:
        double = table.duplicated(keys, keep=False)
        if double.any():
            key = table.loc[double, keys].iloc[0]
            places = table.index[(table[keys] == key).all(axis=1)][:2]
            raise ValueError(
                f"expected each time once in {source}; received {key['time']} in the rows {places[0]} and {places[1]} "
                f"(the first below the header is 0)"
            )
    return table.sort_values(keys, kind="stable", ignore_index=True) if keys else table


def _csv(path):
    start = path.open("rb").read(1 << 16)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return _parsed(path, encoding, start)
    except UnicodeDecodeError:
        return _parsed(path, "cp1252", start)


def _parsed(path, encoding, start):
    lines = start.decode(encoding, errors="ignore").splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    decimal = "," if separator == ";" and len(lines) > 1 and re.search(r"\d,\d", lines[1]) else "."
    return pd.read_csv(path, encoding=encoding, sep=separator, decimal=decimal, low_memory=False, index_col=False)


def _holds_dates(column):
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column) or column.dropna().empty:
        return False
    first = str(column.dropna().iloc[0])
    # A number in quotes, 20240101 or 2024, is no date: it needs a sign between its parts.
    return bool(re.match(r"\s*\d+[-/.:\s]\w+[-/.:\s]\w", first)) and not pd.isna(pd.to_datetime(first, errors="coerce"))


def _times(column, source):
    if not pd.api.types.is_datetime64_any_dtype(column):
        for settings in ({"utc": True}, {"utc": True, "dayfirst": True}):
            times = pd.to_datetime(column, errors="coerce", **settings)
            if not times.isna().any():
                return times.dt.tz_localize(None)
    else:
        times = column if column.dt.tz is None else column.dt.tz_convert(None)
    bad = np.flatnonzero(times.isna())
    if len(bad):
        raise ValueError(
            f"expected a date in each row of the column {column.name!r} of {source}; received "
            f"{column.iloc[bad[0]]!r} in row {bad[0]} (the first below the header is 0)"
        )
    return times


def _numbers(column, source):
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    bad = np.flatnonzero((numbers.isna() & column.notna()) | np.isinf(numbers))
    if len(bad):
        raise ValueError(
            f"expected numbers in the column {column.name!r} of {source}; received {column.iloc[bad[0]]!r} in row "
            f"{bad[0]} (the first below the header is 0)"
        )
    return numbers
