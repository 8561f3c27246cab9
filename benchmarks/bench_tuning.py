"""Wall time of one search with one and with two workers, one core a worker: the same trials, equal in length.

    python benchmarks/bench_tuning.py [--trials 12] [--out benchmarks/bench_tuning.json]

Process starts are in it, as a user pays them. Run it on a machine with two or more free cores.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import keras
import keras_tuner
import numpy as np

from keras_lstm_gates import GatedLSTM, tuning

LENGTH, FEATURES, UNITS, EXAMPLES = 60, 8, 64, 512


class EqualTrials(keras_tuner.HyperModel):
    """The learning rate alone is searched: every trial is the same work."""

    def build(self, hp):
        name = os.environ.get("KERASTUNER_TUNER_ID", "chief")
        if name != "chief" and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {int(name.removeprefix("tuner"))})
        inputs = keras.Input((LENGTH, FEATURES))
        model = keras.Model(inputs, keras.layers.Dense(1)(GatedLSTM(UNITS)(inputs)))
        model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")), "mse")
        return model


def seconds(workers, trials, fit):
    """Wall seconds of a search, and the trials' values."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        found = tuning.search(
            EqualTrials(), Path(folder) / "search", trials=trials, workers=workers, threads=1, fit=fit
        )
        return time.perf_counter() - started, [trial["values"] for trial in found.trials]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, LENGTH, FEATURES)).astype("float32")
    y = x.mean(axis=(1, 2))[:, None]
    fit = {"x": x, "y": y, "epochs": given.epochs, "batch_size": 32, "validation_split": 0.1}
    one, values_of_one = seconds(1, given.trials, fit)
    two, values_of_two = seconds(2, given.trials, fit)
    if values_of_one != values_of_two:
        raise RuntimeError("expected the same trials of one worker and of two")
    result = {"trials": given.trials, "one_worker_s": round(one, 1), "two_workers_s": round(two, 1)}
    result |= {"ratio": round(two / one, 3), "allowed": 0.65}
    print(json.dumps(result, indent=2))
    if given.out is not None:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
