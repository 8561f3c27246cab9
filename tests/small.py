"""A small model and data that fit it, quick to export and to trace."""

import keras
import numpy as np

from keras_lstm_gates.models import SequenceClassifier


def small_model(seed=1):
    """A classifier of 3 features, 4 units, 2 classes; and data (5, 6, 3) with right-padded ends."""
    keras.utils.set_random_seed(seed)
    model = SequenceClassifier(features=3, classes=2, units=4, mean=0.1, variance=2.0, seed=seed)
    data = np.random.default_rng(seed).normal(size=(5, 6, 3)).astype("float32")
    data[1, 4:] = 0
    data[3, 1:] = 0
    return model, data
