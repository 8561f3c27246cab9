"""SavedModel, TFLite, ONNX and C++ files with the gates in their signatures, each compared with the model.

The names are imported when they are first used: the processes that quantize a file or try it out as a microcontroller
would import a module of this folder, and must not load TensorFlow.
"""

import importlib

_HOMES = {
    "TOLERANCES": "keras_lstm_gates.exporting.comparing",
    "Exported": "keras_lstm_gates.exporting.writing",
    "drift": "keras_lstm_gates.exporting.drifting",
    "export": "keras_lstm_gates.exporting.writing",
    "verified": "keras_lstm_gates.exporting.checksums",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
