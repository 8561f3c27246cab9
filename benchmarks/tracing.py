"""What a trace costs: memory and time to a store, time beside `model.predict`, and a `GateMonitor`'s share of training.

    python benchmarks/tracing.py [sequences]

The store is written to a temporary folder and needs 300 KB a sequence.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from keras_lstm_gates import GateMonitor, expose, trace

STEPS, FEATURES, UNITS = 100, 8, 128


def batches(sequences):
    """Batches of 128 sequences, made when they are asked for."""
    rng = np.random.default_rng(0)
    for start in range(0, sequences, 128):
        yield rng.normal(size=(min(128, sequences - start), STEPS, FEATURES)).astype("float32")


def timed(call):
    """Seconds of the fastest of three calls."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main(sequences):
    """Print the figures."""
    sequence = keras.Input((STEPS, FEATURES))
    model = keras.Model(sequence, keras.layers.Dense(1)(keras.layers.LSTM(UNITS, name="lstm")(sequence)))

    # First, because the largest memory is that of the process from its beginning.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        started = time.perf_counter()
        trace(model, batches(sequences), progress=False, to=Path(folder) / "gates.zarr")
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{sequences:,} sequences to a store: {seconds:.0f} s; largest memory of the whole process {peak:.2f} GiB")

    x = np.concatenate(list(batches(1024)))
    opened = expose(model)
    opened.predict(x, batch_size=128, verbose=0)
    predicted = timed(lambda: opened.predict(x, batch_size=128, verbose=0))
    traced = timed(lambda: trace(model, x, batch_size=128, progress=False))
    with tempfile.TemporaryDirectory() as folder:
        streamed = timed(lambda: trace(model, x, 128, False, to=Path(folder) / f"{time.perf_counter_ns()}.zarr"))
    print(f"1,024 sequences: predict of the opened model {predicted:.2f} s")
    print(f"  trace in memory {traced:.2f} s, {traced / predicted:.2f} times; to a store {streamed:.2f} s, ", end="")
    print(f"{streamed / predicted:.2f} times")

    model.compile("adam", "mse")
    data = np.tile(x, (4, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        monitor = GateMonitor(x[:64], folder)
        model.fit(data, np.zeros(len(data)), epochs=2, batch_size=64, verbose=0)
        plain = timed(lambda: model.fit(data, np.zeros(len(data)), epochs=1, batch_size=64, verbose=0))
        model.fit(data, np.zeros(len(data)), epochs=3, batch_size=64, verbose=0, callbacks=[monitor])
        looked = sum(1 for _ in (Path(folder) / "gates.jsonl").open())
    print(
        f"GateMonitor: {monitor.seconds / looked:.3f} s a look, {looked} of 3 epochs; an epoch {plain:.2f} s: ", end=""
    )
    print(f"{monitor.seconds / looked / plain:.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
