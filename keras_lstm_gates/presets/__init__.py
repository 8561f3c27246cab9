"""What presets are: the zoo's entries, their folders and files, and the `from_preset` of the architectures.

The names are imported when they are first used: whether there is a preset is known without TensorFlow.
"""

from keras_lstm_gates._support import lazy

_HOMES = {
    "Architecture": "keras_lstm_gates.presets.architecture",
    "Preset": "keras_lstm_gates.presets.registry",
    "card": "keras_lstm_gates.presets.files",
    "list": "keras_lstm_gates.presets.files",
    "load": "keras_lstm_gates.presets.files",
    "preset": "keras_lstm_gates.presets.registry",
    "presets": "keras_lstm_gates.presets.registry",
}

__all__ = sorted(_HOMES)
__getattr__ = lazy.attributes(__name__, _HOMES)
