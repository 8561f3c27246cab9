"""Train a model by a recipe, into a run folder that holds all that is needed to make it again."""

import dataclasses
import importlib.metadata
import json
import platform
import time
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lstm_gates import datasets, models
from keras_lstm_gates.files import replaced_when_whole


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that decides a trained classifier.

    Attributes:
        dataset: str, a name `tfds.load` knows, with supervised keys (sequence, class).
        units: int > 0, of the LSTM.
        noise: float >= 0, standard deviation of the noise added to the normalized input while training.
        dropout: float in [0, 1), on the last hidden state.
        epochs: int > 0.
        batch_size: int > 0.
        learning_rate: float > 0, at the start; it falls to 0 along a half cosine.
        clip_norm: float > 0, the largest norm of a weight's gradient.
        seed: int >= 0, of the initial weights, the order of the examples, noise and dropout.
    """

    dataset: str
    units: int = 64
    noise: float = 0.0
    dropout: float = 0.0
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 3e-3
    clip_norm: float = 1.0
    seed: int = 0

    @classmethod
    def from_dict(cls, values):
        """The recipe of a dict of plain data; an unknown key is refused.

        Example:
            >>> Recipe.from_dict({"dataset": "japanese_vowels", "unit": 32})
            Traceback (most recent call last):
            ValueError: expected keys of ['batch_size', ..., 'units']; received 'unit'
        """
        known = sorted(field.name for field in dataclasses.fields(cls))
        for key in values:
            if key not in known:
                raise ValueError(f"expected keys of {known}; received {key!r}")
        return cls(**values)


JAPANESE_VOWELS = Recipe(dataset="japanese_vowels", noise=0.3, epochs=60)
"""Noise was chosen by 5-fold cross-validation on the training utterances alone."""


class Run(NamedTuple):
    """What `fit` made."""

    model: Any
    metrics: dict
    folder: Path


def fit(recipe, folder, callbacks=()):
    """Train by a recipe and write the run folder.

    Args:
        recipe: `Recipe`.
        folder: str or `Path` of a folder that does not exist yet, or is empty.
        callbacks: of Keras, besides those of the recipe.

    Returns:
        `Run(model, metrics, folder)`; metrics hold `test_accuracy`, `test_loss`, `parameters` and `seconds` (of the
        training). The folder holds recipe.json, environment.json, history.json, metrics.json and model.keras.

    Raises:
        FileExistsError: the folder holds something.
        FloatingPointError: the loss became NaN or infinite.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"expected a new or empty run folder; {folder} holds {len(list(folder.iterdir()))} entries"
        )
    write_json(folder / "recipe.json", dataclasses.asdict(recipe))
    write_json(folder / "environment.json", environment())
    keras.utils.set_random_seed(recipe.seed)
    train, info = datasets.batches(recipe.dataset, "train", recipe.batch_size, shuffle_seed=recipe.seed)
    test, _ = datasets.batches(recipe.dataset, "test", 128)
    model = _classifier(recipe, train, info)
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * len(train))
    model.compile(
        optimizer=keras.optimizers.Adam(schedule, clipnorm=recipe.clip_norm),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    started = time.perf_counter()
    history = model.fit(train, epochs=recipe.epochs, verbose=0, shuffle=False, callbacks=[_StopAtNaN(), *callbacks])
    seconds = time.perf_counter() - started
    evaluated = model.evaluate(test, verbose=0, return_dict=True)
    metrics = {
        "test_accuracy": evaluated["accuracy"],
        "test_loss": evaluated["loss"],
        "parameters": model.count_params(),
        "seconds": round(seconds, 2),
    }
    write_json(folder / "history.json", history.history)
    write_json(folder / "metrics.json", metrics)
    with replaced_when_whole(folder / "model.keras") as temporary:
        model.save(temporary)
    return Run(model, metrics, folder)


def environment():
    """The versions and the machine that a run was made with."""
    packages = ("keras_lstm_gates", "keras", "tensorflow", "tensorflow-datasets", "numpy")
    return {
        **{package: importlib.metadata.version(package) for package in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
    }


def write_json(path, content):
    """Write plain data as an indented JSON file, whole or not at all."""
    with replaced_when_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def _classifier(recipe, train, info):
    sequence, target = (info.features[key] for key in info.supervised_keys)
    frames = np.concatenate([x[np.any(x != 0, axis=-1)] for x, _ in train.as_numpy_iterator()])
    return models.SequenceClassifier(
        features=sequence.shape[-1],
        classes=target.num_classes,
        units=recipe.units,
        mean=frames.mean(axis=0),
        variance=frames.var(axis=0),
        noise=recipe.noise,
        dropout=recipe.dropout,
        seed=recipe.seed,
        name=recipe.dataset,
    )


class _StopAtNaN(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} at step {int(self.model.optimizer.iterations)}; try a smaller learning_rate"
            )
