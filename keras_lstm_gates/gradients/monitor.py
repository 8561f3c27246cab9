"""`GradientMonitor`: how far back the gradient reaches, each epoch of a training."""

import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.gradients.chain import lag_gains
from keras_lstm_gates.gradients.recording import watch
from keras_lstm_gates.gradients.verdicts import judged


class GradientMonitor(keras.callbacks.Callback):
    """Measures, before the first and after each epoch, the gradient over the lag on the same few sequences.

    So one sees the network learn when to let the gradient vanish and when to keep it. Where a measurement would take
    more than `budget` of the time since the training began, the epoch is left out.

    Args:
        x: the model's input for a few sequences, as for `lag_gains`; 4 to 16 are enough.
        folder: str or `Path`; gradients.json is written there, whole, after each epoch, and the TensorBoard scalars
            below folder/gradients.
        tensorboard: bool. False: no TensorBoard files.
        probes: int > 0, random vectors of the estimate.
        budget: float in (0, 1], the largest share of the training's time, or None to measure each epoch, whatever it
            takes; the measurement before the training is free.

    Attributes:
        history: list of dicts, one a measurement: "epoch" (0 = before training), and "layers", by name a dict of
            "gain" (by lag, relative to lag 0, the median over the sequences), "vanishes_at" and "explodes_at"
            (see `Verdict`).
        seconds: float, what the measurements after the epochs of the last training took.

    Raises:
        ValueError: what `lag_gains` raises, at the beginning of the training; "expected a budget in (0, 1]
            or None; received 2".

    Cost: one pass over x, and time × probes vectors back through the recurrent kernel, a measurement.

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((12, 1)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> x = np.zeros((8, 12, 1), "float32")
        >>> monitor = GradientMonitor(x[:4], tempfile.mkdtemp(), tensorboard=False, budget=None)
        >>> _ = model.fit(x, np.zeros(8), epochs=2, verbose=0, callbacks=[monitor])
        >>> [point["epoch"] for point in monitor.history], len(monitor.history[0]["layers"]["lstm"]["gain"])
        ([0, 1, 2], 13)
    """

    def __init__(self, x, folder, tensorboard=True, probes=16, budget=0.05):
        super().__init__()
        if budget is not None and not 0 < budget <= 1:
            raise ValueError(f"expected a budget in (0, 1] or None; received {budget}")
        self.x = x
        self.folder = Path(folder)
        self.probes = probes
        self.budget = budget
        self.history = []
        self.seconds = 0.0
        self._watched = self._cost = self._began = None
        self._tensorboard, self._writer = tensorboard, None

    def on_train_begin(self, logs=None):
        """Measure the untrained model."""
        self._watched = watch(self.model)
        if self._tensorboard:
            self._writer = tf.summary.create_file_writer(str(self.folder / "gradients"))
        lag_gains(self.model, self.x, self.probes, watched=self._watched)  # compiles
        self._measure(0)
        self.seconds, self._began = 0.0, time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Measure after an epoch, where the budget allows it."""
        spent, elapsed = self.seconds + self._cost, time.perf_counter() - self._began
        if self.budget is None or spent <= self.budget * elapsed:
            self._measure(epoch + 1)

    def on_train_end(self, logs=None):
        """Close the TensorBoard file."""
        if self._writer is not None:
            self._writer.close()

    def _measure(self, epoch):
        started = time.perf_counter()
        layers = {}
        for name, gain in lag_gains(self.model, self.x, self.probes, watched=self._watched).items():
            verdict = judged(self.model.name, name, gain)
            layers[name] = {
                "gain": [float(f"{value:.6g}") for value in gain],
                "vanishes_at": verdict.vanishes_at,
                "explodes_at": verdict.explodes_at,
            }
        self.history.append({"epoch": epoch, "layers": layers})
        with replaced_when_whole(self.folder / "gradients.json") as temporary:
            temporary.write_text(json.dumps(self.history) + "\n")
        if self._writer is not None:
            # One record for all curves: `tf.summary.scalar` would run an operation for each.
            record = tf.compat.v1.Summary()
            for name, found in layers.items():
                for tag, value in _curves(np.array(found["gain"]), found["vanishes_at"]):
                    record.value.add(tag=f"{name}/{tag}", simple_value=value)
            with self._writer.as_default():
                tf.summary.experimental.write_raw_pb(record.SerializeToString(), step=epoch)
            self._writer.flush()
        self._cost = time.perf_counter() - started
        self.seconds += self._cost


def _curves(gain, vanishes_at):
    """What TensorBoard shows of a layer: (tag, number)."""
    lags = len(gain) - 1
    for lag in sorted({1, *(10**power for power in range(1, 5)), lags}):
        if lag <= lags:
            yield f"log10 gain at lag {lag}", np.log10(max(gain[lag], 1e-300))
    yield "lags above 1e-3", lags if vanishes_at is None else vanishes_at
