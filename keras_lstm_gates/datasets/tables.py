"""Tables of a user with one row a time step: read as a recipe says, checked and sorted by time."""

import difflib
import re

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets import table_calendars, table_files, table_known, table_numbers, table_times
from keras_lstm_gates.datasets.table_files import GROUP, TIME, place

__all__ = ["GROUP", "TIME", "checked", "read"]

_ROW_NUMBERS = re.compile(r"Unnamed: 0|row names|rownames|index|id|no\.?|nr\.?|row|instant|obs|#", re.IGNORECASE)


def read(path, recipe, features=None):
    """A .csv, .tsv, .txt or .parquet file as `checked` returns it.

    A text may be separated by commas, semicolons, tabs, bars or spaces, and be encoded in UTF-8, UTF-16 with a byte
    order mark, or Windows-1252; see `table_files.cells`.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: .parquet without pyarrow.
        ValueError: the file is empty, or no table; and what `checked` raises.
    """
    return _checked(table_files.cells(path), path, recipe, features)


def checked(frame, source, recipe, features=None):
    """A table with the columns that a forecaster needs: `TIME` and `GROUP` where it has them, then its numbers.

    Rows are sorted by group and time; without a time they are one step apart. Cells without a number stay empty (NaN)
    where the recipe's `missing` says no more. With columns that are known in the future the table may go on after the
    target's last value; none of its cells there are filled.

    Args:
        frame: `pandas.DataFrame`.
        source: str, the table's name in errors.
        recipe: `Recipe`; of it target, features, known, group, calendar, dates, decimal, sentinels, missing, step,
            fill, duplicates.
        features: of str, in place of the recipe's.

    Returns:
        `pandas.DataFrame`. `attrs`: "time", the columns of the time; "names", all columns of the table; "left_out",
        {column: why}; "empty", {column: share of empty cells}; "rows", those of the table; "notes", of str; "dates",
        the order of day and month in its times, or None; "utc", whether its times are in UTC.

    Raises:
        ValueError: a column is missing, holds text where a number is expected, a time occurs twice, or two readings
            are possible; with the place, and the option that settles it.
    """
    return _checked(table_files.numbered(frame), source, recipe, features)


def _checked(frame, source, recipe, features):
    target, group = recipe.target, recipe.group
    calendar = table_calendars.names(recipe.calendar)
    features = _features(frame, source, recipe, recipe.features if features is None else features)
    others = [name for name in frame if name not in (group, target)]
    times, time_columns = table_times.times_of(
        frame[others], source, recipe.dates, recipe.timezone, None if group is None else frame[group]
    )
    inputs, left_out = _inputs(
        frame, [name for name in others if name not in time_columns], features, target, recipe.known
    )
    mark = table_numbers.decimal_mark(
        frame, [name for name in inputs if name in frame and not table_numbers.is_text(frame[name])], source,
        frame.attrs["separator"], {"point": ".", "comma": ","}.get(recipe.decimal),
    )  # fmt: skip
    table = {}
    if times is not None:
        table[TIME] = times.dt.as_unit("us")
    if group is not None:
        table[GROUP] = frame[group].astype(str)
    for name in inputs:
        if name in frame:
            table[name] = table_numbers.numbers_of(frame[name], source, mark, recipe.sentinels)
        else:
            table[name] = _category(name, inputs, frame, source, recipe.sentinels)
    table = pd.DataFrame(table)
    notes = [f"passed over {', '.join(frame.attrs['skipped'])}"] if frame.attrs["skipped"] else []
    notes += [f"times of {recipe.timezone}, in UTC"] if recipe.timezone is not None and times is not None else []
    if table[target].isna().all():
        raise ValueError(f"expected numbers in the target {target!r} of {source}; received an empty column")
    counted = _sorted(table)
    counted = counted[~table_known.beyond(counted, target)] if recipe.known else counted
    empty = {name: float(share) for name, share in counted[inputs].isna().mean().items() if share > 0}
    table, more = _arranged(table, inputs, source, recipe, frame)
    if calendar:
        if TIME not in table:
            raise ValueError(f"expected a column of times in {source} for the calendar; received none")
        table = table.assign(**table_calendars.columns(table[TIME], recipe.calendar))
    table.attrs = {
        "time": time_columns, "names": list(frame), "left_out": left_out, "empty": empty, "rows": len(frame),
        "notes": notes + more, "dates": None if times is None else times.attrs.get("order"),
        "utc": times is not None and times.attrs.get("utc", False),
    }  # fmt: skip
    return table


def _features(frame, source, recipe, features):
    """The columns of the file to read, checked; none: all that can be read."""
    made = dict.fromkeys(table_calendars.names(recipe.calendar), "the calendar makes")
    of_known = [name for name in frame if name in recipe.known]
    made |= dict.fromkeys(table_known.later([*features, *of_known], recipe), "a column known in the future makes")
    for name, maker in made.items():
        if name in frame:
            raise ValueError(f"expected {source} without a column {name!r}, which {maker}; received one")
    features = tuple(name for name in features if name not in made)
    if features:
        named = {*features, *(_category_of(name, frame) for name in features)}
        features += tuple(name for name in recipe.known if name not in named)
    group = [recipe.group] if recipe.group else []
    for name in [recipe.target, *features, *recipe.known, *group]:
        if name not in frame and _category_of(name, frame) is None:
            raise ValueError(
                f"expected {source} to have the column {name!r}; received {list(frame)}{_remedy(name, frame, source)}"
            )
    if len(frame) < 2:
        raise ValueError(f"expected {source} to hold at least 2 rows below its header; received {len(frame)}")
    return features


def _remedy(name, frame, source):
    """What to do where a column is missing: the nearest name, or a header."""
    names = list(frame)
    if all(map(table_files.is_number, names)):
        header = ",".join(f"column{number}" for number in range(1, len(names) + 1))
        return f". Its first line is no header. Write one above it, as {header}: sed -i '1i {header}' {source}"
    return _nearest(name, names)


def _nearest(name, names):
    same = [other for other in names if other.strip().lower() == name.strip().lower()]
    near = same or difflib.get_close_matches(name, names, 1)
    if not near:
        return ""
    # Of several names, as options list them.
    quoted = f""" In a list of names it stands in quotes: '"{near[0]}"'""" if "," in near[0] else ""
    return f". Did you mean {near[0]!r}?{quoted}"


def _category_of(name, frame):
    """The column of a category such as city=Oslo, or None."""
    column, equals, _ = name.partition("=")
    return column if equals and column in frame else None


def _inputs(frame, names, features, target, known):
    """(the inputs by name, {what is left out: why}); what is named as a feature or as known must be one."""
    inputs, left_out = [], {}
    for name in features or [name for name in frame if name in names or name in (target, *known)]:
        if name not in frame or name == target:
            inputs.append(name)
            continue
        column = frame[name]
        if column.isna().all():
            reason = "empty"
        elif not table_numbers.is_text(column):
            is_first = name == frame.columns[0]
            reason = None
            if (is_first or _ROW_NUMBERS.fullmatch(name)) and _counts_rows(column):
                reason = "the row number"
            elif (
                table_times.is_called_time(name) and pd.to_numeric(column, errors="coerce").diff().iloc[1:].gt(0).all()
            ):
                reason = "a time"
            if reason is None or features or name in known:
                inputs.append(name)
                continue
        elif table_numbers.is_category(column) and not column.astype(str).str.contains("=").any():
            inputs += [f"{name}={value}" for value in sorted(column.dropna().astype(str).unique())]
            continue
        else:
            reason = "a time" if table_times.is_date(column) else "text"
        if features or name in known:
            raise ValueError(f"expected numbers, or text of few values, in the column {name!r}; it is {reason}")
        left_out[name] = reason
    return list(dict.fromkeys([*inputs, target])), left_out


def _counts_rows(column):
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    return numbers[0] in (0, 1) and bool((np.diff(numbers) == 1).all())


def _category(name, inputs, frame, source, sentinels):
    """1 where a row has this value, 0 where it has another, NaN where it has none."""
    column = _category_of(name, frame)
    values = frame[column].astype(object).where(frame[column].notna(), None)
    values = values.map(lambda value: None if value is None or str(value) in sentinels else str(value))
    known = [other.partition("=")[2] for other in inputs if other.partition("=")[0] == column]
    strange = np.flatnonzero(values.notna() & ~values.isin(known))
    if len(strange):
        raise ValueError(
            f"expected one of {known} in the column {column!r} of {source}; received "
            f"{values.iloc[strange[0]]!r} {place(frame[column], strange[0])}"
        )
    return (values == name.partition("=")[2]).astype(np.float64).where(values.notna())


def _arranged(table, inputs, source, recipe, frame):
    """(the table sorted, its times once each, at its step, its empty cells as the recipe says; notes)."""
    notes, keys = [], [name for name in (GROUP, TIME) if name in table]
    if TIME in table:
        double = table.duplicated(keys, keep=False)
        if double.any() and recipe.duplicates == "error":
            key = table.loc[double, keys].iloc[0]
            first, second = np.flatnonzero((table[keys] == key).all(axis=1))[:2]
            raise ValueError(
                f"expected each time once in {source}; received {key[TIME]} {place(table[TIME], first)} and "
                f"{place(table[TIME], second)}. {_distinction(table, frame)}"
            )
        if double.any():
            notes.append(f"{int(double.sum())} rows with a time that occurs twice: {recipe.duplicates}")
            table = getattr(table.groupby(keys, sort=False, as_index=False), recipe.duplicates)()
    table = _sorted(table)
    if recipe.step is not None:
        if TIME not in table:
            raise ValueError(f"expected a column of times in {source} for --step {recipe.step}; received none")
        table = _resampled(table, recipe.step)
        notes.append(f"resampled to {recipe.step}: {len(table):,} rows")
        if not recipe.fill:
            keep = table[inputs].notna().any(axis=1)
            table = table[keep].reset_index(drop=True)
    missing = recipe.missing or ("interpolate" if recipe.fill else None)
    to_come = table_known.beyond(table, recipe.target) if recipe.known else np.zeros(len(table), bool)
    if missing == "drop":
        table = table[table[inputs].notna().all(axis=1) | to_come].reset_index(drop=True)
    elif missing is not None:
        groups = table.groupby(GROUP)[inputs] if GROUP in table else table[inputs]
        filled = {
            "forward": lambda values: values.ffill(),
            # What comes after the last value is not known.
            "interpolate": lambda values: values.interpolate(limit_area="inside"),
        }[missing]
        before, known = int(table[inputs].isna().to_numpy().sum()), table.loc[to_come, inputs]
        table[inputs] = groups.transform(filled) if GROUP in table else filled(groups)
        table.loc[to_come, inputs] = known
        notes.append(f"{before - int(table[inputs].isna().to_numpy().sum()):,} cells filled: {missing}")
    return table, notes


def _sorted(table):
    """By group and time, rows of the same in their order."""
    keys = [name for name in (GROUP, TIME) if name in table]
    return table.sort_values(keys, kind="stable", ignore_index=True) if keys else table.reset_index(drop=True)


def _distinction(table, frame):
    """What may tell rows of the same time apart, as options."""
    keys = table[[name for name in (GROUP, TIME) if name in table]].set_axis(frame.index)
    series = [name for name in frame if table_numbers.is_text(frame[name]) and not table_times.is_date(frame[name])]
    of_series = next((name for name in series if not keys.assign(series=frame[name]).duplicated().any()), None)
    if of_series is not None:
        return f"Several series? Say --group {of_series!r}; or --duplicates mean or --duplicates first"
    return (
        "Say --duplicates mean or --duplicates first; of clocks that go back, --timezone with the zone's name, as "
        "Europe/Berlin; of several series, --group with their column"
    )


def _resampled(table, step):
    """The means of the rows of each step; a step without rows is empty."""
    if GROUP not in table:
        return table.resample(step, on=TIME).mean().reset_index()
    parts = [rows.drop(columns=GROUP).resample(step, on=TIME).mean().reset_index().assign(**{GROUP: name})
             for name, rows in table.groupby(GROUP, sort=True)]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(table)]
