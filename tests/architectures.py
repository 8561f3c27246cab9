"""Models with LSTMs in them as people build them, and for every LSTM in them what feeds it.

Each function returns (model, data, fed): `fed` maps an LSTM's path to `Fed`, from which the reference computes what
its gates must be. Those marked "as the Keras example" have the layers, arguments and wiring of the public example of
that name, at a smaller size.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_lstm_gates.layers.cell import GatedLSTMCell
from keras_lstm_gates.layers.lstm import GatedLSTM


class Fed(NamedTuple):
    """What an LSTM receives: x, a symbolic tensor or the path of the LSTM whose h it is; a mask; states."""

    cell: Any
    x: Any
    mask: Any = None
    state: Any = None
    backwards: bool = False


def _rng():
    return np.random.default_rng(3)


def _series(*shape):
    return _rng().normal(size=shape).astype("float32")


def _ids(*shape, top=11):
    return _rng().integers(1, top, size=shape)


def _padded_ids(samples=4, time=7, top=11):
    ids = _ids(samples, time, top=top)
    ids[1, 4:] = 0
    ids[2, :3] = 0
    return ids


def imdb_bidirectional():
    """As the Keras example "Bidirectional LSTM on IMDB"."""
    inputs = keras.Input((None,), dtype="int32")
    x = embedded = layers.Embedding(11, 5)(inputs)
    one, two = layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.Bidirectional(layers.LSTM(3))
    x = middle = one(x)
    x = two(x)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    return model, _ids(4, 7), {**_directions(one, embedded), **_directions(two, middle)}


def _directions(layer, x, mask=None):
    return {
        f"{layer.name}/forward": Fed(layer.forward_layer.cell, x, mask),
        f"{layer.name}/backward": Fed(layer.backward_layer.cell, x, mask, backwards=True),
    }


def seq2seq_with_states():
    """As the Keras example "Character-level recurrent sequence-to-sequence model"."""
    encoder_inputs, decoder_inputs = keras.Input((None, 6)), keras.Input((None, 5))
    encoder = layers.LSTM(4, return_state=True, name="encoder")
    _, state_h, state_c = encoder(encoder_inputs)
    decoder = layers.LSTM(4, return_sequences=True, return_state=True, name="decoder")
    outputs, _, _ = decoder(decoder_inputs, initial_state=[state_h, state_c])
    model = keras.Model([encoder_inputs, decoder_inputs], layers.Dense(5, activation="softmax")(outputs))
    fed = {
        "encoder": Fed(encoder.cell, encoder_inputs),
        "decoder": Fed(decoder.cell, decoder_inputs, state=[state_h, state_c]),
    }
    return model, [_series(3, 6, 6), _series(3, 4, 5)], fed


def weather_forecasting():
    """As the Keras example "Timeseries forecasting for weather prediction"."""
    inputs = keras.layers.Input(shape=(12, 7))
    lstm = keras.layers.LSTM(8)
    model = keras.Model(inputs=inputs, outputs=keras.layers.Dense(1)(lstm(inputs)))
    return model, _series(5, 12, 7), {lstm.name: Fed(lstm.cell, inputs)}


def text_generation():
    """As the Keras example "Character-level text generation with LSTM"."""
    lstm = layers.LSTM(8)
    model = keras.Sequential([keras.Input(shape=(10, 9)), lstm, layers.Dense(9, activation="softmax")])
    return model, np.eye(9, dtype="float32")[_ids(4, 10, top=9)], {lstm.name: Fed(lstm.cell, model.inputs[0])}


def image_captioning_decoder():
    """As the widespread Keras captioning decoder: image features and masked words, merged by addition."""
    features, words = keras.Input((16,)), keras.Input((7,), dtype="int32")
    image = layers.Dense(8, activation="relu")(layers.Dropout(0.5)(features))
    x = layers.Embedding(11, 8, mask_zero=True)(words)
    dropped = layers.Dropout(0.5)(x)
    lstm = layers.LSTM(8)
    merged = layers.Dense(8, activation="relu")(layers.add([image, lstm(dropped)]))
    model = keras.Model([features, words], layers.Dense(11, activation="softmax")(merged))
    ids = _padded_ids()
    return model, [_series(4, 16), ids], {lstm.name: Fed(lstm.cell, dropped, ids != 0)}


def addition():
    """As the Keras example "Sequence to sequence learning for performing number addition"."""
    model = keras.Sequential([layers.Input((7, 12)), layers.LSTM(6), layers.RepeatVector(4)])
    model.add(layers.LSTM(6, return_sequences=True))
    model.add(layers.Dense(12, activation="softmax"))
    one, _, two, _ = model.layers
    fed = {one.name: Fed(one.cell, model.inputs[0]), two.name: Fed(two.cell, two.input)}
    return model, np.eye(12, dtype="float32")[_ids(3, 7)], fed


def sensor_anomaly_autoencoder():
    """As the widespread Keras LSTM autoencoder: RepeatVector and TimeDistributed(Dense)."""
    inputs = keras.Input((9, 2))
    one, two = layers.LSTM(5), layers.LSTM(5, return_sequences=True)
    repeated = layers.RepeatVector(9)(one(inputs))
    model = keras.Model(inputs, layers.TimeDistributed(layers.Dense(2))(two(repeated)))
    return model, _series(3, 9, 2), {one.name: Fed(one.cell, inputs), two.name: Fed(two.cell, repeated)}


def video_of_frames():
    """As the Keras "CNN-RNN" pattern: a TimeDistributed convolution, then an LSTM."""
    inputs = keras.Input((5, 6, 6, 1))
    x = layers.TimeDistributed(layers.Conv2D(3, 3, activation="relu"))(inputs)
    x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(x)
    lstm = layers.LSTM(4)
    return keras.Model(inputs, layers.Dense(2)(lstm(x))), _series(3, 5, 6, 6, 1), {lstm.name: Fed(lstm.cell, x)}


def masked_tagger():
    """Embedding(mask_zero), masked bidirectional sequences, a tag a step."""
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(11, 5, mask_zero=True)(inputs)
    layer = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="ave")
    after = layers.LSTM(3, return_sequences=True)
    middle = layer(x)
    model = keras.Model(inputs, layers.Dense(3)(after(middle)))
    ids = _padded_ids()
    fed = {**_directions(layer, x, ids != 0), after.name: Fed(after.cell, middle, ids != 0)}
    return model, ids, fed


def bidirectional_states_to_decoder():
    """A bidirectional encoder with states; merge_mode None; both pass on to a decoder."""
    inputs = keras.Input((6, 3))
    layer = layers.Bidirectional(layers.LSTM(4, return_state=True), merge_mode="sum")
    output, fh, fc, bh, bc = layer(inputs)
    decoder = layers.LSTM(8, return_sequences=True)
    states = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    repeated = layers.RepeatVector(3)(output)
    apart = layers.Bidirectional(layers.LSTM(2), merge_mode=None, name="apart")
    outputs = {"steps": decoder(repeated, initial_state=states), "both": layers.Add()(apart(inputs))}
    fed = {
        **_directions(layer, inputs),
        **_directions(apart, inputs),
        decoder.name: Fed(decoder.cell, repeated, state=states),
    }
    return keras.Model(inputs, outputs), _series(3, 6, 3), fed


def siamese():
    """One LSTM for two inputs: a shared layer, called twice."""
    left, right = keras.Input((5, 3), name="left"), keras.Input((7, 3), name="right")
    shared = layers.LSTM(4, name="shared")
    model = keras.Model({"left": left, "right": right}, layers.Dot(1)([shared(left), shared(right)]))
    fed = {"shared": Fed(shared.cell, left), "shared@2": Fed(shared.cell, right)}
    return model, {"left": _series(3, 5, 3), "right": _series(3, 7, 3)}, fed


def nested_models():
    """A nested encoder under a mask that only its caller knows, called twice; a model in a model in a model."""
    encoder_input = keras.Input((None, 3))
    encoder = keras.Model(
        encoder_input,
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(encoder_input),
        name="encoder",
    )
    head = keras.Sequential([keras.Input((None, 8)), layers.LSTM(2, name="last")], name="head")
    outer = keras.Sequential([keras.Input((None, 8)), head, layers.Dense(2)], name="outer")
    inputs = keras.Input((6, 3))
    masked = layers.Masking()(inputs)
    other = layers.Dense(3)(inputs)
    one, two = encoder(masked), encoder(other)
    data = _series(4, 6, 3)
    data[1, 4:] = 0
    data[2, :2] = 0
    real = np.any(data != 0, axis=-1)
    both = encoder.get_layer("both")
    fed = {
        "encoder/both/forward": Fed(both.forward_layer.cell, masked, real),
        "encoder/both/backward": Fed(both.backward_layer.cell, masked, real, backwards=True),
        "encoder@2/both/forward": Fed(both.forward_layer.cell, other),
        "encoder@2/both/backward": Fed(both.backward_layer.cell, other, backwards=True),
        "outer/head/last": Fed(head.get_layer("last").cell, one, real),
    }
    return keras.Model(inputs, [outer(one), layers.GlobalAveragePooling1D()(two)]), data, fed


def rnn_over_cells():
    """RNN(LSTMCell), RNN(GatedLSTMCell), and a GRU."""
    inputs = keras.Input((6, 3))
    one = layers.RNN(layers.LSTMCell(4), return_sequences=True)
    two = layers.RNN(GatedLSTMCell(3), return_sequences=True)
    first = one(inputs)
    second = two(first)
    model = keras.Model(inputs, layers.GRU(2)(second))
    return model, _series(3, 6, 3), {one.name: Fed(one.cell, inputs), two.name: Fed(two.cell, first)}


def stacked_cells():
    """RNN(StackedRNNCells) under a mask, its states on to another stack."""
    inputs = keras.Input((6, 3))
    masked = layers.Masking()(inputs)
    encoder = layers.RNN([layers.LSTMCell(4), layers.LSTMCell(2)], return_state=True, name="encoder")
    output, *states = encoder(masked)
    decoder = layers.RNN([layers.LSTMCell(4), layers.LSTMCell(2)], return_sequences=True, name="decoder")
    repeated = layers.RepeatVector(3)(output)
    data = _series(3, 6, 3)
    data[1, 3:] = 0
    real = np.any(data != 0, axis=-1)
    fed = {
        "encoder/0": Fed(encoder.cell.cells[0], masked, real),
        "encoder/1": Fed(encoder.cell.cells[1], "encoder/0", real),
        "decoder/0": Fed(decoder.cell.cells[0], repeated, state=states[0]),
        "decoder/1": Fed(decoder.cell.cells[1], "decoder/0", state=states[1]),
    }
    return keras.Model(inputs, decoder(repeated, initial_state=states)), data, fed


def mixed_cells_backwards():
    """RNN over an LSTM cell, a GRU cell and a cell of ours, read from the end under a mask, its states returned."""
    inputs = keras.Input((6, 3))
    masked = layers.Masking()(inputs)
    cells = [layers.LSTMCell(4), layers.GRUCell(3), GatedLSTMCell(2)]
    deep = layers.RNN(cells, return_sequences=True, return_state=True, go_backwards=True, name="deep")
    output, first, middle, last = deep(masked)
    below = layers.RNN(cells[:2], return_sequences=True, go_backwards=True)(masked)
    data = _series(3, 6, 3)
    data[1, 3:] = 0
    real = np.any(data != 0, axis=-1)
    fed = {
        "deep/0": Fed(cells[0], masked, real, backwards=True),
        "deep/2": Fed(cells[2], keras.ops.flip(below, axis=1), real, backwards=True),
    }
    return keras.Model(inputs, [output, *first, middle, *last]), data, fed


def hierarchy_over_time():
    """TimeDistributed(LSTM) over words, TimeDistributed(model) over sentences, an LSTM over what they say."""
    inputs = keras.Input((None, 5, 3))
    words = layers.TimeDistributed(layers.LSTM(4, name="word"), name="words")
    step = keras.Input((5, 3))
    sentence = keras.Model(
        step, layers.Bidirectional(layers.LSTM(2), name="both")(layers.Masking()(step)), name="sentence"
    )
    sentences = layers.TimeDistributed(sentence, name="sentences")
    over = layers.LSTM(3, name="document")
    x = layers.Concatenate()([words(inputs), sentences(inputs)])
    data = _series(2, 4, 5, 3)
    data[0, 1, 3:] = 0
    real = np.any(data != 0, axis=-1)
    both = sentence.get_layer("both")
    fed = {
        "words/word": Fed(words.layer.cell, inputs),
        "sentences/sentence/both/forward": Fed(both.forward_layer.cell, inputs, real),
        "sentences/sentence/both/backward": Fed(both.backward_layer.cell, inputs, real, backwards=True),
        "document": Fed(over.cell, x),
    }
    return keras.Model(inputs, over(x)), data, fed


def own_layer_and_branches():
    """`GatedLSTM` with and without its gates, an LSTM that reads backwards without bias, several branches."""
    inputs = keras.Input((6, 3))
    plain, shown = GatedLSTM(4, name="plain"), GatedLSTM(4, return_gates=True, return_sequences=True, name="shown")
    reversed_ = layers.LSTM(3, go_backwards=True, use_bias=False, recurrent_activation="hard_sigmoid", name="reversed")
    forget = layers.GlobalAveragePooling1D()(shown(inputs)["f"])
    model = keras.Model(inputs, {"all": layers.Concatenate()([plain(inputs), forget]), "other": reversed_(inputs)})
    fed = {
        "plain": Fed(plain.cell, inputs),
        "shown": Fed(shown.cell, inputs),
        "reversed": Fed(reversed_.cell, inputs, backwards=True),
    }
    return model, _series(3, 6, 3), fed


ALL = [
    imdb_bidirectional,
    seq2seq_with_states,
    weather_forecasting,
    text_generation,
    image_captioning_decoder,
    addition,
    sensor_anomaly_autoencoder,
    video_of_frames,
    masked_tagger,
    bidirectional_states_to_decoder,
    siamese,
    nested_models,
    rnn_over_cells,
    stacked_cells,
    mixed_cells_backwards,
    hierarchy_over_time,
    own_layer_and_branches,
]
