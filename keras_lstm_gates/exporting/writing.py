"""`export`: every file is run and compared with the model before it takes its name."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_lstm_gates.exporting.formats import FORMATS, as_arrays
from keras_lstm_gates.exporting.signatures import checked_data, signatures
from keras_lstm_gates.files import replaced_when_whole

TOLERANCE = 1e-4
"""The largest difference from the model that a file may have, of an output up to 1; of a larger one, times its size."""


class Exported(NamedTuple):
    """What `export` wrote: {format: path} and, for each format, {signature: {output: largest difference}}."""

    files: dict
    differences: dict


def export(model, folder, data, formats=("saved_model", "tflite"), batch=1, time=None):
    """Export a model with two named signatures, `predict` and `gates`.

    `predict` gives the model's own outputs by name, `gates` these and every gate: i, f, g, o, c, h, (batch, time,
    units), named "<layer>/i" … where the model has more than one LSTM. Both take `sequence`, or `tokens`. A SavedModel
    takes any batch and any number of time steps, and loads without this package. A TFLite file holds builtin operators
    only.

    Args:
        model: `keras.Model` that `expose` opens, with one input: floats (batch, time, features), or tokens (batch,
            time), which is where the input is int or is read by an Embedding.
        folder: str or `Path`; gets `saved_model/` and `model.tflite`.
        data: float (samples, time, features), or int (samples, time), sequences to compare the files with the model
            on.
        formats: of "saved_model" and "tflite".
        batch: int > 0, of the TFLite file.
        time: int > 0, the TFLite file's number of time steps, or None for any.

    Returns:
        `Exported(files, differences)`.

    Raises:
        ValueError: an unknown format, a model of several inputs, or data that do not fit the model.
        ArithmeticError: "model.tflite differs from the model: gates/c by 0.02, allowed 0.0001". It is not kept then.
    """
    folder = Path(folder)
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f"expected formats of {sorted(FORMATS)}; received {name!r}")
    asked = signatures(model)
    data = checked_data(model, data)
    expected = {name: as_arrays(signature.model(data)) for name, signature in asked.items()}
    files, differences = {}, {}
    for name in formats:
        file_name, write, run = FORMATS[name]
        with replaced_when_whole(folder / file_name) as temporary:
            write(asked, temporary, batch, time)
            differences[name] = _compared(file_name, run(temporary, data), expected)
        files[name] = folder / file_name
    return Exported(files, differences)


def _compared(file_name, received, expected):
    differences: dict[str, dict[str, Any]] = {}
    for signature, outputs in expected.items():
        if signature not in received or set(received[signature]) != set(outputs):
            raise ArithmeticError(
                f"{file_name} lost a name: expected {signature} with {sorted(outputs)}; "
                f"received {sorted(received.get(signature, []))}"
            )
        differences[signature] = {
            name: float(np.max(np.abs(received[signature][name] - value))) for name, value in outputs.items()
        }
        for name, difference in differences[signature].items():
            allowed = TOLERANCE * max(1.0, float(np.max(np.abs(outputs[name]))))
            if not difference <= allowed:
                raise ArithmeticError(
                    f"{file_name} differs from the model: {signature}/{name} by {difference:.2g}, allowed {allowed:.2g}"
                )
    return differences
