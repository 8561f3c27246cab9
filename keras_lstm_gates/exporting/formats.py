"""The formats a model is exported in, a row each."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_lstm_gates import edge
from keras_lstm_gates.exporting import saved_model, signatures
from keras_lstm_gates.exporting.micro import files as micro
from keras_lstm_gates.exporting.onnx import files as onnx
from keras_lstm_gates.exporting.tflite import files as tflite
from keras_lstm_gates.exporting.tflite.quantizing import PRECISIONS


class Format(NamedTuple):
    """A format.

    Attributes:
        write: function of {name: `Signature`}, a folder, `Sizes`, the wanted precisions and data, {input: array}, which
            writes files and gives a list of `keras_lstm_gates.exporting.exported_files.ExportedFile`.
        usage: function of a manifest and the names of the inputs to lines of the README; or None.
        runner: `Path` of a Python file that runs what is written, and is put beside it; or None.
        free: bool, whether batch and time may stay free.
        signatures: names of those that it can have.
        precisions: those that it can have.
    """

    write: Callable
    usage: Callable | None = None
    runner: Path | None = None
    free: bool = False
    signatures: tuple = signatures.NAMES
    precisions: tuple = ("float32",)


FORMATS = {
    "saved_model": Format(saved_model.write, saved_model.usage, free=True),
    "tflite": Format(tflite.write, tflite.usage, Path(edge.__file__), precisions=PRECISIONS),
    "tflite_fused": Format(tflite.write_fused, signatures=("predict",)),
    "onnx": Format(onnx.write, onnx.usage, free=True),
    "micro": Format(micro.write, micro.usage, signatures=("step",), precisions=micro.PRECISIONS),
}
