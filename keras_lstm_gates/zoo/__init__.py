"""The zoo: small trained models, each with its hashes and a card of measured numbers that can be measured again."""

from keras_lstm_gates.zoo.building import build
from keras_lstm_gates.zoo.evaluating import Evaluation, evaluate
from keras_lstm_gates.zoo.loading import card, list, load
from keras_lstm_gates.zoo.registry import Preset, preset, presets

__all__ = ["Evaluation", "Preset", "build", "card", "evaluate", "list", "load", "preset", "presets"]
