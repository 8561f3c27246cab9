"""Models as Keras 2 writes them, and what they answer: `python tf_keras_models.py FOLDER`, in a process of its own."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

FORMATS = ("h5", "keras", "json")


def architectures(keras):
    """{name: (model, inputs)}."""
    layers, models = keras.layers, {}
    rng = np.random.default_rng(0)

    def floats(*shape):
        return rng.normal(size=shape).astype("float32")

    def tokens(*shape, vocabulary=11):
        return rng.integers(0, vocabulary, shape)

    def sequential(name, x, *parts, shape=None, **given):
        given = given or {"shape": x.shape[1:] if shape is None else shape}
        models[name] = (keras.Sequential([keras.Input(**given), *parts], name=name), x)

    lstm, both, each = layers.LSTM, layers.Bidirectional, layers.TimeDistributed
    hard = {"recurrent_activation": "hard_sigmoid"}
    sequential(
        "stock_forecast", floats(3, 6, 2), lstm(5, return_sequences=True), layers.Dropout(0.2), lstm(4), layers.Dense(1)
    )
    sequential("first_shape_in_the_layer", floats(3, 6, 2), lstm(4, **hard), layers.Dense(2, "hard_sigmoid"))
    imdb = [
        layers.Embedding(11, 4, input_length=7),
        layers.SpatialDropout1D(0.2),
        lstm(5, **hard),
        layers.Dense(1, "sigmoid"),
    ]
    sequential("sentiment", tokens(3, 7), *imdb)
    masked = [
        layers.Embedding(11, 4, mask_zero=True),
        both(lstm(3, return_sequences=True)),
        each(layers.Dense(4, "softmax")),
    ]
    sequential("tagger", tokens(3, 7, vocabulary=3), *masked, shape=(None,))
    sequential(
        "masking",
        floats(3, 6, 2) * (rng.random((3, 6, 1)) > 0.4),
        layers.Masking(),
        lstm(4, return_sequences=True),
        lstm(3),
    )
    coder = [lstm(4), layers.RepeatVector(5), lstm(4, return_sequences=True), each(layers.Dense(2))]
    sequential("autoencoder", floats(3, 5, 2), *coder)
    sequential(
        "stateful",
        floats(2, 4, 3),
        lstm(4, stateful=True, return_sequences=True),
        lstm(3, stateful=True),
        layers.Dense(2),
        batch_input_shape=(2, 4, 3),
    )
    sequential(
        "stateful_characters",
        tokens(1, 1),
        layers.Embedding(11, 4),
        lstm(5, stateful=True, return_sequences=True),
        each(layers.Dense(11)),
        batch_input_shape=(1, 1),
    )
    sequential(
        "free_time",
        floats(2, 7, 3),
        lstm(4, go_backwards=True, use_bias=False, return_sequences=True),
        layers.BatchNormalization(),
        lstm(3, unroll=False),
        batch_input_shape=(None, None, 3),
    )
    sequential("merged_sum", floats(2, 5, 3), both(lstm(4, return_sequences=True, **hard), "sum"), both(lstm(2), "ave"))
    sequential(
        "stacked_cells",
        floats(2, 5, 3),
        layers.RNN([layers.LSTMCell(3), layers.LSTMCell(4, **hard), layers.GRUCell(2)]),
    )
    sequential(
        "convolution",
        floats(2, 8, 3),
        layers.Conv1D(4, 3, activation="relu", padding="causal"),
        layers.MaxPooling1D(2),
        lstm(3),
        layers.LeakyReLU(0.2),
        layers.Dense(2),
    )
    sequential(
        "gru_beside",
        floats(2, 5, 3),
        layers.GRU(4, return_sequences=True),
        layers.GRU(3, reset_after=False, return_sequences=True, **hard),
        layers.SimpleRNN(3, return_sequences=True),
        lstm(2),
    )
    sequential(
        "frames",
        floats(2, 3, 4, 4, 1),
        each(layers.Conv2D(2, 2)),
        each(layers.Flatten()),
        lstm(3, dropout=0.2, recurrent_dropout=0.1),
        layers.LayerNormalization(),
    )
    sequential(
        "convolutional_lstm",
        floats(2, 3, 5, 5, 1),
        layers.ConvLSTM2D(2, 2, return_sequences=True, **hard),
        layers.BatchNormalization(),
        each(layers.Flatten()),
        lstm(3),
    )
    sequential(
        "relu_regularized",
        floats(2, 5, 3),
        lstm(
            4,
            "relu",
            kernel_regularizer="l2",
            kernel_constraint="max_norm",
            kernel_initializer=keras.initializers.VarianceScaling(2.0),
        ),
        layers.PReLU(),
        layers.Dense(2, "swish"),
    )
    sequential("slashes", floats(2, 5, 3), lstm(4, return_sequences=True, name="block/one"), lstm(3, name="block/two"))
    models.update(_graphs(keras, floats, tokens))
    return models


def _graphs(keras, floats, tokens):
    layers, models = keras.layers, {}
    lstm, both = layers.LSTM, layers.Bidirectional

    words, target = keras.Input((None,), name="words"), keras.Input((None, 5), name="target")
    _, h, c = lstm(4, return_state=True, recurrent_activation="hard_sigmoid", name="encoder")(
        layers.Embedding(11, 3, mask_zero=True)(words)
    )
    decoded, *_ = lstm(4, return_sequences=True, return_state=True, name="decoder")(target, initial_state=[h, c])
    answer = layers.Dense(5, "softmax")(decoded)
    models["encoder_decoder"] = keras.Model([words, target], answer), [tokens(3, 6), floats(3, 4, 5)]

    x = keras.Input((6, 3))
    out, *states = both(lstm(3, return_state=True, return_sequences=True), name="two_ways")(x)
    top = both(lstm(3), name="with_states")(out, initial_state=states)
    models["bidirectional_states"] = keras.Model(x, top), floats(2, 6, 3)

    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    shared = lstm(4, name="shared")
    joined = layers.Concatenate()([shared(x), shared(y), layers.Subtract()([shared(x), shared(y)])])
    models["siamese"] = (
        keras.Model([x, y], [layers.Dense(2, name="a")(joined), layers.Dense(1, name="b")(joined)]),
        [floats(2, 5, 3), floats(2, 5, 3)],
    )

    part = keras.Sequential(
        [keras.Input((5, 3)), lstm(4, return_sequences=True), layers.BatchNormalization()], name="part"
    )
    inner_x = keras.Input((5, 4))
    inner = keras.Model(inner_x, [lstm(3, name="deep")(inner_x), layers.Flatten()(inner_x)], name="inner")
    inner.layers[1].trainable = False
    x, y = keras.Input((5, 3)), keras.Input((5, 3))
    a, b = inner(part(x)), inner(part(y))
    models["nested_twice"] = keras.Model([x, y], layers.Concatenate()([*a, *b])), [floats(2, 5, 3), floats(2, 5, 3)]

    late = keras.Sequential([lstm(4, return_sequences=True), lstm(3)], name="built_late")
    x = keras.Input((5, 3))
    models["built_late"] = keras.Model(x, layers.Dense(2)(late(x))), floats(2, 5, 3)

    x = keras.Input((6, 4))
    query = lstm(4, return_sequences=True)(x)
    attended = layers.Attention(use_scale=True)([query, x])
    heads = layers.MultiHeadAttention(2, 3)(query, x)
    pooled = [layers.GlobalAveragePooling1D()(attended), layers.GlobalMaxPooling1D()(heads)]
    models["attention"] = keras.Model(x, layers.Dense(2)(layers.Add()(pooled))), floats(2, 6, 4)
    models["tensorflow_operations"] = _operations(keras), floats(2, 6, 3)
    models["mask_ends_at_an_operation"] = _masked(keras), tokens(3, 7, vocabulary=3)
    models["tensorflow_functions"] = _functions(keras), [floats(3, 6, 4), tokens(3, 2, vocabulary=5)]
    models["loss_within"] = _with_a_loss(keras), floats(3, 6, 3)
    models["several_devices"] = _on_two_devices(keras), floats(4, 6, 3)

    words, letters = keras.Input((5,)), keras.Input((5, 4))
    spelled = layers.TimeDistributed(lstm(3))(layers.TimeDistributed(layers.Embedding(9, 2))(letters))
    joined = layers.concatenate([layers.Embedding(11, 3, mask_zero=True)(words), spelled], name="concatenate")
    tags = layers.TimeDistributed(layers.Dense(2, "softmax"))(both(lstm(3, return_sequences=True))(joined))
    models["words_and_letters"] = keras.Model([words, letters], tags), [tokens(3, 5), tokens(3, 5, 4, vocabulary=9)]

    # The tagger of words and characters that many copy: masks of characters, of words, and of both.
    words, letters = keras.Input((None,)), keras.Input((None, 4))
    each = layers.TimeDistributed(layers.Embedding(4, 2, mask_zero=True))(letters)
    spelled = [layers.TimeDistributed(one)(each) for one in (lstm(3), both(lstm(2)), layers.GRU(2))]
    spelled.append(layers.TimeDistributed(lstm(2))(layers.TimeDistributed(lstm(2, return_sequences=True))(each)))
    joined = layers.concatenate([layers.Embedding(3, 3, mask_zero=True)(words), *spelled])
    whole = both(lstm(3, return_sequences=True))(layers.SpatialDropout1D(0.1)(joined))
    from_letters = lstm(2)(layers.TimeDistributed(lstm(2))(layers.Embedding(4, 2, mask_zero=True)(letters)))
    ends = [layers.TimeDistributed(layers.Dense(2, "softmax"))(whole), from_letters]
    data = [tokens(6, 5, vocabulary=3), tokens(6, 5, 4, vocabulary=3)]
    data[1][0, 1], data[1][1:3, 3:] = 0, 0
    models["masked_letters"] = keras.Model([words, letters], ends), data
    frames = keras.Input((4, 3, 2))
    seen = layers.TimeDistributed(lstm(3))(layers.Masking()(frames))
    data = floats(5, 4, 3, 2)
    data[0, 2:], data[1, :, 2], data[2] = 0, 0, 0
    models["masked_frames"] = keras.Model(frames, lstm(2)(seen)), data

    one, two = keras.Input((5,)), keras.Input((5,))
    first, second = (layers.Embedding(3, 3, mask_zero=True)(x) for x in (one, two))
    sums = [layers.Add()([first, second]), layers.Multiply()([layers.Embedding(3, 3)(two), first])]
    ends = [lstm(2)(x) for x in [*sums, layers.Concatenate()([first, second])]]
    models["masks_joined"] = keras.Model([one, two], ends), [tokens(4, 5, vocabulary=3), tokens(4, 5, vocabulary=3)]

    x, adapted = keras.Input((8, 3)), layers.Normalization()
    adapted.adapt(3.0 * floats(20, 8, 3) + 1.0)
    y = layers.SeparableConv1D(4, 3, padding="same")(layers.Rescaling(0.5)(adapted(x)))
    models["normalized"] = keras.Model(x, layers.Dense(1)(lstm(3)(layers.ZeroPadding1D(1)(y)))), floats(2, 8, 3)
    return models


def _functions(keras):
    import tensorflow as tf

    x, places = keras.Input((6, 4)), keras.Input((2,), dtype="int32")
    a, b = tf.split(tf.math.l2_normalize(x, axis=-1), 2, axis=-1)
    y = tf.tile(tf.expand_dims(tf.reduce_sum(a * b, -1), -1), [1, 1, 2])
    late = tf.pad(x[:, 1:], [[0, 0], [1, 0], [0, 0]])
    y = tf.concat([tf.clip_by_value(y, -0.5, 0.5), tf.where(x > 0.1, x, 0.0), late], -1)
    s = keras.layers.LSTM(4, return_sequences=True)(y)
    batch = tf.shape(s)[0]
    chosen = [tf.gather(s, [0, 2], axis=1), tf.gather(s, places, axis=1, batch_dims=1), tf.unstack(s, axis=1)[2]]
    shaped = [tf.reshape(s, (batch, 24)), tf.zeros((batch, 2)), tf.reverse(s, axis=[1])]
    shaped += [tf.slice(s, [0, 1, 0], [-1, 2, -1]), tf.one_hot(places, 5, on_value=2.0)]
    numbers = [tf.math.reduce_std(s, 1), tf.reduce_prod(s, 1), tf.norm(s, axis=1), tf.math.top_k(s, 2)[0]]
    numbers += [tf.argmax(s, axis=-1), tf.cumsum(s, axis=1, exclusive=True), tf.nn.gelu(s), tf.nn.leaky_relu(s)]
    rest = [tf.cast((s > 0) & (s < 0.5), "float32"), s % 0.3, tf.tensordot(s, tf.ones((4, 2)), 1)]
    rest.append(tf.cast(tf.sequence_mask(places, 4), "int32"))
    return keras.Model([x, places], chosen + shaped + numbers + rest)


def _with_a_loss(keras):
    """Of an autoencoder: the layers of the loss lead to no output."""
    import tensorflow as tf

    x = keras.Input((6, 3))
    code = keras.layers.Dense(2)(keras.layers.LSTM(3)(x))
    y = keras.layers.LSTM(3, return_sequences=True)(keras.layers.RepeatVector(6)(code))
    model = keras.Model(x, y)
    model.add_loss(tf.reduce_mean(tf.square(x - y)))
    model.add_metric(tf.reduce_mean(code), name="mean", aggregation="mean")
    return model


def _on_two_devices(keras):
    """As `multi_gpu_model` made it: each slice of the batch by a layer of Python code."""
    inner = keras.Sequential([keras.Input((6, 3)), keras.layers.LSTM(3), keras.layers.Dense(2)], name="inner")
    x = keras.Input((6, 3))

    def get_slice(data, i, parts):
        import tensorflow as tf

        return tf.split(data, parts)[i]

    slices = [keras.layers.Lambda(get_slice, arguments={"i": i, "parts": 2}, name=f"lambda_{i}")(x) for i in (0, 1)]
    return keras.Model(x, keras.layers.Concatenate(axis=0, name="dense")([inner(one) for one in slices]))


def _operations(keras):
    import tensorflow as tf

    x = keras.Input((6, 3))
    y = 1.0 - x * [1.0, 2.0, 3.0] + tf.abs(x) ** 2 / 4
    y = tf.concat([y, x[:, :, :1], 2 * -x[:, :, 1:]], axis=-1)
    s = keras.layers.LSTM(4, return_sequences=True)(y)
    scores = tf.nn.softmax(tf.matmul(s, s, transpose_b=True), axis=1)
    s = tf.matmul(scores, s) + tf.transpose(tf.reshape(s, (-1, 4, 6)), perm=[0, 2, 1])
    top = keras.layers.LSTM(3)(tf.squeeze(s[:, :, tf.newaxis], axis=2))
    steps = tf.stack([s[:, -1], tf.reduce_mean(s, 1), tf.reduce_max(s, axis=[1]), s[:, 0]], axis=1)
    signs = tf.one_hot(tf.cast(tf.nn.relu(top) * 9.0, "int32"), 5)
    ends = [tf.reduce_sum(steps, axis=-1, keepdims=True), signs, tf.expand_dims(tf.sigmoid(top), 1), tf.tanh(top)]
    return keras.Model(x, ends)


def _masked(keras):
    x = keras.Input((None,))
    s = keras.layers.LSTM(4, return_sequences=True)(keras.layers.Embedding(11, 3, mask_zero=True)(x))
    return keras.Model(x, [keras.layers.LSTM(3)(s * 2.0), keras.layers.GlobalAveragePooling1D()(s + s)])


def shake(model):
    """Weights as after training: none is zero, biases and moving averages neither."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            np.abs(w) + 0.3 * rng.random(w.shape) if w.min() >= 0 else w + 0.2 * rng.normal(size=w.shape)
            for w in model.get_weights()
        ]
    )


def write(folder):
    import tf_keras as keras

    answers = {}
    for name, (model, inputs) in architectures(keras).items():
        shake(model)
        save(model, folder / name)
        inputs = inputs if isinstance(inputs, list) else [inputs]
        outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        answers |= {f"{name}/in{place}": value for place, value in enumerate(inputs)}
        answers |= {f"{name}/out{place}": np.asarray(value) for place, value in enumerate(outputs)}
    answers |= cudnn(keras, folder)
    for name in ("encoder_decoder", "nested_twice", "stacked_cells", "slashes"):
        model = keras.models.load_model(folder / f"{name}.keras")
        model.save(folder / f"{name}_saved_model", save_format="tf")
        model.save_weights(folder / f"{name}_checkpoint")
        model.save_weights(folder / f"{name}.weights.h5")
    np.savez(folder / "answers.npz", **answers)


def save(model, path):
    model.save(f"{path}.h5")
    model.save(f"{path}.keras")
    Path(f"{path}.json").write_text(model.to_json())
    model.save_weights(f"{path}_weights.h5")


def cudnn(keras, folder):
    """CuDNNLSTM and CuDNNGRU need a GPU; here Keras 2 turns their weights into those of LSTM and GRU, which answer."""
    # Its public place, tf.compat.v1.keras.layers, is that of Keras 3 unless an environment variable says otherwise.
    from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
    from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

    answers = {}
    x = np.random.default_rng(5).normal(size=(2, 5, 3)).astype("float32")
    kinds = {
        "cudnn": [(CuDNNLSTM, keras.layers.LSTM, {})],
        "cudnn_both_ways": [(CuDNNLSTM, keras.layers.LSTM, {"both": True}), (CuDNNGRU, keras.layers.GRU, {})],
    }
    for name, parts in kinds.items():
        made = [keras.Sequential([keras.Input((5, 3), name="x")], name=name) for _ in range(2)]
        for number, (fused, plain, options) in enumerate(parts):
            for model, kind in zip(made, (fused, plain), strict=True):
                one = kind(4, return_sequences=True, name=f"part{number}")
                model.add(keras.layers.Bidirectional(one, name=f"both{number}") if options else one)
        shake(made[0])
        made[0].save(folder / f"{name}.h5")
        made[0].save_weights(folder / f"{name}_weights.h5")
        (folder / f"{name}.json").write_text(made[0].to_json())
        made[1].load_weights(folder / f"{name}_weights.h5")
        answers |= {f"{name}/in0": x, f"{name}/out0": made[1](x).numpy()}
    return answers


def configuration(path):
    """The configuration in an HDF5 file, to be edited, and a function that writes it back."""
    with h5py.File(path, "r") as file:
        tree = json.loads(file.attrs["model_config"])

    def write_back(version=None):
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = json.dumps(tree)
            if version is not None:
                file.attrs["keras_version"] = version
                file["model_weights"].attrs["keras_version"] = version

    return tree, write_back


if __name__ == "__main__":
    write(Path(sys.argv[1]))
