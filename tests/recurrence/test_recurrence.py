"""The recurrence against the equations in NumPy float64, against keras.layers.LSTM, and path against path."""

import functools
import itertools
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops
from reference import lstm

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.recurrence import PATHS, gates_from_hidden, recurrence, use_path
from keras_lstm_gates.recurrence.compiled import batch_parts, chain_rule, programs

# The cudnn path needs a kernel that gives h: `test_every_gate_from_the_hidden_states_alone` and `test_lstm.py` test it.
PATHS = [path for path in PATHS if path != "cudnn"]

TOLERANCE = {"float32": 1e-6, "float64": 1e-12, "bfloat16": 3e-2, "float16": 4e-3}


def reference(x, h0, c0, W, R, b, mask=None, dropout=None, **activations):
    return Gates(**lstm(x, W, R, b, mask, h0, c0, dropout=dropout, shows_state=True, **activations))


def recurrence_of(x, h0, c0, W, R, b=None, **options):
    """The recurrence from the input; the layer multiplies x by W by itself."""
    z = ops.matmul(ops.transpose(x, (1, 0, 2)), W)
    return recurrence(z if b is None else z + b, h0, c0, R, **options)


MASKS = {
    "none": lambda r, B, T: None,
    "right": lambda r, B, T: np.arange(T) < r.integers(1, T + 1, (B, 1)),
    "left": lambda r, B, T: np.arange(T) >= r.integers(0, T, (B, 1)),
    "gaps": lambda r, B, T: r.random((B, T)) > 0.4,
    "a row fully masked": lambda r, B, T: (r.random((B, T)) > 0.3) & (np.arange(B) > 0)[:, None],
    "all masked": lambda r, B, T: np.zeros((B, T), bool),
}


def case(B=3, T=5, D=2, U=4, mask="none", dropout=False, bias=True, dtype="float64", seed=0):
    r = np.random.default_rng(seed)
    shapes = [(B, T, D), (B, U), (B, U), (D, 4 * U), (U, 4 * U), (4 * U,)]
    arrays = [(r.normal(size=s) * 0.7).astype(dtype if dtype in ("float32", "float64") else "float32") for s in shapes]
    if not bias:
        arrays[-1] = None
    return arrays, MASKS[mask](r, B, T), ((r.random((4, B, U)) > 0.3) / 0.7).astype(dtype) if dropout else None


def run(arrays, mask=None, dropout=None, dtype="float64", **options):
    tensors = [None if a is None else ops.convert_to_tensor(a, dtype) for a in arrays]
    dropout = None if dropout is None else ops.convert_to_tensor(dropout, dtype)
    return recurrence_of(*tensors, mask=mask, recurrent_dropout_mask=dropout, **options)


def assert_close(received, expected, tolerance, what=""):
    received, expected = np.asarray(received, "float64"), np.asarray(expected, "float64")
    assert received.shape == expected.shape, what
    error = np.max(np.abs(received - expected) / np.max(np.abs(expected), initial=1), initial=0)
    assert error <= tolerance, f"{what}: {error}"


def float64_of(arrays):
    return [None if a is None else np.asarray(a, "float64") for a in arrays]


# --- values ------------------------------------------------------------------------------------------------------


@pytest.mark.few(8)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dropout", [False, True])
def test_values_in_float64(path, mask, dropout):
    arrays, m, d = case(mask=mask, dropout=dropout, T=7)
    expected = reference(*arrays, m, d)
    got = run(arrays, m, d, path=path)
    for name in Gates._fields:
        assert_close(getattr(got, name), getattr(expected, name), 1e-12, name)
    last = run(arrays, m, d, path=path, last_only=True)
    assert last.i is last.f is last.g is last.o is None
    assert_close(last.c, expected.c[:, -1], 1e-12)
    assert_close(last.h, expected.h[:, -1], 1e-12)


@pytest.mark.few(8)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("mask", ["none", "gaps"])
def test_values_in_each_dtype(path, dtype, mask):
    arrays, m, _ = case(mask=mask, dtype=dtype, B=18, T=33)
    got = run(arrays, m, dtype=dtype, path=path)
    for name, expected in zip(Gates._fields, reference(*float64_of(arrays), m)):
        value = getattr(got, name)
        assert keras.backend.standardize_dtype(value.dtype) == dtype
        assert_close(ops.cast(value, "float64"), expected, TOLERANCE[dtype], name)


@pytest.mark.few(10)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("T", [1, 2, 31, 32, 33, 64, 65])
@pytest.mark.parametrize("B", [1, 17])
def test_lengths_and_batches(path, T, B):
    arrays, m, _ = case(B=B, T=T, mask="gaps", bias=False)
    for name, got, expected in zip(Gates._fields, run(arrays, m, path=path), reference(*arrays, m)):
        assert_close(got, expected, 1e-12, name)


@pytest.mark.parametrize("unroll", [False, True])
def test_other_activations_take_the_portable_path(unroll):
    arrays, m, _ = case(mask="gaps")
    got = run(
        arrays,
        m,
        activation=keras.activations.softsign,
        recurrent_activation=keras.activations.hard_sigmoid,
        unroll=unroll,
    )
    expected = reference(*arrays, m, tanh=lambda v: v / (1 + abs(v)), sigmoid=lambda v: np.clip(v / 6 + 0.5, 0, 1))
    for name in Gates._fields:
        assert_close(getattr(got, name), getattr(expected, name), 1e-12, name)


def test_unroll_is_the_same():
    arrays, m, d = case(mask="gaps", dropout=True)
    for got, expected in zip(run(arrays, m, d, unroll=True), reference(*arrays, m, d)):
        assert_close(got, expected, 1e-12)


def test_only_the_wanted_outputs():
    arrays, _, _ = case()
    for path in PATHS:
        got = run(arrays, path=path, outputs=("f", "h"))
        assert [n for n in Gates._fields if getattr(got, n) is not None] == ["f", "h"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from(PATHS),
    mask=st.sampled_from(list(MASKS)),
    dropout=st.booleans(),
    bias=st.booleans(),
    B=st.integers(1, 4),
    T=st.integers(1, 6),
    D=st.integers(1, 3),
    U=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_values_over_the_product(path, mask, dropout, bias, B, T, D, U, seed):
    arrays, m, d = case(B, T, D, U, mask, dropout, bias, seed=seed)
    for name, got, expected in zip(Gates._fields, run(arrays, m, d, path=path), reference(*arrays, m, d)):
        assert_close(got, expected, 1e-12, name)


@pytest.mark.parametrize("mask", MASKS)
def test_every_gate_from_the_hidden_states_alone(mask):
    arrays, m, _ = case(mask=mask, T=7)
    x, h0, c0, W, R, b = arrays
    expected = reference(*arrays, m)
    # What h holds at a masked step must not matter.
    h = expected.h if m is None else np.where(m[..., None], expected.h, np.nan)
    got = gates_from_hidden(x @ W + b, ops.convert_to_tensor(h), h0, c0, R, mask=m)
    for name in Gates._fields:
        assert_close(getattr(got, name), getattr(expected, name), 1e-12, name)


# --- gradients ---------------------------------------------------------------------------------------------------


def gradients(arrays, cotangents, mask, dropout, dtype="float64", **options):
    tensors = [tf.constant(a, dtype) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        got = run(tensors, mask, dropout, dtype, **options)
        loss = sum(tf.reduce_sum(v * tf.cast(c, dtype)) for v, c in zip(got, cotangents) if v is not None)
    return [np.asarray(tf.cast(g, "float64")) for g in tape.gradient(loss, tensors)]


def central_differences(arrays, cotangents, mask, dropout, step=1e-6):
    def loss():
        return sum(np.sum(v * c) for v, c in zip(reference(*arrays, mask, dropout), cotangents))

    slopes = []
    for array in arrays:
        slope = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = loss()
            array[index] = kept - step
            slope[index] = (above - loss()) / (2 * step)
            array[index] = kept
        slopes.append(slope)
    return slopes


@pytest.mark.few(6)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dropout", [False, True])
def test_gradients_against_central_differences(mask, dropout):
    arrays, m, d = case(B=2, T=4, D=2, U=2, mask=mask, dropout=dropout)
    r = np.random.default_rng(1)
    cotangents = [r.normal(size=(2, 4, 2)) for _ in range(6)]
    expected = central_differences(arrays, cotangents, m, d)
    for path in PATHS:
        for name, got, slope in zip("x h0 c0 W R b".split(), gradients(arrays, cotangents, m, d, path=path), expected):
            assert_close(got, slope, 1e-8, f"{path} {name}")


@pytest.mark.few(6)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", range(6))
def test_gradient_of_each_output_alone(path, field):
    arrays, m, _ = case(B=2, T=40, D=2, U=2, mask="gaps")
    cotangents = [np.ones((2, 40, 2)) * (k == field) for k in range(6)]
    expected = gradients(arrays, cotangents, m, None, path="portable")
    alone = gradients(arrays, cotangents, m, None, path=path, outputs=(Gates._fields[field],))
    for got, slope in zip(alone, expected):
        assert_close(got, slope, 1e-11)


@pytest.mark.few(9)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mask", ["none", "right", "left", "gaps"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11), ("bfloat16", 5e-2), ("float16", 1e-2)]
)
def test_gradients_and_values_against_keras(path, mask, dtype, tolerance):
    arrays, m, _ = case(B=18, T=35, D=3, U=5, mask=mask, dtype=dtype)
    if mask in ("left", "gaps"):
        # Before the first real step Keras gives out zeros; we give out the carried state, so start from zeros here.
        arrays[1:3] = [np.zeros_like(a) for a in arrays[1:3]]
    x, h0, c0, W, R, b = (tf.constant(a, "float64") for a in arrays)
    cotangent = tf.constant(np.random.default_rng(2).normal(size=(18, 35, 5)))
    lstm = keras.layers.LSTM(5, return_sequences=True, dtype="float64", use_cudnn=False)
    lstm.build((None, None, 3))
    lstm.set_weights([W, R, b])
    with tf.GradientTape() as tape:
        tape.watch([x, h0, c0])
        output = lstm(x, initial_state=[h0, c0], mask=None if m is None else tf.constant(m))
        loss = tf.reduce_sum(output * cotangent)
    expected = tape.gradient(loss, [x, h0, c0, *[v.value for v in lstm.trainable_variables]])
    assert_close(tf.cast(run(arrays, m, dtype=dtype, path=path).h, "float64"), output, TOLERANCE[dtype])
    zero = np.zeros((18, 35, 5))
    got = gradients(arrays, [zero] * 5 + [cotangent], m, None, dtype, path=path)
    for name, one, other in zip("x h0 c0 W R b".split(), got, expected):
        if name in ("h0", "c0") and mask in ("left", "gaps"):
            continue
        error = np.linalg.norm(one - other) / np.linalg.norm(other)
        assert error < tolerance, f"{name}: {error}"


@pytest.mark.parametrize("batch", [3, None])
def test_gradient_of_an_output_itself(batch):
    """In a graph its cotangent is a constant, of known size or filled when the graph runs, and not of zeros."""
    (x, _, _, W, R, b), *_ = case()
    lstm = keras.layers.LSTM(4, return_sequences=True, dtype="float64", use_cudnn=False)
    lstm.build((None, None, 2))
    lstm.set_weights([W, R, b])

    def gradient(hidden, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            h = hidden(x)
        return tape.gradient(h, x)

    def ours(x):
        zeros = tf.zeros((tf.shape(x)[0], 4), x.dtype)
        return recurrence_of(x, zeros, zeros, W, R, b, path="compiled").h

    in_graph = tf.function(
        functools.partial(gradient, ours), input_signature=[tf.TensorSpec((batch, *x.shape[1:]), x.dtype)]
    )
    assert_close(in_graph(x), gradient(lstm, tf.constant(x)), 1e-12)


@pytest.mark.parametrize("path", PATHS)
def test_gradient_of_the_last_state(path):
    arrays, m, _ = case(B=2, T=4, D=2, U=2, mask="gaps")
    r = np.random.default_rng(1)
    last = [r.normal(size=(2, 2)) for _ in range(2)]
    whole = [np.zeros((2, 4, 2)) for _ in range(6)]
    whole[4][:, -1], whole[5][:, -1] = last
    expected = gradients(arrays, whole, m, None, path="portable")
    for got, slope in zip(gradients(arrays, [None] * 4 + last, m, None, path=path, last_only=True), expected):
        assert_close(got, slope, 1e-12)


def squared_slope(path, arrays, m, jit=None):
    """The squared length of the gradient, a penalty that is trained on, and its own gradient."""

    def penalty(*tensors):
        with tf.GradientTape() as outer:
            outer.watch(tensors)
            with tf.GradientTape() as inner:
                inner.watch(tensors)
                loss = tf.reduce_sum(sum(v**2 for v in run(tensors, m, path=path)))
            squared = sum(tf.reduce_sum(g**2) for g in inner.gradient(loss, tensors))
        return squared, outer.gradient(squared, tensors)

    function = penalty if jit is None else tf.function(penalty, autograph=False, jit_compile=jit)
    return function(*[tf.constant(a) for a in arrays])


@pytest.mark.few(4)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("jit", [None, False, True], ids=["eager", "graph", "jit"])
def test_second_order(path, jit):
    arrays, m, _ = case(B=2, T=3, D=2, U=2, mask="gaps")
    # Central differences of the first gradient, along one direction.
    direction = [np.random.default_rng(3).normal(size=a.shape) for a in arrays]
    slopes = squared_slope(path, arrays, m, jit)[1]
    step, analytic = 1e-5, sum(float(tf.reduce_sum(g * d)) for g, d in zip(slopes, direction))
    after, before = (
        float(squared_slope("portable", [a + amount * d for a, d in zip(arrays, direction)], m)[0])
        for amount in (step, -step)
    )
    numeric = (after - before) / (2 * step)
    assert abs(numeric - analytic) < 1e-6 * abs(numeric)


@pytest.mark.few(2)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("last_only", [False, True])
def test_third_order_and_forward_mode(path, last_only):
    arrays, m, _ = case(B=2, T=3, D=1, U=2, mask="left")

    def derivatives(path):
        tensors, R = [tf.constant(a) for a in arrays], 4
        direction = tf.reshape(tf.linspace(-1.0, 1.0, tf.size(tensors[R])), tensors[R].shape)
        direction = tf.cast(direction, tf.float64)

        def loss(value):
            outputs = run([*tensors[:R], value, *tensors[R + 1 :]], m, path=path, last_only=last_only)
            return tf.reduce_sum(sum(v**3 for v in outputs if v is not None))

        with tf.autodiff.ForwardAccumulator(tensors[R], direction) as accumulator:
            value = loss(tensors[R])
        slopes, function = [accumulator.jvp(value)], loss
        for _ in range(3):
            function = functools.partial(along, function, direction)
            slopes.append(function(tensors[R]))
        return [float(slope) for slope in slopes]

    def along(function, direction, value):
        with tf.GradientTape() as tape:
            tape.watch(value)
            result = function(value)
        return tf.reduce_sum(tape.gradient(result, value) * direction)

    received, expected = derivatives(path), derivatives("portable")
    assert_close(np.array(received), np.array(expected), 1e-10)
    assert abs(received[0] - received[1]) < 1e-10 * abs(received[1]), "forward mode is not backward mode"


# --- ways of calling ---------------------------------------------------------------------------------------------


@pytest.mark.few(5)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("signature", ["fixed", "batch free", "time free", "both free"])
def test_inside_a_function(path, jit, signature):
    arrays, m, _ = case(B=18, T=34, D=2, U=3, mask="gaps")
    weights = [tf.Variable(a) for a in arrays[3:]]
    state = [tf.constant(a) for a in arrays[1:3]]
    shape = [
        None if "batch" in signature or "both" in signature else 18,
        None if "time" in signature or "both" in signature else 34,
    ]

    @tf.function(
        jit_compile=jit or None, input_signature=[tf.TensorSpec([*shape, 2], tf.float64), tf.TensorSpec(shape, tf.bool)]
    )
    def step(x, mask):
        with tf.GradientTape() as tape:
            got = recurrence_of(x, *state, *weights, mask=mask, path=path)
            loss = tf.reduce_sum(got.h) + tf.reduce_sum(got.f**2)
        return got.h, tape.gradient(loss, weights)

    h, slopes = step(tf.constant(arrays[0]), tf.constant(m))
    expected = reference(*arrays, m)
    assert_close(h, expected.h, 1e-12)
    with tf.GradientTape() as tape:
        got = recurrence_of(*arrays[:3], *weights, mask=m, path="portable")
        loss = tf.reduce_sum(got.h) + tf.reduce_sum(got.f**2)
    for one, other in zip(slopes, tape.gradient(loss, weights)):
        assert_close(one, other, 1e-11)


@pytest.mark.parametrize("path", PATHS)
def test_jacobian_and_persistent_tape(path):
    arrays, _, _ = case(B=1, T=3, D=2, U=2)
    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tensors)
        c = run(tensors, path=path).c[0, -1]
    jacobian = tape.jacobian(c, tensors[2], experimental_use_pfor=False)
    rows = tf.stack([tape.gradient(c, tensors[2], output_gradients=row) for row in tf.eye(2, dtype=tf.float64)])
    assert_close(jacobian, rows, 1e-14)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tensors)
        c = run(tensors, path="portable").c[0, -1]
    assert_close(jacobian, tape.jacobian(c, tensors[2], experimental_use_pfor=False), 1e-13)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("persistent", [False, True])
def test_tape_outside_of_the_function(path, persistent):
    arrays, m, _ = case(B=17, T=4, D=2, U=2, mask="gaps")
    tensors = [tf.constant(a) for a in arrays]
    function = tf.function(lambda *tensors: tf.reduce_sum(run(tensors, m, path=path).o ** 2), autograph=False)
    with tf.GradientTape(persistent=persistent) as tape:
        tape.watch(tensors)
        loss = function(*tensors)
    with tf.GradientTape() as plain:
        plain.watch(tensors)
        same = tf.reduce_sum(run(tensors, m, path="portable").o ** 2)
    for got, expected in zip(tape.gradient(loss, tensors), plain.gradient(same, tensors)):
        assert_close(got, expected, 1e-12)


def calls_of_forward_loop(monkeypatch):
    """The arguments of each tracing, which is each compilation, of the forward loop from here on."""
    calls, original = [], programs.forward_loop
    monkeypatch.setattr(programs, "forward_loop", lambda *arguments: (calls.append(arguments), original(*arguments))[1])
    chain_rule._chain.cache_clear()
    return calls


def test_many_lengths_share_one_compilation(monkeypatch):
    calls = calls_of_forward_loop(monkeypatch)
    arrays, _, _ = case(B=2, T=3, D=3, U=2, dtype="float32")
    state, (W, R, b) = arrays[1:3], arrays[3:]
    step = tf.function(
        lambda x: recurrence_of(x, *state, W, R, b).h, input_signature=[tf.TensorSpec([2, None, 3])], autograph=False
    )
    for length in range(1, 80, 13):
        step(tf.ones([2, length, 3]))
    assert [call[0].shape for call in calls] == [(programs.CHUNK, 2, 8)], "the loop is traced, and so compiled, once"


def test_many_batches_share_few_programs(monkeypatch):
    calls = calls_of_forward_loop(monkeypatch)
    for batch in range(1, 61):
        arrays, _, _ = case(B=batch, T=3, D=1, U=2, dtype="float32")
        got = run(arrays, dtype="float32", outputs={"h"}, path="chunked").h
        assert_close(got, reference(*float64_of(arrays)).h, 1e-6)
    assert len(calls) <= 13


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("jit", "path"),
    [
        (False, "chunked"),
        (True, "compiled"),
        pytest.param(False, "compiled", marks=pytest.mark.full),
        pytest.param(True, "chunked", marks=pytest.mark.full),
    ],
)
def test_batches_of_free_size(path, jit):
    """Filled up or not, split or not, each with its own gradient."""
    arrays, m, dropout = case(B=37, T=3, D=2, U=2, mask="gaps", dropout=True)
    cotangents = [np.random.default_rng(5).normal(size=(37, 3, 2)) for _ in Gates._fields]
    shapes = [[None, *array.shape[1:]] for array in [*arrays[:3], m, *cotangents]] + [[4, None, 2]]
    signature = [tf.TensorSpec(shape, tf.bool if place == 3 else tf.float64) for place, shape in enumerate(shapes)]

    @tf.function(input_signature=signature, autograph=False, jit_compile=jit or None)
    def slopes(x, h0, c0, mask, *rest):
        tensors = [x, h0, c0, *map(tf.constant, arrays[3:])]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = run(tensors, mask, rest[-1], path=path)
        return outputs, tape.gradient(outputs, tensors, Gates(*rest[:-1]))

    for batch in (1, 2, 3, 5, 8, 13, 15, 16, 17, 32, 33, 37):
        part = [array[:batch] for array in [*arrays[:3], m, *cotangents]]
        outputs, received = slopes(*map(tf.constant, part), tf.constant(dropout[:, :batch]))
        own = [*part[:3], *arrays[3:]]
        for got, expected in zip(outputs, reference(*own, part[3], dropout[:, :batch]), strict=True):
            assert_close(got, expected, 1e-12, f"batch {batch}")
        for got, expected in zip(received, gradients(own, part[4:], part[3], dropout[:, :batch], path="portable")):
            assert_close(got, expected, 1e-11, f"batch {batch}")


@pytest.mark.parametrize(("cores", "programs_of_64"), [(1, [64]), (2, [32]), (6, [11, 9]), (8, [8])])
def test_a_batch_has_as_many_parts_as_cores(monkeypatch, cores, programs_of_64):
    """On one core a second part would only be one more loop; eight cores are all given one, of at least 8 sequences."""
    monkeypatch.setattr(batch_parts, "cores", lambda: cores)
    for size in (0, 1, 7, 15, 16, 33, 64, 200):
        sizes = [part.stop - part.start for part in batch_parts.parts(tf.zeros([size, 1]))]
        assert sum(sizes) == size
        assert 1 <= len(sizes) <= max(1, min(cores, size // batch_parts.ROWS_PER_PART))
    calls = calls_of_forward_loop(monkeypatch)
    arrays, _, _ = case(B=64, T=3, D=1, U=2, dtype="float32")
    got = tf.function(lambda: run(arrays, dtype="float32", outputs={"h"}).h, autograph=False)()
    assert_close(got, reference(*float64_of(arrays)).h, 1e-6)
    assert [call[2].h.shape[0] for call in calls] == programs_of_64


def test_a_gpu_or_one_thread_of_tensorflow_runs_one_part(monkeypatch):
    allowed = min(len(os.sched_getaffinity(0)), tf.config.threading.get_inter_op_parallelism_threads() or 10**6)
    assert batch_parts.cores() == allowed
    monkeypatch.setattr(tf.config.threading, "get_inter_op_parallelism_threads", lambda: 1)
    assert batch_parts.cores.__wrapped__() == 1
    monkeypatch.undo()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a GPU"])
    assert batch_parts.cores.__wrapped__() == 1


def test_batches_of_free_size_on_eight_cores(monkeypatch):
    """Of the eight parts of a small batch most are empty."""
    monkeypatch.setattr(batch_parts, "cores", lambda: 8)
    chain_rule._chain.cache_clear()
    arrays, m, _ = case(B=70, T=3, D=2, U=2, mask="gaps")
    signature = [*[tf.TensorSpec([None, *array.shape[1:]], tf.float64) for array in arrays[:3]]]

    @tf.function(input_signature=[*signature, tf.TensorSpec([None, 3], tf.bool)], autograph=False)
    def slopes(x, h0, c0, mask):
        tensors = [x, h0, c0, *map(tf.constant, arrays[3:])]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            h = run(tensors, mask, outputs={"h"}).h
        return h, tape.gradient(h, tensors)

    for batch in (1, 70):
        own = [*[array[:batch] for array in arrays[:3]], *arrays[3:]]
        h, received = slopes(*own[:3], m[:batch])
        assert_close(h, reference(*own, m[:batch]).h, 1e-12, f"batch {batch}")
        cotangents = [np.ones_like(h) if name == "h" else np.zeros_like(h) for name in Gates._fields]
        for got, expected in zip(received, gradients(own, cotangents, m[:batch], None, path="portable"), strict=True):
            assert_close(got, expected, 1e-11, f"batch {batch}")


@pytest.mark.parametrize("path", ["compiled", "chunked"])
@pytest.mark.parametrize("training", [True, False])
def test_only_training_stores_what_is_not_returned(monkeypatch, path, training):
    """Without it the gradient is the same, from a second run of the loop."""
    calls = calls_of_forward_loop(monkeypatch)
    arrays, m, _ = case(mask="gaps")
    tensors = [tf.constant(value) for value in arrays]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tensors)
        got = recurrence_of(*tensors, mask=m, outputs={"h"}, path=path, training=training).h
        assert {call[-1] for call in calls} == {("a", "c", "h") if training else ("h",)}
        loss = tf.reduce_sum(got**3)
        expected = tf.reduce_sum(recurrence_of(*tensors, mask=m, path="portable").h ** 3)
    assert_close(got, reference(*arrays, m).h, 1e-12)
    for gradient, same in zip(tape.gradient(loss, tensors), tape.gradient(expected, tensors), strict=True):
        assert_close(gradient, same, 1e-12)


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "shape", "text"),
    [
        (0, (3, 16), r"Expected z of shape \(time, batch, 4 \* units\). Received: z.shape=\(3, 16\)"),
        (0, (3, 5, 15), r"Expected z of shape \(3, 5, 16\). Received: z.shape=\(3, 5, 15\)"),
        (1, (2, 4), r"Expected h0 of shape \(3, 4\). Received: h0.shape=\(2, 4\)"),
        (2, (3, 5), r"Expected c0 of shape \(3, 4\). Received: c0.shape=\(3, 5\)"),
        (3, (4, 12), r"Expected recurrent_kernel of shape \(4, 16\). Received: recurrent_kernel.shape=\(4, 12\)"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_malformed_shapes(position, shape, text, path):
    (x, h0, c0, W, R, b), _, _ = case()
    arguments = [np.swapaxes(x @ W + b, 0, 1), h0, c0, R]
    arguments[position] = np.zeros(shape)
    with pytest.raises(ValueError, match=text):
        recurrence(*arguments, path=path)


def test_malformed_options():
    arrays, _, _ = case()
    with pytest.raises(ValueError, match=r"Expected mask of shape \(3, 5\). Received: mask.shape=\(3, 4\)"):
        run(arrays, np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"Expected recurrent_dropout_mask of shape \(4, 3, 4\)"):
        run(arrays, None, np.ones((4, 3, 5)))
    with pytest.raises(ValueError, match=r"Expected path to be 'auto' or one of .* Received: path='fast'"):
        run(arrays, path="fast")
    with pytest.raises(ValueError, match=r"Expected outputs among .* Received: \['q'\]"):
        run(arrays, outputs=("q",))
    with pytest.raises(ValueError, match=r"path='compiled' expected .*activation=keras.activations.tanh, received"):
        run(arrays, path="compiled", activation=keras.activations.relu)
    with pytest.raises(ValueError, match="path='chunked' expected unroll=False, received unroll=True"):
        run(arrays, path="chunked", unroll=True)
    with pytest.raises(ValueError, match="path='cudnn' expected a bias, no mask and no recurrent dropout, received"):
        run(arrays, path="cudnn")


# --- static shapes -----------------------------------------------------------------------------------------------


@pytest.mark.few(5)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mask", ["none", "gaps"])
@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("jit", [False, True])
def test_a_graph_keeps_every_size_that_it_knows(path, mask, last_only, jit):
    for B, T in itertools.product([3, None], [7, None]):

        @tf.function(autograph=False, jit_compile=jit or None)
        def traced(z, h0, c0, R, m, dropout):
            inputs = [z, h0, c0, R]
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                got = recurrence(
                    *inputs,
                    mask=None if mask == "none" else m,
                    recurrent_dropout_mask=dropout if mask == "none" else None,
                    last_only=last_only,
                    path=path,
                    training=True,
                )
                loss = sum(tf.reduce_sum(value) for value in got if value is not None)
            return got, tape.gradient(loss, inputs)

        # h0 tells nothing of the batch, and learns it.
        shapes = [T, B, 16], [None, 4], [B, 4], [4, 16], [B, T], [4, B, 4]
        specs = [tf.TensorSpec(shape, tf.bool if k == 4 else tf.float32) for k, shape in enumerate(shapes)]
        got, slopes = traced.get_concrete_function(*specs).structured_outputs
        expected = (B, 4) if last_only else (B, T, 4)
        assert {tuple(value.shape) for value in got if value is not None} == {expected}
        assert [tuple(slope.shape) for slope in slopes] == [(T, B, 16), (B, 4), (B, 4), (4, 16)]


@pytest.mark.few(3)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("batch", [1, 7, 9])
def test_layers_that_need_the_number_of_steps(path, batch):
    """What follows in a model, its batch unknown, as it follows `keras.layers.LSTM`."""
    from keras_lstm_gates.layers import Bidirectional, GatedLSTM

    def model(lstm, bidirectional):
        x = keras.Input((7, 2))
        h = lstm(3, return_sequences=True, name="a")(x)
        outputs = [
            keras.layers.TimeDistributed(keras.layers.Dense(2))(h),
            keras.layers.TimeDistributed(keras.layers.Dense(2))(bidirectional(lstm(2, return_sequences=True))(x)),
            keras.layers.LSTM(2, unroll=True)(h),
            keras.layers.LayerNormalization(axis=1)(h),
            keras.layers.Lambda(lambda h: ops.unstack(h, axis=1)[2])(h),
            keras.layers.Lambda(
                lambda h: tf.while_loop(lambda t, v: t < 3, lambda t, v: (t + 1, v + h[:, ::-1]), (0, h))[1]
            )(h),
        ]
        return keras.Model(x, outputs)

    x = np.random.default_rng(0).normal(size=(batch, 7, 2)).astype("float32")
    stock = model(keras.layers.LSTM, keras.layers.Bidirectional)
    expected = stock.predict(x, batch_size=4, verbose=0)
    for wrapper in keras.layers.Bidirectional, Bidirectional:
        ours = model(GatedLSTM, wrapper)
        ours.set_weights(stock.get_weights())
        with use_path(path):
            got = ours.predict(x, batch_size=4, verbose=0)
        for one, other in zip(got, expected, strict=True):
            assert_close(one, other, 1e-5)


@pytest.mark.parametrize("path", PATHS)
def test_fit_of_a_dense_layer_at_every_step(path):
    from keras_lstm_gates.layers import GatedLSTM

    def fitted(lstm, weights=None):
        model = keras.Sequential(
            [keras.Input((7, 2)), lstm(3, return_sequences=True), keras.layers.TimeDistributed(keras.layers.Dense(1))]
        )
        start = model.get_weights() if weights is None else weights
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        r = np.random.default_rng(0)
        model.fit(r.normal(size=(11, 7, 2)), r.normal(size=(11, 7, 1)), batch_size=7, shuffle=False, verbose=0)
        return start, model.get_weights()

    start, expected = fitted(keras.layers.LSTM)
    with use_path(path):
        for one, other in zip(fitted(GatedLSTM, start)[1], expected, strict=True):
            assert_close(one, other, 1e-5)


def test_tensorflow_does_not_take_layers_of_several_sizes_for_one_function_that_is_traced_again(caplog):
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for units in range(23, 31):
            arrays, *_ = case(U=units, dtype="float32")
            run(arrays, path="compiled", dtype="float32")
    finally:
        logger.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if "retracing" in record.getMessage()] == []
