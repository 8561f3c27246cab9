"""Other people's models, opened: the same layers and weights, with every gate by name."""

from keras_lstm_gates.opening.exposing import Opened, expose, open_graph
from keras_lstm_gates.opening.inputs import random_data, windows
from keras_lstm_gates.opening.pytorch import from_torch, to_torch
from keras_lstm_gates.opening.readers import load_model
from keras_lstm_gates.opening.visitors import Call, Visitor
from keras_lstm_gates.opening.walker import walk

__all__ = [
    "Call",
    "Opened",
    "Visitor",
    "expose",
    "from_torch",
    "load_model",
    "open_graph",
    "random_data",
    "to_torch",
    "walk",
    "windows",
]
