"""`gradient_chain` where one layer is called on several sequences, and on models that were saved and loaded."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import keras_lstm_gates


def gradient_of_recurrent_kernel(model, variable, x, y):
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=False), training=False)
    return tape.gradient(loss, variable).numpy()


def summed(tree, paths):
    parts = [tree[path]["dE_dR"].sum("time").sel(gate=list("ifgo")).values for path in paths]
    return np.concatenate(list(sum(parts)), axis=-1)


def test_a_shared_layer_on_two_lengths(rng):
    short, long = keras.Input((4, 2), name="short"), keras.Input((7, 2), name="long")
    shared = layers.LSTM(3, name="shared")
    answer = layers.Dense(1)(layers.concatenate([shared(short), shared(long)]))
    model = keras.Model([short, long], answer)
    model.compile("sgd", "mse")
    x = [rng.normal(size=(5, time, 2)).astype("float32") for time in (4, 7)]
    y = rng.normal(size=(5, 1)).astype("float32")
    tree = keras_lstm_gates.gradient_chain(model, x, y, full=True)
    assert tree["shared"].sizes["time"] == 4
    assert tree["shared@2"].sizes["time"] == 7
    expected = gradient_of_recurrent_kernel(model, shared.cell.recurrent_kernel, x, y)
    np.testing.assert_allclose(summed(tree, ["shared", "shared@2"]), expected, atol=1e-5)


def test_a_loaded_model_with_merged_directions(tmp_path, rng):
    inputs = keras.Input((6, 2))
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), merge_mode="ave", name="both")
    model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(2, name="top")(both(inputs))))
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(5, 6, 2)).astype("float32"), rng.normal(size=(5, 1)).astype("float32")
    model.save(tmp_path / "model.keras")
    keras.utils.clear_session()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    trees = [keras_lstm_gates.gradient_chain(one, x, y, full=True) for one in (model, loaded)]
    for tree, of_model in zip(trees, (model, loaded), strict=True):
        for direction in ("forward", "backward"):
            variable = getattr(of_model.get_layer("both"), f"{direction}_layer").cell.recurrent_kernel
            expected = gradient_of_recurrent_kernel(of_model, variable, x, y)
            np.testing.assert_allclose(summed(tree, [f"both/{direction}"]), expected, atol=1e-5)
    np.testing.assert_allclose(trees[0]["top"]["dE_dh"], trees[1]["top"]["dE_dh"], atol=1e-6)


def test_a_nested_model_called_twice(rng):
    inner = keras.Sequential([keras.Input((5, 2)), layers.LSTM(3, name="lstm")], name="encoder")
    first, second = keras.Input((5, 2)), keras.Input((5, 2))
    model = keras.Model([first, second], layers.Dense(1)(layers.subtract([inner(first), inner(second)])))
    model.compile("sgd", "mse")
    x = [rng.normal(size=(4, 5, 2)).astype("float32") for _ in range(2)]
    y = rng.normal(size=(4, 1)).astype("float32")
    tree = keras_lstm_gates.gradient_chain(model, x, y, full=True)
    trace = keras_lstm_gates.trace(model, x, progress=False)
    paths = sorted(keras_lstm_gates.tracing.nodes(trace))
    assert len(paths) == 2
    expected = gradient_of_recurrent_kernel(model, inner.get_layer("lstm").cell.recurrent_kernel, x, y)
    np.testing.assert_allclose(summed(tree, paths), expected, atol=1e-5)
