"""The command line: `keras-lstm-gates`. Each module here holds the commands of one kind."""

from keras_lstm_gates.cli.entry import main

__all__ = ["main"]
