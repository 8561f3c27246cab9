"""Encoder and decoder, states handed on, attention."""

import keras
from keras import layers

from strangers.case import case, masked_tokens, series, tokens, with_targets


@case
def seq2seq_with_states():
    encoder_inputs, decoder_inputs = keras.Input((None, 5)), keras.Input((None, 4))
    _, state_h, state_c = layers.LSTM(4, return_state=True)(encoder_inputs)
    decoder = layers.LSTM(4, return_sequences=True, return_state=True)
    outputs, _, _ = decoder(decoder_inputs, initial_state=[state_h, state_c])
    outputs = layers.Dense(4)(outputs)
    model = keras.Model([encoder_inputs, decoder_inputs], outputs)
    return with_targets(model, [series(3, 6, 5), series(3, 4, 4)])


@case(brief=True)
def translation_of_words():
    """Both sides embedded and masked."""
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    x = layers.Embedding(11, 5, mask_zero=True)(source)
    _, h, c = layers.LSTM(4, return_state=True)(x)
    y = layers.Embedding(11, 5, mask_zero=True)(target)
    y = layers.LSTM(4, return_sequences=True)(y, initial_state=[h, c])
    return with_targets(keras.Model([source, target], layers.Dense(3)(y)), [masked_tokens("right"), tokens(4, 5)])


@case
def bidirectional_encoder_states():
    inputs = keras.Input((6, 3))
    output, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(3, return_state=True))(inputs)
    states = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    x = layers.LSTM(6, return_sequences=True)(layers.RepeatVector(4)(output), initial_state=states)
    return with_targets(keras.Model(inputs, layers.TimeDistributed(layers.Dense(1))(x)), series(4, 6, 3))


@case(brief=True)
def inference_decoder():
    """The decoder of the tutorial's inference: states go in and come out."""
    inputs, h, c = keras.Input((None, 3), name="step"), keras.Input((4,), name="h"), keras.Input((4,), name="c")
    x, next_h, next_c = layers.LSTM(4, return_sequences=True, return_state=True)(inputs, initial_state=[h, c])
    model = keras.Model([inputs, h, c], [layers.Dense(2)(x), next_h, next_c])
    return with_targets(model, [series(3, 5, 3), series(3, 4), series(3, 4) + 1])


@case(brief=True)
def state_from_an_image():
    """Captioning: the image's features are the first state."""
    features, words = keras.Input((6,)), keras.Input((5,), dtype="int32")
    h, c = layers.Dense(4, activation="tanh")(features), layers.Dense(4)(features)
    x = layers.LSTM(4, return_sequences=True)(layers.Embedding(11, 3)(words), initial_state=[h, c])
    return with_targets(keras.Model([features, words], layers.Dense(11)(x)), [series(4, 6), tokens(4, 5)])


@case(brief=True)
def captioning_by_addition():
    features, words = keras.Input((6,)), keras.Input((6,), dtype="int32")
    image = layers.Dense(4, activation="relu")(layers.Dropout(0.5)(features))
    x = layers.LSTM(4)(layers.Dropout(0.5)(layers.Embedding(11, 4, mask_zero=True)(words)))
    outputs = layers.Dense(11)(layers.Dense(4, activation="relu")(layers.add([image, x])))
    return with_targets(keras.Model([features, words], outputs), [series(4, 6), masked_tokens("right")])


@case
def states_alone():
    """The state is the output that counts."""
    inputs = keras.Input((6, 3))
    _, h, c = layers.LSTM(4, return_state=True)(inputs)
    return with_targets(keras.Model(inputs, layers.Concatenate()([h, c])), series(4, 6, 3))


@case
def states_returned():
    inputs = keras.Input((6, 3))
    output, h, c = layers.LSTM(4, return_sequences=True, return_state=True)(inputs)
    return with_targets(keras.Model(inputs, [output, h, c]), series(4, 6, 3))


@case
def sequential_ends_with_states():
    model = keras.Sequential([keras.Input((6, 3)), layers.LSTM(3, return_sequences=True)])
    model.add(layers.LSTM(4, return_state=True))
    return with_targets(model, series(4, 6, 3))


@case(brief=True)
def sequential_ends_with_bidirectional_states():
    model = keras.Sequential([keras.Input((6, 3)), layers.Bidirectional(layers.LSTM(3, return_state=True))])
    return with_targets(model, series(4, 6, 3))


@case
def sequential_ends_with_a_dict():
    """The last part is a model whose outputs have names."""
    inputs = keras.Input((6, 4))
    x = layers.LSTM(3, return_sequences=True)(inputs)
    head = keras.Model(inputs, {"steps": layers.Dense(2)(x), "mean": layers.GlobalAveragePooling1D()(x)})
    model = keras.Sequential([keras.Input((6, 3)), layers.LSTM(4, return_sequences=True), head])
    return with_targets(model, series(4, 6, 3))


@case
def additive_attention():
    """The decoder asks, the encoder's steps answer."""
    encoder_inputs, decoder_inputs = keras.Input((6, 3)), keras.Input((5, 3))
    encoded, h, c = layers.LSTM(4, return_sequences=True, return_state=True)(encoder_inputs)
    decoded = layers.LSTM(4, return_sequences=True)(decoder_inputs, initial_state=[h, c])
    context = layers.AdditiveAttention()([decoded, encoded])
    outputs = layers.Dense(2)(layers.Concatenate()([decoded, context]))
    return with_targets(keras.Model([encoder_inputs, decoder_inputs], outputs), [series(3, 6, 3), series(3, 5, 3)])


@case
def self_attention():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    x = layers.GlobalMaxPooling1D()(layers.Attention()([x, x]))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case(brief=True)
def multi_head_attention():
    inputs = keras.Input((6, 4))
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(inputs)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 3)(x, x))
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(x))), series(4, 6, 4))


@case(brief=True)
def weighted_sum_of_steps():
    """Attention by hand: a score a step, a softmax over time, the weighted sum."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    weights = layers.Softmax(axis=1)(layers.Dense(1, activation="tanh")(x))
    summed = keras.ops.sum(x * weights, axis=1)
    return with_targets(keras.Model(inputs, layers.Dense(1)(summed)), series(4, 6, 3))
