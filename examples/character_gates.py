"""A character model over text: train it on Python's own source, open it, and write the page of its gates.

    python examples/character_gates.py [folder]

The text is the standard library of the Python that runs this. The model is plain Keras: an embedding, one
`keras.layers.LSTM`, a softmax over the next character. Its units are then compared with what a reader keeps in mind:
whether a string is open, whether a comment is, how deep the brackets are. Takes about two minutes on two cores.
"""

import argparse
import io
import json.decoder
import json.encoder
import sys
import textwrap
import tokenize
from pathlib import Path

import keras
import numpy as np

from keras_lstm_gates import plots, report, statistics, trace
from keras_lstm_gates._support.files import replaced_when_whole

STEPS, UNITS, EPOCHS = 120, 128, 8


def main(folder):
    """Write gates.html, unit.png and saturation.png into a folder."""
    keras.utils.set_random_seed(0)
    sources = [Path(module.__file__).read_text() for module in (argparse, textwrap, tokenize, json.encoder)]
    text = "".join(sources)
    vocabulary = sorted(set(text + Path(json.decoder.__file__).read_text()))
    ids = np.array([vocabulary.index(letter) for letter in text])
    windows = np.lib.stride_tricks.sliding_window_view(ids, STEPS + 1)[:: STEPS // 2]
    sequence = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(len(vocabulary), 32)(sequence)
    x = keras.layers.LSTM(UNITS, return_sequences=True, name="lstm")(x)
    model = keras.Model(sequence, keras.layers.Dense(len(vocabulary), "softmax", name="next")(x), name="reads_python")
    model.compile(keras.optimizers.Adam(5e-3, clipnorm=1.0), "sparse_categorical_crossentropy")
    model.fit(windows[:, :-1], windows[:, 1:], batch_size=32, epochs=EPOCHS, verbose=2)

    unseen = Path(json.decoder.__file__).read_text()
    starts = range(0, 20 * 200, 200)
    data = np.array([[vocabulary.index(letter) for letter in unseen[start : start + 200]] for start in starts])
    tree = trace(model, data, vocabulary=vocabulary)
    labels = {name: track[: data.size].reshape(data.shape) for name, track in what_a_reader_keeps(unseen).items()}
    correlation = statistics(tree, labels)["lstm"]["correlation"].sel(state="c")
    for name in labels:
        unit = int(np.argmax(np.abs(correlation.sel(label=name)).fillna(0).values))
        print(f"{name}: unit {unit}, correlation of its c {float(correlation.sel(label=name, unit=unit)):+.2f}")
    best = int(np.argmax(np.abs(correlation.sel(label="string is open")).fillna(0).values))
    sample = int(labels["string is open"].std(axis=1).argmax())

    folder = Path(folder)
    report(tree, folder / "gates.html", title="What an LSTM keeps in mind as it reads Python")
    for name, figure in {
        "unit.png": plots.tokens(tree, best, sample=sample),
        "saturation.png": plots.saturation(tree),
    }.items():
        with replaced_when_whole(folder / name) as temporary:
            figure.savefig(temporary, dpi=130)
    print(f"open {folder / 'gates.html'} in a browser")


def what_a_reader_keeps(source):
    """What holds at each character of a Python source: {name: float (characters,)}."""
    starts = np.cumsum([0, *(len(line) for line in source.splitlines(keepends=True))])
    tracks = {name: np.zeros(len(source)) for name in ("string is open", "comment is open", "bracket depth")}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        first, last = (starts[row - 1] + column for row, column in (token.start, token.end))
        if token.type == tokenize.STRING:
            tracks["string is open"][first:last] = 1
        elif token.type == tokenize.COMMENT:
            tracks["comment is open"][first:last] = 1
        elif token.string in ("(", "[", "{"):
            tracks["bracket depth"][first:] += 1
        elif token.string in (")", "]", "}"):
            tracks["bracket depth"][last:] -= 1
    return tracks


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "runs/character_gates")
