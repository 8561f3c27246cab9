"""Bidirectional with every merge, TimeDistributed, autoencoders."""

import keras
from keras import layers

from strangers.case import case, series, tokens, with_targets


def _merged(mode, time, **options):
    inputs = keras.Input((time, 3))
    x = layers.Bidirectional(layers.LSTM(4, **options), merge_mode=mode)(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), series(4, 6, 3))


@case
def bidirectional_concat():
    return _merged("concat", 6, return_sequences=True)


@case
def bidirectional_concat_last():
    return _merged("concat", None)


@case(brief=True)
def bidirectional_sum():
    return _merged("sum", None, return_sequences=True)


@case(brief=True)
def bidirectional_mul():
    return _merged("mul", 6)


@case
def bidirectional_ave():
    return _merged("ave", 6, return_sequences=True)


@case
def bidirectional_apart():
    """merge_mode=None: two outputs, added by the user."""
    inputs = keras.Input((6, 3))
    forward, backward = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=None)(inputs)
    return with_targets(keras.Model(inputs, layers.Add()([forward, backward])), series(4, 6, 3))


@case
def bidirectional_states():
    """return_state: five outputs, all of them the model's."""
    inputs = keras.Input((6, 3))
    outputs = layers.Bidirectional(layers.LSTM(4, return_state=True))(inputs)
    return with_targets(keras.Model(inputs, list(outputs)), series(4, 6, 3))


@case
def bidirectional_backward_of_its_own():
    """A backward layer of one's own."""
    inputs = keras.Input((6, 3))
    x = layers.Bidirectional(
        layers.LSTM(4, return_sequences=True),
        backward_layer=layers.LSTM(4, return_sequences=True, go_backwards=True, activation="relu"),
    )(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), series(4, 6, 3))


@case(brief=True)
def bidirectional_stack():
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(11, 5)(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(3))(x)
    return with_targets(keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x)), tokens())


@case(brief=True)
def bidirectional_of_cells():
    inputs = keras.Input((6, 3))
    x = layers.Bidirectional(layers.RNN(layers.LSTMCell(4), return_sequences=True))(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), series(4, 6, 3))


@case(brief=True)
def bidirectional_unrolled():
    inputs = keras.Input((5, 3))
    x = layers.Bidirectional(layers.LSTM(4, unroll=True, return_sequences=True))(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), series(3, 5, 3))


@case(stateful=True)
def bidirectional_stateful():
    inputs = keras.Input(batch_shape=(2, 5, 3))
    x = layers.Bidirectional(layers.LSTM(3, stateful=True))(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(2, 5, 3))


@case(brief=True)
def bidirectional_gru_beside():
    inputs = keras.Input((6, 3))
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(inputs)
    x = layers.Bidirectional(layers.LSTM(3))(x)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case
def anomaly_autoencoder():
    inputs = keras.Input((7, 2))
    x = layers.RepeatVector(7)(layers.LSTM(4)(inputs))
    x = layers.TimeDistributed(layers.Dense(2))(layers.LSTM(4, return_sequences=True)(x))
    return with_targets(keras.Model(inputs, x), series(3, 7, 2))


@case(brief=True)
def deep_autoencoder():
    """Encoder and decoder of two layers each."""
    model = keras.Sequential([keras.Input((6, 2))])
    for layer in (
        layers.LSTM(5, activation="relu", return_sequences=True),
        layers.LSTM(3, activation="relu"),
        layers.RepeatVector(6),
        layers.LSTM(3, activation="relu", return_sequences=True),
        layers.LSTM(5, activation="relu", return_sequences=True),
        layers.TimeDistributed(layers.Dense(2)),
    ):
        model.add(layer)
    return with_targets(model, series(4, 6, 2))


@case
def tagger_distributed():
    """A tag a step by TimeDistributed(Dense), of any length."""
    inputs = keras.Input((None, 3))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(inputs)
    x = layers.TimeDistributed(layers.Dense(5, activation="relu"))(x)
    return with_targets(keras.Model(inputs, layers.TimeDistributed(layers.Dense(2))(x)), series(3, 7, 3))


@case
def document_of_sentences():
    """TimeDistributed(LSTM) over the words of each sentence, an LSTM over the sentences."""
    inputs = keras.Input((4, 5, 3))
    x = layers.TimeDistributed(layers.LSTM(4))(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(x))), series(3, 4, 5, 3))


@case(brief=True)
def sentences_both_ways():
    inputs = keras.Input((4, 5, 3))
    x = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2)))(inputs)
    return with_targets(keras.Model(inputs, layers.LSTM(3)(x)), series(3, 4, 5, 3))


@case
def sentences_by_a_model():
    """TimeDistributed(model), as for hierarchical attention."""
    words = keras.Input((5,), dtype="int32")
    encoder = keras.Model(words, layers.LSTM(3)(layers.Embedding(11, 4)(words)))
    inputs = keras.Input((4, 5), dtype="int32")
    x = layers.TimeDistributed(encoder)(inputs)
    data = tokens(3, 20).reshape(3, 4, 5)
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(x))), data)
