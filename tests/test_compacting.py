"""Compact files beside the same files as the converter and the quantizer wrote them: the same bits on every runtime."""

import sys
from pathlib import Path

import ai_edge_litert.interpreter
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_lstm_gates import exporting, quantizing
from keras_lstm_gates.exporting import micro, writing
from keras_lstm_gates.exporting.compacting import compact
from keras_lstm_gates.microcontroller import MicroRunner
from keras_lstm_gates.models import SequenceLabeller

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

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
    pairs, folder = [], tmp_path_factory.mktemp("files")

    def recorded(content):
        pairs.append((content, compact(content)))
        return pairs[-1][1]

    model = SequenceLabeller(features=FEATURES, classes=4, units=24, mask_value=0.0, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        for module in (writing, micro):
            patch.setattr(module, "compact", recorded)
        exporting.export(model, folder, data, formats=("tflite", "micro"), precisions=("float32", "int8"))
    written = {name: (folder / name).read_bytes() for name in FILES}
    written |= {name: (folder / name / "step.tflite").read_bytes() for name in MICRO_FILES}
    before = {after: content for content, after in pairs}
    return {name: (before[after], after) for name, after in written.items()}
