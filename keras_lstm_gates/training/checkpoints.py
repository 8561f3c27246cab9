"""A training that can be killed at any moment: everything that the next epoch depends on, in one file."""

import json
import time

import keras
import numpy as np

from keras_lstm_gates._support.array_files import read_npz
from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.training.finiteness import finite


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint after each epoch, keeps the best weights, and stops when they no longer improve.

    Args:
        model: compiled `keras.Model`; its weights, optimizer and seeds are restored where `path` exists.
        path: `Path` of the .npz file.
        writes: bool. False only reads: of several workers, one writes.
        patience: int > 0 or None, epochs without a lower val_loss (without validation: loss) after which to stop.

    Attributes:
        epoch: int, the next one.
        history: {name: list}, a value per epoch.
        seconds: float, training time up to the end of the last epoch.
        stopped: bool, whether early stopping has ended the training.

    Raises:
        FloatingPointError: at the end of an epoch that left a non-finite weight.
    """

    def __init__(self, model, path, patience, writes=True):
        super().__init__()
        self._path, self._patience, self._writes = path, patience, writes
        model.optimizer.build(model.trainable_variables)
        # Model.variables holds the states of dropout's and noise's seed generators too.
        self._all = [*model.variables, *model.optimizer.variables]
        self._weights = model.weights
        self.epoch, self.history, self.seconds, self.stopped = 0, {}, 0.0, False
        self._lowest, self._since, self._best = np.inf, 0, None
        if path.exists():
            self._read()
        self._began = time.perf_counter() - self.seconds

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._began
        # The file keeps the last good epoch.
        if not finite(self._all):
            raise FloatingPointError(f"weights that are not finite at step {int(self.model.optimizer.iterations)}")
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1
        monitored = (logs or {}).get("val_loss", (logs or {}).get("loss"))
        if self._patience is not None:
            self._since = 0 if monitored < self._lowest else self._since + 1
            if self._since == 0:
                self._lowest, self._best = float(monitored), [np.array(weight) for weight in self._weights]
            self.stopped = self.model.stop_training = self._since >= self._patience
        if self._writes:
            self._write()

    def take_best(self):
        """Restore the model's best weights, if there is a patience."""
        for weight, value in zip(self._weights, self._best or [], strict=False):
            weight.assign(value)

    def _write(self):
        state = {
            "epoch": self.epoch,
            "history": self.history,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "lowest": self._lowest,
            "since": self._since,
        }
        arrays = {f"v{place}": np.array(variable) for place, variable in enumerate(self._all)}
        arrays |= {f"b{place}": value for place, value in enumerate(self._best or [])}
        with replaced_when_whole(self._path) as temporary, temporary.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)

    def _read(self):
        saved = read_npz(self._path)
        state = json.loads(str(saved["state"]))
        for place, variable in enumerate(self._all):
            variable.assign(saved[f"v{place}"])
        if "b0" in saved:
            self._best = [saved[f"b{place}"] for place in range(len(self._weights))]
        self.epoch, self.history, self.seconds = state["epoch"], state["history"], state["seconds"]
        self.stopped, self._lowest, self._since = state["stopped"], state["lowest"], state["since"]
