"""Shorter graphs: what is replaced, what only looks like it, and the answers, by the interpreter before and after."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_lstm_gates.exporting.tflite.graphs import operators, read
from keras_lstm_gates.exporting.tflite.shortening import shortened

# The converter and TensorFlow's interpreter say so at every use.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")


def converted(function, *specs):
    concrete = tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def floats(*shape):
    return tf.TensorSpec(shape, tf.float32)


def names_of_operators(content):
    model = read(content)
    (graph,) = model.subgraphs
    return [name for name, _ in operators(model, graph)]


def answers(content, *inputs):
    interpreter = Interpreter(model_content=content)
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.resize_tensor_input(detail["index"], np.shape(value))
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def replaced(history, update, step, other=None, skipped=1):
    """history[:step], update, other[step + skipped:], as the converter writes a TensorList."""
    other = history if other is None else other
    before = tf.slice(history, [0, 0, 0], tf.concat([tf.reshape(step, [1]), [-1, -1]], 0))
    after = tf.slice(other, tf.concat([tf.reshape(step + skipped, [1]), [0, 0]], 0), [-1, -1, -1])
    return tf.concat([before, update, after], 0)


HISTORY = np.random.default_rng(0).normal(size=(5, 1, 3)).astype("float32")
UPDATE = np.random.default_rng(1).normal(size=(1, 1, 3)).astype("float32")
SPECS = floats(None, 1, 3), floats(1, 1, 3), tf.TensorSpec((), tf.int32)


@pytest.mark.parametrize("step", [0, 2, 4])
def test_a_step_is_written_by_one_operator(step):
    content = converted(replaced, *SPECS)
    short = shortened(content)
    found = names_of_operators(short)
    assert found.count("DYNAMIC_UPDATE_SLICE") == 1
    assert "SLICE" not in found
    expected = HISTORY.copy()
    expected[step] = UPDATE[0]
    for one in (content, short):
        (received,) = answers(one, HISTORY, UPDATE, np.array(step, "int32"))
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize(
    ("function", "specs"),
    [
        (lambda history, update, step: replaced(history, update, step, skipped=2), SPECS),
        (lambda history, update, step: replaced(history, update, step, other=history + 1), SPECS),
        (replaced, (SPECS[0], floats(2, 1, 3), SPECS[2])),
        (replaced, tuple(tf.TensorSpec(one.shape, tf.int64) for one in SPECS[:2]) + SPECS[2:]),
    ],
    ids=["two steps", "of two histories", "by two steps", "of whole numbers"],
)
def test_what_only_looks_like_it_stays(function, specs):
    content = converted(function, *specs)
    assert names_of_operators(content).count("SLICE") == 2
    assert shortened(content) == content


WEIGHTS = np.random.default_rng(2).normal(size=(6, 7)).astype("float32")


@pytest.mark.parametrize("shape", [(1, 1, 6), (2, 5, 6), (1, 130, 6)])
def test_a_product_with_the_last_axis_is_one_operator(shape):
    content = converted(lambda x: tf.tensordot(x, WEIGHTS, 1), floats(None, None, 6))
    short = shortened(content)
    assert len(names_of_operators(content)) > 8
    assert names_of_operators(short) == ["FULLY_CONNECTED"]
    x = np.random.default_rng(3).normal(size=shape).astype("float32")
    (before,), (after,) = answers(content, x), answers(short, x)
    assert before.tobytes() == after.tobytes()
    assert before.shape == after.shape
    np.testing.assert_allclose(after, x.astype("float64") @ WEIGHTS, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "axis"),
    [
        (lambda x: tf.tensordot(x, WEIGHTS, [[1], [0]]), 1),
        (lambda x: tf.reshape(tf.tensordot(x, WEIGHTS, 1), [-1, 1, 7]), 2),
    ],
    ids=["with another axis", "of another shape"],
)
def test_other_products(function, axis):
    content = converted(function, floats(*(6 if place == axis else None for place in range(3))))
    x = np.random.default_rng(3).normal(size=(2, 6, 6)).astype("float32")
    (before,), (after,) = answers(content, x), answers(shortened(content), x)
    assert before.shape == after.shape
    assert before.tobytes() == after.tobytes()


def test_the_file_tells_the_oldest_version_that_runs_it():
    def told(content):
        model = read(content)
        (one,) = (one for one in model.metadata if one.name == b"min_runtime_version")
        return bytes(model.buffers[one.buffer].data).rstrip(b"\0")

    content = converted(replaced, *SPECS)
    assert told(content) < b"2.9.0" == told(shortened(content))
