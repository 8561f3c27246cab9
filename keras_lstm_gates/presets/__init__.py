"""What presets are: the zoo's entries, their folders and files, and the `from_preset` of the architectures."""

from keras_lstm_gates.presets.architecture import Architecture
from keras_lstm_gates.presets.files import card, list, load
from keras_lstm_gates.presets.registry import Preset, preset, presets

__all__ = ["Architecture", "Preset", "card", "list", "load", "preset", "presets"]
