"""One self-contained HTML page of a trace."""

from keras_lstm_gates.reporting.page import report

__all__ = ["report"]
