"""Tables of a user: .csv or .parquet with one row a time step, checked and sorted by time."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

SUFFIXES = (".csv", ".parquet")
# Columns that `checked` makes, with names that no column of a file has.
TIME, GROUP = "\0time", "\0group"


def read(path, target, features=(), group=None):
    """A .csv or .parquet file as `checked` returns it.

    A .csv may be separated by commas, semicolons or tabs, have decimal commas with semicolons, and be encoded in UTF-8,
    UTF-16 with a byte order mark, or Windows-1252.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: .parquet without pyarrow.
        ValueError: the file is empty, or no table; and what `checked` raises.
    """
    return checked(_whole(path), path, target, features, group)


def names(path):
    """The names of the columns of a .csv or .parquet file, list of str."""
    return [str(name) for name in _whole(path)]


def _whole(path):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a .csv or .parquet file; found none at {path}")
    try:
        return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except pd.errors.EmptyDataError:
        raise ValueError(f"expected {path} to hold a header and rows; it is empty") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeError) as error:
        raise ValueError(f"expected {path} to be a table with one cell a column in each row: {error}") from None


def checked(frame, source, target, features=(), group=None):
    """A table with the columns that a forecaster needs: `TIME` and `GROUP` where it has them, then its numbers.

    The time is the first column that holds dates; without one, rows are one step apart. The rows are
    sorted by group and time. Cells without a number stay empty (NaN). `attrs["time"]` is the column with the time, or
    None.

    Args:
        frame: `pandas.DataFrame`.
        source: str, the table's name in errors.
        target: str, the column to forecast.
        features: of str, the columns the forecast is made from; empty: all but time and group. The target is always
            one of them.
        group: str or None, the column that says which of several series a row belongs to.

    Raises:
        ValueError: a column is missing, holds text where a number is expected, or a time occurs twice; with its place.
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
        table[TIME] = _times(frame[time], source)
    if group is not None:
        table[GROUP] = frame[group].astype(str)
    inputs = list(features) or [name for name in frame if name not in (time, group)]
    for name in dict.fromkeys([*inputs, target]):
        table[name] = _numbers(frame[name], source)
    table = pd.DataFrame(table)
    table.attrs["time"] = time
    keys = [name for name in (GROUP, TIME) if name in table]
    if time is not None:
        double = table.duplicated(keys, keep=False)
        if double.any():
            key = table.loc[double, keys].iloc[0]
            places = table.index[(table[keys] == key).all(axis=1)][:2]
            raise ValueError(
                f"expected each time once in {source}; received {key[TIME]} in the rows {places[0]} and {places[1]} "
                f"(the first below the header is 0)"
            )
    return table.sort_values(keys, kind="stable", ignore_index=True) if keys else table


def _parquet(path):
    try:
        import pyarrow
    except ImportError:
        raise ImportError(
            f"{path} is read with pyarrow, which is not installed; run: pip install 'keras_lstm_gates[parquet]'"
        ) from None
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"expected {path} to be a Parquet file: {' '.join(str(error).split())}") from None


def _csv(path):
    with path.open("rb") as file:
        start = file.read(1 << 16)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return _parsed(path, encoding, start)
    except UnicodeDecodeError:
        return _parsed(path, "cp1252", start)


def _parsed(path, encoding, start):
    lines = start.decode(encoding, errors="ignore").splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    decimal = "," if separator == ";" and len(lines) > 1 and re.search(r"\d,\d", lines[1]) else "."
    with warnings.catch_warnings():
        # Otherwise cells beyond the header's are dropped with a warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, encoding=encoding, sep=separator, decimal=decimal, low_memory=False, index_col=False)


def _holds_dates(column):
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column) or column.dropna().empty:
        return False
    first = str(column.dropna().iloc[0])
    # A number in quotes, 20240101 or 2024, is not a date: a date has separators between its parts.
    return bool(re.match(r"\s*\d+[-/.:\s]\w+[-/.:\s]\w", first)) and not pd.isna(pd.to_datetime(first, errors="coerce"))


def _times(column, source):
    if not pd.api.types.is_datetime64_any_dtype(column):
        return _parsed_times(column, source)
    if column.isna().any():
        raise _no_date(column, np.flatnonzero(column.isna())[0], source)
    return column if column.dt.tz is None else column.dt.tz_convert(None)


def _parsed_times(column, source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas guesses the order of day and month; checked below.
        readings = [pd.to_datetime(column, errors="coerce", utc=True, dayfirst=first) for first in (True, False)]
    readings = [reading.dt.tz_convert(None) for reading in readings]
    if re.match(r"\s*\d{4}\D", str(column.dropna().iloc[0])):
        readings = readings[1:]  # The year comes first, so the month is next.
    complete = [reading for reading in readings if not reading.isna().any()]
    if not complete:
        best = min(readings, key=lambda reading: reading.isna().sum())
        raise _no_date(column, np.flatnonzero(best.isna())[0], source)
    # In dates with dots the day always comes first.
    if len(complete) == 2 and "." not in str(column.iloc[0]).split()[0] and not complete[0].equals(complete[1]):
        raise ValueError(
            f"expected dates that tell the day from the month, such as 2024-12-31, in the column {column.name!r} of "
            f"{source}; received {column.iloc[0]!r}, which both readings fit in every row"
        )
    return complete[0]


def _no_date(column, row, source):
    return ValueError(
        f"expected a date in each row of the column {column.name!r} of {source}; received {_text(column.iloc[row])} "
        f"in row {row} (the first below the header is 0)"
    )


def _text(value):
    return repr(value) if isinstance(value, str) else str(value)


def _numbers(column, source):
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    bad = np.flatnonzero((numbers.isna() & column.notna()) | np.isinf(numbers))
    if len(bad):
        raise ValueError(
            f"expected numbers in the column {column.name!r} of {source}; received {_text(column.iloc[bad[0]])} in "
            f"row {bad[0]} (the first below the header is 0)"
        )
    return numbers
