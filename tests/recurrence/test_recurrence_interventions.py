"""Interventions within the recurrence, against the equations in NumPy float64 and central differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import MASKS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops
from reference import lstm

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.recurrence import recurrence
from keras_lstm_gates.recurrence.compiled import chain_rule

PATHS = ["portable", "compiled", "chunked"]
B, T, D, U = 3, 5, 2, 4
ALL = (B, T, U)


def weights(seed=0, batch=B, time=T):
    r = np.random.default_rng(seed)
    return [r.normal(size=s) * 0.7 for s in ((batch, time, D), (batch, U), (batch, U), (D, 4 * U), (U, 4 * U))]


def expected_of(arrays, mask, act):
    x, h0, c0, W, R = arrays
    shape = (*x.shape[:2], U)
    full = {name: [np.broadcast_to(number, shape) for number in pair] for name, pair in act.items()}
    return lstm(x, W, R, mask=mask, h0=h0, c0=c0, shows_state=True, interventions=full)


def received_of(arrays, mask, act, **options):
    x, h0, c0, W, R = (ops.convert_to_tensor(array, "float64") for array in arrays)
    z = ops.matmul(ops.transpose(x, (1, 0, 2)), W)
    return recurrence(z, h0, c0, R, mask=mask, interventions=act, **options)


def assert_agrees(received, expected):
    for name in Gates._fields:
        np.testing.assert_allclose(np.asarray(getattr(received, name)), expected[name], 0, 1e-11, err_msg=name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from(PATHS),
    pattern=st.sampled_from(list(MASKS)),
    acted_on=st.sets(st.sampled_from(Gates._fields), min_size=1),
    kind=st.sampled_from(["set", "scale", "shift", "both"]),
    seed=st.integers(0, 10**6),
)
def test_any_intervention_at_any_place_is_that_of_the_equations(path, pattern, acted_on, kind, seed):
    r = np.random.default_rng(seed)
    mask = None if MASKS[pattern] is None else np.array(MASKS[pattern], bool)
    act = {}
    for name in Gates._fields:
        # Some samples, steps and units; all gates always have numbers, so that a path has one program.
        places = (r.random(ALL) < r.random()) & (name in acted_on)
        scale, shift = r.uniform(-1.5, 1.5, (2, *ALL))
        scale = {"set": 0.0, "shift": 1.0}.get(kind, scale)
        shift = 0.0 if kind == "scale" else shift
        act[name] = np.where(places, scale, 1.0), np.where(places, shift, 0.0)
    arrays = weights(seed)
    assert_agrees(received_of(arrays, mask, act, path=path), expected_of(arrays, mask, act))


SHARED = {
    "i": ((U,), (1,)),
    "f": ((1, T, 1), (U,)),
    "g": ((B, 1, U), (T, U)),
    "o": ((), (B, 1, 1)),
    "c": ((1, 1, U), (1, T, U)),
    "h": ((B, T, 1), (1, 1, 1)),
}


def shared(seed=1):
    r = np.random.default_rng(seed)
    return {name: [r.uniform(-1, 1.4, shape) for shape in shapes] for name, shapes in SHARED.items()}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("pattern", ["none", "gaps"])
def test_gradients_at_all_that_goes_in_are_central_differences_of_the_equations(path, pattern):
    arrays, act = weights(), shared()
    mask = None if MASKS[pattern] is None else np.array(MASKS[pattern], bool)
    r = np.random.default_rng(2)
    cotangents = {name: r.normal(size=ALL) for name in Gates._fields}

    def loss_of(arrays, act):
        return sum(np.sum(cotangents[name] * values) for name, values in expected_of(arrays, mask, act).items())

    tensors = [tf.constant(array) for array in arrays]
    numbers = {name: [tf.constant(number) for number in pair] for name, pair in act.items()}
    with tf.GradientTape() as tape:
        tape.watch([tensors, numbers])
        received = received_of(tensors, mask, numbers, path=path)
        loss = sum(tf.reduce_sum(cotangents[name] * getattr(received, name)) for name in Gates._fields)
    assert_agrees(received, expected_of(arrays, mask, act))
    gradients, of_numbers = tape.gradient(loss, [tensors, numbers])
    tiny = 1e-5
    for place, gradient in enumerate(gradients):
        direction = r.normal(size=arrays[place].shape)
        ahead, behind = (
            loss_of([a + sign * tiny * direction if at == place else a for at, a in enumerate(arrays)], act)
            for sign in (1, -1)
        )
        np.testing.assert_allclose(np.sum(gradient * direction), (ahead - behind) / (2 * tiny), 1e-6, 1e-6)
    for name in Gates._fields:
        for place in (0, 1):
            direction = r.normal(size=act[name][place].shape)
            ahead, behind = (
                loss_of(
                    arrays,
                    {**act, name: [n + sign * tiny * direction * (at == place) for at, n in enumerate(act[name])]},
                )
                for sign in (1, -1)
            )
            gradient = np.sum(of_numbers[name][place] * direction)
            np.testing.assert_allclose(gradient, (ahead - behind) / (2 * tiny), 1e-6, 1e-6, err_msg=name)


def test_a_batch_in_two_parts_over_two_chunks_is_the_same_by_all_paths_with_gradients():
    batch, time = 18, 40
    arrays = weights(3, batch, time)
    r = np.random.default_rng(4)
    mask = r.random((batch, time)) > 0.3
    act = {
        "f": (r.uniform(0, 1, (batch, 1, U)), r.uniform(0, 0.1, (1, time, U))),
        "c": (r.uniform(0.5, 1, (batch, time, U)), r.uniform(0, 0.1, (1,))),
    }

    def run(path, last_only=False):
        numbers = {name: [tf.constant(number) for number in pair] for name, pair in act.items()}
        with tf.GradientTape() as tape:
            tape.watch(numbers)
            received = received_of(arrays, mask, numbers, path=path, last_only=last_only)
            loss = sum(tf.reduce_sum(value**2) for value in received if value is not None)
        return loss, tape.gradient(loss, numbers)

    for last_only, paths in ((False, ["compiled"]), (True, ["chunked"])):
        expected, gradients = run("portable", last_only)
        for path in paths:
            received, others = run(path, last_only)
            np.testing.assert_allclose(received, expected, 1e-12)
            for one, other in zip(tf.nest.flatten(gradients), tf.nest.flatten(others), strict=True):
                np.testing.assert_allclose(other, one, 1e-9, 1e-11)


def test_the_second_derivative_by_scale_and_shift_is_that_of_the_portable_path():
    arrays, act = weights(), {"f": (np.full((1, 1, U), 0.5), np.full((1, 1, U), 0.1))}

    def second(path):
        numbers = [tf.constant(number) for number in act["f"]]
        with tf.GradientTape() as outer:
            outer.watch(numbers)
            with tf.GradientTape() as inner:
                inner.watch(numbers)
                received = received_of(arrays, None, {"f": numbers}, path=path)
                loss = tf.reduce_sum(received.c**2)
            steepness = sum(tf.reduce_sum(one**2) for one in inner.gradient(loss, numbers))
        return outer.gradient(steepness, numbers)

    for one, other in zip(second("portable"), second("compiled"), strict=True):
        np.testing.assert_allclose(one, other, 1e-10)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mask", ["none", "gaps"])
def test_nothing_done_is_nothing_done(path, mask):
    arrays, mask = weights(), None if mask == "none" else np.array(MASKS[mask], bool)
    expected = received_of(arrays, mask, None, path=path)
    for one, other in zip(received_of(arrays, mask, {}, path=path), expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    # Another program: the last bit of its sigmoid is the compiler's.
    act = dict.fromkeys(Gates._fields, (1.0, 0.0))
    for one, other in zip(received_of(arrays, mask, act, path=path), expected, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=0, atol=2**-52)


def test_another_value_has_no_program_of_its_own():
    arrays = weights()
    received_of(arrays, None, {"o": (np.zeros((1, T, U)), np.zeros((1, T, U)))}, path="chunked")
    before = chain_rule._chain.cache_info().currsize
    one = chain_rule._chain
    counts = []
    for value in (0.1, 0.7):
        number = np.full((1, T, U), value)
        received = received_of(arrays, None, {"o": (0 * number, number)}, path="chunked")
        assert np.unique(received.o).tolist() == [value]
        chain = one(
            Gates._fields, False, True, False, 4, U, (("o", (False, True, False), (False, True, False)),), False
        )
        counts.append(chain._forward.experimental_get_tracing_count())
    assert counts == [1, 1]
    assert chain_rule._chain.cache_info().currsize == before


def test_the_last_step_alone_and_unrolled():
    arrays, act, mask = weights(), shared(), np.array(MASKS["right"], bool)
    expected = expected_of(arrays, mask, act)
    for options in ({"unroll": True}, {"path": "compiled"}):
        last = received_of(arrays, mask, act, last_only=True, **options)
        np.testing.assert_allclose(np.asarray(last.c), expected["c"][:, -1], 0, 1e-12)
        np.testing.assert_allclose(np.asarray(last.h), expected["h"][:, -1], 0, 1e-12)


def test_numbers_of_sizes_that_only_the_run_tells():
    arrays = weights()
    unknown = tf.TensorSpec([None, None, U], "float64")

    @tf.function(input_signature=[tf.TensorSpec([None, None, D], "float64"), unknown, unknown])
    def run(x, scale, shift):
        _, h0, c0, W, R = arrays
        return received_of([x, h0, c0, W, R], None, {"f": (scale, shift)})

    full = np.random.default_rng(5).uniform(0, 1, ALL)
    for number in (full, full[:1], full[:, :1], full[:1, :1]):
        assert_agrees(run(arrays[0], number, 0 * number), expected_of(arrays, None, {"f": (number, 0 * number)}))


def test_refusals():
    arrays = weights()
    with pytest.raises(ValueError, match=r"Expected interventions on \('i', 'f'.*Received: 'forget'"):
        received_of(arrays, None, {"forget": (0.0, 1.0)})
    expected = r"Expected shift of f to broadcast to \(batch, time, units\) = \(3, 5, 4\). Received: shift.shape=\(3,\)"
    with pytest.raises(ValueError, match=expected):
        received_of(arrays, None, {"f": (0.0, np.ones(3))})
    with pytest.raises(ValueError, match=r"path='cudnn' expected .*no interventions, received those on \['f'\]"):
        received_of(arrays, None, {"f": (0.0, 1.0)}, path="cudnn", hidden=lambda: None)


def test_half_precision_steers_too():
    arrays, act = weights(), {"f": (0.0, np.full((1, T, U), 0.25))}
    z, h0, c0, R = (
        keras.ops.convert_to_tensor(a, "float16") for a in (np.ones((T, B, 4 * U)), arrays[1], arrays[2], arrays[4])
    )
    received = recurrence(z, h0, c0, R, interventions=act, path="compiled")
    assert np.unique(received.f).tolist() == [0.25]
    assert keras.backend.standardize_dtype(received.f.dtype) == "float16"
