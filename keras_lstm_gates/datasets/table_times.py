"""The times of a table, however its columns write them."""

import contextlib
import re

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets.table_files import place

ORDERS = ("day-first", "month-first", "year-first")
_NAME = re.compile(r"time|date|epoch|unix|^ts$|^t$|utc|^zeit|^datum|^fecha|^heure|y{4}-?mm", re.IGNORECASE)
_PARTS = {
    "year": r"year|yr|yyyy|jahr|anno|annee",
    "month": r"month|mon|mm|mnth|mo|monat",
    "day": r"day|dy|dd|tag|dom",
    "hour": r"hour|hr|hh|stunde",
    "minute": r"minute|min|mn|mi",
}
_WEEK = r"week|wk|week_?no|kw|woche"
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_ZONES = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "CET": 1, "BST": 1, "WEST": 1, "CEST": 2, "EET": 2, "EEST": 3, "EST": -5,
    "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
_WORD = r"(?:[A-Za-z]{3,9})\.?"
_DATES = (
    r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?=\D|$)",
    r"(?P<y>\d{4})[-/. ](?P<m>\d{1,2}|[A-Za-z]{3,9})[-/. ](?P<d>\d{1,2})",
    r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{4}|\d{2})",
    r"(?P<d>\d{1,2})[-/. ]?(?P<m>[A-Za-z]{3,9})\.?[-/. ,]?\s?(?P<y>\d{4}|\d{2})",
    r"(?P<m>[A-Za-z]{3,9})\.?[-/ ](?P<d>\d{1,2}),?[- /](?P<y>\d{4})",
    r"(?P<y>\d{4})[-/. ]?Q(?P<q>[1-4])",
    r"Q(?P<q>[1-4])[-/. ]?(?P<y>\d{4})",
    r"(?P<y>\d{4})-?W(?P<w>\d\d)",
    r"(?P<y>\d{4})[-/.M](?P<m>\d{1,2})",
    r"(?P<m>\d{1,2})[-/](?P<y>\d{4})",
    r"(?P<m>[A-Za-z]{3,9})\.?[-/ ,]\s?(?P<y>\d{4})",
    r"(?P<y>\d{4})[-/ ](?P<m>[A-Za-z]{3,9})\.?",
    r"(?P<m>[A-Za-z]{3,9})\.?[-/' ]+(?P<y>\d{2})",
)
_ISO = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
_COMPACT = r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)[T ]?(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)?(?P<f>$^)?(?P<p>$^)?(?P<z>Z)?"
"""20240301T000000, without a mark between its numbers."""

_CLOCK = r"(?P<H>\d{1,2})(?:[:.h](?P<M>\d{2}))?(?:[:.](?P<S>\d{2})(?:[.,:](?P<f>\d{1,9}))?)?\s*(?P<p>[AaPp]\.?[Mm]\.?)?"
_ZONE = r"\s*(?P<z>[A-Z]{1,4}|[+-]\d\d(?::?\d\d)?)?"
_RANGE = r"(?:\s+-\s+.*)?"


def times_of(frame, source, order=None, timezone=None, group=None):
    """(the times or None, the names of the columns that hold them), of the first columns that do.

    A date, with a clock time in a column beside it where it has none of its own; year, month, day, hour, minute in
    columns; seconds, ms, us or ns since 1970, 20241231 and 1949.083 in a column that is called time, date or the like.
    Of the times `attrs["order"]` is that of their dates, one of `ORDERS`, where dates of three numbers have one.

    Args:
        frame: `pandas.DataFrame` of `table_files.cells`.
        source: str, the table's name in errors.
        order: of `ORDERS` or None, where dates of three numbers do not tell it.
        timezone: str or None, as "Europe/Berlin", of times without an offset: they become UTC. Of an hour that occurs
            twice, as clocks go back, the earlier row is the earlier time.
        group: `pandas.Series` or None, the series of each row.
    """
    times, names = _first_times(frame, source, order)
    if times is None or timezone is None or times.attrs.get("utc"):
        return times, names
    return _in_utc(times, timezone, source, group), names


def _first_times(frame, source, order):
    for name in frame:
        if pd.api.types.is_datetime64_any_dtype(frame[name]):
            column = frame[name]
            if column.isna().any():
                raise _no_date(column, np.flatnonzero(column.isna())[0], source)
            return (column if column.dt.tz is None else _utc(column.dt.tz_convert(None))), [name]
    for name in frame:
        # Of a date that many rows have not, it is something else's.
        kind = _kind(frame[name]) if frame[name].isna().mean() < 0.1 else None
        if kind is not None:
            return _with_clock(_dates(frame[name], kind, source, order), name, frame, source)
    parts = _part_columns(frame)
    if parts:
        return _of_parts(frame, parts, source), list(parts.values())
    for name in frame:
        times = _of_numbers(frame[name]) if _NAME.search(name) else None
        if times is not None:
            return _with_clock(times, name, frame, source)
    return None, []


def _utc(times):
    times.attrs["utc"] = True
    return times


def _in_utc(times, timezone, source, group):
    keys = pd.DataFrame({"time": times} if group is None else {"time": times, "group": group})
    again = keys.duplicated().to_numpy()
    is_summer = again if len(times) and times.iloc[0] > times.iloc[-1] else ~again
    local = times.dt.tz_localize(timezone, ambiguous=is_summer, nonexistent="NaT")
    if local.isna().any():
        at = np.flatnonzero(local.isna())[0]
        raise ValueError(
            f"expected times that there are in {timezone} in {source}; received {times.iloc[at]} {place(times, at)}, "
            "which its clocks pass over. If the times are in UTC, say --timezone UTC"
        )
    return _utc(local.dt.tz_convert(None).__finalize__(times))


def _with_clock(times, name, frame, source):
    beside = _clock_column(frame, name) if (times == times.dt.normalize()).all() else None
    return (times, [name]) if beside is None else (times + _clock(frame[beside], source), [name, beside])


def is_date(column):
    """Whether the cells of a column of text begin as dates."""
    return _kind(column) is not None


def is_called_time(name):
    """Whether a column's name says that it holds the time."""
    return bool(_NAME.search(name))


def _kind(column):
    """The pattern of the dates of a column of text, or None."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column) or column.dropna().empty:
        return None
    first = str(column.dropna().iloc[0]).strip()
    if re.fullmatch(r"\d{8}", first) and not _NAME.search(str(column.name)):
        return None  # 20240101 is a number, unless the name says that it is a date.
    for pattern in (*map(_whole, _DATES), _COMPACT):
        match = re.fullmatch(pattern, _plain(first))
        if match and ("m" not in match.groupdict() or match["m"].isdigit() or match["m"][:3].lower() in _MONTHS):
            # 1949.01 may be a number.
            return None if re.fullmatch(r"\d{4}\.\d+", first) else pattern
    return None


def _whole(date):
    return rf"{date}(?:(?:[T:_]|,?\s+){_CLOCK}{_ZONE})?{_RANGE}"


def _plain(text):
    return re.sub(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?\s+", "", text.strip())


def _dates(column, pattern, source, order):
    if column.notna().all() and re.fullmatch(_ISO, str(column.iloc[0])):
        # Without the pieces of each cell, which take twenty times as much memory.
        with contextlib.suppress(ValueError):
            return pd.to_datetime(column, format="ISO8601").astype("datetime64[ns]")
    text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    text = text.str.replace(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?\s+", "", regex=True)
    parts = text.str.extract(f"^{pattern}$")
    bad = np.flatnonzero(parts.drop(columns=["z"]).isna().all(axis=1))
    if len(bad):
        raise _no_date(column, bad[0], source)
    settled = None
    if "a" in parts:
        ordered, settled = _ordered(column, parts, source, order)
        parts = parts.assign(**ordered)
    year = _full_year(parts["y"])
    if "q" in parts:
        month = parts["q"].astype(float) * 3 - 2
    elif "m" in parts:
        month = parts["m"].str[:3].str.lower().map(_MONTHS).fillna(pd.to_numeric(parts["m"], errors="coerce"))
    else:
        month = pd.Series(1.0, parts.index)
    day = parts["d"].astype(float) if "d" in parts else pd.Series(1.0, parts.index)
    times = pd.to_datetime(pd.DataFrame({"year": year, "month": month, "day": day}), errors="coerce").astype(
        "datetime64[ns]"
    )
    if "w" in parts:
        times = pd.to_datetime(parts["y"] + parts["w"] + "1", format="%G%V%u", errors="coerce").astype("datetime64[ns]")
    times = times + _span(parts)
    if times.isna().any():
        raise _no_date(column, np.flatnonzero(times.isna())[0], source)
    offsets = _offsets(column, parts["z"], source)
    times = times if offsets is None else _utc(times - offsets)
    times.attrs["order"] = settled
    return times


def _ordered(column, parts, source, order):
    """({y, m, d} of dates of three numbers, their order or None) from the values that settle it."""
    a, b, c = (parts[name].astype(int) for name in "abc")
    readings = {"day-first": (a, b, parts["c"]), "month-first": (b, a, parts["c"])}
    if all((parts[name].str.len() == 2).all() for name in "abc"):
        readings["year-first"] = (c, b, parts["a"])
    fits = {name: ((d <= 31) & (m <= 12) & (d >= 1) & (m >= 1)).all() for name, (d, m, _) in readings.items()}
    possible = [name for name in readings if fits[name]]
    # In dates with dots the day always comes first, unless a value denies it.
    if order is None and "." in str(column.dropna().iloc[0]).split()[0] and fits["day-first"]:
        possible = ["day-first"]
    if order is not None:
        possible = [order] if order in readings else possible
    if len(possible) > 1:
        even = [name for name in possible if _is_even(*readings[name])]
        possible = even if len(even) == 1 else possible
    if len(possible) > 1 and "year-first" in possible:
        d, m, y = readings["year-first"]
        days = pd.to_datetime(pd.DataFrame({"year": _full_year(y), "month": m, "day": d}), errors="coerce")
        if days.isna().any() or not (days.is_monotonic_increasing or days.is_monotonic_decreasing):
            possible.remove("year-first")
    if len(possible) == 2 and "year-first" not in possible and (a == b).all():
        possible = possible[:1]
    if not possible:
        wrong = ~((a <= 31) & (b <= 31) & ((a <= 12) | (b <= 12)))
        at = np.flatnonzero(wrong)[0] if wrong.any() else np.flatnonzero(b > 12)[0]
        raise _no_date(column, at, source)
    if len(possible) > 1:
        raise ValueError(
            f"expected dates that tell the day from the month, such as 2024-12-31, in the column {column.name!r} of "
            f"{source}; received {column.iloc[0]!r}, which several readings fit in every row. Say which: "
            + " or ".join(f"--dates {name}" for name in possible)
        )
    day, month, year = readings[possible[0]]
    settled = None if order is None and (a == b).all() else possible[0]
    return {"y": year.astype(str), "m": month.astype(str), "d": day.astype(str)}, settled


def _is_even(day, month, year):
    """Whether there are several rows a day, and each day is the one after the day before: where clocks stand beside.

    Of one row a day the other reading is as even: the first days of months.
    """
    text = year.astype(str) + "/" + month.astype(str) + "/" + day.astype(str)
    first = ~text.duplicated()
    columns = {"year": _full_year(year[first]), "month": month[first], "day": day[first]}
    days = pd.to_datetime(pd.DataFrame(columns).astype(int), errors="coerce")
    return len(days) > 1 and not first.all() and (days.diff().iloc[1:].abs() == pd.Timedelta(1, "D")).all()


def _full_year(years):
    years = years.astype(str)
    numbers = years.astype(int)
    return numbers.where(years.str.len() > 2, np.where(numbers < 69, numbers + 2000, numbers + 1900))


def _span(parts):
    """The time of day of clock texts in pieces; 24:00 is the midnight after."""
    hour, minute, second = (pd.to_numeric(parts[name]).fillna(0) for name in "HMS")
    if parts["p"].notna().any():
        afternoon = parts["p"].str.upper().str[0].eq("P")
        hour = hour.where((hour >= 1) & (hour <= 12) | parts["p"].isna())
        hour = hour.where(parts["p"].isna(), hour % 12 + 12 * afternoon)
    whole = (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))
    seconds = (hour * 3600 + minute * 60 + second).where(whole & (minute < 60) & (second < 60))
    fraction = pd.to_numeric("0." + parts["f"].fillna("0"))
    return pd.to_timedelta(seconds, "s") + pd.to_timedelta((fraction * 1e9).round(), "ns")


# Abbreviations that zones of several continents go by, and the other half of the year that settles which is meant.
_SETTLED_BY = {"BST": "GMT", "CST": "CDT", "EST": "EDT", "MST": "MDT"}


def _offsets(column, zones, source):
    """How far each row is ahead of UTC; None where the cells do not say."""
    if zones.isna().all():
        return None
    known, names = {}, set(zones.dropna())
    for zone in zones.unique():
        if zone in _SETTLED_BY and _SETTLED_BY[zone] not in names:
            raise ValueError(
                f"expected the offset of the time zone in the column {column.name!r} of {source}, such as +01:00; "
                f"received {zone}, which zones of several continents go by"
            )
        if isinstance(zone, str) and zone in _ZONES:
            known[zone] = _ZONES[zone] * 3600
        elif isinstance(zone, str) and zone[0] in "+-":
            digits = zone[1:].replace(":", "").ljust(4, "0")
            known[zone] = (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)
    offsets = zones.map(known)
    if offsets.isna().any():
        raise _no_date(column, np.flatnonzero(offsets.isna())[0], source, "a date with a time zone, such as +01:00,")
    return pd.to_timedelta(offsets, "s")


def _clock_column(frame, dates):
    """The column beside the dates that holds the time of day, or None."""
    for name in frame:
        column = frame[name].dropna()
        if name == dates or column.empty:
            continue
        if pd.api.types.is_numeric_dtype(column):
            is_hour = re.fullmatch(_PARTS["hour"] + "|he|hour.?ending", name, re.IGNORECASE)
            if is_hour and column.between(0, 24).all() and (column % 1 == 0).all():
                return name
        elif re.fullmatch(_CLOCK + r"\s*", str(column.iloc[0]).strip()) and (
            is_called_time(name) or re.search("hour|hr|stunde", name, re.I) or ":" in str(column.iloc[0])
        ):
            return name
    return None


def _clock(column, source):
    text = column.astype(str).str.strip().str.replace(r"^(\d{1,2})\.0$", r"\1", regex=True)
    parts = text.str.extract(f"^{_CLOCK}$")
    spans = _span(parts).where(parts["H"].notna())
    if spans.isna().any():
        raise _no_date(column, np.flatnonzero(spans.isna())[0], source, "a time of day")
    return spans


def _part_columns(frame):
    """{part: column} of year, month, day, hour, minute in columns, without a hole before the smallest."""
    found = {}
    for part, pattern in _PARTS.items():
        name = next((name for name in frame if re.fullmatch(pattern, name.strip(), re.IGNORECASE)), None)
        if name is None:
            break
        found[part] = name
    if [*found] == ["year"]:
        name = next((name for name in frame if re.fullmatch(_WEEK, name.strip(), re.IGNORECASE)), None)
        found |= {} if name is None else {"week": name}
    if "year" not in found or not pd.to_numeric(frame[found["year"]], errors="coerce").between(1000, 3000).all():
        return {}
    return found


def _of_parts(frame, parts, source):
    columns = {}
    for part, name in parts.items():
        column = frame[name]
        numbers = pd.to_numeric(column, errors="coerce")
        if part == "month":
            numbers = numbers.fillna(column.astype(str).str.strip().str[:3].str.lower().map(_MONTHS))
        columns[part] = numbers
    one = pd.Series(1, frame.index)
    if "week" in parts:
        return _of_weeks(columns["year"], columns["week"], source)
    dates = pd.to_datetime(
        pd.DataFrame({part: columns.get(part, one) for part in ("year", "month", "day")}), errors="coerce"
    )
    hours = columns.get("hour", one * 0)
    times = dates.astype("datetime64[ns]") + pd.to_timedelta(hours.where(hours.between(0, 24)), "h")
    times = times + pd.to_timedelta(columns.get("minute", one * 0), "min")
    if times.isna().any():
        at = np.flatnonzero(times.isna())[0]
        received = ", ".join(f"{name}={frame[name].iloc[at]}" for name in parts.values())
        raise ValueError(
            f"expected a date in the columns {list(parts.values())} of {source}; received {received} {place(times, at)}"
        )
    return times.rename("time")


def _of_weeks(year, week, source):
    """The first day of each week: by ISO 8601, or, where a year has a week that ISO's has not, as the CDC counts."""
    bad = np.flatnonzero(~(week.between(1, 53) & (week % 1 == 0)))
    if len(bad):
        raise _no_date(week, bad[0], source, "a week from 1 to 53")
    # The first Monday, and the first Sunday, of a week that holds at least four days of January.
    fourth = pd.to_datetime(pd.DataFrame({"year": year, "month": 1, "day": 4}))
    days = {"ISO": fourth.dt.dayofweek, "CDC": (fourth.dt.dayofweek + 1) % 7}
    first = {name: fourth - pd.to_timedelta(of_week, "D") for name, of_week in days.items()}
    times = {name: begin + pd.to_timedelta((week - 1) * 7, "D") for name, begin in first.items()}
    beyond = {name: (at + pd.Timedelta(3, "D")).dt.year.ne(year).any() for name, at in times.items()}
    return times["CDC" if beyond["ISO"] and not beyond["CDC"] else "ISO"].astype("datetime64[ns]").rename("time")


def _of_numbers(column):
    """Times in a column of numbers that is called time: since 1970, as 20241231, or as 1949.083; or None."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().any() or not len(numbers):
        return None
    if numbers.between(18000101, 22001231).all() and (numbers % 1 == 0).all():
        times = pd.to_datetime(numbers.astype(int).astype(str), format="%Y%m%d", errors="coerce")
        if times.notna().all():
            return times.astype("datetime64[ns]")
    if re.search("date|datum|fecha", str(column.name), re.IGNORECASE) and numbers.between(20_000, 80_000).all():
        # Excel's days since the end of 1899.
        return (pd.Timestamp("1899-12-30") + pd.to_timedelta((numbers * 86_400).round(), "s")).astype("datetime64[ns]")
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        if numbers.between(3e8 * scale, 5e9 * scale).all():
            whole = (numbers % 1 == 0).all()
            times = pd.to_datetime(numbers.astype("int64") if whole else numbers, unit=unit)
            return _utc(times.astype("datetime64[ns]"))
    if numbers.between(1000, 2200).all() and len(numbers) > 2:
        for parts in (1, 4, 12):
            counts = numbers * parts
            # R writes 1949.083 for February.
            if (counts.diff().iloc[1:].round(1) == 1).all() and ((counts - counts.round()).abs() < 0.05).all():
                months = (counts.round() * (12 // parts)).astype("int64")
                dates = {"year": months // 12, "month": months % 12 + 1, "day": 1}
                return pd.to_datetime(pd.DataFrame(dates)).astype("datetime64[ns]")
    return None


def _no_date(column, at, source, expected="a date"):
    value, line = column.iloc[at], column.index[at]
    value = repr(value) if isinstance(value, str) else str(value)
    remedy = f". Mend it, or leave the line out: sed -i {line}d {source}" if column.index.name == "line" else ""
    return ValueError(
        f"expected {expected} in each row of the column {column.name!r} of {source}; received {value} "
        f"{place(column, at)}{remedy}"
    )
