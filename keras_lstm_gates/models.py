"""The architectures of this package, as ordinary Functional Keras models with a name for every output."""

import keras

from keras_lstm_gates.lstm import GatedLSTM


def SequenceClassifier(  # noqa: N802  a model's name, as in keras.applications
    features,
    classes,
    units=64,
    *,
    mean=0.0,
    variance=1.0,
    noise=0.0,
    dropout=0.0,
    seed=None,
    name="sequence_classifier",
):
    """One class for a whole sequence: masking, normalization, `GatedLSTM`, softmax.

    A step whose features are all exactly 0 is padding and is masked.

    Args:
        features: int > 0, channels of a step.
        classes: int > 1.
        units: int > 0, of the LSTM.
        mean, variance: float or (features,), of the training data's real steps; the model subtracts and divides.
        noise: float >= 0, standard deviation of the noise added to the normalized input while training.
        dropout: float in [0, 1), on the last hidden state.
        seed: int or None, of the initial weights and the dropout.

    Returns:
        A `keras.Model`, (batch, time, features) to probabilities (batch, classes). Its `GatedLSTM` returns its
        gates, so `keras_lstm_gates.exposing` opens it.

    Example:
        >>> SequenceClassifier(features=12, classes=9, units=8).output_shape
        (None, 9)
    """
    seeds = [None] * 5 if seed is None else [seed * 5 + place for place in range(5)]
    sequence = keras.Input((None, features), name="sequence")
    x = keras.layers.Masking(name="masking")(sequence)
    x = keras.layers.Normalization(mean=mean, variance=variance, name="normalization")(x)
    x = keras.layers.GaussianNoise(noise, seed=seeds[4], name="noise")(x)
    x = GatedLSTM(
        units,
        return_gates=True,
        kernel_initializer=keras.initializers.GlorotUniform(seeds[0]),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seeds[1]),
        name="lstm",
    )(x)["output"]
    x = keras.layers.Dropout(dropout, seed=seeds[2], name="dropout")(x)
    x = keras.layers.Dense(
        classes, "softmax", kernel_initializer=keras.initializers.GlorotUniform(seeds[3]), name="probabilities"
    )(x)
    return keras.Model(sequence, x, name=name)
