"""Convolutions before an LSTM, in time and on images."""

import keras
from keras import layers

from strangers.case import case, series, with_targets


@case
def frames_of_a_video():
    inputs = keras.Input((4, 6, 6, 1))
    x = layers.TimeDistributed(layers.Conv2D(2, 3, activation="relu"))(inputs)
    x = layers.TimeDistributed(layers.MaxPooling2D())(x)
    x = layers.TimeDistributed(layers.Flatten())(x)
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(x))), series(3, 4, 6, 6, 1))


@case(brief=True)
def frames_by_a_model():
    image = keras.Input((6, 6, 1))
    features = keras.Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image)))
    inputs = keras.Input((4, 6, 6, 1))
    x = layers.LSTM(3)(layers.TimeDistributed(features)(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(3, 4, 6, 6, 1))


@case
def convolution_then_lstm():
    inputs = keras.Input((9, 2))
    x = layers.MaxPooling1D(2)(layers.Conv1D(4, 3, activation="relu", padding="same")(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(x))), series(4, 9, 2))


@case
def causal_convolution_free_time():
    inputs = keras.Input((None, 2))
    x = layers.Conv1D(4, 3, padding="causal")(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3, return_sequences=True)(x))), series(4, 9, 2))


@case(brief=True)
def lstm_then_convolution():
    inputs = keras.Input((8, 2))
    x = layers.Conv1D(3, 3)(layers.LSTM(4, return_sequences=True)(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.GlobalMaxPooling1D()(x))), series(4, 8, 2))


@case(brief=True)
def subsequences_by_convolution():
    """The CNN-LSTM of the forecasting posts: TimeDistributed(Conv1D) over subsequences."""
    model = keras.Sequential([keras.Input((3, 4, 1))])
    model.add(layers.TimeDistributed(layers.Conv1D(4, 2, activation="relu")))
    model.add(layers.TimeDistributed(layers.MaxPooling1D(2)))
    model.add(layers.TimeDistributed(layers.Flatten()))
    model.add(layers.LSTM(4, activation="relu"))
    model.add(layers.Dense(1))
    return with_targets(model, series(4, 3, 4, 1))


@case(brief=True)
def text_in_an_image():
    """The captcha reader: columns of a convolved image are the steps."""
    inputs = keras.Input((8, 4, 1))
    x = layers.Conv2D(3, 3, activation="relu", padding="same", data_format="channels_last")(inputs)
    x = layers.Dense(4)(layers.Reshape((8, 12))(x))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    return with_targets(keras.Model(inputs, layers.Dense(5, activation="softmax")(x)), series(3, 8, 4, 1))


@case(brief=True)
def rows_of_a_digit():
    """An image read row by row."""
    model = keras.Sequential([keras.Input((6, 6)), layers.LSTM(4), layers.BatchNormalization(), layers.Dense(3)])
    return with_targets(model, series(5, 6, 6))


@case
def convolutional_lstm_beside():
    """ConvLSTM2D is no LSTM of gates (batch, time, units), and stays as it is."""
    inputs = keras.Input((4, 5, 5, 1))
    x = layers.ConvLSTM2D(2, 3, return_sequences=True)(inputs)
    x = layers.LSTM(3)(layers.TimeDistributed(layers.Flatten())(x))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(3, 4, 5, 5, 1))
