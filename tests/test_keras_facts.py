"""What docs/keras.md says of Keras and TensorFlow, shown on those that are installed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.layers import LSTM

from keras_lstm_gates.layers import GatedLSTM

MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


def test_a_rate_above_one_is_clamped_and_one_drops_nothing(x):
    assert LSTM(2, dropout=1.5).dropout == 1.0
    layer = LSTM(2, dropout=1.0)
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
    with pytest.raises(ValueError, match=r"dropout must be a float in \[0, 1\); received dropout=1.5"):
        GatedLSTM(2, dropout=1.5)


def test_implementation_is_lost_in_the_config():
    assert "implementation" not in LSTM(2, implementation=1).get_config()
    assert GatedLSTM.from_config(GatedLSTM(2, implementation=1).get_config()).implementation == 1


def test_implementation_1_with_dropout_fails(x):
    with pytest.raises(tf.errors.InvalidArgumentError):
        LSTM(2, implementation=1, dropout=0.5)(x, training=True)
    assert GatedLSTM(2, implementation=1, dropout=0.5)(x, training=True).shape == (2, 2)


def test_unrolled_and_backwards_the_wrong_steps_are_zeroed(x):
    def zeros(layer, **options):
        options |= {"go_backwards": True, "zero_output_for_mask": True, "return_sequences": True}
        return ~np.any(layer(2, **options)(x, mask=tf.constant(MASK)), axis=-1)

    backwards = ~MASK[:, ::-1]
    assert (zeros(LSTM) == backwards).all()
    assert not (zeros(LSTM, unroll=True) == backwards).all()
    assert (zeros(GatedLSTM, unroll=True) == backwards).all()


def test_before_the_first_real_step_h_is_zero_in_spite_of_an_initial_state(x):
    ones, mask = [np.ones((2, 2), "float32")] * 2, tf.constant(MASK[:, ::-1])
    for layer in (LSTM, GatedLSTM):
        output = layer(2, return_sequences=True)(x, mask=mask, initial_state=ones)
        assert not np.any(output[0, :2]), layer


def test_dropout_masks_are_drawn_in_inference(x):
    def moves_on(layer):
        before = [np.array(one) for one in layer.non_trainable_variables]
        layer(x, training=False)
        return any((np.array(one) != old).any() for one, old in zip(layer.non_trainable_variables, before))

    layers = LSTM(2, dropout=0.5), GatedLSTM(2, dropout=0.5)
    for layer in layers:
        layer.build(x.shape)
    assert [moves_on(layer) for layer in layers] == [True, False]


def test_an_activity_regularizer_counts_the_states_too(x):
    layer = LSTM(2, activity_regularizer=keras.regularizers.L1(1.0), return_sequences=True, return_state=True)
    returned = [np.abs(one).sum() for one in layer(x)]
    assert float(sum(layer.losses)) == pytest.approx(sum(returned) / 2, rel=1e-5)  # over a batch of 2
    with pytest.raises(ValueError, match="gate_regularizer"):
        GatedLSTM(2, activity_regularizer="l1", return_gates=True)


def test_beside_an_initial_state_a_mask_of_the_input_is_not_handed_on(x):
    padded = x * MASK[..., None]
    inputs, states = keras.Input((5, 3)), [keras.Input((2,)), keras.Input((2,))]
    layer = LSTM(2, return_sequences=True)
    model = keras.Model([inputs, *states], layer(keras.layers.Masking()(inputs), initial_state=states))
    output = model([padded, *np.zeros((2, 2, 2), "float32")])
    np.testing.assert_allclose(output, layer(padded), atol=1e-6)
    assert np.abs(output - layer(padded, mask=tf.constant(MASK))).max() > 0.01


def test_hard_sigmoid_is_another_function_than_in_keras_2():
    from keras_lstm_gates.activations import keras2_hard_sigmoid

    one = np.float32(1.0)
    assert float(keras.activations.hard_sigmoid(one)) == pytest.approx(1 / 6 + 0.5)
    assert float(keras2_hard_sigmoid(one)) == pytest.approx(0.7)


def test_the_gradient_of_block_lstm_v2_is_wrong(x):
    layer = LSTM(2, return_sequences=True)
    layer.build(x.shape)
    kernel, recurrent, bias = (tf.constant(one) for one in layer.get_weights())
    zeros = tf.zeros((2, 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(kernel)
        options = {"cs_prev": zeros, "h_prev": zeros, "cell_clip": 0.0, "use_peephole": False}
        options |= dict.fromkeys(("wci", "wcf", "wco"), tf.zeros(2)) | {"w": tf.concat([kernel, recurrent], 0)}
        block = tf.raw_ops.BlockLSTMV2(seq_len_max=5, x=tf.transpose(x, [1, 0, 2]), b=bias, **options)
        by_block, by_keras = (tf.reduce_sum(h**2) for h in (block.h, layer(x)))
    assert float(by_block) == pytest.approx(float(by_keras), rel=1e-5)
    wrong, right = tape.gradient(by_block, kernel), tape.gradient(by_keras, layer.cell.kernel.value)
    off = np.linalg.norm(wrong - right, axis=0) / np.linalg.norm(right)
    assert off[2:6].max() > 0.3  # the columns of f and g
