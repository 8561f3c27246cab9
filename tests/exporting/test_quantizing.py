"""Smaller files: run by two interpreters beside the float32 file and the equations."""

import json
import warnings

import ai_edge_litert.interpreter
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.schema_py_generated import TensorType
from reference import lstm

from keras_lstm_gates import exporting, gates
from keras_lstm_gates._support import child_process
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.tflite import graphs, operators, quantizing
from keras_lstm_gates.exporting.tflite.compacting import compact
from keras_lstm_gates.models import SequenceClassifier, SequenceLabeller

UNITS = 256
ALLOWED = {"float16": 0.002, "dynamic_int8": 0.03, "int8": 0.03}


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(1).normal(size=(6, 9, 3)).astype("float32")


def stock_lstm():
    return keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(UNITS), keras.layers.Dense(2, name="scores")])


@pytest.fixture(scope="module", params=["SequenceClassifier", "keras.layers.LSTM"])
def sequences(request, data, tmp_path_factory):
    """A float32 file with whole sequences."""
    keras.utils.set_random_seed(1)
    ours = request.param == "SequenceClassifier"
    model = SequenceClassifier(features=3, classes=2, units=UNITS, seed=1) if ours else stock_lstm()
    folder, asked = tmp_path_factory.mktemp("file"), ("predict", "gates")
    return exporting.export(model, folder, data, formats=("tflite",), signatures=asked).files["tflite"]


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(3)
    shapes = (3, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)
    return [0.1 * rng.normal(size=shape).astype("float32") for shape in shapes]


@pytest.fixture(scope="module")
def step(weights, tmp_path_factory):
    """A float32 file of one step."""
    module, folder = tf.Module(), str(tmp_path_factory.mktemp("step"))
    module.kept = [tf.Variable(weight) for weight in weights]
    shapes = {"x": 3, "state_h": UNITS, "state_c": UNITS}

    @tf.function(input_signature=[tf.TensorSpec((1, size), tf.float32, name) for name, size in shapes.items()])
    def step(x, state_h, state_c):
        kernel, recurrent, bias = module.kept
        now = gates.step(x @ kernel + state_h @ recurrent + bias, state_c)
        return {name: tf.identity(value) for name, value in now._asdict().items()}

    tf.saved_model.save(module, folder, signatures={"step": step})
    return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["step"]).convert()


@pytest.mark.parametrize(("precision", "times"), [("float16", 1.8), ("dynamic_int8", 3)])
def test_whole_sequences(sequences, data, precision, times):
    content = sequences.read_bytes()
    made = quantizing.quantize(content, precision, data)
    assert len(content) > times * len(compact(made.content))
    assert {made.precisions["predict"], made.precisions["gates"]} == {precision}
    # As another interpreter finds it.
    before, after = (by_interpreter(tf.lite.Interpreter, one, data, "gates") for one in (content, made.content))
    assert {"i", "f", "g", "o", "c", "h"} < set(before) == set(after)
    for name, values in before.items():
        assert 0 < np.max(np.abs(after[name] - values)) < ALLOWED[precision]


def test_int8_without_a_signature_that_can_be_calibrated_is_refused(sequences, data):
    words = (
        r"expected a signature without a loop for int8; received \['gates', 'predict'\], which have one.*time=\.\.\."
    )
    with pytest.raises(ValueError, match=words):
        quantizing.quantize(sequences.read_bytes(), "int8", data)


def test_sequences_of_a_known_length_are_in_whole_numbers(data, tmp_path):
    """A model that reads backwards, and so has no step; of more samples than its file takes at once."""
    both = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True), name="both")
    model = keras.Sequential([keras.Input((None, 3)), both, keras.layers.Dense(2, name="end")])
    time = data.shape[1]
    made = exporting.export(model, tmp_path / "out", data, ("tflite",), ("int8",), time=time)
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())["formats"]["tflite_int8"]
    assert {one["precision"] for one in told["signatures"].values()} == {"int8"}
    counted = operators.operators(made.files["tflite_int8"].read_bytes())
    assert not any("WHILE" in of_signature for of_signature in counted.values())
    # Every product is of whole numbers: its weights and what they are multiplied with.
    graph = graphs.read(made.files["tflite_int8"].read_bytes())
    types = {TensorType.INT8, TensorType.INT16}
    for subgraph in graph.subgraphs:
        products = [one for name, one in graphs.operators(graph, subgraph) if name == "FULLY_CONNECTED"]
        assert len(products) >= 2 * time
        assert all(subgraph.tensors[place].type in types for one in products for place in one.inputs[:2])
    received = Runner(made.files["tflite_int8"]).gates(data)
    for path, layer in (("forward", both.forward_layer), ("backward", both.backward_layer)):
        order = slice(None, None, -1 if path == "backward" else 1)
        expected = lstm(data[:, order], *layer.get_weights())
        for gate in "ifgoch":
            off = np.abs(received[f"both/{path}/{gate}"] - expected[gate][:, order])
            assert 0 < off.max() < ALLOWED["int8"], f"{path}/{gate}"


@pytest.mark.parametrize("precision", ["float16", "dynamic_int8", "int8"])
def test_step_obeys_the_equations(step, weights, data, precision):
    made = quantizing.quantize(step, precision, data)
    assert made.precisions == {"step": precision}
    assert len(step) > (1.8 if precision == "float16" else 3) * len(made.content)
    expected = lstm(data, *weights)
    received = quantizing.outputs(made.content, data)["step"]
    for name in "ifgoch":
        assert np.max(np.abs(received[name] - expected[name])) < ALLOWED[precision]


def test_a_long_memory_stays_in_int8(weights, tmp_path):
    """A forget gate of 1 and a cell state that grows to 60: in 8 bits neither would be there."""
    kernel, recurrent, bias = weights
    recurrent = 0.1 * recurrent
    bias = bias + np.repeat([0, 12, 0, 0], UNITS).astype("float32")
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(UNITS, return_sequences=True)])
    model.set_weights([kernel, recurrent, bias])
    data = np.abs(np.random.default_rng(4).normal(size=(2, 150, 3)).astype("float32"))
    content = exporting.export(model, tmp_path, data, formats=("tflite",), signatures=("step",)).files["tflite"]
    expected = lstm(data, kernel, recurrent, bias)
    made = quantizing.quantize(content.read_bytes(), "int8", data)
    received = quantizing.outputs(made.content, data)["step"]
    assert expected["c"].max() > 20
    np.testing.assert_allclose(received["f"], expected["f"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(received["c"], expected["c"], rtol=0, atol=0.05 * np.abs(expected["c"]).max())


def test_a_fused_file_cannot_be_quantized(tmp_path, data):
    path = exporting.export(stock_lstm(), tmp_path, data, formats=("tflite_fused",)).files["tflite_fused"]
    with pytest.raises(ValueError, match="without the operator UNIDIRECTIONAL_SEQUENCE_LSTM"):
        quantizing.quantize(path.read_bytes(), "dynamic_int8", data)


def test_int8_takes_and_gives_floats_and_multiplies_whole_numbers(step, data):
    made = quantizing.quantize(step, "int8", data)
    interpreter = ai_edge_litert.interpreter.Interpreter(model_content=made.content)
    runner = interpreter.get_signature_runner("step")
    for details in (runner.get_input_details(), runner.get_output_details()):
        assert {detail["dtype"] for detail in details.values()} == {np.float32}
    operators = interpreter._get_ops_details()
    types = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    products = [one for one in operators if one["op_name"] in ("FULLY_CONNECTED", "BATCH_MATMUL", "LOGISTIC", "ADD")]
    assert len(products) >= 7
    assert {types[place] for one in products for place in one["outputs"]} == {np.int16}


def test_tables_of_tokens_become_small_too(tmp_path):
    tokens = np.random.default_rng(2).integers(1, 3000, size=(2, 5))
    model = SequenceLabeller(3000, 4, units=8, seed=1)
    path = exporting.export(model, tmp_path, tokens, formats=("tflite",)).files["tflite"]
    for precision, times in (("float16", 1.7), ("dynamic_int8", 3)):
        made = quantizing.quantize(path.read_bytes(), precision, tokens)
        assert path.stat().st_size > times * len(compact(made.content))
        before, after = (quantizing.outputs(one, tokens)["gates"] for one in (path.read_bytes(), made.content))
        assert max(np.max(np.abs(after[name] - values)) for name, values in before.items()) < ALLOWED[precision]


def test_float32_stays(step, data):
    made = quantizing.quantize(step, "float32", data)
    assert made.content == step
    assert made.precisions == {"step": "float32"}


def test_a_crash_of_the_quantizer_is_one_error(step, data, monkeypatch):
    call = child_process.call
    monkeypatch.setattr(child_process, "call", lambda function, **arguments: call("os:abort"))
    with pytest.raises(RuntimeError, match=r"int8 failed while starting: .* ended its process with SIGABRT"):
        quantizing.quantize(step, "int8", data)


def test_data_that_the_file_does_not_take_are_one_error(step):
    with pytest.raises(RuntimeError, match=r"int8 failed while calibrating the signature 'step': .*Error: "):
        quantizing.quantize(step, "int8", np.zeros((1, 2, 5)))


@pytest.mark.parametrize(
    ("precision", "shape", "text"),
    [
        ("int4", (1, 2, 3), r"expected one of the precisions \['float32', 'float16', .*; received 'int4'"),
        ("int8", (0, 2, 3), r"expected one or more sequences, \(samples, time, ...\); received shape \(0, 2, 3\)"),
    ],
)
def test_bad_arguments(step, precision, shape, text):
    with pytest.raises(ValueError, match=text):
        quantizing.quantize(step, precision, np.zeros(shape))


def by_interpreter(kind, content, data, signature):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated", UserWarning)
        interpreter = kind(model_content=content)
    runner = interpreter.get_signature_runner(signature)
    parts = [{name: value.copy() for name, value in runner(sequence=one[None]).items()} for one in data]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
