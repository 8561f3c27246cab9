"""`GateMonitor`: the statistics of the gates at every epoch of a training."""

import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.gate_statistics import of_layer
from keras_lstm_gates.tracing import Watched, nodes


class GateMonitor(keras.callbacks.Callback):
    """Record what the gates do at every epoch: a line of JSON a layer, and curves in TensorBoard.

    The model is opened once; it shares its weights with the opened one, so that each epoch costs one prediction. To
    stay below `budget`, an epoch is left out where its look would take more than that share of the time since the
    training began.

    Args:
        data: array of sequences to look at, as in `trace`; 32 to 256 are enough.
        folder: str or `Path`. Gets gates.jsonl, and tensorboard/ with one curve a number.
        budget: float in (0, 1], the largest share of the training's time; compiling, before the training, is free.

    Attributes:
        seconds: float, what the looks of the last training took.

    Files:
        gates.jsonl: a line an epoch and layer: epoch, layer, effective_memory, half_life (median over units, steps),
        and for each of i, f, g, o: mean, left_saturated, right_saturated, always_open, always_closed (shares).
        An infinite number of steps is written as null.

    Raises:
        ValueError: what `expose` raises, at the beginning of the training; "expected a budget in (0, 1]; received 2".

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm")])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 5, 3), "float32")
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = model.fit(x, np.zeros((8, 4)), epochs=2, verbose=0, callbacks=[GateMonitor(x, folder, budget=1)])
        >>> first = json.loads((folder / "gates.jsonl").read_text().splitlines()[0])
        >>> first["epoch"], first["layer"], sorted(first["f"])
        (0, 'lstm', ['always_closed', 'always_open', 'left_saturated', 'mean', 'right_saturated'])
    """

    def __init__(self, data, folder, budget=0.05):
        super().__init__()
        if not 0 < budget <= 1:
            raise ValueError(f"expected a budget in (0, 1]; received {budget}")
        self.data, self.folder, self.budget = data, Path(folder), budget
        self._watched = self._writer = self._cost = self._began = None
        self.seconds = 0.0

    def on_train_begin(self, logs=None):
        self._watched = Watched(self.model)
        self._look()  # compiles
        started = time.perf_counter()
        self._look()
        self._cost, self.seconds = time.perf_counter() - started, 0.0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._writer = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        started = time.perf_counter()
        if self.seconds + self._cost > self.budget * (started - self._began):
            return
        with (self.folder / "gates.jsonl").open("a") as lines, self._writer.as_default(step=epoch):
            for layer, numbers in self._look().items():
                lines.write(json.dumps({"epoch": epoch, "layer": layer, **numbers}) + "\n")
                for name, value in _flat(numbers):
                    tf.summary.scalar(f"{layer}/{name}", value)
        self._cost = time.perf_counter() - started
        self.seconds += self._cost

    def on_train_end(self, logs=None):
        self._writer.close()

    def _look(self):
        tree = self._watched.tree(self._watched.run(self.data, None), 0)
        return {path: summary(of_layer(node, quantiles=())) for path, node in nodes(tree).items()}


def summary(numbers):
    """The statistics of one layer in a few plain numbers, as `GateMonitor` writes them; infinite is None."""
    gates = {
        gate: {
            "mean": float(numbers["mean"].sel(gate=gate).mean()),
            **{
                name: float(numbers[name].sel(saturating=gate).mean())
                for name in ("left_saturated", "right_saturated", "always_open", "always_closed")
            },
        }
        for gate in numbers["saturating"].values.tolist()
    }
    memory = {
        "effective_memory": float(numbers["effective_memory"]),
        "half_life": float(numbers["half_life"].median()),
    }
    return {**{name: value if np.isfinite(value) else None for name, value in memory.items()}, **gates}


def _flat(numbers):
    for name, value in numbers.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{inner}", one) for inner, one in value.items())
        elif value is not None:
            yield name, value
