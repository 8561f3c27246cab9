"""Hyperparameter search with KerasTuner: over gated LSTMs or any Keras model, on one machine or many.

The names are imported when they are first used: a space and an address are read without TensorFlow.
"""

import importlib

_HOMES = {
    "TUNERS": "keras_lstm_gates.tuning.searches",
    "GatedLSTMHyperModel": "keras_lstm_gates.tuning.hypermodel",
    "Search": "keras_lstm_gates.tuning.results",
    "TrialTable": "keras_lstm_gates.tuning.tables",
    "read": "keras_lstm_gates.tuning.results",
    "search": "keras_lstm_gates.tuning.searches",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
