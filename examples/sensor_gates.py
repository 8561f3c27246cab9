"""A sensor model: train it on a wrist's accelerometer and gyroscope, open it, and write the page of its gates.

    python examples/sensor_gates.py [folder]

The data are BasicMotions (40 + 40 recordings of 100 steps, 6 channels; standing, walking, running, badminton), which
the package sktime ships: `pip install keras_lstm_gates[data,report]`. The model is plain Keras with a `Bidirectional`
LSTM. Takes about a minute on two cores.

Source: UEA archive, Clements 2013; Bagnall et al. 2018, The UEA multivariate time series classification archive.
"""

import importlib.metadata
import sys
from pathlib import Path

import keras
import numpy as np

from keras_lstm_gates import plots, report, trace
from keras_lstm_gates._support.files import replaced_when_whole


def main(folder):
    """Write gates.html, memory.png and gates.png into a folder."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = recordings("TRAIN"), recordings("TEST")
    sequence = keras.Input(x.shape[1:], name="wrist")
    scaled = keras.layers.Normalization(mean=x.mean(axis=(0, 1)), variance=x.var(axis=(0, 1)))(sequence)
    both = keras.layers.Bidirectional(keras.layers.LSTM(32), name="both")(scaled)
    dropped = keras.layers.Dropout(0.3)(both)
    model = keras.Model(sequence, keras.layers.Dense(4, "softmax", name="activity")(dropped), name="basic_motions")
    model.compile(keras.optimizers.Adam(3e-3, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=10, epochs=40, verbose=0)
    print(f"test accuracy {model.evaluate(x_test, y_test, verbose=0)[1]:.2f}")

    # One of each activity after the other.
    tree = trace(model, x_test[np.argsort(np.arange(40) % 10, kind="stable")])
    folder = Path(folder)
    report(tree, folder / "gates.html", title="A wrist in motion, through the gates of an LSTM")
    for name, figure in {"memory.png": plots.memory(tree), "gates.png": plots.gates(tree, sample=3)}.items():
        with replaced_when_whole(folder / name) as temporary:
            figure.savefig(temporary, dpi=130)
    print(f"open {folder / 'gates.html'} in a browser")


def recordings(part):
    """BasicMotions as sktime ships it: float32 (recording, time, channel) and the activity's number."""
    place = f"sktime/datasets/data/BasicMotions/BasicMotions_{part}.ts"
    lines = Path(importlib.metadata.distribution("sktime").locate_file(place)).read_text().partition("@data\n")[2]
    rows = [line.split(":") for line in lines.splitlines() if line]
    names = sorted({row[-1] for row in rows})
    channels = [[[float(number) for number in channel.split(",")] for channel in row[:-1]] for row in rows]
    return np.array(channels, "float32").transpose(0, 2, 1), np.array([names.index(row[-1]) for row in rows])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "runs/sensor_gates")
