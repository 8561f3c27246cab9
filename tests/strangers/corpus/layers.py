"""One LSTM or a stack of them, with each of its arguments."""

import keras
from keras import layers

from strangers.case import case, series, tokens, with_classes, with_targets


@case
def weather_forecast():
    """A window of fixed length, an LSTM, one number."""
    inputs = keras.Input((8, 3))
    outputs = layers.Dense(1)(layers.LSTM(6)(inputs))
    return with_targets(keras.Model(inputs, outputs), series(5, 8, 3))


@case(brief=True)
def stacked_sequential():
    """The tutorial's stack, with Dropout between."""
    model = keras.Sequential(
        [
            keras.Input((6, 2)),
            layers.LSTM(5, return_sequences=True),
            layers.Dropout(0.2),
            layers.LSTM(4, return_sequences=True),
            layers.Dropout(0.2),
            layers.LSTM(3),
            layers.Dense(1),
        ]
    )
    return with_targets(model, series(4, 6, 2))


@case
def free_length_series():
    model = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4, return_sequences=True), layers.LSTM(3)])
    model.add(layers.Dense(2))
    return with_targets(model, series(5, 7, 3))


@case(brief=True)
def built_by_first_data():
    """A Sequential without an Input, as in many blog posts; it is built when it is called."""
    model = keras.Sequential([layers.LSTM(4, return_sequences=True), layers.LSTM(3), layers.Dense(1)])
    model(series(4, 6, 2))
    return with_targets(model, series(4, 6, 2))


@case
def fixed_batch():
    inputs = keras.Input(batch_shape=(4, 6, 2))
    outputs = layers.Dense(1)(layers.LSTM(4, return_sequences=True)(inputs))
    return with_targets(keras.Model(inputs, outputs), series(4, 6, 2))


@case(brief=True)
def fixed_batch_free_time():
    inputs = keras.Input(batch_shape=(3, None, 2))
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(4)(inputs))), series(3, 5, 2))


@case
def steps_equal_to_batch():
    """Four samples of four steps: sizes that a graph may mistake for each other."""
    inputs = keras.Input((4, 4))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.TimeDistributed(layers.Dense(4))(x)), series(4, 4, 4))


@case
def one_time_step():
    """The table reshaped to a single step, of many a beginner."""
    inputs = keras.Input((1, 6))
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(4)(inputs))), series(5, 1, 6))


@case(brief=True)
def one_unit_one_feature():
    inputs = keras.Input((5, 1))
    return with_targets(keras.Model(inputs, layers.LSTM(1)(inputs)), series(3, 5, 1))


@case
def without_bias():
    inputs = keras.Input((6, 3))
    return with_targets(keras.Model(inputs, layers.LSTM(4, use_bias=False)(inputs)), series(4, 6, 3))


@case
def relu_forecast():
    """activation="relu", as the stock-price posts have it."""
    inputs = keras.Input((6, 1))
    x = layers.LSTM(5, activation="relu")(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 1))


@case
def hard_sigmoid_gates():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.LSTM(3, recurrent_activation="hard_sigmoid")(x)), series(4, 6, 3))


@case(brief=True)
def without_forget_bias():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, unit_forget_bias=False, bias_initializer="ones", recurrent_initializer="glorot_uniform")(inputs)
    return with_targets(keras.Model(inputs, x), series(4, 6, 3))


@case
def unrolled():
    inputs = keras.Input((5, 3))
    x = layers.LSTM(4, unroll=True, return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.LSTM(3, unroll=True)(x)), series(4, 5, 3))


@case
def backwards_and_flipped():
    """go_backwards, its output turned round with keras.ops.flip, beside one that reads forward."""
    inputs = keras.Input((6, 3))
    forward = layers.LSTM(4, return_sequences=True)(inputs)
    backward = layers.LSTM(4, return_sequences=True, go_backwards=True)(inputs)
    x = layers.Concatenate()([forward, keras.ops.flip(backward, axis=1)])
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), series(5, 6, 3))


@case
def backwards_last():
    inputs = keras.Input((None, 3))
    return with_targets(keras.Model(inputs, layers.LSTM(4, go_backwards=True)(inputs)), series(3, 6, 3))


@case(stateful=True)
def stateful():
    inputs = keras.Input(batch_shape=(3, 5, 2))
    x = layers.LSTM(4, stateful=True, return_sequences=True)(inputs)
    x = layers.LSTM(3, stateful=True)(x)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(3, 5, 2))


@case(stateful=True, brief=True)
def stateful_free_time():
    inputs = keras.Input(batch_shape=(2, None, 3))
    x = layers.LSTM(4, stateful=True)(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(2, 5, 3))


@case
def dropped_out():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, dropout=0.2, recurrent_dropout=0.3, return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.LSTM(3, dropout=0.5)(x)), series(4, 6, 3))


@case
def gru_and_simple_rnn_beside():
    inputs = keras.Input((6, 3))
    x = layers.GRU(4, return_sequences=True)(inputs)
    x = layers.LSTM(4, return_sequences=True)(x)
    x = layers.Concatenate()([layers.SimpleRNN(3)(x), layers.GRU(2)(x), layers.LSTM(2)(x)])
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case
def rnn_of_a_cell():
    inputs = keras.Input((6, 3))
    x = layers.RNN(layers.LSTMCell(4), return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.RNN(layers.LSTMCell(3))(x)), series(4, 6, 3))


@case
def stacked_cells():
    inputs = keras.Input((6, 3))
    x = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(4), layers.LSTMCell(3)]), return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(2)(x)), series(4, 6, 3))


@case
def list_of_cells_with_gru():
    inputs = keras.Input((None, 3))
    x = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3), layers.LSTMCell(2)])(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case(loss="sparse_categorical_crossentropy", brief=True)
def text_generation():
    """Characters one-hot, as in the Keras example."""
    model = keras.Sequential([keras.Input((6, 9)), layers.LSTM(8), layers.Dense(9, activation="softmax")])
    return with_classes(model, keras.utils.to_categorical(tokens(4, 6, 9), 9).astype("float32"), 9)


@case(loss="sparse_categorical_crossentropy")
def language_model():
    """The next word at each step, of any length."""
    inputs = keras.Input((None,), dtype="int32")
    x = layers.LSTM(5, return_sequences=True)(layers.Embedding(11, 4)(inputs))
    return with_classes(keras.Model(inputs, layers.Dense(11, activation="softmax")(x)), tokens(), 11)


@case
def steps_normalized():
    """LayerNormalization over time needs the number of steps."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.LayerNormalization(axis=1)(x)), series(4, 6, 3))


@case
def batch_normalized():
    inputs = keras.Input((6, 3))
    x = layers.BatchNormalization()(inputs)
    x = layers.BatchNormalization()(layers.LSTM(4, return_sequences=True)(x))
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(x))), series(4, 6, 3))
