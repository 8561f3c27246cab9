"""Compact files beside the same files as the converter and the quantizer wrote them: the same bits on every runtime."""

import sys
from pathlib import Path

import ai_edge_litert.interpreter
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_lstm_gates import exporting
from keras_lstm_gates.exporting.micro import files as micro
from keras_lstm_gates.exporting.micro.microcontroller import MicroRunner
from keras_lstm_gates.exporting.tflite import files as tflite_files
from keras_lstm_gates.exporting.tflite import quantizing
from keras_lstm_gates.exporting.tflite.compacting import compact
from keras_lstm_gates.exporting.tflite.operators import operators
from keras_lstm_gates.exporting.tflite.shortening import shortened
from keras_lstm_gates.models import SequenceLabeller

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import runtime_calls

FEATURES, TIME = 3, 11
FILES = ("model.tflite", "model_int8.tflite")
MICRO_FILES = ("micro", "micro_int8")
INTERPRETERS = {"tf.lite": tf.lite.Interpreter, "ai_edge_litert": ai_edge_litert.interpreter.Interpreter}


@pytest.fixture(scope="module")
def data():
    values = np.random.default_rng(1).normal(size=(6, TIME, FEATURES)).astype("float32")
    # The end of a sequence is masked.
    values[1, 6:] = 0
    return values


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    """{file's name: (bytes before, bytes after)} of one export."""
    pytest.importorskip("ai_edge_quantizer", reason="pip install 'keras_lstm_gates[quantize]'")
    pytest.importorskip("tflite_micro", reason="pip install 'keras_lstm_gates[micro]'")
    pairs, folder = [], tmp_path_factory.mktemp("files")

    def recorded(content):
        pairs.append((content, compact(shortened(content))))
        return pairs[-1][1]

    model = SequenceLabeller(features=FEATURES, classes=4, units=24, layers=2, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        for module in (tflite_files, micro):
            patch.setattr(module, "compact", recorded)
        patch.setattr(tflite_files, "shortened", lambda content: content)
        exporting.export(model, folder, data, formats=("tflite", "micro"), precisions=("float32", "int8"))
    written = {name: (folder / name).read_bytes() for name in FILES}
    written |= {name: (folder / name / "step.tflite").read_bytes() for name in MICRO_FILES}
    before = {after: content for content, after in pairs}
    return {name: (before[after], after) for name, after in written.items()}


def signatures(content):
    runners = ai_edge_litert.interpreter.Interpreter(model_content=content)
    return {name: runners.get_signature_runner(name) for name in runners.get_signature_list()}


def inputs_of(runner, sequence, time):
    """Inputs of a call, with so many steps of a sequence, and states that are not zeros."""
    rng = np.random.default_rng(2)
    return {
        name: sequence[None, :time] if name == "sequence" else rng.normal(size=one["shape"]).astype("float32")
        for name, one in runner.get_input_details().items()
    }


def assert_same_bits(before, after):
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert values.dtype == after[name].dtype
        assert values.shape == after[name].shape
        assert values.tobytes() == after[name].tobytes(), name
        assert np.abs(values).max() > 0, name


# TensorFlow's own copy of the interpreter says so at every use.
@pytest.mark.few(2)
@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("file", FILES)
def test_the_same_bits_by_interpreters(files, data, file, interpreter):
    before, after = (INTERPRETERS[interpreter](model_content=content) for content in files[file])
    assert before.get_signature_list() == after.get_signature_list()
    assert sorted(before.get_signature_list()) == ["gates", "predict", "step"]
    for name, runner in signatures(files[file][0]).items():
        for time in (TIME, 4):
            inputs = inputs_of(runner, data[1], time)
            results = (one.get_signature_runner(name)(**inputs) for one in (before, after))
            assert_same_bits(*({key: np.array(value) for key, value in one.items()} for one in results))


@pytest.mark.parametrize("file", FILES)
def test_the_same_bits_by_the_compiled_model(files, data, tmp_path, file):
    paths = []
    for name, content in zip(("before", "after"), files[file], strict=True):
        paths.append(tmp_path / f"{name}.tflite")
        paths[-1].write_bytes(content)
    for name, runner in signatures(files[file][0]).items():
        # It takes the file's own shapes: as many steps as the data have.
        inputs = inputs_of(runner, data[0], TIME)
        assert_same_bits(*(runtime_calls.compiled(path, name)({**inputs}) for path in paths))


@pytest.mark.parametrize("file", MICRO_FILES)
def test_the_same_bits_by_tflite_micro(files, data, file):
    assert_same_bits(*(MicroRunner(content).run(data[1]) for content in files[file]))


@pytest.mark.parametrize("file", [*FILES, *MICRO_FILES])
def test_equal_weights_are_there_once_and_aligned(files, file):
    before, after = files[file]
    weights = {bytes(data) for data in buffers(before) if len(data) >= 256}
    assert weights
    for one in weights:
        assert before.count(one) >= after.count(one) == 1
        assert after.index(one) % 16 == 0
    assert weights == {bytes(data) for data in buffers(after) if len(data) >= 256}


def buffers(content):
    model = schema.Model.GetRootAsModel(content, 0)
    buffers = [model.Buffers(place) for place in range(model.BuffersLength())]
    return [one.DataAsNumpy() for one in buffers if not one.DataIsNone()]


@pytest.mark.parametrize(("file", "times"), [("model.tflite", 1.5), ("model_int8.tflite", 2), ("micro_int8", 1.2)])
def test_it_is_smaller(files, file, times):
    before, after = files[file]
    assert len(before) > times * len(after)
    assert compact(after) == after


@pytest.mark.parametrize("file", [*FILES, *MICRO_FILES])
def test_signatures_keep_their_names_shapes_and_types(files, file):
    before, after = (signatures(content) for content in files[file])
    assert list(before) == list(after)
    for name in before:
        for details in ("get_input_details", "get_output_details"):
            told = [getattr(one[name], details)() for one in (before, after)]
            assert list(told[0]) == list(told[1])
            for key in told[0]:
                for what in ("name", "index", "dtype", "quantization"):
                    assert told[0][key][what] == told[1][key][what]
                for what in ("shape", "shape_signature"):
                    assert list(told[0][key][what]) == list(told[1][key][what])


@pytest.mark.parametrize("file", FILES)
def test_the_graphs_are_shorter(files, file):
    before, after = (operators(content) for content in files[file])
    # Two layers: of `gates` six histories each, for its mask; of `predict` h alone, and a PACK of each for the steps of
    # a turn. Two more are of the check that the mask is as long as the sequences.
    for signature, histories in (("gates", 12), ("predict", 2)):
        assert before[signature]["SLICE"] == 2 * histories
        assert before[signature]["PACK"] >= 5
        assert "SLICE" not in after[signature]
        assert after[signature]["PACK"] == 2 + histories
        assert after[signature]["DYNAMIC_UPDATE_SLICE"] == histories
        assert before[signature]["FULLY_CONNECTED"] == after[signature]["FULLY_CONNECTED"]
    assert before["step"] == after["step"]


@pytest.mark.parametrize("precision", ["float16", "dynamic_int8", "int8"])
def test_a_compact_file_can_be_quantized(files, data, precision):
    made = (quantizing.quantize(content, precision, data).content for content in files["model.tflite"])
    before, after = (quantizing.outputs(content, data) for content in made)
    assert before.keys() == after.keys()
    for signature in before:
        assert_same_bits(before[signature], after[signature])
