"""How long the estimated gradient chain of a large LSTM takes: 8 samples, 256 steps, 128 features, 512 units.

    python benchmarks/bench_gradients.py

The control is one float32 product (2048 × 512) (512 × 512): all samples and steps through one gate's recurrent kernel.
"""

import resource
import statistics
import time

import keras
import numpy as np

from keras_lstm_gates.gradients import gradient_chain

SAMPLES, TIME, FEATURES, UNITS = 8, 256, 128, 512


def control():
    """Milliseconds of one product, the median of 21."""
    left = np.ones((SAMPLES * TIME, UNITS), np.float32)
    right = np.ones((UNITS, UNITS), np.float32)
    times = []
    for _ in range(21):
        began = time.perf_counter()
        left @ right
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def main():
    """Measure three times, the control before and after each."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((TIME, FEATURES))
    model = keras.Model(inputs, keras.layers.LSTM(UNITS, name="lstm")(inputs))
    x = np.random.default_rng(0).standard_normal((SAMPLES, TIME, FEATURES)).astype("float32")
    for _ in range(3):
        before, began = control(), time.perf_counter()
        gradient_chain(model, x, layer="lstm")
        seconds, after = time.perf_counter() - began, control()
        products = 1e3 * seconds / statistics.mean([before, after])
        print(f"{seconds:.1f} s; control {before:.1f} ms before, {after:.1f} ms after: {products:,.0f} controls")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
