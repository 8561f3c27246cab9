"""Where a memory and an answer come from: accounts that add up."""

from keras_lstm_gates.attribution.answers import answer_ledger
from keras_lstm_gates.attribution.explaining import Explanation, explain
from keras_lstm_gates.attribution.inputs import METHODS, attribute
from keras_lstm_gates.attribution.memory import forgotten, ledger, reach, wrote

__all__ = ["METHODS", "Explanation", "answer_ledger", "attribute", "explain", "forgotten", "ledger", "reach", "wrote"]
