"""A trained model with fewer units: without those that say nothing, and then without those that matter least."""

from keras_lstm_gates.shrinking.results import Shrunk
from keras_lstm_gates.shrinking.smaller_models import shrink

__all__ = ["Shrunk", "shrink"]
