"""Pictures: of traces, explained answers, interventions, forecasts, exported files, sizes, and the gradient chain."""

from keras_lstm_gates.plots.explanations import explanation
from keras_lstm_gates.plots.exports import drift
from keras_lstm_gates.plots.forecasts import forecast
from keras_lstm_gates.plots.gradients import gradient_chain
from keras_lstm_gates.plots.interventions import ablation, patching
from keras_lstm_gates.plots.sizes import shrinking
from keras_lstm_gates.plots.traces import GATE_COLOURS, STATE_COLOURS, gates, memory, saturation, tokens

__all__ = [
    "GATE_COLOURS",
    "STATE_COLOURS",
    "ablation",
    "drift",
    "explanation",
    "forecast",
    "gates",
    "gradient_chain",
    "memory",
    "patching",
    "saturation",
    "shrinking",
    "tokens",
]
