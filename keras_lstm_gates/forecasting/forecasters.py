"""A trained model beside what it was trained on: the columns by name, the window, and the forecast as a table."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets import tables
from keras_lstm_gates.datasets.forecasting import windows_within
from keras_lstm_gates.forecasting.calendars import times_after
from keras_lstm_gates.opening.readers import load_model
from keras_lstm_gates.recipes import Recipe


class Forecaster(NamedTuple):
    """A model that forecasts a column of a table.

    Attributes:
        model: `keras.Model`, (batch, window, features) to (batch, horizon) or (batch, horizon, quantiles).
        recipe: `Recipe`: target, window, horizon, quantiles, group.
        columns: list of str, what the model reads, in its own order.
    """

    model: Any
    recipe: Recipe
    columns: list

    @property
    def names(self):
        """The columns of a forecast: the target, or one for each quantile, as "load q0.1"."""
        target, quantiles = self.recipe.target, self.recipe.quantiles
        return [f"{target} q{quantile:g}" for quantile in quantiles] if quantiles else [target]

    def forecast(self, table, at=None):
        """The steps that follow a table, or a time in it.

        Args:
            table: `pandas.DataFrame`, or the path of a .csv or .parquet file. Columns are found by name, in any order;
                others are not read.
            at: a time, as text or `pandas.Timestamp`: the window ends with the last row at or before it. None: with
                the last row.

        Returns:
            `pandas.DataFrame` with `horizon` rows, for each group where the recipe has one: `group`, `time` (or `row`,
            counted on from the table's last, where it has no times, or none that tell the next), then `names` in the
            table's units, and `actual`, the target where the table holds it. `attrs` say what was left out:
            "ignored", the columns that were not read, and "step".

        Raises:
            ValueError: "expected FILE to have the column 'load'; received ['Load']"; a gap or an empty cell in the
                last window, with its place; no whole window before `at`.
        """
        frame, ignored = self.read(table)
        parts, attrs = [], {"ignored": ignored}
        for group, rows in self._groups(frame):
            end = _end(rows, at)
            window = self._window(rows, end, group)
            numbers = self.predict(window[None])[0]
            times, attrs["step"] = _times(rows, end, self.recipe.horizon)
            actual = rows[self.recipe.target].to_numpy()[end : end + self.recipe.horizon]
            actual = np.pad(actual, (0, self.recipe.horizon - len(actual)), constant_values=np.nan)
            parts.append(self._part(group, times, numbers, actual))
        result = pd.concat(parts, ignore_index=True)
        result.attrs.update(attrs)
        return result

    def history(self, table, at=None, windows=3):
        """The rows before a forecast, up to some windows of them: `group`, `time` or `row`, and the target."""
        frame, _ = self.read(table)
        parts = []
        for group, rows in self._groups(frame):
            end = _end(rows, at)
            first = max(0, end - windows * self.recipe.window)
            key = "time" if tables.TIME in rows else "row"
            at_rows = rows[tables.TIME].to_numpy() if tables.TIME in rows else np.arange(len(rows))
            columns = {} if group is None else {"group": [group] * (end - first)}
            columns |= {key: at_rows[first:end], self.recipe.target: rows[self.recipe.target].to_numpy()[first:end]}
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    def rolling(self, table, every=None):
        """Forecasts from many points of a table.

        Args:
            table: as in `forecast`.
            every: int > 0, rows from one forecast to the next; None: the horizon, so that each row is forecast once.

        Returns:
            `pandas.DataFrame` as `forecast` gives, of all windows that no gap or empty cell interrupts and whose
            targets are known, with `origin`, the last time (or row) that the forecast has seen.
        """
        frame, ignored = self.read(table)
        recipe, every = self.recipe, self.recipe.horizon if every is None else every
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"expected every to be an int > 0; received {every!r}")
        numbers = frame[self.columns].to_numpy(np.float64)
        starts = windows_within(frame, self.columns, recipe.window + recipe.horizon)
        starts = _spaced(starts, every, self._group_of(frame))
        if not len(starts):
            raise ValueError(
                f"expected a window of {recipe.window} and a horizon of {recipe.horizon} rows without a gap; received "
                f"{len(frame)} rows with none"
            )
        steps = np.arange(recipe.window + recipe.horizon)
        rows = starts[:, None] + steps
        predicted = self.predict(numbers[rows[:, : recipe.window]]).reshape(-1, len(self.names))
        later = rows[:, recipe.window :].ravel()
        origin = np.repeat(rows[:, recipe.window - 1], recipe.horizon)
        at = frame[tables.TIME].to_numpy() if tables.TIME in frame else np.arange(len(frame))
        key = "time" if tables.TIME in frame else "row"
        columns = {"group": frame[tables.GROUP].to_numpy()[later]} if tables.GROUP in frame else {}
        columns |= {"origin": at[origin], key: at[later]}
        columns |= dict(zip(self.names, predicted.T, strict=True))
        columns["actual"] = frame[recipe.target].to_numpy()[later]
        result = pd.DataFrame(columns)
        result.attrs.update(ignored=ignored, windows=len(starts))
        return result

    def predict(self, windows):
        """The forecasts of windows (sample, window, columns), float64 (sample, horizon[, quantiles])."""
        outputs = self.model.predict(np.asarray(windows, np.float32), batch_size=256, verbose=0)
        outputs = outputs["forecast"] if isinstance(outputs, dict) else outputs
        return np.asarray(outputs, np.float64).reshape(len(windows), self.recipe.horizon, len(self.names))

    def read(self, table):
        """(the table as the training read its own, columns by name; the columns that it has beside them)."""
        recipe = self.recipe
        if isinstance(table, pd.DataFrame):
            frame = tables.checked(table, "the table", recipe, self.columns)
        else:
            frame = tables.read(table, recipe, self.columns)
        names = frame.attrs["names"]
        categories = {name.partition("=")[0] for name in self.columns if name not in names}
        used = {*self.columns, *categories, recipe.target, recipe.group, *frame.attrs["time"]}
        return frame, [name for name in names if name not in used]

    def _groups(self, frame):
        if tables.GROUP not in frame:
            return [(None, frame)]
        return [(name, rows.reset_index(drop=True)) for name, rows in frame.groupby(tables.GROUP, sort=False)]

    def _group_of(self, frame):
        return pd.factorize(frame[tables.GROUP])[0] if tables.GROUP in frame else np.zeros(len(frame), int)

    def _window(self, rows, end, group):
        recipe, of_group = self.recipe, "" if group is None else f" of {group!r}"
        if end < recipe.window:
            raise ValueError(f"expected {recipe.window} rows{of_group} before the forecast; received {end}")
        window = rows.iloc[end - recipe.window : end]
        empty = window[self.columns].isna()
        if empty.any(axis=None):
            row, column = np.argwhere(empty.to_numpy())[-1]
            place = window[tables.TIME].iloc[row] if tables.TIME in window else f"row {end - recipe.window + row}"
            raise ValueError(
                f"expected numbers in the last {recipe.window} rows{of_group}; received an empty cell in the column "
                f"{self.columns[column]!r} at {place}. Take at=..., a time before it"
            )
        whole = windows_within(rows.iloc[:end], self.columns, recipe.window)
        if not len(whole) or whole[-1] != end - recipe.window:
            raise ValueError(
                f"expected the last {recipe.window} rows{of_group} without a gap; received one among the times from "
                f"{window[tables.TIME].iloc[0]} to {window[tables.TIME].iloc[-1]}"
            )
        return window[self.columns].to_numpy(np.float64)

    def _part(self, group, times, numbers, actual):
        key, values = times
        columns = {} if group is None else {"group": [group] * len(values)}
        return pd.DataFrame({**columns, key: values, **dict(zip(self.names, numbers.T, strict=True)), "actual": actual})


def load(run):
    """The forecaster of a run folder, or of a preset's.

    Args:
        run: str or `Path` of the folder that `train` made from a table, or of a forecasting preset of the zoo.

    Returns:
        `Forecaster`.

    Raises:
        FileNotFoundError: "no such run: ...".
        ValueError: a run of another task, or one that does not say what its columns are called.
    """
    folder = Path(run)
    if not (folder / "model.keras").is_file():
        raise FileNotFoundError(f"no such run: expected a folder with model.keras; received {run}")
    if (folder / "card.json").is_file():
        card = json.loads((folder / "card.json").read_text())
        recipe, names = card["recipe"], card["names"]
    else:
        recipe, names = (_json(folder, name) for name in ("recipe.json", "names.json"))
    recipe = Recipe.from_dict(recipe)
    if recipe.task != "forecasting":
        raise ValueError(f"expected a run that forecasts; received {run}, a run of {recipe.task}")
    return Forecaster(load_model(folder / "model.keras"), recipe, list(names["features"]))


def _json(folder, name):
    path = folder / name
    if not path.is_file():
        raise ValueError(
            f"expected {folder} to hold {name}, which `keras-lstm-gates train` writes; received a folder without it. "
            "Train again"
        )
    return json.loads(path.read_text())


def _end(rows, at):
    """The number of rows up to a time."""
    if at is None:
        return len(rows)
    if tables.TIME not in rows:
        raise ValueError(f"expected a table with times for at={at!r}; received one without")
    try:
        at = pd.Timestamp(at)
    except ValueError:
        raise ValueError(f"expected at to be a time such as 2024-12-31 18:00; received {at!r}") from None
    return int(np.searchsorted(rows[tables.TIME].to_numpy(), at.to_datetime64(), side="right"))


def _times(rows, end, horizon):
    """(("time" or "row", the values), the step)."""
    if tables.TIME in rows:
        times, step = times_after(rows[tables.TIME].iloc[:end], horizon)
        # What the table itself says comes first.
        known = rows[tables.TIME].iloc[end : end + horizon]
        if len(known) == horizon:
            return ("time", pd.DatetimeIndex(known)), step
        if times is not None:
            return ("time", times), step
    return ("row", np.arange(end, end + horizon)), "rows"


def _spaced(starts, every, groups):
    """Of increasing starts those that lie at least `every` rows behind the one before, each group anew."""
    chosen, last = [], None
    for start in starts:
        if last is None or start - last >= every or groups[start] != groups[last]:
            chosen.append(start)
            last = start
    return np.array(chosen, int)
