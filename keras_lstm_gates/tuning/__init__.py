"""Hyperparameter search with KerasTuner: over gated LSTMs or any Keras model, on one machine or many."""

from keras_lstm_gates.tuning.hypermodel import GatedLSTMHyperModel
from keras_lstm_gates.tuning.results import Search, read
from keras_lstm_gates.tuning.searching import TUNERS, search

__all__ = ["TUNERS", "GatedLSTMHyperModel", "Search", "read", "search"]
