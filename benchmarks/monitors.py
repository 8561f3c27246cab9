"""What the callbacks cost: `GateMonitor` and `GradientMonitor` beside the same training without them.

    python benchmarks/monitors.py

A monitor's own clock says what its looks took; the whole epochs beside those without it, in turns, say whether that is
all of it.
"""

import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from keras_lstm_gates import GateMonitor, GradientMonitor

STEPS, FEATURES, UNITS, SEQUENCES, EPOCHS = 100, 8, 128, 2048, 3


class EpochTimes(keras.callbacks.Callback):
    """Seconds of each epoch, with what the callbacks before this one do at its end."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._began)


def main():
    """Print the figures."""
    sequence = keras.Input((STEPS, FEATURES))
    model = keras.Model(sequence, keras.layers.Dense(1)(keras.layers.LSTM(UNITS, name="lstm")(sequence)))
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(SEQUENCES, STEPS, FEATURES)).astype("float32")

    def epochs(*monitors):
        times = EpochTimes()
        model.fit(
            x, np.zeros(len(x)), batch_size=64, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[*monitors, times]
        )
        return times.seconds

    with tempfile.TemporaryDirectory() as folder:
        monitors = {
            "GateMonitor, 64 sequences": GateMonitor(x[:64], folder),
            "GradientMonitor, 4 sequences": GradientMonitor(x[:4], folder),
        }
        epochs()
        alone, looks, beside = [], {name: [] for name in monitors}, {name: [] for name in monitors}
        for _ in range(2):
            alone += epochs()
            for name, monitor in monitors.items():
                beside[name] += epochs(monitor)
                looks[name].append(monitor.seconds / EPOCHS)
        measured = len(monitors["GradientMonitor, 4 sequences"].history) - 2
        records = len((Path(folder) / "gates.jsonl").read_text().splitlines())
    control = np.median(alone)
    print(
        f"an epoch of {SEQUENCES:,} sequences of {STEPS} steps, {UNITS} units: {control:.2f} s (median of {len(alone)})"
    )
    for name in monitors:
        share, whole = np.median(looks[name]) / control, np.median(beside[name]) / control
        print(f"{name}: {share:.1%} of an epoch by its own clock; an epoch with it takes {whole:.3f} times as long")
    print(f"GateMonitor recorded {records} and GradientMonitor {measured} of {2 * EPOCHS} epochs")


if __name__ == "__main__":
    main()
