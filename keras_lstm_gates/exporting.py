"""SavedModel and TFLite files with the gates in their signatures, each compared with the model before it is kept."""

from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exposing import open_graph
from keras_lstm_gates.files import replaced_when_whole
from keras_lstm_gates.recurrence import use_path
from keras_lstm_gates.tracing import check_sequences

TOLERANCE = 1e-4


class Exported(NamedTuple):
    """What `export` wrote: {format: path} and, for each format, {signature: {output: largest difference}}."""

    files: dict
    differences: dict


def export(model, folder, data, formats=("saved_model", "tflite"), batch=1, time=None):
    """Export a model with two named signatures, `predict` and `gates`.

    `predict` gives the model's own outputs by name, `gates` these and every gate: i, f, g, o, c, h, (batch, time,
    units), named "<layer>/i" … where the model has more than one LSTM. A SavedModel takes any batch and any number of
    time steps, and loads without this package. A TFLite file holds builtin operators only.

    Args:
        model: `keras.Model` that `expose` opens, with one input (batch, time, features).
        folder: str or `Path`; gets `saved_model/` and `model.tflite`.
        data: float, (samples, time, features), sequences to compare the files with the model on.
        formats: of "saved_model" and "tflite".
        batch: int > 0, of the TFLite file.
        time: int > 0, the TFLite file's number of time steps, or None for any.

    Returns:
        `Exported(files, differences)`.

    Raises:
        ValueError: an unknown format, or data that do not fit the model.
        ArithmeticError: "model.tflite differs from the model: gates/c by 0.02, allowed 0.0001". It is not kept then.
    """
    folder = Path(folder)
    known = {
        "saved_model": ("saved_model", _write_saved_model, _run_saved_model),
        "tflite": ("model.tflite", _write_tflite, _run_tflite),
    }
    for name in formats:
        if name not in known:
            raise ValueError(f"expected formats of {sorted(known)}; received {name!r}")
    signatures = _signatures(model)
    data = np.asarray(data, "float32")
    check_sequences(data, model.inputs[0].shape)
    expected = {name: _numpy(signature(data)) for name, signature in signatures.items()}
    files, differences = {}, {}
    for name in formats:
        file_name, write, run = known[name]
        with replaced_when_whole(folder / file_name) as temporary:
            write(signatures, temporary, batch, time)
            differences[name] = _compared(file_name, run(temporary, data), expected)
        files[name] = folder / file_name
    return Exported(files, differences)


def _signatures(model):
    opened = open_graph(model)
    single = len(opened.gates) == 1
    gates = {
        name if single else f"{layer}/{name}": tensor
        for layer, of_layer in opened.gates.items()
        for name, tensor in of_layer._asdict().items()
    }
    return {
        "predict": keras.Model(opened.inputs, opened.outputs),
        "gates": keras.Model(opened.inputs, {**opened.outputs, **gates}),
    }


def _archive(signatures, path, batch, time):
    archive = keras.export.ExportArchive()
    try:
        # Ordinary operations: what other runtimes know.
        with use_path("portable"):
            for name, model in signatures.items():
                archive.track(model)
                (sequence,) = model.inputs
                archive.add_endpoint(
                    name,
                    _endpoint(model),
                    input_signature=[tf.TensorSpec((batch, time, sequence.shape[-1]), sequence.dtype, name="sequence")],
                )
            archive.write_out(path, verbose=False)
    except tf.errors.OpError as error:
        raise OSError(f"cannot write a SavedModel below {path.parent.parent}: {error.message}") from error


def _endpoint(model):
    def call(sequence):
        # Outputs that share a tensor (h and a model's own output) would lose a name: give each its own.
        return {name: tf.identity(value) for name, value in model(sequence, training=False).items()}

    return call


def _write_saved_model(signatures, path, batch, time):
    _archive(signatures, path, None, None)


def _write_tflite(signatures, path, batch, time):
    with replaced_when_whole(path.parent / "for_tflite") as saved_model:
        _archive(signatures, saved_model, batch, time)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        path.write_bytes(converter.convert())


def _run_saved_model(path, data):
    loaded = tf.saved_model.load(str(path))
    return {
        name: _numpy(signature(sequence=tf.constant(data)))
        for name, signature in loaded.signatures.items()
        if name != "serving_default"
    }


def _run_tflite(path, data):
    runner = Runner(path)
    return {name: runner.run(name, data) for name in runner.signatures}


def _numpy(outputs):
    return {name: np.asarray(value) for name, value in outputs.items()}


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
            if not difference <= TOLERANCE:
                raise ArithmeticError(
                    f"{file_name} differs from the model: {signature}/{name} by {difference:.2g}, allowed {TOLERANCE}"
                )
    return differences
