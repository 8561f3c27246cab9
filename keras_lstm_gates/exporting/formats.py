"""The formats a model is exported in: how each is written, and run again to be compared."""

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.edge import Runner
from keras_lstm_gates.files import replaced_when_whole
from keras_lstm_gates.recurrence import use_path


def write_saved_model(signatures, path, batch, time):
    """Any batch and any number of time steps, whatever `batch` and `time` say."""
    _archive(signatures, path, None, None)


def write_tflite(signatures, path, batch, time):
    """Builtin operators only; a fixed batch, without which the converter asks for operators that no device has."""
    with replaced_when_whole(path.parent / "for_tflite") as saved_model:
        _archive(signatures, saved_model, batch, time)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        path.write_bytes(converter.convert())


def run_saved_model(path, data):
    """{signature: {output: array}} of the file at `path`."""
    loaded = tf.saved_model.load(str(path))
    return {
        name: as_arrays(signature(**{only(signature.structured_input_signature[1]): tf.constant(data)}))
        for name, signature in loaded.signatures.items()
        if name != "serving_default"
    }


def run_tflite(path, data):
    """{signature: {output: array}} of the file at `path`."""
    runner = Runner(path)
    return {name: runner.run(name, data) for name in runner.signatures}


def as_arrays(outputs):
    """Tensors by name as NumPy arrays."""
    return {name: np.asarray(value) for name, value in outputs.items()}


def only(names):
    """The one of `names`."""
    (name,) = names
    return name


FORMATS = {
    "saved_model": ("saved_model", write_saved_model, run_saved_model),
    "tflite": ("model.tflite", write_tflite, run_tflite),
}
"""{format: (name in the folder, how it is written, how it is run)}."""


def _archive(signatures, path, batch, time):
    archive = keras.export.ExportArchive()
    try:
        # Ordinary operations: what other runtimes know.
        with use_path("portable"):
            for name, signature in signatures.items():
                archive.track(signature.model)
                specs = [
                    tf.TensorSpec((batch, time, *tensor.shape[2:]), tensor.dtype, name=input_name)
                    for input_name, tensor in signature.inputs.items()
                ]
                archive.add_endpoint(name, _endpoint(signature.model), input_signature=specs)
            archive.write_out(path, verbose=False)
    except tf.errors.OpError as error:
        raise OSError(f"cannot write a SavedModel below {path.parent.parent}: {error.message}") from error


def _endpoint(model):
    def call(sequence):
        # Outputs that share a tensor (h and a model's own output) would lose a name: give each its own.
        return {name: tf.identity(value) for name, value in model(sequence, training=False).items()}

    return call
