"""Several targets of one table: a model of each, trained one after the other, and all of them as one model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_lstm_gates._support import locks
from keras_lstm_gates._support.files import read_json, replaced_when_whole, write_json
from keras_lstm_gates.datasets import forecasting
from keras_lstm_gates.losses import loss_of
from keras_lstm_gates.training import automatic_keys, descriptions, distributed, runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keras_lstm_gates._support.annotations import StrPath
    from keras_lstm_gates.recipes import Recipe
    from keras_lstm_gates.training.runs import Run


OF_EACH = ("times", "table", "step", "season", "gaps", "features", "scaler", "later")


def fit(
    recipe: Recipe, folder: StrPath, *, resume: bool = False, callbacks: Iterable[keras.callbacks.Callback] = ()
) -> Run:
    """Train by a recipe and write the run folder, as `runs.fit`; of several targets a run folder each within it.

    The folder then holds target-1, target-2 ... in the recipe's order, and recipe.json, environment.json, names.json,
    metrics.json (the metrics of each as "test_mae load" ...) and model.keras, all models as one: (batch, window,
    features) to `forecast` (batch, targets, horizon) or (batch, targets, horizon, quantiles).

    Args, returns and raises: as `runs.fit`; a `ValueError` where several processes train several targets.
    """
    if len(recipe.targets) < 2:
        return runs.fit(recipe, folder, resume=resume, callbacks=callbacks)
    if distributed.is_cluster():
        raise ValueError(f"expected one target for a training on several machines; received {list(recipe.targets)}")
    folder, recipe = Path(folder), automatic_keys.settled(recipe)
    for target in recipe.targets:
        # What is wrong with the last one is told before the first is trained.
        forecasting.series(recipe.of(target))
    with locks.alone(folder, folder):
        runs.claim(folder, recipe, resume)
        parts = []
        for target, part in zip(recipe.targets, folders(recipe, folder), strict=True):
            parts.append(runs.fit(recipe.of(target), part, resume=part.exists(), callbacks=callbacks))
        if (folder / "metrics.json").exists():
            return runs.Run(keras.models.load_model(folder / "model.keras"), read_json(folder / "metrics.json"), folder)
        model = joined([part.model for part in parts], recipe)
        own = [read_json(part.folder / "names.json") for part in parts]
        names = {key: own[0][key] for key in OF_EACH if key in own[0]} | {"target": list(recipe.targets)}
        pairs = list(zip(recipe.targets, parts, strict=True))
        metrics = {
            f"{key} {target}": value for target, part in pairs for key, value in part.metrics.items() if "test_" in key
        }
        metrics |= {key: round(sum(part.metrics[key] for part in parts), 2) for key in ("parameters", "seconds")}
        write_json(folder / "names.json", names)
        with replaced_when_whole(folder / "model.keras") as temporary:
            model.save(temporary)
            descriptions.write_within(temporary, descriptions.Description(recipe, names))
        write_json(folder / "metrics.json", metrics)
    return runs.Run(model, metrics, folder)


def folders(recipe: Recipe, folder: StrPath) -> list[Path]:
    """The run folder of each target; the folder itself where there is one."""
    several = len(recipe.targets) > 1
    return [
        Path(folder) / f"target-{number}" if several else Path(folder) for number in range(1, len(recipe.targets) + 1)
    ]


def joined(models, recipe):
    """One model of several that read the same: their forecasts along a new axis behind the batch's.

    Example:
        >>> from keras_lstm_gates.models import Forecaster
        >>> from keras_lstm_gates.recipes import Recipe
        >>> recipe = Recipe(dataset="x.csv", task="forecasting", target=("a", "b"), horizon=3, quantiles=(0.1, 0.9))
        >>> parts = [Forecaster(features=2, horizon=3, units=4, quantiles=(0.1, 0.9)) for _ in recipe.targets]
        >>> joined(parts, recipe).output_shape
        (None, 2, 3, 2)
    """
    sequence = keras.Input(models[0].input_shape[1:], name="sequence")
    parts = [keras.Model(model.input, model.output, name=f"target_{n}") for n, model in enumerate(models, 1)]
    forecast = ops.stack([part(sequence) for part in parts], axis=1)
    model = keras.Model(sequence, keras.layers.Identity(name="forecast")(forecast), name=recipe.task)
    # Its parts are trained: an optimizer without a state of its own keeps the file small.
    model.compile(optimizer="sgd", loss=loss_of(recipe))
    return model
