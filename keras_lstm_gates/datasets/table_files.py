"""The cells of a .csv, .tsv, .txt or .parquet file under their names, each row at its line of the file."""

import collections
import csv
import gzip
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from keras_lstm_gates.recipe_keys import SUFFIXES, WORKBOOKS

ROW_NAMES = "row names"
TIME, GROUP = "\0time", "\0group"
"""Columns that `tables.checked` makes, with names that no column of a file has."""
EMPTY = ["?", "-", "--", "*", "n.a.", "na", "N.A.", "nil", "missing", "Missing", "#NV", "Null", "NaT", "NAN"]
"""Cells that say that nothing was measured, beside those that pandas knows: "", NA, N/A, NaN, null, None ..."""


def cells(path):
    """A file as a `pandas.DataFrame`; its index is called "line" and counts the file's lines from 1, or "row".

    Lines before the header with fewer cells, or that begin with #, are passed over; so are rows at the end without
    a digit in their first cell (sums, sources). `attrs["skipped"]` says which, and `attrs["separator"]`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a table, a file {', '.join(SUFFIXES)}; found none at {path}")
    if path.suffix.lower() in WORKBOOKS:
        raise ValueError(
            f"expected a table as text or Parquet; received the workbook {path}. Save its sheet as CSV: python -c "
            f"\"import pandas; pandas.read_excel('{path}').to_csv('{path.with_suffix('.csv')}', index=False)\""
        )
    try:
        return numbered(_parquet(path)) if path.suffix.lower() == ".parquet" else _text(path)
    except pd.errors.EmptyDataError:
        raise ValueError(f"expected {path} to hold a header and rows; it is empty") from None
    except pd.errors.ParserError as error:
        line = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if line is None:
            raise _no_table(path, error) from None
        raise ValueError(
            f"expected {line[1]} cells on each line of {path}; received {line[3]} on line {line[2]}. Mend it, or "
            f"leave the line out: sed -i {line[2]}d {path}"
        ) from None
    except (pd.errors.ParserWarning, UnicodeError, csv.Error, gzip.BadGzipFile, EOFError) as error:
        raise _no_table(path, error) from None


def _no_table(path, error):
    said = " ".join(str(error).split())
    return ValueError(f"expected {path} to be a table with one cell a column in each row: {said}")


def numbered(frame):
    """A frame of the caller with its rows numbered from 0; an index of times becomes a column."""
    named = isinstance(frame.index, (pd.DatetimeIndex, pd.PeriodIndex))
    frame = frame.reset_index(names=frame.index.name or "time") if named else frame.reset_index(drop=True)
    frame = frame.set_axis([str(name) for name in frame], axis=1).rename_axis("row")
    for name in frame:
        if isinstance(frame[name].dtype, pd.PeriodDtype):
            frame[name] = frame[name].dt.to_timestamp()
    frame.attrs |= {"skipped": [], "separator": None}
    return frame


def place(column, position):
    """Where a cell stands, in words."""
    number = column.index[position]
    return f"on line {number}" if column.index.name == "line" else f"in row {number} (the first is 0)"


def _parquet(path):
    try:
        import pyarrow
    except ImportError:
        raise ImportError(
            f"{path} is read with pyarrow, which is not installed; run: pip install 'keras_lstm_gates[parquet]'"
        ) from None
    try:
        return pd.read_parquet(path, engine="pyarrow")
    # pyarrow says of damage whatever it ran into.
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"expected {path} to be a Parquet file: {' '.join(str(error).split())}") from None


def _opened(path):
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _text(path):
    with _opened(path) as file:
        start = file.read(1 << 16)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return _parsed(path, encoding, start)
    except UnicodeDecodeError:
        return _parsed(path, "cp1252", start)


def _parsed(path, encoding, start):
    lines = start.decode(encoding, errors="ignore").splitlines()
    if len(start) == 1 << 16:
        lines = lines[:-1]
    separator, header = _layout(lines[:200])
    names, first, units = _header(lines, header, separator)
    with warnings.catch_warnings():
        # Otherwise cells beyond the header's are dropped with a warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path, encoding=encoding, sep=r"\s+" if separator == " " else separator, header=None, names=names,
            skiprows=first, na_values=EMPTY, low_memory=False, index_col=False, skip_blank_lines=False,
            skipinitialspace=True,
            # Where a comma may be the decimal one, no number is read before all columns were seen.
            dtype=None if separator == "," else str,
        )  # fmt: skip
    frame.index = pd.RangeIndex(first + 1, first + 1 + len(frame), name="line")
    skipped = [
        f"line {number}"
        for number in (*range(1, header + 1), *range(first - units + 1, first + 1))
        if number <= len(lines) and lines[number - 1].strip()
    ]
    frame, footer = _without_footer(frame)
    frame.attrs |= {"skipped": skipped + footer, "separator": separator}
    return frame


def _layout(lines):
    """(separator, place of the header): the one by which most lines have the same number of cells, above one."""
    lines = [(number, line) for number, line in enumerate(lines) if line.strip()]
    if not lines:
        raise pd.errors.EmptyDataError
    best = (0, 0, ",", next((number for number, line in lines if not line.startswith("#")), 0))
    for separator in (",", ";", "\t", "|", " "):
        counts = [len(_split(line, separator)) for _, line in lines]
        # R's own header is one short: its rows begin with a name.
        count, often = collections.Counter(counts).most_common(1)[0]
        if count == 1 or (separator == " " and best[0] > 0):
            continue
        rows = [index for index, cells in enumerate(counts) if cells == count and not lines[index][1].startswith("#")]
        if not rows:
            continue
        header = rows[0]
        if len(rows) > 2 and _is_title(*(_split(lines[number][1], separator) for number in rows[:2])):
            header = rows[1]
        # A header may stand in the last remark, as the weather services write it.
        above = lines[header - 1][1] if header else ""
        if above.startswith("#") and all(map(is_number, _split(lines[header][1], separator))):
            header -= int(len(_split(above, separator)) == count)
        if header == 1 and counts[0] == count - 1:
            # Half a line for a header that is one short: another separator may fit it whole.
            header, often = 0, often + 0.5
        score = (often / len(lines), count, separator, lines[header][0])
        best = max(best, score, key=lambda entry: entry[:2])
    return best[2:]


def _is_title(first, second):
    """Whether a line stands above the header: mostly empty, or a data logger's, and the next line is words."""
    if first[0] == "TOA5":
        return True
    full = [sum(bool(cell.strip()) for cell in cells) for cells in (first, second)]
    return 2 * full[0] < len(first) and full[1] > full[0] and not any(map(is_number, second)) and len(first) > 2


def _split(line, separator):
    if separator == " ":
        return [cell.strip('"') for cell in re.findall(r'"[^"]*"|\S+', line)]
    return next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True), [])


def _header(lines, header, separator):
    """(names of the columns, number of lines up to the first row, how many of them hold units)."""
    names = [name.strip() for name in _split(lines[header].lstrip("# "), separator)]
    rows = [_split(line, separator) for line in lines[header + 1 : header + 30] if line.strip()]
    # yfinance: Price,Close,... / Ticker,AAPL,... / Date,,...
    if len(rows) > 2 and len(names) > 1 and rows[1][0] and not any(rows[1][1:]) and len(rows[0]) == len(names):
        several = len(set(rows[0][1:])) > 1
        pairs = zip(names[1:], rows[0][1:], strict=True)
        return _unique([rows[1][0], *(f"{name} {which}" if several else name for name, which in pairs)]), header + 3, 0
    quoted = lines[header + 1 : header + 3]
    numbered_rows = [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    one_short = bool(rows) and all(len(row) == len(names) + 1 for row in rows)
    if one_short and (numbered_rows or all(line.startswith('"') for line in quoted)):
        names = [ROW_NAMES, *names]
    units = _units(rows) if all(line.strip() for line in lines[header + 1 : header + 4]) else 0
    return _unique(names), header + 1 + units, units


def _units(rows):
    """How many rows below the header hold no data but words, such as units, that no later row repeats."""
    for count, row in enumerate(rows[:3]):
        later = rows[count + 1 :]
        words = [(place, cell.strip()) for place, cell in enumerate(row) if cell.strip()]
        is_data = any(is_number(cell) or cell in EMPTY or cell.upper() in ("NA", "NAN", "NULL") for _, cell in words)
        again = any(cell == other[place].strip() for place, cell in words for other in later if place < len(other))
        with_numbers = sum(any(map(is_number, other)) for other in later)
        if not words or is_data or again or with_numbers < max(3, len(later) - 2 + count):
            return count
    return 3


def is_number(text):
    """Whether a cell is a number, or a date or time in numbers."""
    return re.fullmatch(r"\s*[-+]?[\d.,:/-]*\d[\d.,:/ T-]*\s*", text) is not None


def _unique(names):
    """As pandas does: "", a, a become Unnamed: 0, a, a.1."""
    seen, result = collections.Counter(), []
    for number, name in enumerate(names):
        name = name or f"Unnamed: {number}"
        result.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return result


def _without_footer(frame):
    """(the rows without empty ones and without those at the end that hold no data, where the latter were)."""
    empty = frame.isna().all(axis=1).to_numpy(copy=True)
    if frame.shape[1] == 1:
        # In a single column an empty line is an empty cell, but for the end.
        last = np.flatnonzero(~empty)
        empty[: last[-1] + 1 if len(last) else 0] = False
    frame = frame[~empty]
    if frame.shape[0] < 4 or frame.shape[1] < 2 or pd.api.types.is_numeric_dtype(frame.iloc[:, 0]):
        return frame, []
    first = frame.iloc[:, 0]
    last = first.iloc[-10:].astype(str)
    has_digit = last.str.contains(r"\d").to_numpy()
    remark = last.str.match(r"\s*([#*]|[A-Za-z ]+:)").to_numpy() & frame.iloc[-10:, 1:].isna().all(axis=1).to_numpy()
    rows = len(has_digit)
    while rows and (not has_digit[rows - 1] or remark[rows - 1]) and has_digit.any():
        rows -= 1
    cut = len(has_digit) - rows
    if cut == 0 or not has_digit[:rows].all() or rows == 0:
        return frame, []
    return frame.iloc[:-cut], [f"line {number}" for number in first.index[-cut:]]
