"""The gradient chain, exact: why an LSTM's gradient survives, term by term."""

from keras_lstm_gates.gradients.chain import compare, gradient_chain, lag_gains, save
from keras_lstm_gates.gradients.monitor import GradientMonitor
from keras_lstm_gates.gradients.summaries import Summary, summary
from keras_lstm_gates.gradients.verdicts import Verdict, profile, verdict

__all__ = [
    "GradientMonitor",
    "Summary",
    "Verdict",
    "compare",
    "gradient_chain",
    "lag_gains",
    "profile",
    "save",
    "summary",
    "verdict",
]
