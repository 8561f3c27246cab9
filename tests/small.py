"""Small models and data that fit them, quick to export and to trace; a file of arrays; a clock that tests move."""

import json

import keras
import numpy as np

from keras_lstm_gates.models import Forecaster, SequenceClassifier
from keras_lstm_gates.recipes import Recipe


def small_model(seed=1):
    """A classifier of 3 features, 4 units, 2 classes; and data (5, 6, 3) with right-padded ends."""
    keras.utils.set_random_seed(seed)
    model = SequenceClassifier(features=3, classes=2, units=4, mean=0.1, variance=2.0, seed=seed)
    data = np.random.default_rng(seed).normal(size=(5, 6, 3)).astype("float32")
    data[1, 4:] = 0
    data[3, 1:] = 0
    return model, data


def small_forecaster(folder):
    """Write a run folder `run`, as far as forecasts read it, and table.csv, whose column `load` it forecasts."""
    run = folder / "run"
    run.mkdir()
    Forecaster(features=1, horizon=2, units=2).save(run / "model.keras")
    recipe = Recipe(dataset="table.csv", task="forecasting", target="load", window=4, horizon=2, units=2)
    (run / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    (run / "names.json").write_text(json.dumps({"features": ["load"]}))
    (folder / "table.csv").write_text("\n".join(["load", *map(str, range(100))]))


def arrays(path):
    """{name: array} of an .npz file, which is closed."""
    with np.load(path) as saved:
        return dict(saved)


class Clock:
    """In the place of the module `time`: an epoch takes 4 s, and a call of what is slowed 1 s."""

    epochs_within_an_eighth = [1, 3, 5, 7, 8, 10]
    """Of 12 epochs, those by whose end a further call keeps all calls within 1/8 of the time gone by.

    After k calls, at the end of epoch n (from 0): k + 1 <= (4 (n + 1) + k) / 8, so n + 1 >= 2 + 7 k / 4.
    """

    def __init__(self):
        self._now = 0.0
        self.epochs = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: self._pass(4))

    def perf_counter(self):
        return self._now

    def slowed(self, call):
        def slow(*args, **kwargs):
            self._pass(1)
            return call(*args, **kwargs)

        return slow

    def _pass(self, seconds):
        self._now += seconds
