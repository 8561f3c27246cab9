"""A trained model beside what it was trained on: the columns by name, the window, and the forecast as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from keras_lstm_gates.datasets import table_known, tables
from keras_lstm_gates.forecasting.windows import TableWindows, in_zone, last_windows, rolling_windows
from keras_lstm_gates.recipes import Recipe

if TYPE_CHECKING:
    from keras_lstm_gates._support.annotations import StrPath


class Forecaster(NamedTuple):
    """A model that forecasts a column of a table.

    Attributes:
        model: with a method `predict`, (batch, window, features) to (batch, horizon) or (batch, horizon, quantiles): a
            `keras.Model`, or an exported file.
        recipe: `Recipe`: target, window, horizon, quantiles, group.
        columns: list of str, what the model reads, in its own order.
    """

    model: Any
    recipe: Recipe
    columns: list

    @property
    def names(self) -> list[str]:
        """The columns of a forecast: each target, or one for each of its quantiles, as "load q0.1"."""
        targets, quantiles = self.recipe.targets, self.recipe.quantiles
        return [f"{target} q{quantile:g}" for target in targets for quantile in quantiles] or [*targets]

    def of_each(self) -> dict[str, Forecaster]:
        """{target: the `Forecaster` of it alone}."""
        if len(self.recipe.targets) < 2:
            return dict.fromkeys(self.recipe.targets, self)
        each = enumerate(self.recipe.targets)
        return {one: Forecaster(_Part(self.model, at), self.recipe.of(one), self.columns) for at, one in each}

    def windows(
        self,
        table: pd.DataFrame | StrPath,
        at: str | pd.Timestamp | None = None,
        every: int | None = None,
        rolling: bool = False,
    ) -> TableWindows:
        """What the model reads of a table: its inputs by the columns' names, with their times.

        Args:
            table: `pandas.DataFrame`, or the path of a file as `train` reads it. Columns are found by name, in any
                order; others are not read.
            at: a time, as text in ISO form or as the table's dates, or `pandas.Timestamp`: the window ends with the
                last row at or before it. None: with the last row.
            rolling: bool. True: the windows from many points of the table whose targets are known, `every` rows apart.
            every: int > 0; None: the horizon, so that each row is forecast once.

        Returns:
            `TableWindows`, one of each group, or with `rolling` many.

        Raises:
            ValueError: "expected FILE to have the column 'load'; received ['Load']"; a gap or an empty cell in the
                last window, with its place; no whole window before `at`; an `at` behind the last row.
        """
        frame = self.read(table)
        if rolling:
            return rolling_windows(frame, self.recipe, self.columns, every)
        return last_windows(frame, self.recipe, self.columns, at)

    def forecast(self, table: pd.DataFrame | StrPath, at: str | pd.Timestamp | None = None) -> pd.DataFrame:
        """The steps that follow a table, or a time in it.

        Args:
            table, at: as in `windows`.

        Returns:
            `pandas.DataFrame` with `horizon` rows, for each group where the recipe has one: `group`, `time` (or `row`,
            counted on from the table's last, where it has no times, or none that tell the next), then `names` in the
            table's units, and `actual`, the target where the table holds it; of several targets "actual load" of each.
            `attrs` say what was left out: "ignored", the columns that were not read, and "step".

        Raises:
            ValueError: as `windows`.
        """
        return self.of(self.windows(table, at))

    def of(self, windows: TableWindows, origin: bool = False) -> pd.DataFrame:
        """The forecasts of some windows, a table as `forecast` gives; with `origin` as `rolling` does."""
        parts = [self._table(part, origin) for part in windows.batches()]
        result = pd.concat([part for part, _ in parts], ignore_index=True)
        result.attrs.update(ignored=windows.ignored, step=parts[-1][1], windows=len(windows))
        return result

    def history(
        self, table: pd.DataFrame | StrPath, at: str | pd.Timestamp | None = None, windows: int = 3
    ) -> pd.DataFrame:
        """The rows before a forecast, up to some windows of them: `group`, `time` or `row`, and the targets."""
        frame = self.read(table)
        last = last_windows(frame, self.recipe, self.columns, at)
        parts = []
        for first, start in zip(last.group_starts, last.starts, strict=True):
            end = start + self.recipe.window
            rows = frame.iloc[max(first, end - windows * self.recipe.window) : end]
            columns = {"group": rows[tables.GROUP].to_numpy()} if tables.GROUP in rows else {}
            places = rows[tables.TIME].to_numpy() if last.key == "time" else rows.index.to_numpy() - first
            columns[last.key] = in_zone(places, self.recipe.timezone)
            parts.append(pd.DataFrame({**columns, **{name: rows[name].to_numpy() for name in self.recipe.targets}}))
        return pd.concat(parts, ignore_index=True)

    def rolling(self, table: pd.DataFrame | StrPath, every: int | None = None) -> pd.DataFrame:
        """Forecasts from many points of a table.

        Args:
            table: as in `windows`.
            every: int > 0, rows from one forecast to the next; None: the horizon, so that each row is forecast once.

        Returns:
            `pandas.DataFrame` as `forecast` gives, of all windows that no gap or empty cell interrupts and whose
            targets are known, with `origin`, the last time (or row) that the forecast has seen.
        """
        return self.of(self.windows(table, every=every, rolling=True), origin=True)

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """The forecasts of windows (sample, window, columns), float64 (sample, horizon, `names`)."""
        outputs = self.model.predict(np.asarray(windows, np.float32), batch_size=256, verbose=0)
        outputs = outputs["forecast"] if isinstance(outputs, dict) else outputs
        recipe: Any = self.recipe  # nothing in it is "auto" any more
        shape = (len(windows), len(recipe.targets), recipe.horizon, max(1, len(recipe.quantiles)))
        by_step = np.asarray(outputs, np.float64).reshape(shape).transpose(0, 2, 1, 3)
        return by_step.reshape(len(windows), recipe.horizon, len(self.names))

    def read(self, table: pd.DataFrame | StrPath) -> pd.DataFrame:
        """The table as the training read its own, with what is known of later rows; `attrs["ignored"]`: the others."""
        recipe = self.recipe.of(self.recipe.targets[0])
        if isinstance(table, pd.DataFrame):
            frame = tables.checked(table, "the table", recipe, self.columns)
        else:
            frame = tables.read(table, recipe, self.columns)
        names = frame.attrs["names"]
        categories = {name.partition("=")[0] for name in self.columns if name not in names}
        used = {*self.columns, *categories, recipe.group, *frame.attrs["time"]}
        frame.attrs["ignored"] = [name for name in names if name not in used]
        return table_known.joined(frame, table_known.measured(self.columns, recipe), recipe)

    def _table(self, windows, origin=False):
        """(the forecasts of some windows, a row each step to come; the step)."""
        key, places, step = windows.following()
        horizon, columns = self.recipe.horizon, {}
        if windows.groups is not None:
            columns["group"] = np.repeat(windows.groups, horizon)
        if origin:
            columns["origin"] = in_zone(np.repeat(windows.origins, horizon), self.recipe.timezone)
        predicted = self.predict(windows.inputs).reshape(-1, len(self.names))
        columns |= {
            key: in_zone(places.ravel(), self.recipe.timezone),
            **dict(zip(self.names, predicted.T, strict=True)),
        }
        targets = self.recipe.targets
        actual = windows.actual.reshape(len(windows), len(targets), horizon)
        for number, name in enumerate(targets):
            columns[f"actual {name}" if len(targets) > 1 else "actual"] = actual[:, number].ravel()
        return pd.DataFrame(columns), step


class _Part(NamedTuple):
    """One target of a model of several."""

    model: Any
    number: int

    def predict(self, inputs, **options):
        outputs = self.model.predict(inputs, **options)
        return (next(iter(outputs.values())) if isinstance(outputs, dict) else outputs)[:, self.number]
