"""The layers of this package beside `keras.layers`: `from keras_lstm_gates.layers import GatedLSTM`."""

from keras_lstm_gates.layers.bidirectional import Bidirectional
from keras_lstm_gates.layers.calibration import Calibration
from keras_lstm_gates.layers.cell import GatedLSTMCell
from keras_lstm_gates.layers.lstm import GatedLSTM

__all__ = ["Bidirectional", "Calibration", "GatedLSTM", "GatedLSTMCell"]
