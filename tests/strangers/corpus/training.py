"""What training and number formats bring: train_step of one's own, mixed precision, regularizers, constraints."""

import keras
import tensorflow as tf
from keras import layers

from strangers.case import case, masked_series, series, tokens, with_targets


@keras.saving.register_keras_serializable("strangers")
class Stepper(keras.Model):
    """The train_step of the Keras guide, on a functional graph."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


@case
def own_train_step():
    inputs = keras.Input((6, 3))
    return with_targets(Stepper(inputs, layers.Dense(1)(layers.LSTM(4)(inputs))), series(4, 6, 3))


@case
def regularized():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(
        4, kernel_regularizer="l2", recurrent_regularizer=keras.regularizers.L1(0.01), bias_regularizer="l2"
    )(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1, kernel_regularizer="l2")(x)), series(4, 6, 3))


@case(brief=True)
def regularized_activity():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, activity_regularizer=keras.regularizers.L2(0.1), return_sequences=True)(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case(brief=True)
def constrained():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, kernel_constraint=keras.constraints.MaxNorm(0.5), recurrent_constraint="unit_norm")(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), series(4, 6, 3))


@case(tolerance=0.02)
def mixed_precision():
    """Layers of the policy mixed_float16, the head in float32, as the guide has it."""
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, return_sequences=True, dtype="mixed_float16")(inputs)
    x = layers.LSTM(3, dtype="mixed_float16")(x)
    return with_targets(keras.Model(inputs, layers.Dense(1, dtype="float32")(x)), series(4, 6, 3))


@case(tolerance=0.1, brief=True)
def mixed_bfloat16():
    inputs = keras.Input((6, 3))
    x = layers.Bidirectional(layers.LSTM(4, dtype="mixed_bfloat16"), dtype="mixed_bfloat16")(inputs)
    return with_targets(keras.Model(inputs, layers.Dense(1, dtype="float32")(x)), series(4, 6, 3))


@case
def float64():
    inputs = keras.Input((6, 3), dtype="float64")
    x = layers.LSTM(4, dtype="float64", return_sequences=True)(inputs)
    model = keras.Model(inputs, layers.Dense(1, dtype="float64")(layers.LSTM(3, dtype="float64")(x)))
    return with_targets(model, series(4, 6, 3).astype("float64"))


@case(brief=True)
def frozen_encoder():
    """Transfer: the first LSTM does not train."""
    inputs = keras.Input((6, 3))
    frozen = layers.LSTM(4, return_sequences=True, trainable=False)
    return with_targets(keras.Model(inputs, layers.Dense(1)(layers.LSTM(3)(frozen(inputs)))), series(4, 6, 3))


@case
def normalized_inputs():
    """Means and variances of the data stand in the model."""
    inputs = keras.Input((None, 3))
    x = layers.LSTM(4)(layers.Normalization(mean=[2.0, 1.0, -1.0], variance=[9.0, 4.0, 1.0])(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), 3 * series(4, 6, 3) + 2)


@case(brief=True)
def noisy_and_dropped():
    """GaussianNoise and SpatialDropout1D, in training only."""
    inputs = keras.Input((6,), dtype="int32")
    x = layers.SpatialDropout1D(0.3)(layers.Embedding(11, 4)(inputs))
    x = layers.LSTM(4)(layers.GaussianNoise(0.1)(x))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), tokens(4, 6))


@case(brief=True)
def masked_with_dropout():
    inputs = keras.Input((6, 3))
    x = layers.LSTM(4, dropout=0.3, recurrent_dropout=0.3)(layers.Masking()(inputs))
    return with_targets(keras.Model(inputs, layers.Dense(1)(x)), masked_series("gaps"))
