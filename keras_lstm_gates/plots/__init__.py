"""Pictures: of traces, explained answers, forecasts, exported files beside their models, and the gradient chain."""

from keras_lstm_gates.plots.explanations import explanation
from keras_lstm_gates.plots.exports import drift
from keras_lstm_gates.plots.forecasts import forecast
from keras_lstm_gates.plots.gradients import gradient_chain
from keras_lstm_gates.plots.traces import GATE_COLOURS, STATE_COLOURS, gates, memory, saturation, tokens

__all__ = [
    "GATE_COLOURS",
    "STATE_COLOURS",
    "drift",
    "explanation",
    "forecast",
    "gates",
    "gradient_chain",
    "memory",
    "saturation",
    "tokens",
]
