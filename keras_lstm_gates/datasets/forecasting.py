"""From a table with one row a time step to windows: split by time, scaled by the training part alone."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_lstm_gates.datasets import examples, table_known, table_moments, tables, tfds_names
from keras_lstm_gates.recipe_keys import is_table

# A series is regular if at least this share of its time steps equals the most common one; any other step is a gap.
# In a less regular one, such as trading days, every row follows the one before it.
REGULAR = 0.85
# An input with more empty cells is better left out than filled.
MOSTLY = 0.3


class Series(NamedTuple):
    """A table cut into parts and windows.

    Attributes:
        frame: `pandas.DataFrame`, as `tables.checked` returns it.
        columns: list of str, the columns of numbers.
        part: (rows,) int, 0 training, 1 validation, 2 test, by time.
        starts: three arrays of int, the first row of each window of each part. A window belongs to the part that
            holds all its targets; its inputs may reach back before that part.
        gaps: int, places where a row is missing or empty; no window crosses one.
        step: str, the time from row to row, in words.
    """

    frame: pd.DataFrame
    columns: list
    part: np.ndarray
    starts: list
    gaps: int
    step: str


def series(recipe, test=True):
    """The `Series` of a forecasting recipe.

    Raises:
        ValueError: what `tables.checked` raises, or a part without a window.
    """
    return cut(table(recipe), recipe, test)


def table(recipe):
    """The table of a recipe, as `tables.checked` returns it, up to where the recipe says."""
    if recipe.target is None:
        raise ValueError(f"expected a target, the column of {recipe.dataset} to forecast; received None")
    if not isinstance(recipe.target, str):
        raise ValueError(f"expected one target, as in a recipe's of('load'); received {list(recipe.target)}")
    if is_table(recipe.dataset):
        frame = tables.read(recipe.dataset, recipe)
    else:
        frame = tables.checked(_rows(recipe.dataset), recipe.dataset, recipe)
    if recipe.known:
        frame = _rows_of(frame, ~table_known.beyond(frame, recipe.target))
    if recipe.until is None:
        return frame
    places = places_of(frame)
    if tables.TIME in frame:
        until = table_moments.moment(recipe.until, "until", frame, recipe).to_datetime64()
    else:
        until = _share(recipe.until)
    return _rows_of(frame, places < until)


def _share(text):
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"expected until to be a share of the rows such as '0.8', as the table has no times; received {text!r}"
        ) from None


def _rows_of(frame, kept):
    rows = frame[kept].reset_index(drop=True)
    rows.attrs = frame.attrs
    return rows


def places_of(frame):
    """Where each row of a table stands in time: (rows,) of times; without a time 0 to 1, within its group."""
    if tables.TIME in frame:
        return frame[tables.TIME].to_numpy()
    if tables.GROUP in frame:
        groups = frame.groupby(tables.GROUP)[tables.GROUP]
        return np.asarray(groups.cumcount() / groups.transform("size"))
    return np.arange(len(frame)) / len(frame)


def cut(frame, recipe, test=True):
    """The `Series` of a recipe whose table was read."""
    columns = [name for name in frame if name not in (tables.TIME, tables.GROUP)]
    part = _parts(frame, recipe.validation, recipe.test)
    # What is read of a column some steps later stands in the rows of a window's targets.
    starts, gaps, step = _starts(frame, columns, recipe.window + recipe.horizon)
    frame = table_known.joined(frame, columns, recipe)
    columns += table_known.later(columns, recipe)
    first, last = part[starts + recipe.window], part[starts + recipe.window + recipe.horizon - 1]
    starts_by_part = [starts[(first == number) & (last == number)] for number in range(3)]
    needed = (True, recipe.validation > 0, test)
    for name, windows, is_needed in zip(("training", "validation", "test"), starts_by_part, needed, strict=True):
        if is_needed and not len(windows):
            raise ValueError(
                f"expected a window of {recipe.window} and a horizon of {recipe.horizon} rows without a gap in the "
                f"{name} part of {recipe.dataset}; received {len(frame)} rows, {int(np.sum(part == 0))} of them for "
                f"training, with {gaps} gaps{_remedy(frame, part, recipe, gaps, step)}"
            )
    return Series(frame, columns, part, starts_by_part, gaps, step)


def parts(recipe, test):
    """((train, validation, test), arguments, names) of a forecasting recipe; `keras_lstm_gates.datasets.load`."""
    frame, columns, part, starts, gaps, step = series(recipe, test)
    numbers = frame[columns].to_numpy(np.float64)
    training = numbers[(part == 0) & np.isfinite(numbers).all(axis=1)]
    mean, spread = training.mean(axis=0), np.ptp(training, axis=0)
    # A column that is constant in the training part keeps its scale.
    variance = np.where(spread == 0, 1.0, training.var(axis=0))
    place = columns.index(recipe.target)
    if spread[place] == 0:
        raise ValueError(
            f"expected the target {recipe.target!r} to vary in the training part of {recipe.dataset}; received "
            f"{training[0, place]} throughout"
        )
    arguments = {
        "features": len(columns),
        "horizon": recipe.horizon,
        "mean": mean.tolist(),
        "variance": variance.tolist(),
        "target_mean": float(mean[place]),
        "target_variance": float(variance[place]),
    }
    names = {"features": columns, "target": recipe.target, "step": step, "season": recipe.season, "gaps": gaps}
    if not is_table(recipe.dataset):
        names |= tfds_names.units(tfds_names.prepared(recipe.dataset), columns)
    if recipe.known:
        names["later"] = table_known.later(table_known.measured(columns, recipe), recipe)
    if tables.TIME in frame:
        times = [
            (name, frame[tables.TIME][part == number]) for number, name in enumerate(("train", "validation", "test"))
        ]
        names["times"] = {name: [str(rows.min()), str(rows.max())] for name, rows in times if len(rows)}
    names["table"] = {key: frame.attrs[key] for key in ("rows", "time", "left_out", "empty", "notes")}
    names["table"] |= _whole(frame, part, len(starts[0]), gaps, step, recipe)
    names["scaler"] = {name: [one, other**0.5] for name, one, other in zip(columns, mean, variance, strict=True)}
    inputs = tf.constant(numbers, tf.float32)
    needed = (True, recipe.validation > 0, test)
    if recipe.epoch_size is not None and len(starts[1]) > recipe.epoch_size:
        starts[1] = starts[1][np.linspace(0, len(starts[1]) - 1, recipe.epoch_size).astype(int)]
    windows, weights = [], group_weights(frame, part, recipe)
    for number, (part_starts, is_needed) in enumerate(zip(starts, needed, strict=True)):
        own = None if weights is None or number == 2 else weights[part_starts]
        targets, sizes = inputs[:, place], (recipe.window, recipe.horizon)
        windows.append(examples.Windows(inputs, targets, part_starts, *sizes, own) if is_needed else None)
    return tuple(windows), arguments, names


def group_weights(frame, part, recipe):
    """(rows,) float: how much an error counts in each row's group, where groups are scaled by their own windows.

    It is the inverse of the target's standard deviation over the group's training part, on average 1: a group of small
    numbers counts as much as one of large ones. None without groups, or where scaling is that of all rows.
    """
    if tables.GROUP not in frame or recipe.scaling != "window":
        return None
    groups = frame[tables.GROUP].to_numpy()
    spreads = frame[recipe.target].where(part == 0).groupby(groups).transform("std").to_numpy()
    typical = np.nanmedian(spreads)
    weights = 1 / np.clip(np.nan_to_num(spreads, nan=typical), 1e-6 * typical + 1e-300, None)
    return weights / weights.mean()


def windows_within(frame, columns, length):
    """The first rows, int, of the windows of some length that no gap, empty cell or change of group interrupts."""
    if len(frame) < length:
        return np.array([], int)
    return _starts(frame, columns, length)[0]


def summary(names):
    """What a training did with its table, in three lines, or four with a warning: of str, from `Data.names`."""
    table, columns = names["table"], ", ".join(names["features"])
    times = "; ".join(f"{part} {first} to {last}" for part, (first, last) in names.get("times", {}).items())
    time = f"time: {' and '.join(table['time'])}" if table["time"] else "no time: rows follow each other"
    lines = [f"{table['rows']:,} rows, {time}, step {names['step']}, {names['gaps']:,} gaps"]
    lines[0] += "".join(f"; {note}" for note in table["notes"])
    lines.append(f"columns: {columns}")
    lines[1] += "".join(f"; left out: {name} ({reason})" for name, reason in table["left_out"].items())
    lines[1] += "".join(f"; empty: {share:.1%} of {name}" for name, share in table["empty"].items())
    lines.append(f"parts: {times or 'by the order of the rows'}")
    if "windows" in table and table["windows"]["whole"] < table["windows"]["all"]:
        whole, every = table["windows"]["whole"], table["windows"]["all"]
        lines[0] += f"; {whole:,} of {every:,} training windows are whole"
        if whole < every / 2:
            remedies = ", ".join(f"{what} with {option}" for what, option in table["windows"]["remedies"].items())
            warning = f"warning: gaps leave {whole / every:.0%} of the training windows"
            lines.append(f"{warning}. Mend {remedies}" if remedies else warning)
    return lines


def _whole(frame, part, whole, gaps, step, recipe):
    """{"windows": how many of all training windows are whole, and options that mend them}, where some are not."""
    length = recipe.window + recipe.horizon
    starts = np.arange(len(frame) - length + 1)
    own = (part[starts + recipe.window] == 0) & (part[starts + length - 1] == 0)
    if tables.GROUP in frame:
        groups = frame[tables.GROUP].to_numpy()
        own &= groups[starts] == groups[starts + length - 1]
    every = int(own.sum())
    if whole == every:
        return {}
    columns = table_known.measured([name for name in frame if name not in (tables.TIME, tables.GROUP)], recipe)
    empty = frame[columns].isna().any(axis=1).to_numpy()
    remedies, fill = {}, _fill(step)
    if (empty.any() and recipe.missing is None) or (frame.attrs["empty"] and recipe.missing == "drop"):
        remedies["empty cells"] = "--missing interpolate"
    if fill is not None and not recipe.fill and gaps > np.sum(empty & ~np.r_[False, empty[:-1]]):
        remedies["missing rows"] = fill
    return {"windows": {"whole": whole, "all": every, "remedies": remedies}}


def _fill(step):
    """The options that fill the rows that are missing in a table of this step in words; None where it names none."""
    if not step[0].isdigit() or ":" in step or step in ("1 row", "1 trading day"):
        return None
    count, unit = step.split()
    return f"--step {count}{_OFFSETS[unit.removesuffix('s')]} --fill"


_OFFSETS = {"month": "MS", "day": "D", "hour": "h", "minute": "min", "second": "s"}


def _remedy(frame, part, recipe, gaps, step):
    """An option that gives each part a window, where there is one."""
    empty = frame.attrs["empty"]
    if empty:
        name = max(empty, key=empty.get)
        others = [other for other in frame if other not in (tables.TIME, tables.GROUP) and empty.get(other, 0) < MOSTLY]
        said = f"; {empty[name]:.0%} of {name!r} is empty: "
        if empty[name] < MOSTLY or recipe.target not in others:
            return f"{said}--missing interpolate"
        return f"{said}--set 'features={json.dumps(others, ensure_ascii=False)}'"
    if gaps and _fill(step) is not None:
        return f": {_fill(step)}"
    fewest = min(int(np.sum(part == number)) for number in range(3) if number != 1 or recipe.validation)
    horizon = min(recipe.horizon, fewest)
    window = min(recipe.window, (int(np.sum(part == 0)) - horizon) // 2)
    if gaps or tables.GROUP in frame or min(horizon, window) < 1:
        return ""
    return f": --window {window} --horizon {horizon} is short enough"


def _rows(name):
    """The rows of a TFDS data set as a table, in the order in which they were written."""
    batches = list(tfds.as_numpy(tfds_names.prepared(name).as_dataset(split="train").batch(4096)))
    columns = {column: np.concatenate([batch[column] for batch in batches]) for column in batches[0]}
    return pd.DataFrame(
        {name: [v.decode() for v in values] if values.dtype == object else values for name, values in columns.items()}
    )


def _parts(frame, validation, test):
    """(rows,) int: 0 training, 1 validation, 2 test, by time; without a time, by position within the group."""
    borders, places = [(1 - test) * (1 - validation), 1 - test], places_of(frame)
    if tables.TIME in frame:
        times = np.sort(places)
        borders = [times[min(round(border * len(times)), len(times) - 1)] for border in borders]
    return np.searchsorted(borders, places, side="right")


def _starts(frame, columns, length):
    """(first rows of the windows without a gap, number of gaps, the step in words)."""
    breaks = np.zeros(len(frame), bool)  # True: the row does not follow the row before it.
    breaks[0] = True
    if tables.GROUP in frame:
        breaks[1:] |= frame[tables.GROUP].to_numpy()[1:] != frame[tables.GROUP].to_numpy()[:-1]
    groups, step = int(breaks.sum()), "1 row"
    if tables.TIME in frame and len(frame) > 1:
        step, strange = _steps(frame[tables.TIME], breaks)
        breaks |= strange
    gaps = int(breaks.sum()) - groups
    empty = frame[columns].isna().any(axis=1).to_numpy()
    gaps += int(np.sum(empty & ~np.r_[False, empty[:-1]]))
    # A window is complete if its first row is not empty and neither a break nor an empty row follows within it.
    breaks, empties = np.cumsum(breaks), np.cumsum(empty)
    starts = np.arange(len(frame) - length + 1)
    last = starts + length - 1
    complete = (breaks[starts] == breaks[last]) & (empties[starts] == empties[last]) & ~empty[starts]
    return starts[complete], gaps, step


def _steps(times, breaks):
    """(the step in words, (rows,) bool: a row lies another step behind the one before it)."""
    steps = times.diff()
    within = steps[~breaks]
    common = within.mode()
    if len(common) and (within == common[0]).mean() >= REGULAR:
        # A time that was read from a float or a text is exact to the microsecond at best.
        return _words(common[0]), ((steps - common[0]).abs() > common[0] / 1000).to_numpy()
    months = (12 * times.dt.year + times.dt.month).diff()
    usual = months[~breaks].mode()
    if len(usual) and within.min() > pd.Timedelta(20, "D") and (months[~breaks] == usual[0]).mean() >= REGULAR:
        count = int(usual[0])
        return (f"{count} months" if count > 1 else "1 month"), (months != usual[0]).to_numpy()
    none = np.zeros(len(times), bool)
    if not len(within):
        return "1 row", none
    if common[0] == pd.Timedelta(1, "D") and (times.dt.dayofweek < 5).all():
        return "1 trading day", none
    near = min(_EVEN, key=lambda even: abs(np.log(pd.Timedelta(even) / within.median())))
    return f"1 row: uneven, {_words(within.min())} to {_words(within.max())} (--step {near} makes it even)", none


_EVEN = ("1s", "10s", "30s", "1min", "5min", "10min", "15min", "30min", "1h", "3h", "6h", "12h", "1D", "7D", "30D")


def _words(step):
    for unit, word in (("D", "day"), ("h", "hour"), ("min", "minute"), ("s", "second")):
        count = step / pd.Timedelta(1, unit)
        if count >= 1 and count == int(count):
            return f"{int(count)} {word}{'s' if count > 1 else ''}"
    return str(step).removeprefix("0 days ")
