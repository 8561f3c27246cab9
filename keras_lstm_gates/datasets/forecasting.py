"""From a table with one row a time step to windows: split by time, scaled by the training part alone."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_lstm_gates.datasets import examples, tables, tfds_names

TEST_PART = 0.2
# A series is regular if at least this share of its time steps equals the most common one; any other step is a gap.
# In a less regular one, such as trading days, every row follows the one before it.
REGULAR = 0.85


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
    if recipe.target is None:
        raise ValueError(f"expected a target, the column of {recipe.dataset} to forecast; received None")
    if recipe.dataset.lower().endswith(tables.SUFFIXES):
        frame = tables.read(recipe.dataset, recipe)
    else:
        frame = tables.checked(_rows(recipe.dataset), recipe.dataset, recipe)
    columns = [name for name in frame if name not in (tables.TIME, tables.GROUP)]
    part = _parts(frame, recipe.validation)
    starts, gaps, step = _starts(frame, columns, recipe.window + recipe.horizon)
    first, last = part[starts + recipe.window], part[starts + recipe.window + recipe.horizon - 1]
    starts_by_part = [starts[(first == number) & (last == number)] for number in range(3)]
    needed = (True, recipe.validation > 0, test)
    for name, windows, is_needed in zip(("training", "validation", "test"), starts_by_part, needed, strict=True):
        if is_needed and not len(windows):
            raise ValueError(
                f"expected a window of {recipe.window} and a horizon of {recipe.horizon} rows without a gap in the "
                f"{name} part of {recipe.dataset}; received {len(frame)} rows, {int(np.sum(part == 0))} of them for "
                f"training, with {gaps} gaps{_remedy(frame)}"
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
    if tables.TIME in frame:
        times = [
            (name, frame[tables.TIME][part == number]) for number, name in enumerate(("train", "validation", "test"))
        ]
        names["times"] = {name: [str(rows.min()), str(rows.max())] for name, rows in times if len(rows)}
    names["table"] = {key: frame.attrs[key] for key in ("rows", "time", "left_out", "empty", "notes")}
    inputs = tf.constant(numbers, tf.float32)
    needed = (True, recipe.validation > 0, test)
    windows = tuple(
        examples.Windows(inputs, inputs[:, place], part_starts, recipe.window, recipe.horizon) if is_needed else None
        for part_starts, is_needed in zip(starts, needed, strict=True)
    )
    return windows, arguments, names


def windows_within(frame, columns, length):
    """The first rows, int, of the windows of some length that no gap, empty cell or change of group interrupts."""
    if len(frame) < length:
        return np.array([], int)
    return _starts(frame, columns, length)[0]


def summary(names):
    """What a training did with its table, in three lines: of str, from `Data.names`."""
    table, columns = names["table"], ", ".join(names["features"])
    times = "; ".join(f"{part} {first} to {last}" for part, (first, last) in names.get("times", {}).items())
    time = f"time: {' and '.join(table['time'])}" if table["time"] else "no time: rows follow each other"
    lines = [f"{table['rows']:,} rows, {time}, step {names['step']}, {names['gaps']:,} gaps"]
    lines[0] += "".join(f"; {note}" for note in table["notes"])
    lines.append(f"columns: {columns}")
    lines[1] += "".join(f"; left out: {name} ({reason})" for name, reason in table["left_out"].items())
    lines[1] += "".join(f"; empty: {share:.1%} of {name}" for name, share in table["empty"].items())
    return [*lines, f"parts: {times or 'by the order of the rows'}"]


def _remedy(frame):
    empty = frame.attrs["empty"]
    if not empty:
        return ""
    name = max(empty, key=empty.get)
    return f"; {empty[name]:.0%} of {name!r} is empty: --missing interpolate, or other columns, --set features=..."


def _rows(name):
    """The rows of a TFDS data set as a table, in the order in which they were written."""
    batches = list(tfds.as_numpy(tfds_names.prepared(name).as_dataset(split="train").batch(4096)))
    columns = {column: np.concatenate([batch[column] for batch in batches]) for column in batches[0]}
    return pd.DataFrame(
        {name: [v.decode() for v in values] if values.dtype == object else values for name, values in columns.items()}
    )


def _parts(frame, validation):
    """(rows,) int: 0 training, 1 validation, 2 test, by time; without a time, by position within the group."""
    borders = [(1 - TEST_PART) * (1 - validation), 1 - TEST_PART]
    if tables.TIME in frame:
        times = np.sort(frame[tables.TIME].to_numpy())
        cuts = [times[min(round(border * len(times)), len(times) - 1)] for border in borders]
        return np.searchsorted(cuts, frame[tables.TIME].to_numpy(), side="right")
    if tables.GROUP in frame:
        groups = frame.groupby(tables.GROUP)[tables.GROUP]
        place = groups.cumcount() / groups.transform("size")
    else:
        place = np.arange(len(frame)) / len(frame)
    return np.searchsorted(borders, np.asarray(place), side="right")


def _starts(frame, columns, length):
    """(first rows of the windows without a gap, number of gaps, the step in words)."""
    breaks = np.zeros(len(frame), bool)  # True: the row does not follow the row before it.
    breaks[0] = True
    if tables.GROUP in frame:
        breaks[1:] |= frame[tables.GROUP].to_numpy()[1:] != frame[tables.GROUP].to_numpy()[:-1]
    groups, step = int(breaks.sum()), "1 row"
    if tables.TIME in frame and len(frame) > 1:
        steps = frame[tables.TIME].diff()
        within = steps[~breaks]
        common = within.mode()
        if len(common) and (within == common[0]).mean() >= REGULAR:
            step = _words(common[0])
            # A time that was read from a float or a text is exact to the microsecond at best.
            breaks |= ((steps - common[0]).abs() > common[0] / 1000).to_numpy()
    gaps = int(breaks.sum()) - groups
    empty = frame[columns].isna().any(axis=1).to_numpy()
    gaps += int(np.sum(empty & ~np.r_[False, empty[:-1]]))
    # A window is complete if its first row is not empty and neither a break nor an empty row follows within it.
    breaks, empties = np.cumsum(breaks), np.cumsum(empty)
    starts = np.arange(len(frame) - length + 1)
    last = starts + length - 1
    complete = (breaks[starts] == breaks[last]) & (empties[starts] == empties[last]) & ~empty[starts]
    return starts[complete], gaps, step


def _words(step):
    for unit, word in (("D", "day"), ("h", "hour"), ("min", "minute"), ("s", "second")):
        count = step / pd.Timedelta(1, unit)
        if count >= 1 and count == int(count):
            return f"{int(count)} {word}{'s' if count > 1 else ''}"
    return str(step)
