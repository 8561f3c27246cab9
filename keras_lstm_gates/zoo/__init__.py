"""The zoo: small trained models, each with its hashes and a card of measured numbers that can be measured again."""

from keras_lstm_gates.presets.files import card, list, load
from keras_lstm_gates.presets.registry import Preset, preset, presets
from keras_lstm_gates.zoo.builds import build, redraw
from keras_lstm_gates.zoo.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "Preset", "build", "card", "evaluate", "list", "load", "preset", "presets", "redraw"]
