"""Layers and Inputs whose names are those that this package gives, or that have a slash."""

import keras
from keras import layers

from strangers.case import case, series, tokens, with_targets


@case
def named_as_ours():
    inputs = keras.Input((6, 3), name="sequence")
    x = layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    x = layers.LSTM(4, return_sequences=True, name="lstm_hidden")(x)
    return with_targets(keras.Model(inputs, layers.Dense(1, name="output")(x)), series(4, 6, 3))


@case
def named_as_gates():
    inputs = keras.Input((6, 3), name="x")
    x = layers.Dense(3, name="i")(inputs)
    x = layers.LSTM(4, return_sequences=True, name="f")(x)
    x = layers.LSTM(4, return_sequences=True, name="c")(x)
    return with_targets(keras.Model(inputs, layers.Dense(1, name="h")(x)), series(4, 6, 3))


@case
def named_as_a_trace():
    inputs = keras.Input((6, 3), name="input")
    x = layers.LSTM(4, return_sequences=True, name="mask")(inputs)
    x = layers.LSTM(4, name="sample")(x)
    return with_targets(keras.Model(inputs, layers.Dense(1, name="target")(x)), series(4, 6, 3))


@case
def named_as_tokens():
    inputs = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(11, 4, name="cell")(inputs)
    x = layers.LSTM(4, name="gates")(x)
    return with_targets(keras.Model(inputs, layers.Dense(1, name="predict")(x)), tokens())


@case
def named_as_the_next_input():
    """The automatic names of another process."""
    inputs = keras.Input((6, 3), name="input_layer_1")
    x = layers.LSTM(4, return_sequences=True, name="lstm_1")(inputs)
    x = layers.LSTM(3, name="lstm_2")(x)
    return with_targets(keras.Model(inputs, layers.Dense(1, name="input_layer_2")(x)), series(4, 6, 3))


@case(brief=True)
def named_as_states():
    inputs = keras.Input((6, 3), name="state_h")
    x = layers.LSTM(4, name="state_c")(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1, name="step")(x)), series(4, 6, 3))


@case(brief=True)
def named_as_directions():
    """A nested model whose name and layer make the path of a Bidirectional's direction."""
    encoder_inputs = keras.Input((6, 3))
    encoder = keras.Model(
        encoder_inputs, layers.LSTM(4, return_sequences=True, name="forward")(encoder_inputs), name="both"
    )
    inputs = keras.Input((6, 3))
    x = layers.Bidirectional(layers.LSTM(3), name="bidirectional")(encoder(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case
def outputs_named_as_gates():
    """A dict of outputs whose names are those of gates."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    outputs = {"f": layers.Dense(1)(x), "h": layers.LSTM(3, name="last")(x), "output": layers.Dense(2)(x)}
    return with_targets(keras.Model(inputs, outputs), series(4, 6, 3))


@case
def names_with_slashes():
    """Outputs named as an opened model's are."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    outputs = {"head/score": layers.Dense(1)(x), "lstm/last": layers.LSTM(3, name="last")(x)}
    return with_targets(keras.Model(inputs, outputs), series(4, 6, 3))


@case(brief=True)
def two_outputs_of_one_layer():
    """One head on two tensors: two outputs of one name."""
    inputs = keras.Input((6, 3))
    head, x = layers.Dense(1), layers.LSTM(4, return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, [head(x), head(layers.LSTM(4)(x))]), series(4, 6, 3))
