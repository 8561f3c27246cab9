"""The windows of a table as a model reads them, each with its place: the one way from a file to a model's inputs."""

import itertools

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets import table_known, table_moments, tables
from keras_lstm_gates.datasets.forecasting import windows_within
from keras_lstm_gates.forecasting.calendars import times_after


class TableWindows:
    """Windows of a table, made when they are read.

    Args:
        frame: `pandas.DataFrame` of `tables.checked`.
        recipe: `Recipe`: targets, window, horizon.
        columns: list of str, what the model reads, in its own order.
        starts: (windows,) int, the first row of each.

    Attributes:
        frame, starts: as given.
        key: str, "time", or "row" where the table has no times.
    """

    def __init__(self, frame, recipe, columns, starts):
        self.frame, self.recipe, self.columns, self.starts = frame, recipe, columns, np.asarray(starts, int)
        self.key = "time" if tables.TIME in frame else "row"
        self._numbers = frame[columns].to_numpy(np.float64)

    def __len__(self):
        return len(self.starts)

    def batches(self, size=1024):
        """Yield some windows after the others: each a `TableWindows`."""
        for first in range(0, len(self), size):
            yield self.at(slice(first, first + size))

    def spread(self, most):
        """At most so many windows, evenly spaced: a `TableWindows`."""
        return self.at(np.unique(np.linspace(0, len(self) - 1, min(len(self), most)).astype(int)))

    def last(self, count):
        """The last windows: a `TableWindows` of at most so many."""
        return self.at(slice(-count, None))

    def at(self, numbers):
        """Some of the windows: a `TableWindows`."""
        part = object.__new__(TableWindows)
        part.__dict__.update(self.__dict__, starts=self.starts[numbers])
        return part

    @property
    def ignored(self):
        """The columns of the table that are not read."""
        return self.frame.attrs.get("ignored", [])

    @property
    def first_answer(self):
        """The index of the next step, of the first target and by its median, in a forecast of one window."""
        quantiles = np.array(self.recipe.quantiles)
        first = (0,) * (2 if len(self.recipe.targets) > 1 else 1)
        return (*first, int(np.argmin(np.abs(quantiles - 0.5)))) if len(quantiles) else first if first[1:] else 0

    @property
    def inputs(self):
        """What the model reads, float32 (window, step, column)."""
        return self.histories().astype(np.float32)

    def histories(self, name=None):
        """The steps of each window, float64 (window, step, column), or (window, step) of one column."""
        rows = self.starts[:, None] + np.arange(self.recipe.window)
        return self._numbers[rows] if name is None else self._numbers[rows, self.columns.index(name)]

    @property
    def places(self):
        """The time, or the row, of each step, (window, step)."""
        return self._at()[self.starts[:, None] + np.arange(self.recipe.window)]

    @property
    def origins(self):
        """The time, or the row, of each window's last step."""
        return self._at()[self.starts + self.recipe.window - 1]

    @property
    def groups(self):
        """The group of each window, or None."""
        return self.frame[tables.GROUP].to_numpy()[self.starts] if tables.GROUP in self.frame else None

    @property
    def actual(self):
        """What came after each window, NaN where the table does not hold it: float64, as the model's forecasts.

        That is (window, horizon), of several targets (window, target, horizon).
        """
        rows, known = self._later()
        places = [self.columns.index(target) for target in self.recipe.targets]
        later = [self._numbers[np.minimum(rows, len(self._numbers) - 1), place] for place in places]
        actual = np.where(known[:, None], np.stack(later, axis=1), np.nan)
        return actual if actual.shape[1] > 1 else actual[:, 0]

    def following(self):
        """("time" or "row", what comes after each window (window, horizon), the step in words).

        The times are those of the table where it holds them all, else they go on as the table's do; rows are counted
        on where no step tells the next time.
        """
        rows, known = self._later()
        if self.key == "row":
            return "row", rows - self.group_starts[:, None], "rows"
        times = self._at()
        result = times[np.minimum(rows, len(times) - 1)]
        step = None
        for number in np.flatnonzero(~known.all(axis=1)):
            first, end = self.group_starts[number], rows[number, 0]
            after, step = times_after(pd.Series(times[first:end]), self.recipe.horizon)
            if after is None:
                return "row", rows - self.group_starts[:, None], "rows"
            result[number] = after.to_numpy()
        if step is None and len(rows):
            step = times_after(pd.Series(times[self.group_starts[-1] : rows[-1, 0]]), 1)[1]
        return "time", result, step

    def _at(self):
        return self.frame[tables.TIME].to_numpy() if self.key == "time" else np.arange(len(self.frame))

    def _borders(self):
        """The first row of each group, and the number of rows behind them."""
        if tables.GROUP not in self.frame:
            return np.array([0, len(self.frame)])
        groups = self.frame[tables.GROUP].to_numpy()
        return np.r_[0, np.flatnonzero(groups[1:] != groups[:-1]) + 1, len(groups)]

    @property
    def group_starts(self):
        """The first row of each window's group."""
        borders = self._borders()
        return borders[np.searchsorted(borders, self.starts, side="right") - 1]

    def _later(self):
        """(the rows after each window (window, horizon), whether they are its group's)."""
        borders = self._borders()
        last = borders[np.searchsorted(borders, self.starts, side="right")]
        rows = self.starts[:, None] + self.recipe.window + np.arange(self.recipe.horizon)
        return rows, rows < last[:, None]


def last_windows(frame, recipe, columns, at=None):
    """The last window of each group, or the last that ends at or before a time: a `TableWindows`.

    Raises:
        ValueError: a gap or an empty cell in it, or in a known column behind it, with its place; no whole window before
            `at`; an `at` behind the last row, or one that does not tell the day from the month where the table's dates
            do not either.
    """
    at = None if at is None else table_moments.moment(at, "at", frame, recipe)
    windows = TableWindows(frame, recipe, columns, [])
    borders, starts = windows._borders(), []
    for first, last in itertools.pairwise(borders):
        rows = frame.iloc[first:last]
        of_group = f" of {rows[tables.GROUP].iloc[0]!r}" if tables.GROUP in rows else ""
        end = _end(rows, at, recipe, of_group)
        _check_whole(rows, end, recipe, table_known.measured(columns, recipe), of_group)
        _check_known(rows, end, recipe, columns, of_group)
        starts.append(first + end - recipe.window)
    return TableWindows(frame, recipe, columns, starts)


def rolling_windows(frame, recipe, columns, every=None):
    """The windows of a table, with what came after them, that no gap or empty cell interrupts: a `TableWindows`.

    Args:
        every: int > 0, the fewest rows from one to the next; None: the horizon, so that each row is forecast once.

    Raises:
        ValueError: there is none.
    """
    every = recipe.horizon if every is None else every
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"expected every to be an int > 0; received {every!r}")
    starts = windows_within(frame, table_known.measured(columns, recipe), recipe.window + recipe.horizon)
    if not len(starts):
        raise ValueError(
            f"expected a window of {recipe.window} and a horizon of {recipe.horizon} rows without a gap; received "
            f"{len(frame)} rows with none"
        )
    groups = pd.factorize(frame[tables.GROUP])[0] if tables.GROUP in frame else np.zeros(len(frame), int)
    return TableWindows(frame, recipe, columns, _spaced(starts, every, groups))


def in_zone(times, timezone):
    """Times in UTC as those of a time zone, with their offsets; as they are where the recipe names none."""
    if timezone is None or not np.issubdtype(np.asarray(times).dtype, np.datetime64):
        return times
    return pd.DatetimeIndex(np.ravel(times)).tz_localize("UTC").tz_convert(timezone)


def _check_whole(rows, end, recipe, columns, of_group):
    if end < recipe.window:
        raise ValueError(f"expected {recipe.window} rows{of_group} before the forecast; received {end}")
    window = rows.iloc[end - recipe.window : end]
    empty = window[columns].isna()
    if empty.any(axis=None):
        row, column = np.argwhere(empty.to_numpy())[-1]
        place = window[tables.TIME].iloc[row] if tables.TIME in window else f"row {end - recipe.window + row}"
        raise ValueError(
            f"expected numbers in the last {recipe.window} rows{of_group}; received an empty cell in the column "
            f"{columns[column]!r} at {place}. Take at=..., a time before it"
        )
    # The step is that of all rows: a few may not tell it.
    whole = windows_within(rows.iloc[:end], columns, recipe.window)
    if not len(whole) or whole[-1] != end - recipe.window:
        raise ValueError(
            f"expected the last {recipe.window} rows{of_group} without a gap; received one among the times from "
            f"{window[tables.TIME].iloc[0]} to {window[tables.TIME].iloc[-1]}"
        )


def _check_known(rows, end, recipe, columns, of_group):
    """Whether the known columns hold what is to come after the first `end` rows."""
    known = [*dict.fromkeys(table_known.later(table_known.measured(columns, recipe), recipe).values())]
    if not known:
        return
    ahead = rows.iloc[end : end + recipe.horizon]
    received, missing = None, np.argwhere(ahead[known].isna().to_numpy())
    if len(missing) or len(ahead) < recipe.horizon:
        row, column = missing[0] if len(missing) else (len(ahead), 0)
        place = f"row {end + row}"
        if tables.TIME in rows:
            times = times_after(rows[tables.TIME].iloc[: end + row], 1)[0]
            place = ahead[tables.TIME].iloc[row] if row < len(ahead) else place if times is None else times[0]
        received = f"received none in the column {known[column]!r} at {place}"
    elif end - recipe.window not in windows_within(rows, known, recipe.window + recipe.horizon):
        received = f"received a gap among the times up to {ahead[tables.TIME].iloc[-1]}"
    if received is not None:
        raise ValueError(
            f"expected the values of {known}, known in the future, in the {recipe.horizon} rows behind the last known "
            f"{recipe.targets[0]!r}{of_group}; {received}"
        )


def _end(rows, at, recipe, of_group):
    """The number of rows up to a time, or to the last with a target where known columns go on behind it."""
    if at is None:
        return len(rows) - (int(table_known.beyond(rows, recipe.targets[0]).sum()) if recipe.known else 0)
    last = rows[tables.TIME].max()
    if at > last:
        last, at = in_zone(pd.DatetimeIndex([last, at]), recipe.timezone)
        raise ValueError(f"expected at to be no later than the table's last time{of_group}, {last}; received {at}")
    return int(np.searchsorted(rows[tables.TIME].to_numpy(), at.to_datetime64(), side="right"))


def _spaced(starts, every, groups):
    """Of increasing starts those that lie at least `every` rows behind the one before, each group anew."""
    chosen, last = [], None
    for start in starts:
        if last is None or start - last >= every or groups[start] != groups[last]:
            chosen.append(start)
            last = start
    return np.array(chosen, int)
