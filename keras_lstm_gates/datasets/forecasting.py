"""From a table with one row a time step to windows: split by time, scaled by the training part alone."""

import numpy as np
import pandas as pd
import tensorflow_datasets as tfds

from keras_lstm_gates.datasets import sources, tables

TEST_PART = 0.2
REGULAR = 0.9  # A series is regular where at least so many of its time steps are the most common one.


def parts(recipe, test):
    """((train, validation, test), arguments, names) of a forecasting recipe; `keras_lstm_gates.datasets.load`."""
    if recipe.dataset.lower().endswith(tables.SUFFIXES):
        frame = tables.read(recipe.dataset, recipe.target, recipe.features, recipe.group)
    else:
        frame = tables.checked(_rows(recipe.dataset), recipe.dataset, recipe.target, recipe.features, recipe.group)
    values = frame.columns.difference(["time", "group"], sort=False).tolist()
    numbers = frame[values].to_numpy(np.float32)
    part = _parts(frame, recipe.validation)
    starts, gaps, step = _starts(frame, numbers, recipe.window + recipe.horizon)
    # A window belongs to the part that all of its targets lie in; its inputs may reach back before it.
    first, last = part[starts + recipe.window], part[starts + recipe.window + recipe.horizon - 1]
    chosen = [starts[(first == number) & (last == number)] for number in range(3)]
    for name, windows, needed in zip(("training", "validation", "test"), chosen, (True, recipe.validation, test)):
        if needed and not len(windows):
            raise ValueError(
                f"expected {recipe.dataset} to hold a window of {recipe.window} and a horizon of {recipe.horizon} "
                f"steps without a gap in its {name} part; received {len(frame)} rows, {int(np.sum(part == 0))} of "
                f"them for training, with {gaps} gaps"
            )
    seen = numbers[part == 0]
    seen = seen[np.isfinite(seen).all(axis=1)].astype(np.float64)
    mean, variance = seen.mean(axis=0), seen.var(axis=0)
    place = values.index(recipe.target)
    if np.ptp(seen[:, place]) == 0:
        raise ValueError(
            f"expected the target {recipe.target!r} to vary in the training part; received {seen[0, place]} throughout"
        )
    # A column that is constant in the training part says nothing: its scale stays as it is.
    variance[np.ptp(seen, axis=0) == 0] = 1.0
    arguments = {
        "features": len(values),
        "horizon": recipe.horizon,
        "mean": mean.tolist(),
        "variance": variance.tolist(),
        "target_mean": float(mean[place]),
        "target_variance": float(variance[place]),
    }
    names = {"features": values, "target": recipe.target, "step": step, "season": recipe.season, "gaps": gaps}
    if "time" in frame:
        names["times"] = {
            name: [str(frame["time"][part == number].min()), str(frame["time"][part == number].max())]
            for number, name in enumerate(("train", "validation", "test"))
            if np.any(part == number)
        }

    def windows(number):
        target = np.ascontiguousarray(numbers[:, place])
        return sources.Windows(numbers, target, chosen[number], recipe.window, recipe.horizon)

    return (windows(0), windows(1) if recipe.validation else None, windows(2) if test else None), arguments, names


def _rows(name):
    """The rows of a TFDS data set as a table, in the order they were written."""
    batches = list(tfds.as_numpy(tfds.load(name, split="train", shuffle_files=False).batch(4096)))
    columns = {column: np.concatenate([batch[column] for batch in batches]) for column in batches[0]}
    return pd.DataFrame(
        {name: [v.decode() for v in values] if values.dtype == object else values for name, values in columns.items()}
    )


def _parts(frame, validation):
    """(rows,) int: 0 training, 1 validation, 2 test, by time; without a time, by place within the group."""
    borders = [(1 - TEST_PART) * (1 - validation), 1 - TEST_PART]
    if "time" in frame:
        times = np.sort(frame["time"].to_numpy())
        cuts = [times[min(round(border * len(times)), len(times) - 1)] for border in borders]
        return np.searchsorted(cuts, frame["time"].to_numpy(), side="right")
    if "group" in frame:
        place = frame.groupby("group").cumcount() / frame.groupby("group")["group"].transform("size")
    else:
        place = np.arange(len(frame)) / len(frame)
    return np.searchsorted(borders, np.asarray(place), side="right")


def _starts(frame, numbers, length):
    """(first rows of the windows without a gap, number of gaps, the step in words)."""
    breaks = np.zeros(len(frame), bool)  # True: the row does not follow the row before it.
    breaks[0] = True
    if "group" in frame:
        breaks[1:] |= frame["group"].to_numpy()[1:] != frame["group"].to_numpy()[:-1]
    groups, step = int(breaks.sum()), "1 row"
    if "time" in frame and len(frame) > 1:
        steps = frame["time"].diff()
        within = steps[~breaks]
        common = within.mode()
        if len(common) and (within == common[0]).mean() >= REGULAR:
            step = _words(common[0])
            breaks |= (steps != common[0]).to_numpy()
    gaps = int(breaks.sum()) - groups
    usable = np.isfinite(numbers).all(axis=1)
    gaps += int(np.sum(~usable & np.r_[True, usable[:-1]]))
    run = np.cumsum(breaks) * 2 + 0
    broken = np.cumsum(~usable)
    starts = np.arange(len(frame) - length + 1)
    last = starts + length - 1
    whole = (run[starts] == run[last]) & (broken[starts] == broken[last]) & usable[starts]
    return starts[whole], gaps, step


def _words(step):
    for unit, word in (("D", "day"), ("h", "hour"), ("min", "minute"), ("s", "second")):
        count = step / pd.Timedelta(1, unit)
        if count >= 1 and count == int(count):
            return f"{int(count)} {word}{'s' if count > 1 else ''}"
    return str(step)
