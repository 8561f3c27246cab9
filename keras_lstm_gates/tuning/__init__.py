"""Hyperparameter search with KerasTuner: over gated LSTMs or any Keras model, on one machine or many."""

from keras_lstm_gates.tuning.hypermodel import GatedLSTMHyperModel
from keras_lstm_gates.tuning.results import Search, read
from keras_lstm_gates.tuning.searches import TUNERS, search
from keras_lstm_gates.tuning.tables import TrialTable

__all__ = ["TUNERS", "GatedLSTMHyperModel", "Search", "TrialTable", "read", "search"]
