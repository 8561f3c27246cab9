"""The gradient chain, exact: why an LSTM's gradient survives, term by term."""

from keras_lstm_gates.gradients.chain import compare, gradient_chain

__all__ = ["compare", "gradient_chain"]
