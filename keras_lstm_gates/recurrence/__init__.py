"""The LSTM recurrence over a whole sequence, forward and backward."""

from keras_lstm_gates.recurrence.from_hidden import gates_from_hidden
from keras_lstm_gates.recurrence.paths import PATHS, cudnn_obstacles, recurrence, use_path

__all__ = ["PATHS", "cudnn_obstacles", "gates_from_hidden", "recurrence", "use_path"]
