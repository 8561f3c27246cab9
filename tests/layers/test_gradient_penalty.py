"""Models that train on their own gradient, as stock Keras trains them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lstm_gates.layers import GatedLSTM


class Penalized(keras.Model):
    """Adds the squared gradient of the output at the inputs to the loss, as a critic of a Wasserstein GAN does."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                y_pred = self(x, training=True)
            penalty = tf.reduce_mean(inner.gradient(y_pred, x) ** 2)
            loss = self.compute_loss(x, y, y_pred) + 10 * penalty
        self.optimizer.apply(outer.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss, "penalty": penalty}


def model_of(layer, jit_compile, time):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((time, 2))
    hidden = layer(5, return_sequences=True)(keras.layers.Masking()(inputs))
    model = Penalized(inputs, keras.layers.Dense(1)(layer(4)(hidden)))
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit_compile)
    return model


@pytest.mark.parametrize(
    ("jit_compile", "time"), [*(pytest.param(jit, 6, marks=pytest.mark.full) for jit in (False, True)), (False, None)]
)
def test_fit_with_a_gradient_penalty(rng, jit_compile, time):
    x, y = rng.normal(size=(7, 6, 2)).astype("float32"), rng.normal(size=(7, 1)).astype("float32")
    x[2, 4:] = 0
    stock, ours = (model_of(layer, jit_compile, time) for layer in (keras.layers.LSTM, GatedLSTM))
    ours.set_weights(stock.get_weights())
    histories = [model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history for model in (stock, ours)]
    assert histories[0]["penalty"][-1] < histories[0]["penalty"][0], "the penalty was trained on"
    for name, losses in histories[0].items():
        np.testing.assert_allclose(histories[1][name], losses, rtol=1e-4)
    for received, expected in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-5)
