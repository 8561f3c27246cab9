"""SavedModel, TFLite, ONNX and C++ files with the gates in their signatures, each compared with the model.

The names are imported when they are first used: the processes that quantize a file or try it out as a microcontroller
would import a module of this folder, and must not load TensorFlow.
"""

from keras_lstm_gates._support import lazy

_HOMES = {
    "TOLERANCES": "keras_lstm_gates.exporting.comparing",
    "Exported": "keras_lstm_gates.exporting.writing",
    "drift": "keras_lstm_gates.exporting.drifting",
    "export": "keras_lstm_gates.exporting.writing",
    "verified": "keras_lstm_gates.exporting.checksums",
}

__all__ = sorted(_HOMES)
__getattr__ = lazy.attributes(__name__, _HOMES)
