"""What a trace costs: memory and time to a store, and time beside `model.predict` with the same outputs.

    python benchmarks/tracing.py [sequences]

The store is written to a temporary folder and needs 300 KB a sequence.
"""

import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import keras
import numpy as np

from keras_lstm_gates import expose, trace
from keras_lstm_gates.gates import Gates
from keras_lstm_gates.tracing.store import BLOCK

STEPS, FEATURES, UNITS = 100, 8, 128


def batches(sequences):
    """Batches of 128 sequences, made when they are asked for."""
    rng = np.random.default_rng(0)
    for start in range(0, sequences, 128):
        yield rng.normal(size=(min(128, sequences - start), STEPS, FEATURES)).astype("float32")


def timed(call):
    """Seconds of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def write(folder, sequences):
    """As many bytes as a trace's gates, in files of a chunk's size: what the file system alone takes."""
    block = np.zeros((BLOCK, STEPS, UNITS), "float32")
    for place in range(len(Gates._fields) * sequences // BLOCK):
        block.tofile(folder / str(place))


def main(sequences):
    """Print the figures."""
    sequence = keras.Input((STEPS, FEATURES))
    model = keras.Model(sequence, keras.layers.Dense(1)(keras.layers.LSTM(UNITS, name="lstm")(sequence)))

    # First, because the largest memory is that of the process from its beginning.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        started = time.perf_counter()
        trace(model, batches(sequences), progress=False, to=Path(folder) / "gates.zarr")
        seconds = time.perf_counter() - started
    # KiB on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{sequences:,} sequences to a store: {seconds:.0f} s; largest memory of the whole process {peak:.2f} GiB")

    x = np.concatenate(list(batches(2048)))
    opened = expose(model)
    for batch_size in (32, 128):
        compare(model, opened, x, batch_size)


def compare(model, opened, x, batch_size):
    """Print the seconds of `predict` and of both kinds of trace."""
    opened.predict(x[: 2 * batch_size], batch_size=batch_size, verbose=0)
    seconds = {"predict": [], "trace in memory": [], "trace to a store": [], "the store's bytes in plain files": []}
    for place in range(8):
        # In turns, so that what else the machine does meets all three. A trace opens and compiles the model each time.
        seconds["predict"].append(timed(lambda: opened.predict(x, batch_size=batch_size, verbose=0)))
        seconds["trace in memory"].append(timed(lambda: trace(model, x, batch_size, False)))
        with tempfile.TemporaryDirectory(dir=".") as folder:
            store = partial(trace, model, x, batch_size, False, to=Path(folder) / "gates.zarr")
            files = partial(write, Path(folder), len(x))
            turn = [("trace to a store", store), ("the store's bytes in plain files", files)]
            # In either order: new files cost less where memory has just become free.
            for name, call in turn if place % 2 else reversed(turn):
                seconds[name].append(timed(call))
    control = np.median(seconds.pop("predict"))
    print(f"{len(x):,} sequences in batches of {batch_size}, medians of 8: predict of the opened model {control:.2f} s")
    for name, values in seconds.items():
        print(f"  {name} {np.median(values):.2f} s, {np.median(values) / control:.2f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
