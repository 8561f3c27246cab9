"""The layer on whichever Keras backend is set: values, gradients, masks, training, save and load.

`test_jax.py` runs this file once more on JAX.
"""

import keras
import numpy as np
import pytest
from keras import ops
from reference import lstm

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers import Bidirectional, GatedLSTM, GatedLSTMCell


def layer(**arguments):
    made = GatedLSTM(2, return_gates=True, bias_initializer="normal", **arguments)
    made.build((3, 5, 4))
    return made


def gradient_of(function, value):
    """The gradient of function(tensor) -> scalar, by the backend's own automatic differentiation."""
    value = ops.convert_to_tensor(value)
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(value))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(value)
        loss = function(value)
    return np.asarray(tape.gradient(loss, value))


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "softsign"])
def test_gates_obey_the_equations(rng, mask, unroll, activation):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    made = layer(unroll=unroll, activation=activation)
    function = np.tanh if activation == "tanh" else (lambda z: z / (1 + np.abs(z)))
    expected = lstm(x, *made.get_weights(), mask=mask, tanh=function)
    received = made(x, mask=mask)
    for name in Gates._fields:
        np.testing.assert_allclose(ops.convert_to_numpy(received[name]), expected[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", Gates._fields)
def test_gradients_of_every_gate(rng, mask, name):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    towards, direction = rng.normal(size=(3, 5, 2)), rng.normal(size=x.shape)
    made = layer()
    received = gradient_of(lambda x: ops.sum(made(x, mask=mask)[name] * towards.astype("float32")), x)

    def at(offset):
        return np.sum(lstm(x + offset * direction, *made.get_weights(), mask=mask)[name] * towards)

    expected = (at(1e-6) - at(-1e-6)) / 2e-6
    np.testing.assert_allclose(np.sum(received * direction), expected, rtol=2e-5, atol=2e-5)


def test_fit_save_and_load(rng, tmp_path):
    x = rng.normal(size=(8, 5, 4)).astype("float32")
    x[2, 3:] = 0
    sequence = keras.Input((5, 4))
    both = Bidirectional(GatedLSTM(2, return_sequences=True, return_gates=True))(keras.layers.Masking()(sequence))
    cell = keras.layers.RNN(GatedLSTMCell(3))(both["output"])
    model = keras.Model(sequence, {"class": keras.layers.Dense(2)(cell), "f": both["backward/f"]})
    model.compile(keras.optimizers.Adam(0.05), {"class": "mse"})
    targets = {"class": np.eye(2, dtype="float32")[np.arange(8) % 2]}
    losses = model.fit(x, targets, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name, want in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(again.predict(x, verbose=0)[name], want, atol=1e-6)


def test_dropout_only_while_training(rng):
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    made = layer(dropout=0.4, recurrent_dropout=0.4, seed=1)
    still, dropped = (ops.convert_to_numpy(made(x, training=training)["h"]) for training in (False, True))
    np.testing.assert_allclose(still, lstm(x, *made.get_weights()[:3])["h"], atol=1e-6)
    assert np.abs(dropped - still).max() > 1e-3
