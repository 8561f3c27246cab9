"""The numbers of a table: decimal points and commas, thousands, sentinels, categories."""

import re

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets.table_files import place

_SUSPECTS = (-99, -200, -999, -9999, -99999, -32768, 999, 9999, 99999)
CATEGORIES = 20
"""The most different texts of a column that become one input each."""


def is_text(column):
    """Whether most cells of a column are no numbers in any reading."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    cells = column.dropna().head(2000)
    return not len(cells) or _number_like(cells).mean() < 0.5


def is_category(column):
    """Whether a column of text has few values, each of them often: `CATEGORIES` at most, five rows each."""
    values = column.nunique()
    return 2 <= values <= CATEGORIES and column.count() >= 5 * values


def decimal_mark(frame, names, source, separator, given=None):
    """The mark before decimals, a point or a comma, as the cells tell; refused where both readings fit."""
    if given is not None:
        return given
    evidence, doubtful = {}, None
    for name in names:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 != 0).any():
                evidence.setdefault(".", name)
            continue
        cells = column.dropna().astype(str).str.strip()
        for mark, other in ((".", ","), (",", ".")):
            m, o = re.escape(mark), re.escape(other)
            settles = rf"[-+]?(?:\d*{m}\d+(?:[eE][-+]?\d+)?|\d{{1,3}}(?:{o}\d{{3}}){{2,}}|[\d{o}]+{o}\d{{3}}{m}\d*)"
            doubt = rf"[-+]?[1-9]\d{{0,2}}{m}\d{{3}}"
            fits = cells.str.fullmatch(settles) & ~cells.str.fullmatch(doubt)
            if fits.any():
                evidence.setdefault(mark, name)
            # In a file with commas between its cells the point is the decimal mark.
            is_plain = mark == "." and separator in (",", None)
            if doubtful is None and not is_plain and cells.str.fullmatch(doubt).any():
                doubtful = (name, cells[cells.str.fullmatch(doubt)].iloc[0])
    if len(evidence) == 2:
        raise ValueError(
            f"expected one decimal mark in {source}; received a point in the column {evidence['.']!r} and a comma in "
            f"{evidence[',']!r}. Say which: --decimal point or --decimal comma"
        )
    if not evidence and doubtful is not None:
        raise ValueError(
            f"expected numbers of one reading in {source}; received {doubtful[1]!r} in the column {doubtful[0]!r}, "
            "whose mark may stand before decimals or thousands. Say which: --decimal point or --decimal comma"
        )
    return next(iter(evidence), ".")


def numbers_of(column, source, mark=".", sentinels=()):
    """A column as float64; empty cells and sentinels are NaN, text is refused with its place."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.astype(np.float64)
    elif mark == "." and (plain := pd.to_numeric(column, errors="coerce")).notna().equals(column.notna()):
        numbers = plain.astype(np.float64)
    else:
        text = column.astype(object).where(column.notna(), None).map(_bare, na_action="ignore")
        text = text.mask(text.isin([str(sentinel) for sentinel in sentinels]))
        other = "," if mark == "." else "."
        grouped = text.astype(str).str.fullmatch(
            rf"[-+]?\d{{1,3}}(?:{re.escape(other)}\d{{3}})+(?:{re.escape(mark)}\d*)?"
        )
        text = text.where(~grouped, text.astype(str).str.replace(other, "", regex=False))
        if mark == ",":
            text = text.where(text.astype(str).str.contains(".", regex=False), text.astype(str).str.replace(",", "."))
        numbers = pd.to_numeric(text.where(text.notna()), errors="coerce").astype(np.float64)
        numbers = numbers.where(text.notna())
        bad = np.flatnonzero(numbers.isna() & text.notna() & (text.astype(str) != "nan"))
        if len(bad):
            raise _no_number(column, bad[0], source)
    marks = [float(mark) for mark in map(str, sentinels) if re.fullmatch(r"[-+]?(\d+(\.\d+)?|inf)", mark)]
    numbers = numbers.mask(numbers.isin(marks))
    if np.isinf(numbers).any():
        raise _no_number(column, np.flatnonzero(np.isinf(numbers))[0], source)
    if "none" not in sentinels:
        _check_sentinels(numbers, column, source)
    return numbers


def _check_sentinels(numbers, column, source):
    """A number such as -200 far below or above all others may mark missing cells."""
    for suspect in _SUSPECTS:
        is_it = numbers == suspect
        others = numbers[~is_it].dropna()
        if is_it.sum() < 2 or len(others) < 2:
            continue
        low, high = others.min(), others.max()
        distance = low - suspect if suspect < 0 else suspect - high
        if distance > (high - low) / 2 and distance > 0:
            raise ValueError(
                f"expected measurements in the column {column.name!r} of {source}; received {suspect} in "
                f"{int(is_it.sum())} rows, the others lie between {low:g} and {high:g}. If it marks missing cells, "
                f"say --sentinel {suspect}; if it is a measurement, --sentinel none"
            )


def _bare(value):
    if not isinstance(value, str):
        return str(value)
    text = re.sub(r"(?<=\d)[\s\u00a0\u202f'\u2019](?=\d{3}(?:\D|$))", "", value.strip())
    return re.sub(r"^([-+]?)[$€£]\s?|\s?[%€]$", r"\1", text).replace("\u2212", "-")


def _number_like(cells):
    return cells.map(_bare).astype(str).str.fullmatch(r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?|[-+]?inf|[-+]?nan")


def _no_number(column, at, source):
    value = column.iloc[at]
    value = repr(value) if isinstance(value, str) else str(value)
    return ValueError(
        f"expected numbers in the column {column.name!r} of {source}; received {value} {place(column, at)}. If it "
        f"marks a missing cell, say --sentinel {str(column.iloc[at]).strip()!r}"
    )
