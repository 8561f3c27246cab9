"""The recurrence over a whole sequence."""

import keras
from keras import activations, ops

from keras_lstm_gates.gates import Gates, step


def recurrence_from_z(
    z,
    h0,
    c0,
    recurrent_kernel,
    *,
    mask=None,
    activation=activations.tanh,
    recurrent_activation=activations.sigmoid,
    recurrent_dropout_mask=None,
    unroll=False,
):
    def one_step(z_t, states):
        h, c = states
        if recurrent_dropout_mask is None:
            recurrent = ops.matmul(h, recurrent_kernel)
        else:
            blocks = ops.split(recurrent_kernel, 4, axis=1)
            recurrent = ops.concatenate(
                [ops.matmul(h * recurrent_dropout_mask[k], blocks[k]) for k in range(4)], axis=-1
            )
        now = step(z_t + recurrent, c, activation, recurrent_activation)
        return ops.concatenate(now, axis=-1), [now.h, now.c]

    units = c0.shape[-1]
    loop = keras.layers.RNN(
        _StepCell(one_step, units), return_sequences=True, unroll=unroll, dtype=keras.backend.standardize_dtype(z.dtype)
    )
    return Gates(*ops.split(loop(z, initial_state=[h0, c0], mask=mask), 6, axis=-1))


class _StepCell(keras.layers.Layer):
    def __init__(self, one_step, units):
        super().__init__()
        self.one_step = one_step
        self.state_size = [units, units]
        self.output_size = 6 * units

    def call(self, inputs, states):
        return self.one_step(inputs, states)
