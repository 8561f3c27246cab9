"""Recipes: all that determines a trained model, as plain data that is saved with the model."""

import contextlib
import dataclasses
import difflib
import json
import math
import typing
import zoneinfo
from pathlib import Path

from keras_lstm_gates._support.notebooks import Tabled

TASKS = ("classification", "labelling", "forecasting", "language")
SCHEDULES = ("constant", "cosine")


def _field(kind, fits, default=dataclasses.MISSING, tasks=TASKS):
    """A key of a recipe: what it expects, in words and as a predicate, and the tasks that use it."""
    return dataclasses.field(default=default, metadata={"kind": kind, "fits": fits, "tasks": tasks})


def _count(default, tasks=TASKS):
    return _field("an int > 0", lambda value: _is_int(value) and value > 0, default, tasks=tasks)


def _choice(default, *others):
    values = [value for value in (default, *others) if value is not None]
    return _field(f"one of {values}", lambda value: value in values, default, tasks=("forecasting",))


def _is_step(value):
    import pandas as pd

    try:
        return isinstance(value, str) and pd.tseries.frequencies.to_offset(value).n > 0
    except ValueError:
        return False


def _is_zone(value):
    return isinstance(value, str) and value in zoneinfo.available_timezones()


def _part(default):
    return _field("a number in [0, 1)", lambda value: _is_number(value) and 0 <= value < 1, default)


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    return (_is_int(value) or isinstance(value, float)) and math.isfinite(value)


def _is_positive(value):
    return _is_number(value) and value > 0


def _is_not_negative(value):
    return _is_number(value) and value >= 0


def _is_count_or_zero(value):
    return _is_int(value) and value >= 0


def _are_names(values):
    return isinstance(values, tuple) and all(isinstance(name, str) for name in values)


def _are_increasing_parts(values):
    return (
        isinstance(values, tuple)
        and all(_is_number(value) and 0 < value < 1 for value in values)
        and list(values) == sorted(set(values))
    )


def _are_factors_of_gates(values):
    return isinstance(values, dict) and set(values) <= set("ifgoch") and all(map(_is_not_negative, values.values()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(Tabled):
    """All that determines a trained model.

    Attributes:
        dataset: str, a name `tfds.load` knows, or the path of a .csv, .tsv, .txt or .parquet file.
        task: str. "classification": one class a sequence; "labelling": one class a step; "forecasting": the next
            `horizon` values of a series; "language": the next character at each step.
        target: str or None, the column to forecast; or, where a TFDS data set has several, the feature to learn.
        features: of str, the columns to forecast from; empty: all columns of numbers. Forecasting only.
        group: str or None, the column that says which of several series a row belongs to. Forecasting only.
        season: int > 0 or None, steps after which the series resembles itself. Not used in training: the
            baselines repeat the last season. Forecasting only.
        dates: str or None, how dates of three numbers are read where they do not tell it themselves: "day-first",
            "month-first" or "year-first". This key and those up to `duplicates` say how a table is read, in training
            and at every forecast. Forecasting only.
        decimal: str or None, "point" or "comma" before decimals, where the cells do not tell it. Forecasting only.
        sentinels: of str, cells that mark a missing value, such as "-200"; ("none",) says that all are measurements.
            Forecasting only.
        missing: str or None, what becomes of empty cells: "interpolate" in a straight line, "forward" the last
            value, "drop" the row. None: no window holds one. Forecasting only.
        timezone: str or None, as "Europe/Berlin", of times without an offset. Forecasting only.
        step: str or None, to which the rows are resampled by their mean, such as "1h". Forecasting only.
        fill: bool, whether steps without a row are filled, as `missing` says, or in a straight line. Forecasting only.
        duplicates: str, of rows with the same time: "error", their "mean" or the "first". Forecasting only.
        longest: int > 0 or None, steps to which longer sequences are cut. Classification and labelling only.
        vocabulary: int > 0, the largest number of words, the most frequent ones.
        window: int > 0, steps of a training sequence. Forecasting and language only.
        horizon: int > 0, steps to forecast. Forecasting only.
        quantiles: of floats in (0, 1), increasing. Empty: the forecast is a point. Forecasting only.
        validation: float in [0, 1), the part of the training data that is set aside for early stopping and selection;
            of a series, the last part in time.
        test: float in (0, 1), the last part of a series, which no training reads. Forecasting only.
        until: str or None, the time from which on rows are not read; without times their share. Forecasting only.
        units: int > 0, of each LSTM.
        layers: int > 0, the number of stacked LSTMs.
        pooling: str, the h to classify: "last", or its "mean" over the steps. Classification only.
        autoregression: int >= 0, number of last steps whose linear map is added to the forecast. Forecasting only.
        bidirectional: bool. Classification and labelling only.
        embedding: int > 0, width of the embedding, where the inputs are tokens.
        forget_bias: float, initial bias of the forget gate.
        chrono_t_max: float > 2 or None; if a number, the initial biases are `ChronoBias(chrono_t_max)` and forget_bias
            is not used.
        gate_l1: {gate name: factor >= 0}, L1 regularizers of the gates, of every layer.
        noise: float >= 0, standard deviation of the noise added to the normalized inputs while training.
        dropout: float in [0, 1), of each LSTM's outputs.
        recurrent_dropout: float in [0, 1), of h_{t-1} in each LSTM.
        epochs: int > 0, the most.
        patience: int > 0 or None: stop after this many epochs without a lower validation loss, and keep the best.
        batch_size: int > 0.
        learning_rate: float > 0, initial.
        schedule: str, of the learning rate: "constant", or "cosine" for a half cosine down to 0.
        clip_norm: float > 0 or None, the largest global norm of the gradients.
        weight_decay: float >= 0, of AdamW.
        seed: int >= 0, of the initial weights, the order of the examples, noise and dropout.

    Raises:
        ValueError: "expected units of a recipe to be an int > 0; received 0"; a key that the task does not use, for
            example "expected horizon only in a recipe of the task forecasting; received horizon=6 with
            task='classification'".

    Example:
        >>> Recipe(dataset="japanese_vowels", units=32).replaced({"noise": "0.3"}).noise
        0.3
    """

    dataset: str = _field("a name", lambda value: isinstance(value, str) and value != "")
    task: str = _field(f"one of {list(TASKS)}", lambda value: value in TASKS, "classification")
    target: str | None = _field("the name of a column", lambda value: isinstance(value, str), None)
    features: tuple[str, ...] = _field("names of columns", _are_names, (), tasks=("forecasting",))
    group: str | None = _field(
        "the name of a column", lambda value: isinstance(value, str), None, tasks=("forecasting",)
    )
    season: int | None = _count(None, tasks=("forecasting",))
    longest: int | None = _count(None, tasks=("classification", "labelling"))
    vocabulary: int = _count(20_000)
    dates: str | None = _choice(None, "day-first", "month-first", "year-first")
    decimal: str | None = _choice(None, "point", "comma")
    sentinels: tuple[str, ...] = _field("texts or numbers", _are_names, (), tasks=("forecasting",))
    timezone: str | None = _field("a time zone such as Europe/Berlin", _is_zone, None, tasks=("forecasting",))
    missing: str | None = _choice(None, "interpolate", "forward", "drop")
    step: str | None = _field("a step such as 1h or 15min", _is_step, None, tasks=("forecasting",))
    fill: bool = _field("true or false", lambda value: isinstance(value, bool), False, tasks=("forecasting",))
    duplicates: str = _choice("error", "mean", "first")
    window: int = _count(48, tasks=("forecasting", "language"))
    horizon: int = _count(24, tasks=("forecasting",))
    quantiles: tuple[float, ...] = _field(
        "increasing numbers in (0, 1)", _are_increasing_parts, (), tasks=("forecasting",)
    )
    validation: float = _part(0.0)
    test: float = _field("a number in (0, 1)", lambda x: _is_positive(x) and x < 1, 0.2, tasks=("forecasting",))
    until: str | None = _field("a time", lambda value: isinstance(value, str), None, tasks=("forecasting",))
    units: int = _count(64)
    layers: int = _count(1)
    bidirectional: bool = _field(
        "true or false", lambda value: isinstance(value, bool), False, tasks=("classification", "labelling")
    )
    pooling: str = _field(
        "'last' or 'mean'", lambda value: value in ("last", "mean"), "last", tasks=("classification",)
    )
    autoregression: int = _field("an int >= 0", _is_count_or_zero, 0, tasks=("forecasting",))
    embedding: int = _count(64)
    forget_bias: float = _field("a finite number", _is_number, 1.0)
    chrono_t_max: float | None = _field("a number > 2", lambda value: _is_number(value) and value > 2, None)
    gate_l1: dict[str, float] = dataclasses.field(
        default_factory=dict,
        metadata=_field("{'i', 'f', 'g', 'o', 'c' or 'h': a number >= 0}", _are_factors_of_gates).metadata,
    )
    noise: float = _field("a number >= 0", _is_not_negative, 0.0)
    dropout: float = _part(0.0)
    recurrent_dropout: float = _part(0.0)
    epochs: int = _count(60)
    patience: int | None = _count(None)
    batch_size: int = _count(32)
    learning_rate: float = _field("a number > 0", _is_positive, 3e-3)
    schedule: str = _field(f"one of {list(SCHEDULES)}", lambda value: value in SCHEDULES, "cosine")
    clip_norm: float | None = _field("a number > 0", _is_positive, 1.0)
    weight_decay: float = _field("a number >= 0", _is_not_negative, 0.0)
    seed: int = _field("an int >= 0", _is_count_or_zero, 0)

    def __post_init__(self):
        # A recipe read from JSON holds a list where this class has a tuple.
        for name in ("features", "quantiles", "sentinels"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if isinstance(self.sentinels, tuple):
            object.__setattr__(self, "sentinels", tuple(map(str, self.sentinels)))
        if self.fill is True and self.step is None:
            raise ValueError("expected a step to fill the gaps at, such as --step 1h; received fill without a step")
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            optional = type(None) in typing.get_args(_TYPES[name])
            if not ((value is None and optional) or field.metadata["fits"](value)):
                kind = field.metadata["kind"] + (" or None" if optional else "")
                raise ValueError(f"expected {name} of a recipe to be {kind}; received {value!r}")
        for field in dataclasses.fields(self):
            tasks, value = field.metadata["tasks"], getattr(self, field.name)
            if self.task not in tasks and value != field.default:
                raise ValueError(
                    f"expected {field.name} only in a recipe of the task {' or '.join(tasks)}; received "
                    f"{field.name}={value!r} with task={self.task!r}"
                )

    @classmethod
    def from_dict(cls, values):
        """The recipe of a dict of plain data; an unknown key is refused.

        Example:
            >>> Recipe.from_dict({"dataset": "japanese_vowels", "unit": 32})
            Traceback (most recent call last):
            ValueError: expected keys of ['autoregression', ..., 'window']; received 'unit'. Did you mean 'units'?
        """
        for key in values:
            if key not in _TYPES:
                near = "".join(f". Did you mean {name!r}?" for name in difflib.get_close_matches(key, _TYPES, 1))
                raise ValueError(f"expected keys of {sorted(_TYPES)}; received {key!r}{near}")
        if "dataset" not in values:
            raise ValueError(f"expected a recipe with a 'dataset'; received the keys {sorted(values)}")
        return cls(**values)

    @classmethod
    def from_file(cls, path):
        """The recipe of a JSON file, for example recipe.json of a run folder."""
        try:
            values = json.loads(Path(path).read_text())
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"expected {path} to be a recipe in JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"expected {path} to hold one recipe {{...}}; received a {type(values).__name__}")
        return cls.from_dict(values)

    def to_dict(self):
        """Plain data that `from_dict` takes, with the keys that the task uses."""
        values = dataclasses.asdict(self) | {
            key: list(getattr(self, key)) for key in ("features", "quantiles", "sentinels")
        }
        return {key: values[key] for key in keys_of(self.task)}

    def replaced(self, settings):
        """The recipe with some values replaced; text is read as JSON for keys that do not expect text.

        Args:
            settings: {key: value}, the value plain data or text such as "64", "true", "null", "[0.1, 0.9]", "cosine".
        """
        values = {}
        for key, value in settings.items():
            if isinstance(value, str) and key in _TYPES and _TYPES[key] is not str:
                with contextlib.suppress(
                    ValueError
                ):  # Text that is not JSON is refused below, by the check of the key.
                    value = json.loads(value)
            values[key] = value
        return Recipe.from_dict(self.to_dict() | values)


_TYPES = typing.get_type_hints(Recipe)


def keys_of(task):
    """The keys of a recipe that a task uses.

    Example:
        >>> set(keys_of("forecasting")) - set(keys_of("language"))
        {...'horizon'...}
    """
    return [field.name for field in dataclasses.fields(Recipe) if task in field.metadata["tasks"]]


RECIPES = {
    # The best of a random search on a validation part of the training utterances: examples/tuning_study.
    "japanese_vowels": Recipe(
        dataset="japanese_vowels",
        units=56,
        bidirectional=True,
        pooling="mean",
        forget_bias=2.0,
        noise=0.7123429878269185,
        dropout=0.08247473991659898,
        learning_rate=0.006782236164974518,
        weight_decay=0.005005656068060635,
        epochs=60,
    ),
    "italy_power_demand": Recipe(
        dataset="italy_power_demand",
        units=32,
        bidirectional=True,
        noise=0.2,
        dropout=0.3,
        epochs=100,
        batch_size=16,
    ),
    "greensboro_weather": Recipe(
        dataset="greensboro_weather",
        task="forecasting",
        target="temperature",
        group="month",
        season=24,
        window=48,
        horizon=24,
        units=32,
        autoregression=24,
        dropout=0.2,
        validation=0.15,
        patience=6,
        epochs=30,
        learning_rate=2e-3,
    ),
    "daily_stocks": Recipe(
        dataset="daily_stocks",
        task="forecasting",
        target="log_volatility",
        group="share",
        window=44,
        horizon=5,
        units=16,
        autoregression=22,
        dropout=0.2,
        validation=0.15,
        patience=6,
        epochs=30,
        learning_rate=1e-3,
    ),
    "turkish_web_treebank": Recipe(
        dataset="turkish_web_treebank",
        task="labelling",
        units=64,
        bidirectional=True,
        embedding=32,
        dropout=0.5,
        validation=0.1,
        patience=3,
        epochs=12,
        batch_size=16,
    ),
    "shakespeare_plays": Recipe(
        dataset="shakespeare_plays",
        task="language",
        window=128,
        units=192,
        embedding=32,
        validation=0.05,
        epochs=3,
        batch_size=16,
        learning_rate=1e-2,
    ),
}
"""The built-in recipes by name."""


def resolve(name, settings):
    """A built-in recipe, the recipe of a JSON file, or one that forecasts a column of a table, with values replaced.

    Args:
        name: str, of `RECIPES`, the path of a .json file or a table, or "tfds:" and a name that `tfds.load` knows.
        settings: {key: value}, as for `Recipe.replaced`.

    Example:
        >>> resolve("japanese_vowels", {"units": "16"}).units
        16
    """
    from keras_lstm_gates.datasets.table_files import is_table

    if is_table(name):
        if "target" not in settings:
            raise ValueError(f"expected a target, the column of {name} to forecast; received none")
        return Recipe(dataset=name, task="forecasting", validation=0.1, patience=10).replaced(settings)
    if name.lower().endswith(".json"):
        return Recipe.from_file(name).replaced(settings)
    if name.startswith("tfds:"):
        return Recipe(dataset=name.removeprefix("tfds:")).replaced(settings)
    if name not in RECIPES:
        raise ValueError(
            f"expected one of the recipes {sorted(RECIPES)}, a file .json, .csv, .tsv, .txt, "
            f".dat, .parquet, or tfds:NAME; received {name!r}"
        )
    return RECIPES[name].replaced(settings)
