"""An LSTM for Keras whose gates you can see, differentiate, steer and ship.

The names below are imported when they are first used, so that `import keras_lstm_gates.edge` needs only NumPy and the
LiteRT interpreter.
"""

from keras_lstm_gates._support import lazy

_HOMES = {
    "GatedLSTM": "keras_lstm_gates.layers.lstm",
    "GatedLSTMCell": "keras_lstm_gates.layers.cell",
    "Gates": "keras_lstm_gates.gates",
    "load_model": "keras_lstm_gates.opening.readers",
    "load_weights": "keras_lstm_gates.opening.readers.weights",
    "expose": "keras_lstm_gates.opening.exposing",
    "attribute": "keras_lstm_gates.attribution",
    "explain": "keras_lstm_gates.attribution",
    "ledger": "keras_lstm_gates.attribution",
    "ChronoBias": "keras_lstm_gates.initializers",
    "GradientMonitor": "keras_lstm_gates.gradients",
    "compare": "keras_lstm_gates.gradients",
    "gradient_chain": "keras_lstm_gates.gradients",
    "verdict": "keras_lstm_gates.gradients",
    "trace": "keras_lstm_gates.tracing",
    "GateMonitor": "keras_lstm_gates.tracing.monitor",
    "statistics": "keras_lstm_gates.tracing.gate_statistics",
    "report": "keras_lstm_gates.reporting",
    "drift": "keras_lstm_gates.exporting",
    "export": "keras_lstm_gates.exporting",
}

__all__ = sorted(_HOMES)
_attribute = lazy.attributes(__name__, _HOMES)


def __getattr__(name):
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    return _attribute(name)


def __dir__():
    return sorted({*globals(), *__all__, "__version__"})
