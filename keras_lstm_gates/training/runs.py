"""Train a model by a recipe, into a run folder that holds all that is needed to reproduce it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates import datasets, models
from keras_lstm_gates._support import locks
from keras_lstm_gates._support.files import clean, replaced_when_whole, write_json
from keras_lstm_gates._support.notebooks import table
from keras_lstm_gates._support.versions import versions
from keras_lstm_gates.losses import loss_of
from keras_lstm_gates.recipes import Recipe
from keras_lstm_gates.training import descriptions, distributed, residual_fit, summary
from keras_lstm_gates.training.automatic_keys import settled
from keras_lstm_gates.training.checkpoints import Checkpoints
from keras_lstm_gates.training.finiteness import first_not_finite
from keras_lstm_gates.training.metrics import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_lstm_gates.datasets.data import Data


_MODELS: dict[str, Any] = {
    "classification": (models.SequenceClassifier, ("noise", "pooling", "bidirectional", "embedding")),
    "labelling": (models.SequenceLabeller, ("noise", "bidirectional", "embedding")),
    "forecasting": (models.Forecaster, ("noise", "quantiles", "autoregression")),
    "language": (models.CharacterLanguageModel, ("embedding",)),
}
_MEMORY = ("units", "layers", "forget_bias", "chrono_t_max", "gate_l1", "dropout", "recurrent_dropout", "seed")


class Run(NamedTuple):
    """The result of `fit`."""

    model: Any
    metrics: dict
    folder: Path

    def _repr_html_(self):
        return table(f"Run in {self.folder}", ("metric", "value"), self.metrics.items())


def build(recipe: Recipe, data: Data) -> keras.Model:
    """The untrained model of a recipe, compiled.

    Args:
        recipe: `Recipe` that leaves nothing open (`settled`).
        data: `keras_lstm_gates.datasets.Data`, for the arguments that the training part determines.

    Returns:
        `keras.Model` with loss, metrics and optimizer.

    Example:
        >>> from keras_lstm_gates.recipes import Recipe
        >>> recipe = Recipe(dataset="japanese_vowels", units=8)
        >>> build(recipe, datasets.load(recipe, test=False)).output_shape
        (None, 9)
    """
    make, own = _MODELS[recipe.task]
    options = {name: getattr(recipe, name) for name in _MEMORY}
    if residual_fit.is_residual(recipe):
        model = residual_fit.prepared(recipe, data, options)
    else:
        model = make(**data.arguments, **options, **{name: getattr(recipe, name) for name in own}, name=recipe.task)
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        steps = len(data.train) if recipe.epoch_size is None else len(data.train_at(0))
        rate = keras.optimizers.schedules.CosineDecay(rate, recipe.epochs * steps)
    options = {"learning_rate": rate, "global_clipnorm": recipe.clip_norm}
    decay = recipe.weight_decay
    optimizer = keras.optimizers.AdamW(weight_decay=decay, **options) if decay else keras.optimizers.Adam(**options)
    metrics = [] if recipe.task == "forecasting" else ["accuracy"]
    kind = "weighted_metrics" if recipe.task == "labelling" else "metrics"
    model.compile(optimizer=optimizer, loss=loss_of(recipe), **{kind: metrics})
    return model


def fit(recipe, folder, *, resume=False, callbacks=()):
    """Train by a recipe and write the run folder.

    On several machines, or in several processes of one, call it in each with the environment variable TF_CONFIG of
    TensorFlow, before anything else that uses TensorFlow, and with a folder that all of them share:

        TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'

    with index 1 on the second, and so on. TensorFlow's server there asks nobody who they are: use a network of these
    machines alone. Each worker trains on its part of every batch of `batch_size`; without noise
    and dropout the weights are those of one process, up to rounding. Worker 0 writes the folder. When a worker dies the
    others stop with an error: start all of them again with `resume`.

    Args:
        recipe: `Recipe`; the folder holds it with a value wherever it says "auto" (`settled`).
        folder: str or `Path` of a folder that does not exist yet, or is empty.
        resume: bool. True resumes an interrupted run of the same recipe from its last whole epoch and ends with the
            weights of an uninterrupted run; a finished run is read.
        callbacks: of Keras, besides those of the recipe.

    Returns:
        `Run(model, metrics, folder)`; metrics hold those of `evaluate` on the test part as `test_<name>`, `parameters`
        and `seconds` (of the training). The folder holds recipe.json, environment.json, names.json (what the
        numbers mean: `Data.names`), history.json, metrics.json, model.keras (which holds recipe and names too),
        gate_statistics.json (of up to 64 validation sequences, or test sequences where there are none),
        gate_saturation.png, learning_curves.png and, until these are written, checkpoint.npz.

    Raises:
        FileExistsError: the folder is not empty, and `resume` is False.
        BlockingIOError: "expected no other process to write runs/a; one has been writing it for 5 s".
        ValueError: the folder to resume holds a run of another recipe; the message names the difference.
        FloatingPointError: "the loss became nan at step 7: the output of the layer 'lstm' is not finite; try ...". The
            last good checkpoint stays.
    """
    folder = Path(folder)
    strategy = distributed.strategy()
    recipe = settled(recipe)
    writes = strategy is None or distributed.is_chief()
    with locks.alone(folder, folder) if writes else contextlib.nullcontext():
        if writes:
            claim(folder, recipe, resume)
        return _fit(recipe, folder, strategy, writes, callbacks)


def _fit(recipe, folder, strategy, writes, callbacks):
    if (folder / "metrics.json").exists():
        if writes:
            (folder / "checkpoint.npz").unlink(missing_ok=True)
        metrics = json.loads((folder / "metrics.json").read_text())
        return Run(keras.models.load_model(folder / "model.keras"), metrics, folder)
    keras.utils.set_random_seed(recipe.seed)
    data = datasets.load(recipe)
    model = build(recipe, data)
    checkpoints = Checkpoints(model, folder / "checkpoint.npz", recipe.patience, writes)
    if not checkpoints.stopped:
        loop = fit_epochs if strategy is None else functools.partial(distributed.fit, strategy=strategy)
        try:
            loop(
                model,
                data=data,
                initial_epoch=checkpoints.epoch,
                epochs=recipe.epochs,
                callbacks=[_StopAtNaN(), checkpoints, *callbacks],
            )
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error}: {_where(recipe, data, folder)}; try a smaller learning_rate or clip_norm"
            ) from None
    checkpoints.take_best()
    names = data.names
    if residual_fit.is_residual(recipe) and data.validation is not None:
        names = {**names, "finish": residual_fit.finish(model, recipe, data)}
    metrics = {
        **{f"test_{name}": value for name, value in evaluate(model, recipe, data.test).items()},
        "parameters": model.count_params(),
        "seconds": round(checkpoints.seconds, 2),
    }
    if writes:
        write_json(folder / "history.json", checkpoints.history)
        write_json(folder / "names.json", names)
        with replaced_when_whole(folder / "model.keras") as temporary:
            model.save(temporary)
            descriptions.write_within(temporary, descriptions.Description(recipe, names))
        summary.write(folder, model, checkpoints.history, data.test if data.validation is None else data.validation)
        write_json(folder / "metrics.json", metrics)
        (folder / "checkpoint.npz").unlink(missing_ok=True)
    return Run(model, metrics, folder)


def fit_epochs(
    model: keras.Model,
    data: Data,
    *,
    initial_epoch: int,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    **arguments: Any,
) -> keras.callbacks.History:
    """`keras.Model.fit` over `Data`, the order of an epoch determined by its number, also in a resumed run.

    Returns:
        `keras.callbacks.History`.
    """
    batches = tf.data.Dataset.from_generator(
        lambda: itertools.chain.from_iterable(data.train_at(epoch) for epoch in itertools.count(initial_epoch)),
        output_signature=data.train.element_spec,
    )
    return model.fit(
        batches,
        steps_per_epoch=len(data.train_at(initial_epoch)),
        initial_epoch=initial_epoch,
        epochs=epochs,
        validation_data=data.validation,
        shuffle=False,
        callbacks=callbacks,
        **{"verbose": 0, **arguments},
    )


def environment() -> dict[str, str]:
    """The versions and the machine that a run was made with."""
    packages = ("keras_lstm_gates", "keras", "tensorflow", "tensorflow-datasets", "numpy")
    return {
        **versions(*packages),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
    }


def claim(folder, recipe, resume):
    """Claim the folder for this recipe, or check that it is this recipe's."""
    if resume:
        clean(folder)
    existing = {path.name for path in folder.iterdir()} - {locks.LOCK}
    if existing and not (resume and "recipe.json" in existing):
        raise FileExistsError(f"expected a new or empty run folder; {folder} holds {len(existing)} entries")
    if not existing:
        write_json(folder / "recipe.json", recipe.to_dict())
    # A recipe of an earlier version lacks the keys that came since.
    saved, new = Recipe.from_file(folder / "recipe.json").to_dict(), recipe.to_dict()
    for key in sorted({*saved, *new}):
        if saved.get(key) != new.get(key):
            raise ValueError(
                f"expected the recipe of {folder} to resume it, {key} {saved.get(key)!r}; received {new.get(key)!r}"
            )
    if "environment.json" not in existing:
        write_json(folder / "environment.json", environment())


def _where(recipe, data, folder):
    """Where a number became non-finite, from repeating the steps since the last whole epoch."""
    keras.utils.set_random_seed(recipe.seed)
    model = build(recipe, data)
    epoch = Checkpoints(model, folder / "checkpoint.npz", recipe.patience).epoch
    return first_not_finite(model, data.train_at(epoch)) or "not reproduced when these steps were repeated"


class _StopAtNaN(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss} at step {int(self.model.optimizer.iterations)}")
