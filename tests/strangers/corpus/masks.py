"""Masks of every pattern, from Masking and from Embedding(mask_zero=True)."""

import keras
from keras import layers

from strangers.case import case, masked_series, masked_tokens, series, with_targets


def _masking(pattern, time=6, units=4):
    inputs = keras.Input((time, 3))
    x = layers.LSTM(units, return_sequences=True)(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(x))), masked_series(pattern))


@case
def masking_right():
    return _masking("right")


@case
def masking_left():
    return _masking("left", time=None)


@case(brief=True)
def masking_gaps():
    return _masking("gaps")


@case
def masking_empty_rows():
    return _masking("empty row", time=None)


def _embedding(pattern):
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(11, 5, mask_zero=True)(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(4)(x))), masked_tokens(pattern))


@case
def embedding_right():
    return _embedding("right")


@case(brief=True)
def embedding_left():
    return _embedding("left")


@case(brief=True)
def embedding_gaps():
    return _embedding("gaps")


@case
def embedding_empty_rows():
    return _embedding("empty row")


@case
def masked_sequence_output():
    """The mask reaches the loss: a number a step."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True)(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.TimeDistributed(layers.Dense(2))(x)), masked_series("right"))


@case
def masked_bidirectional_tagger():
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(11, 5, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.LSTM(3, return_sequences=True)(x)
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), masked_tokens("gaps"))


@case(brief=True)
def masked_bidirectional_last():
    inputs = keras.Input((6, 3))
    x = layers.Bidirectional(layers.LSTM(4), merge_mode="ave")(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), masked_series("left"))


@case
def masked_backwards():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, go_backwards=True)(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), masked_series("right"))


@case(brief=True)
def masked_by_minus_one():
    inputs = keras.Input((6, 3))
    data = masked_series("right")
    data[data.any(axis=-1) == 0] = -1
    x = layers.LSTM(4)(layers.Masking(-1.0)(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), data)


@case(brief=True)
def masked_pooling():
    """GlobalAveragePooling1D reads the mask that an LSTM hands on."""
    inputs = keras.Input((None,), dtype="int32")
    x = layers.LSTM(4, return_sequences=True)(layers.Embedding(11, 5, mask_zero=True)(inputs))
    x = layers.GlobalAveragePooling1D()(x)
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), masked_tokens("right"))


@case(brief=True)
def masked_unrolled():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, unroll=True)(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), masked_series("gaps"))


@case(brief=True)
def masked_cells():
    inputs = keras.Input((6, 3))
    x = layers.RNN([layers.LSTMCell(4), layers.LSTMCell(2)], return_sequences=True)(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), masked_series("gaps"))


@case
def mask_as_an_input():
    """The mask given as a tensor of its own."""
    inputs, real = keras.Input((6, 3), name="series"), keras.Input((6,), dtype="bool", name="real")
    x = layers.LSTM(4)(inputs, mask=real)
    data = {"series": series(4, 6, 3), "real": masked_series("left").any(axis=-1)}
    return with_targets(keras.Model({"series": inputs, "real": real}, layers.Dense(1)(x)), data)
