"""`GatedLSTMHyperModel`: recipes as an ordinary KerasTuner hypermodel."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np

from keras_lstm_gates import datasets, training
from keras_lstm_gates.recipes import Recipe
from keras_lstm_gates.tuning import spaces

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


VALIDATION = 0.2


class GatedLSTMHyperModel(keras_tuner.HyperModel):
    """The models of a recipe and a search space around it, trained as the recipe says.

    It never reads the test data. Where the recipe sets no validation part, a fifth of the training data is used.
    The metrics of a trial are those of the epoch whose weights `training.fit` would keep: with `patience` the best by
    validation loss, otherwise the last.

    Args:
        recipe: `Recipe`.
        space: {recipe's key, or "gate_l1.<gate>": {"low", "high", "scale": "linear" or "log"}, a list of choices, or
            one value}, that replaces `spaces.SPACE` key by key: a value fixes a key, a range narrows or widens it.
        only: bool. True: `space` is the whole space; what it leaves out is as in the recipe.

    Raises:
        ValueError: "expected a range low < high for units; received 256:16", or a value that the recipe refuses.

    Example, in a tuner script of your own:
        >>> import keras_tuner
        >>> from keras_lstm_gates.recipes import Recipe
        >>> model = GatedLSTMHyperModel(Recipe(dataset="japanese_vowels"), {"units": [8, 16], "layers": 1})
        >>> hp = keras_tuner.HyperParameters()
        >>> model.recipe_of(hp).units, hp.get("learning_rate")
        (8, 0.0003)
    """

    def __init__(self, recipe: Recipe, space: dict[str, Any] | None = None, only: bool = False) -> None:
        super().__init__()
        if recipe.task == "forecasting" and len(recipe.targets) > 1:
            raise ValueError(f"expected one target to search for; received {list(recipe.targets)}: search for each")
        self.recipe = recipe
        self.space = spaces.checked(recipe, ({} if only else spaces.default_space(recipe)) | (space or {}))
        # What must not change when a search resumes; KerasTuner does not know the fixed values, such as `epochs`.
        self.description = self.recipe_with({}).to_dict()

    def recipe_of(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """The recipe of `keras_tuner.HyperParameters`; missing ones are registered with their first value."""
        values = {key: _register(hp, key, domain) for key, domain in self.space.items()}
        return self.recipe_with({key: values[key] for key in values if isinstance(self.space[key], dict | list)})

    def recipe_with(self, values: Mapping[str, Any]) -> Recipe:
        """The recipe of a trial's values, as in `Search.trials`; KerasTuner's own values are left out."""
        searched = {key: value for key, value in values.items() if not key.startswith("tuner/")}
        fixed = {key: value for key, value in self.space.items() if not isinstance(value, dict | list)}
        return spaces.with_values(
            self.recipe, fixed | {key: _decoded(self.space[key], searched[key]) for key in searched}
        )

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        recipe = self._searched(hp)
        return training.build(recipe, _data(recipe))

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *,
        epochs: int | None = None,
        initial_epoch: int = 0,
        callbacks: Iterable[keras.callbacks.Callback] = (),
        verbose: int | str = 0,
        **arguments: Any,
    ) -> dict[str, float]:
        recipe = self._searched(hp)
        data = _data(recipe)
        callbacks = list(callbacks)
        if recipe.patience is not None:
            callbacks.append(keras.callbacks.EarlyStopping(monitor="val_loss", patience=recipe.patience))
        history = training.fit_epochs(
            model,
            data,
            initial_epoch=initial_epoch,
            epochs=epochs or recipe.epochs,
            callbacks=callbacks,
            verbose=verbose,
            **arguments,
        ).history
        best_epoch = -1 if recipe.patience is None else int(np.argmin(history["val_loss"]))
        return {name: values[best_epoch] for name, values in history.items()}

    def sample(self) -> np.ndarray:
        """A sequence (1, time, features) of the training data, for the figures of a TFLite file."""
        recipe = dataclasses.replace(self.recipe, validation=self.recipe.validation or VALIDATION)
        inputs = next(iter(_data(recipe).train))[0]
        return np.asarray(inputs[:1])

    def _searched(self, hp):
        recipe = self.recipe_of(hp)
        return dataclasses.replace(recipe, validation=recipe.validation or VALIDATION)


# Keys that the data do not depend on: trials that differ only in these share the data.
_NO_DATA_KEYS = (
    "units layers bidirectional embedding forget_bias chrono_t_max gate_l1 noise dropout recurrent_dropout epochs "
    "patience learning_rate schedule clip_norm weight_decay pooling autoregression quantiles"
).split()


def _data(recipe):
    return _loaded(json.dumps({key: value for key, value in recipe.to_dict().items() if key not in _NO_DATA_KEYS}))


@functools.lru_cache(maxsize=4)
def _loaded(recipe):
    return datasets.load(Recipe.from_dict(json.loads(recipe)), test=False)


def _register(hp, key, values):
    """The value of a hyperparameter, in KerasTuner's terms."""
    if isinstance(values, list):
        return hp.Choice(key, values if _of_one_kind(values) else [json.dumps(value) for value in values])
    if isinstance(values, dict):
        kind = hp.Int if isinstance(values["low"], int) and isinstance(values["high"], int) else hp.Float
        return kind(key, values["low"], values["high"], sampling=values["scale"])
    return values


def _decoded(values, value):
    """A value decoded from KerasTuner, which has no choice between bools or between types."""
    return json.loads(value) if isinstance(values, list) and not _of_one_kind(values) else value


def _of_one_kind(values):
    # KerasTuner returns a chosen bool as an int.
    return len({type(value) for value in values}) == 1 and type(values[0]) in (int, float, str)
