"""Exports saved models in a process of its own, where other layers were built before; prints what became of each.

    python fresh_exports.py FOLDER

FOLDER holds NAME.keras and NAME.pickle, the data, of each model. Prints {NAME: {format: {signature: largest error} or
what was refused}} as JSON.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

import keras

from keras_lstm_gates import exporting, load_model

FORMATS = ("saved_model", "tflite", "onnx")


def main(folder):
    # The automatic names of this process meet those of the saved models.
    for _ in range(3):
        sequence = keras.Input((4, 3))
        keras.Model(sequence, keras.layers.LSTM(2)(keras.ops.expand_dims(sequence[:, 0], 1)))
    told = {}
    for path in sorted(folder.glob("*.keras")):
        model, data = load_model(path), pickle.loads(path.with_suffix(".pickle").read_bytes())
        told[path.stem] = {}
        for name in FORMATS:
            try:
                exported = exporting.export(model, folder / path.stem / name, data, formats=(name,))
                (off,) = exported.differences.values()
                told[path.stem][name] = {signature: max(outputs.values()) for signature, outputs in off.items()}
            except ValueError as error:
                told[path.stem][name] = str(error)
    print(json.dumps(told))


if __name__ == "__main__":
    with warnings.catch_warnings():
        # Keras, of a nested model that is called with a mask.
        warnings.filterwarnings("ignore", "Layer .* was passed an input with a mask")
        main(Path(sys.argv[1]))
