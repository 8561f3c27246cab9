"""SavedModel and TFLite files with the gates in their signatures, each compared with the model before it is kept."""

from keras_lstm_gates.exporting.comparing import TOLERANCES
from keras_lstm_gates.exporting.drifting import drift
from keras_lstm_gates.exporting.writing import Exported, export

__all__ = ["TOLERANCES", "Exported", "drift", "export"]
