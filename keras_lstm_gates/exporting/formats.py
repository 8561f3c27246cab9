"""The formats a model is exported in: how each is written, and run again to be compared."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_lstm_gates._support import child_process
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.onnx.files import open_onnx, write_onnx
from keras_lstm_gates.exporting.tflite.fused import unclipped
from keras_lstm_gates.exporting.tflite.without_gates import without_gates
from keras_lstm_gates.recurrence import use_path


def write_saved_model(signatures, path, batch, time):
    """Without `batch` and `time`, of any."""
    _archive(signatures, path, batch, time)


def write_tflite(signatures, path, batch, time):
    """Builtin operators only; a fixed batch, without which the converter asks for operators that no device has."""
    with tempfile.TemporaryDirectory(prefix=".for_tflite.", dir=path.parent) as workplace:
        saved_model = Path(workplace) / "saved_model"
        _archive(signatures, saved_model, batch, time)
        child_process.call(
            "keras_lstm_gates.exporting.converting:convert",
            saved_model=str(saved_model),
            file=str(path),
            signatures=list(signatures),
        )


def write_fused(signatures, path, batch, time):
    """The same, of `keras_lstm_gates.exporting.tflite.fused.fused_predict`."""
    write_tflite(signatures, path, batch, time)
    path.write_bytes(unclipped(path.read_bytes()))


def open_saved_model(path):
    """A function of a signature's name and {input: array}, of any batch, to {output: array}."""
    loaded = tf.saved_model.load(str(path)).signatures

    def call(name, inputs):
        outputs = loaded[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    return call


def open_tflite(path):
    """The same, of the file's own batch."""
    return Runner(path, trial=False).call


class Format(NamedTuple):
    """The name in the folder, how it is written and opened, and whether its batch is fixed."""

    file_name: str
    write: Callable
    open: Callable
    fixed_batch: bool


FORMATS = {
    "saved_model": Format("saved_model", write_saved_model, open_saved_model, False),
    "tflite": Format("model.tflite", write_tflite, open_tflite, True),
    "tflite_fused": Format("model_fused.tflite", write_fused, open_tflite, True),
    "onnx": Format("onnx", write_onnx, open_onnx, False),
}


def _archive(signatures, path, batch, time):
    archive = keras.export.ExportArchive()
    try:
        # Ordinary operations: what other runtimes know.
        with use_path("portable"):
            for name, signature in signatures.items():
                signature = without_gates(signature) if name == "predict" else signature
                archive.track(signature.model)
                sizes = (batch,) if name == "step" else (batch, time)
                specs = [
                    tf.TensorSpec((*sizes, *tensor.shape[len(sizes) :]), tensor.dtype, name=input_name)
                    for input_name, tensor in signature.inputs.items()
                ]
                archive.add_endpoint(name, _endpoint(signature.model), input_signature=specs)
            archive.write_out(path, verbose=False)
    except tf.errors.OpError as error:
        raise OSError(f"cannot write a SavedModel below {path.parent.parent}: {error.message}") from error


def _endpoint(model):
    def call(*inputs):
        # Outputs that share a tensor (h and a model's own output) would lose a name: give each its own.
        return {name: tf.identity(value) for name, value in model(list(inputs), training=False).items()}

    return call
