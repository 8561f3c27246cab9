"""Several inputs and outputs, shared layers, models in models, operations between layers."""

import keras
from keras import layers

from strangers.case import case, masked_series, masked_tokens, series, tokens, with_targets


@case
def two_inputs():
    """A series and what is known beside it."""
    sequence, known = keras.Input((6, 3)), keras.Input((2,))
    x = layers.Concatenate()([layers.LSTM(4)(sequence), layers.Dense(3, activation="relu")(known)])
    return with_targets(keras.Model([sequence, known], layers.Dense(1)(x)), [series(4, 6, 3), series(4, 2)])


@case
def inputs_by_name():
    """A dict of inputs, tokens and numbers."""
    words, numbers = keras.Input((None,), dtype="int32", name="words"), keras.Input((6, 2), name="numbers")
    x = layers.LSTM(4)(layers.Embedding(11, 3, mask_zero=True)(words))
    x = layers.Concatenate()([x, layers.LSTM(3)(numbers)])
    model = keras.Model({"words": words, "numbers": numbers}, layers.Dense(1)(x))
    return with_targets(model, {"words": masked_tokens("right"), "numbers": series(4, 6, 2)})


@case
def outputs_in_a_list():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    outputs = [layers.Dense(1, name="each_step")(x), layers.Dense(2, name="whole")(layers.LSTM(3)(x))]
    return with_targets(keras.Model(inputs, outputs), series(4, 6, 3))


@case(brief=True)
def outputs_by_name():
    inputs = keras.Input((None, 3))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    outputs = {"step": layers.Dense(1)(x), "all": layers.Dense(2)(layers.LSTM(3)(x))}
    return with_targets(keras.Model(inputs, outputs), series(4, 6, 3))


@case
def output_that_is_the_lstm():
    """The model ends with the LSTM itself, and shows a layer on the way too."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True, name="lower")(inputs)
    return with_targets(keras.Model(inputs, [x, layers.LSTM(3, name="upper")(x)]), series(4, 6, 3))


@case
def siamese_of_two_lengths():
    left, right = keras.Input((5, 3)), keras.Input((7, 3))
    shared = layers.LSTM(4)
    model = keras.Model([left, right], layers.Dot(1)([shared(left), shared(right)]))
    return with_targets(model, [series(3, 5, 3), series(3, 7, 3)])


@case(brief=True)
def siamese_bidirectional():
    left, right = keras.Input((None, 3)), keras.Input((None, 3))
    shared = layers.Bidirectional(layers.LSTM(3))
    distance = layers.Subtract()([shared(left), shared(right)])
    return with_targets(keras.Model([left, right], layers.Dense(1)(distance)), [series(3, 5, 3), series(3, 6, 3)])


@case(brief=True)
def question_and_answer():
    """A shared Embedding and a shared LSTM under two masks."""
    question, answer = keras.Input((6,), dtype="int32"), keras.Input((6,), dtype="int32")
    embedding, lstm = layers.Embedding(11, 4, mask_zero=True), layers.LSTM(4)
    x = layers.Multiply()([lstm(embedding(question)), lstm(embedding(answer))])
    data = [masked_tokens("right"), masked_tokens("left")]
    return with_targets(keras.Model([question, answer], layers.Dense(1)(x)), data)


@case
def one_layer_applied_again():
    """The same LSTM on its own output."""
    inputs = keras.Input((6, 4))
    lstm = layers.LSTM(4, return_sequences=True)
    return with_targets(keras.Model(inputs, layers.Dense(1)(lstm(lstm(inputs)))), series(3, 6, 4))


@case
def nested_encoder_called_twice():
    encoder_inputs = keras.Input((None, 3))
    encoder = keras.Model(encoder_inputs, layers.LSTM(4)(encoder_inputs))
    left, right = keras.Input((5, 3)), keras.Input((6, 3))
    x = layers.Subtract()([encoder(left), encoder(right)])
    return with_targets(keras.Model([left, right], layers.Dense(1)(x)), [series(4, 5, 3), series(4, 6, 3)])


@case
def sequential_in_functional():
    encoder = keras.Sequential([keras.Input((6, 3)), layers.LSTM(4, return_sequences=True), layers.LSTM(3)])
    inputs = keras.Input((6, 3))
    return with_targets(keras.Model(inputs, layers.Dense(1)(encoder(inputs))), series(4, 6, 3))


@case(brief=True)
def models_in_models():
    inner_inputs = keras.Input((6, 3))
    inner = keras.Model(inner_inputs, layers.LSTM(4, return_sequences=True)(inner_inputs))
    outer = keras.Sequential([keras.Input((6, 3)), inner, layers.LSTM(3)])
    inputs = keras.Input((6, 3))
    return with_targets(keras.Model(inputs, layers.Dense(1)(outer(inputs))), series(4, 6, 3))


@case
def autoencoder_of_two_models():
    encoder_inputs, decoder_inputs = keras.Input((6, 2)), keras.Input((3,))
    encoder = keras.Model(encoder_inputs, layers.LSTM(3)(encoder_inputs), name="encoder")
    x = layers.LSTM(4, return_sequences=True)(layers.RepeatVector(6)(decoder_inputs))
    decoder = keras.Model(decoder_inputs, layers.TimeDistributed(layers.Dense(2))(x), name="decoder")
    inputs = keras.Input((6, 2))
    return with_targets(keras.Model(inputs, decoder(encoder(inputs))), series(4, 6, 2))


@case(brief=True)
def nested_model_of_several_outputs():
    encoder_inputs = keras.Input((6, 3))
    encoder = keras.Model(encoder_inputs, layers.LSTM(4, return_sequences=True, return_state=True)(encoder_inputs))
    inputs = keras.Input((6, 3))
    steps, h, c = encoder(inputs)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(steps), h, c])
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case
def masked_nested_model():
    encoder = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4, return_sequences=True), layers.LSTM(3)])
    inputs = keras.Input((6, 3))
    x = encoder(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), masked_series("right"))


@case
def steps_unstacked():
    """keras.ops.unstack needs the number of steps."""
    inputs = keras.Input((5, 3))
    steps = keras.ops.unstack(layers.LSTM(4, return_sequences=True)(inputs), axis=1)
    x = layers.Concatenate()([steps[0], steps[2], steps[-1]])
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 5, 3))


@case(brief=True)
def last_steps_sliced():
    """The last three steps, and the last one again by its index."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    x = layers.Concatenate()([layers.Flatten()(x[:, -3:, :]), x[:, -1, :]])
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case
def steps_flattened():
    inputs = keras.Input((6, 3))
    x = layers.Flatten()(layers.LSTM(4, return_sequences=True)(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), series(4, 6, 3))


@case(brief=True)
def steps_reshaped_and_permuted():
    inputs = keras.Input((6, 3))
    x = layers.Permute((2, 1))(layers.LSTM(4, return_sequences=True)(inputs))
    x = layers.Reshape((2, 12))(x)
    return with_targets(keras.Model(inputs, layers.Dense(2)(layers.LSTM(3)(x))), series(4, 6, 3))


@case(brief=True)
def residual_stack():
    inputs = keras.Input((None, 4))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    x = layers.Add()([inputs, x])
    y = layers.LSTM(4, return_sequences=True)(x)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x + y)), series(4, 6, 4))


@case(brief=True)
def branches_of_windows():
    """Two branches that read different windows of one series."""
    inputs = keras.Input((8, 2))
    long, short = layers.LSTM(3)(inputs), layers.LSTM(3)(inputs[:, -4:, :])
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.Average()([long, short]))), series(4, 8, 2))


@case
def float_tokens():
    """Embedding of an Input that declares no dtype: tokens as floats."""
    model = keras.Sequential([keras.Input((6,)), layers.Embedding(11, 4), layers.LSTM(3), layers.Dense(1)])
    return with_targets(model, tokens(4, 6))
