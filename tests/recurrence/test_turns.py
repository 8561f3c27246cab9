"""Several steps in each turn of a loop, against the equations in NumPy float64: lengths, masks, states, choices."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import lstm

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.recurrence import recurrence, use_path
from keras_lstm_gates.recurrence.turns import chosen_steps, steps_per_turn

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a loop of TensorFlow's")

BATCH, UNITS = 3, 4
MASKS = {
    "none": lambda time: None,
    "right": lambda time: np.arange(time) < np.array([[time], [max(1, time // 2)], [1]]),
    "left": lambda time: np.arange(time) >= np.array([[0], [time // 2], [time - 1]]),
    "gaps": lambda time: (np.arange(time) + np.arange(BATCH)[:, None]) % 3 > 0,
    "all": lambda time: np.zeros((BATCH, time), bool),
}


def case(time, mask, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (BATCH, time, 2), (2, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,), (BATCH, UNITS), (BATCH, UNITS)
    return [rng.normal(size=shape) * 0.7 for shape in shapes], MASKS[mask](time)


def run(arrays, mask, steps, known=True, **options):
    """The portable recurrence in a graph, of a time that is known or not."""
    x, W, R, b, h0, c0 = (None if one is None else tf.constant(one, "float64") for one in arrays)
    time = x.shape[1] if known else None

    def call(x, mask):
        with use_path("portable"), steps_per_turn(lambda *_: steps):
            z = tf.transpose(x @ W + b, (1, 0, 2))
            return recurrence(z, h0, c0, R, mask=mask, **options)

    specs = [tf.TensorSpec((BATCH, time, 2), "float64")]
    if mask is None:
        return tf.function(lambda x: call(x, None), input_signature=specs, autograph=False)(x)
    specs.append(tf.TensorSpec((BATCH, time), "bool"))
    return tf.function(call, input_signature=specs, autograph=False)(x, tf.constant(mask))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("time", [1, 9, 10, 11, 23])
def test_every_length_and_mask(time, known, mask):
    arrays, real = case(time, mask)
    x, W, R, b, h0, c0 = arrays
    expected = lstm(x, W, R, b, real, h0, c0, shows_state=True)
    received = run(arrays, real, 10, known)
    for name in "ifgoch":
        np.testing.assert_allclose(getattr(received, name), expected[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("mask", ["none", "gaps"])
@pytest.mark.parametrize("time", [1, 11])
def test_the_last_state_alone(time, mask):
    arrays, real = case(time, mask)
    x, W, R, b, h0, c0 = arrays
    expected = lstm(x, W, R, b, real, h0, c0, shows_state=True)
    for steps, known in ((1, True), (1, False), (time, True)):
        received = run(arrays, real, steps, known, last_only=True)
        for name in "ch":
            np.testing.assert_allclose(getattr(received, name), expected[name][:, -1], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("steps", [3, 7])
@pytest.mark.parametrize("mask", ["none", "gaps"])
def test_interventions_of_every_step_and_of_all_alike(steps, mask):
    arrays, real = case(7, mask)
    x, W, R, b, h0, c0 = arrays
    rng = np.random.default_rng(1)
    numbers = {
        name: (rng.uniform(0.5, 1, shape), rng.normal(size=shape) * 0.1)
        for name, shape in (("f", (BATCH, 7, UNITS)), ("i", (1, 7, UNITS)), ("c", (1, 1, UNITS)), ("h", (BATCH, 1, 1)))
    }
    full = {name: [np.broadcast_to(one, (BATCH, 7, UNITS)) for one in pair] for name, pair in numbers.items()}
    expected = lstm(x, W, R, b, real, h0, c0, shows_state=True, interventions=full)
    received = run(arrays, real, steps, interventions=numbers)
    for name in "ifgoch":
        np.testing.assert_allclose(getattr(received, name), expected[name], atol=1e-12, err_msg=name)


def test_other_activations():
    arrays, real = case(11, "right")
    x, W, R, b, h0, c0 = arrays
    expected = lstm(x, W, R, b, real, h0, c0, shows_state=True, sigmoid=lambda z: np.clip(0.2 * z + 0.5, 0, 1))
    hard = lambda z: tf.clip_by_value(0.2 * z + 0.5, 0, 1)  # noqa: E731  Keras 2's hard_sigmoid
    received = run(arrays, real, 10, recurrent_activation=hard)
    for name in "ifgoch":
        np.testing.assert_allclose(getattr(received, name), expected[name], atol=1e-12, err_msg=name)


def test_only_what_is_wanted_is_kept():
    arrays, _ = case(11, "none")
    received = run(arrays, None, 10, outputs=("h",))
    assert received == Gates(None, None, None, None, None, received.h)


def test_the_choice_ends_with_its_block():
    assert chosen_steps(5, 4, 1) is None
    with steps_per_turn(lambda *of_the_loop: of_the_loop):
        assert chosen_steps(5, 4, 1) == (5, 4, 1)
    assert chosen_steps(5, 4, 1) is None
