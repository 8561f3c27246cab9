"""Hyperparameter search with KerasTuner: over gated LSTMs or any Keras model, on one machine or many.

The names are imported when they are first used: a space and an address are read without TensorFlow.
"""

from keras_lstm_gates._support import lazy

_HOMES = {
    "TUNERS": "keras_lstm_gates.tuning.searches",
    "GatedLSTMHyperModel": "keras_lstm_gates.tuning.hypermodel",
    "Search": "keras_lstm_gates.tuning.results",
    "TrialTable": "keras_lstm_gates.tuning.tables",
    "read": "keras_lstm_gates.tuning.results",
    "search": "keras_lstm_gates.tuning.searches",
}

__all__ = sorted(_HOMES)
__getattr__ = lazy.attributes(__name__, _HOMES)
