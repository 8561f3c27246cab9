"""The keys of a recipe: what each expects, in words and as a predicate, and the tasks that use it."""

from __future__ import annotations

import dataclasses
import math
import zoneinfo
from collections.abc import Callable, Iterable
from typing import Any

TASKS = ("classification", "labelling", "forecasting", "language")
SCHEDULES = ("constant", "cosine")
SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".parquet")
"""How a table's file ends."""
WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".ods")


def is_table(name: Any) -> bool:
    """Whether a data set is a file called as a table is, also .gz, or as a workbook."""
    return str(name).lower().removesuffix(".gz").endswith((*SUFFIXES, *WORKBOOKS))


def key(kind: str, fits: Callable[[Any], Any], default: Any = dataclasses.MISSING, tasks: Iterable[str] = TASKS) -> Any:
    """A key of a recipe: what it expects, in words and as a predicate, and the tasks that use it."""
    return dataclasses.field(default=default, metadata={"kind": kind, "fits": fits, "tasks": tasks})


AUTO = "auto"
"""In place of a value that `keras_lstm_gates.training.settled` chooses from the table."""


def count(default: int | str | None, tasks: Iterable[str] = TASKS, auto: bool = False) -> Any:
    return key(
        f"an int > 0{' or auto' if auto else ''}",
        lambda value: (is_int(value) and value > 0) or (auto and value == AUTO),
        default,
        tasks=tasks,
    )


def choice(default: Any, *others: Any) -> Any:
    values = [value for value in (default, *others) if value is not None]
    return key(f"one of {values}", lambda value: value in values, default, tasks=("forecasting",))


def flag(tasks: Iterable[str]) -> Any:
    return key("true or false", lambda value: isinstance(value, bool), False, tasks=tasks)


def is_step(value: Any) -> bool:
    import pandas as pd

    try:
        return isinstance(value, str) and pd.tseries.frequencies.to_offset(value).n > 0
    except ValueError:
        return False


def is_zone(value: Any) -> bool:
    return isinstance(value, str) and value in zoneinfo.available_timezones()


def part(default: float | str, auto: bool = False) -> Any:
    return key(
        f"a number in [0, 1){' or auto' if auto else ''}",
        lambda value: (is_number(value) and 0 <= value < 1) or (auto and value == AUTO),
        default,
    )


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return (is_int(value) or isinstance(value, float)) and math.isfinite(value)


def is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def is_not_negative(value: Any) -> bool:
    return is_number(value) and value >= 0


def is_count_or_zero(value: Any) -> bool:
    return is_int(value) and value >= 0


def is_target(value: Any) -> bool:
    return isinstance(value, str) or (are_names(value) and len({*value}) == len(value) > 1)


def are_names(values: Any) -> bool:
    return isinstance(values, tuple) and all(isinstance(name, str) for name in values)


def check_known(recipe: Any) -> None:
    """Refuse columns that cannot be known in the future, and a window that cannot hold all steps to come of them."""
    for target in recipe.targets:
        if target in recipe.known:
            raise ValueError(f"expected known columns beside the target; received the target {target!r} among them")
    if recipe.known and AUTO not in (recipe.window, recipe.horizon) and recipe.window < recipe.horizon:
        raise ValueError(
            f"expected a window of at least the horizon's {recipe.horizon} steps with columns known in the future; "
            f"received window={recipe.window}"
        )


def are_spans(values: Any) -> bool:
    return are_names(values) and set(values) <= {"day", "week", "year"} and len(set(values)) == len(values)


def are_increasing_parts(values: Any) -> bool:
    return (
        isinstance(values, tuple)
        and all(is_number(value) and 0 < value < 1 for value in values)
        and list(values) == sorted(set(values))
    )


def are_factors_of_gates(values: Any) -> bool:
    return isinstance(values, dict) and set(values) <= set("ifgoch") and all(map(is_not_negative, values.values()))
