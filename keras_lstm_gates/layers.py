"""The layers of this package beside `keras.layers`: `from keras_lstm_gates.layers import GatedLSTM`."""

from keras_lstm_gates.bidirectional import Bidirectional
from keras_lstm_gates.cell import GatedLSTMCell
from keras_lstm_gates.lstm import GatedLSTM

__all__ = ["Bidirectional", "GatedLSTM", "GatedLSTMCell"]
