"""The gradient chain, exact: why an LSTM's gradient survives, term by term."""

from keras_lstm_gates.gradients.chain import compare, gradient_chain
from keras_lstm_gates.gradients.verdicts import Verdict, layers_of, profile, verdict

__all__ = ["Verdict", "compare", "gradient_chain", "layers_of", "profile", "verdict"]
