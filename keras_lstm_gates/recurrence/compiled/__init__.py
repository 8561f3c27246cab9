"""The recurrence on TensorFlow, its gradient written out and its loops compiled by XLA."""

from keras_lstm_gates.recurrence.compiled.chain_rule import chain

__all__ = ["chain"]
