"""Saved models, whichever Keras wrote them: told by their content, translated, built without running code of theirs."""

from keras_lstm_gates.opening.readers.models import FromFile, load_model, read

__all__ = ["FromFile", "load_model", "read"]
