"""Recipes: all that determines a trained model, as plain data that is saved with the model."""

import contextlib
import dataclasses
import difflib
import json
import typing
from pathlib import Path

from keras_lstm_gates import recipe_keys
from keras_lstm_gates._support.notebooks import Tabled
from keras_lstm_gates.recipe_keys import AUTO, SCHEDULES, TASKS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(Tabled):
    """All that determines a trained model.

    Attributes:
        dataset: str, a name `tfds.load` knows, or the path of a .csv, .tsv, .txt or .parquet file.
        task: str. "classification": one class a sequence; "labelling": one class a step; "forecasting": the next
            `horizon` values of a series; "language": the next character at each step.
        target: str, several or None, the columns to forecast; of a TFDS data set with several, the feature to learn.
        features: of str, the columns to forecast from; empty: all columns of numbers. Forecasting only.
        known: of str, columns whose values at the steps to come are known and read too, such as holidays; a window has
            at least `horizon` steps. Forecasting only.
        group: str or None, the column that says which of several series a row belongs to. Forecasting only.
        calendar: of "day", "week" and "year": where in these each row stands is read too, as a sine and a cosine.
            Forecasting only.
        season: int > 0, None or "auto", steps after which the series resembles itself: the baselines repeat the last
            season, and so does the model with relative_to="season". "auto", here and below: chosen from the table by
            `keras_lstm_gates.training.settled`, as for a table without a recipe. Forecasting only.
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
        window: int > 0, steps of a training sequence; forecasting: or "auto". Forecasting and language only.
        horizon: int > 0 or "auto", steps to forecast. Forecasting only.
        transform: None, "log" or "auto": the logarithm of the target is what is learned. Forecasting only.
        relative_to: None, "last", "season" or "auto": the target is learned relative to the window's last value, or
            to the same step of the last season. Forecasting only.
        scaling: "training", "window" or "auto": the target is divided by its spread over the training part, or over
            its own window. Forecasting only.
        linear: None, "target", "all" or "auto": a ridge regression on the target's window, or on all columns', is
            fitted first and frozen; the LSTM learns what it leaves. Forecasting only.
        ridge: float >= 0 or "auto", the penalty of `linear`, a window and step. Forecasting only.
        quantiles: of floats in (0, 1), increasing. Empty: the forecast is a point. Forecasting only.
        validation: float in [0, 1), the part of the training data that is set aside for early stopping and selection;
            of a series, the last part in time, or "auto".
        test: float in (0, 1), the last part of a series, which no training reads. Forecasting only.
        until: str or None, the time from which on rows are not read, as text in ISO form or as the table's dates;
            without times their share. Forecasting only.
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
        epoch_size: int > 0, None or "auto", windows of an epoch, drawn anew for each; None: all. Forecasting only.
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

    dataset: str = recipe_keys.key("a name", lambda value: isinstance(value, str) and value != "")
    task: str = recipe_keys.key(f"one of {list(TASKS)}", lambda value: value in TASKS, "classification")
    target: str | tuple[str, ...] | None = recipe_keys.key("a column, or several", recipe_keys.is_target, None)
    features: tuple[str, ...] = recipe_keys.key("names of columns", recipe_keys.are_names, (), tasks=("forecasting",))
    known: tuple[str, ...] = recipe_keys.key("names of columns", recipe_keys.are_names, (), tasks=("forecasting",))
    group: str | None = recipe_keys.key(
        "the name of a column", lambda value: isinstance(value, str), None, tasks=("forecasting",)
    )
    calendar: tuple[str, ...] = recipe_keys.key(
        "of 'day', 'week' and 'year', each once", recipe_keys.are_spans, (), tasks=("forecasting",)
    )
    season: int | str | None = recipe_keys.count(None, tasks=("forecasting",), auto=True)
    longest: int | None = recipe_keys.count(None, tasks=("classification", "labelling"))
    vocabulary: int = recipe_keys.count(20_000)
    dates: str | None = recipe_keys.choice(None, "day-first", "month-first", "year-first")
    decimal: str | None = recipe_keys.choice(None, "point", "comma")
    sentinels: tuple[str, ...] = recipe_keys.key("texts or numbers", recipe_keys.are_names, (), tasks=("forecasting",))
    timezone: str | None = recipe_keys.key(
        "a time zone such as Europe/Berlin", recipe_keys.is_zone, None, tasks=("forecasting",)
    )
    missing: str | None = recipe_keys.choice(None, "interpolate", "forward", "drop")
    step: str | None = recipe_keys.key("a step such as 1h or 15min", recipe_keys.is_step, None, tasks=("forecasting",))
    fill: bool = recipe_keys.flag(tasks=("forecasting",))
    duplicates: str = recipe_keys.choice("error", "mean", "first")
    window: int | str = recipe_keys.count(48, tasks=("forecasting", "language"), auto=True)
    horizon: int | str = recipe_keys.count(24, tasks=("forecasting",), auto=True)
    transform: str | None = recipe_keys.choice(None, "log", AUTO)
    relative_to: str | None = recipe_keys.choice(None, "last", "season", AUTO)
    scaling: str = recipe_keys.choice("training", "window", AUTO)
    linear: str | None = recipe_keys.choice(None, "target", "all", AUTO)
    ridge: float | str = recipe_keys.key(
        "a number >= 0 or auto",
        lambda value: recipe_keys.is_not_negative(value) or value == AUTO,
        0.01,
        tasks=("forecasting",),
    )
    quantiles: tuple[float, ...] = recipe_keys.key(
        "increasing numbers in (0, 1)", recipe_keys.are_increasing_parts, (), tasks=("forecasting",)
    )
    validation: float | str = recipe_keys.part(0.0, auto=True)
    test: float = recipe_keys.key(
        "a number in (0, 1)", lambda x: recipe_keys.is_positive(x) and x < 1, 0.2, tasks=("forecasting",)
    )
    until: str | None = recipe_keys.key("a time", lambda value: isinstance(value, str), None, tasks=("forecasting",))
    units: int = recipe_keys.count(64)
    layers: int = recipe_keys.count(1)
    bidirectional: bool = recipe_keys.flag(tasks=("classification", "labelling"))
    pooling: str = recipe_keys.key(
        "'last' or 'mean'", lambda value: value in ("last", "mean"), "last", tasks=("classification",)
    )
    autoregression: int = recipe_keys.key("an int >= 0", recipe_keys.is_count_or_zero, 0, tasks=("forecasting",))
    embedding: int = recipe_keys.count(64)
    forget_bias: float = recipe_keys.key("a finite number", recipe_keys.is_number, 1.0)
    chrono_t_max: float | None = recipe_keys.key(
        "a number > 2", lambda value: recipe_keys.is_number(value) and value > 2, None
    )
    gate_l1: dict[str, float] = dataclasses.field(
        default_factory=dict,
        metadata=recipe_keys.key(
            "{'i', 'f', 'g', 'o', 'c' or 'h': a number >= 0}", recipe_keys.are_factors_of_gates
        ).metadata,
    )
    noise: float = recipe_keys.key("a number >= 0", recipe_keys.is_not_negative, 0.0)
    dropout: float = recipe_keys.part(0.0)
    recurrent_dropout: float = recipe_keys.part(0.0)
    epochs: int = recipe_keys.count(60)
    patience: int | None = recipe_keys.count(None)
    batch_size: int = recipe_keys.count(32)
    epoch_size: int | str | None = recipe_keys.count(None, tasks=("forecasting",), auto=True)
    learning_rate: float = recipe_keys.key("a number > 0", recipe_keys.is_positive, 3e-3)
    schedule: str = recipe_keys.key(f"one of {list(SCHEDULES)}", lambda value: value in SCHEDULES, "cosine")
    clip_norm: float | None = recipe_keys.key("a number > 0", recipe_keys.is_positive, 1.0)
    weight_decay: float = recipe_keys.key("a number >= 0", recipe_keys.is_not_negative, 0.0)
    seed: int = recipe_keys.key("an int >= 0", recipe_keys.is_count_or_zero, 0)

    def __post_init__(self):
        # A recipe read from JSON holds a list where this class has a tuple.
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if isinstance(self.sentinels, tuple):
            object.__setattr__(self, "sentinels", tuple(map(str, self.sentinels)))
        if self.fill is True and self.step is None:
            raise ValueError("expected a step to fill the gaps at, such as --step 1h; received fill without a step")
        if self.relative_to == "season" and (
            self.season is None or (AUTO not in (self.season, self.window) and self.season > self.window)
        ):
            raise ValueError(
                f"expected a season of at most the window's {self.window} steps with relative_to='season'; received "
                f"season={self.season!r}"
            )
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            optional = type(None) in typing.get_args(_TYPES[name])
            if not ((value is None and optional) or field.metadata["fits"](value)):
                kind = field.metadata["kind"] + (" or None" if optional else "")
                raise ValueError(f"expected {name} of a recipe to be {kind}; received {value!r}")
        for field in dataclasses.fields(self):
            tasks, value = field.metadata["tasks"], getattr(self, field.name)
            if value == AUTO and self.task != "forecasting":
                raise ValueError(
                    f"expected {field.name} of a recipe of the task {self.task} to be a number; received 'auto'"
                )
            if self.task not in tasks and value != field.default:
                raise ValueError(
                    f"expected {field.name} only in a recipe of the task {' or '.join(tasks)}; received "
                    f"{field.name}={value!r} with task={self.task!r}"
                )
        recipe_keys.check_known(self)

    @classmethod
    def from_dict(cls, values: dict[str, typing.Any]) -> typing.Self:
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
    def from_file(cls, path: str | Path) -> typing.Self:
        """The recipe of a JSON file, for example recipe.json of a run folder."""
        try:
            values = json.loads(Path(path).read_text())
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"expected {path} to be a recipe in JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"expected {path} to hold one recipe {{...}}; received a {type(values).__name__}")
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, typing.Any]:
        """Plain data that `from_dict` takes, with the keys that the task uses."""
        values = dataclasses.asdict(self)
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {key: values[key] for key in keys_of(self.task)}

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to forecast, a tuple."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    def of(self, target: str) -> "Recipe":
        """The recipe that forecasts one of the targets, from the same columns."""
        features = tuple(dict.fromkeys([*self.features, *self.targets])) if self.features else ()
        return dataclasses.replace(self, target=target, features=features)

    def replaced(self, settings: dict[str, typing.Any]) -> "Recipe":
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


def keys_of(task: str) -> list[str]:
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
        relative_to="season",
        linear="all",
        ridge=0.03,
        units=16,
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

_OF_A_TABLE: dict[str, typing.Any] = {
    "task": "forecasting",
    **dict.fromkeys(("season", "window", "horizon", "validation", "epoch_size"), AUTO),
    **dict.fromkeys(("transform", "relative_to", "scaling", "linear", "ridge"), AUTO),
    "quantiles": (0.1, 0.5, 0.9),
    "units": 32,
    "dropout": 0.1,
    "epochs": 30,
    "patience": 6,
    "learning_rate": 2e-3,
}


def resolve(name: str, settings: dict[str, typing.Any]) -> Recipe:
    """A built-in recipe, the recipe of a JSON file, or one that forecasts a column of a table, with values replaced.

    Args:
        name: str, of `RECIPES`, the path of a .json file or a table, or "tfds:" and a name that `tfds.load` knows.
        settings: {key: value}, as for `Recipe.replaced`.

    Example:
        >>> resolve("japanese_vowels", {"units": "16"}).units
        16
    """
    if recipe_keys.is_table(name):
        if "target" not in settings:
            raise ValueError(f"expected a target, the column of {name} to forecast; received none")
        return Recipe(**(_OF_A_TABLE | {"dataset": name})).replaced(settings)
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
