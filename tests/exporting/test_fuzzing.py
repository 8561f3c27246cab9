"""Damaged .tflite files through the Runner: a small part of what benchmarks/fuzzing.py sends, the same in every run."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils
from small import small_model

from keras_lstm_gates import edge, exporting
from keras_lstm_gates.exporting.tflite.graphs import read

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import fuzzing

FILES = 40


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    model, data = small_model()
    exporting.export(model, folder, data, formats=("tflite",))
    return (folder / "model.tflite").read_bytes()


@pytest.fixture(scope="module")
def found(original, tmp_path_factory):
    return fuzzing.through({"small": original}, range(FILES), tmp_path_factory.mktemp("damaged"))


def test_a_damaged_file_runs_or_is_refused_by_one_line(found):
    assert [one["number"] for one in found] == list(range(FILES))
    assert {one["ended"] for one in found} == {"runs", "refused"}, [one for one in found if len(one["ended"]) > 7]
    assert all(f"/{one['number']}.tflite " in one["said"] for one in found if one["ended"] == "refused")


def test_without_a_trial_such_a_file_ends_the_process_and_is_told(original, found, tmp_path):
    """So the test above can fail; the file after the crash still has its turn."""
    bad = next(one["number"] for one in found if "the interpreter was ended by SIG" in one["said"])
    alone = fuzzing.through({"small": original}, range(bad, bad + 2), tmp_path, trial=False)
    assert alone[0]["ended"].startswith("ended with -")
    assert "ended" in alone[1]
    assert [path.name for path in tmp_path.glob("*.tflite")] == [f"{bad}.tflite"]


def test_a_file_that_asks_for_more_memory_than_there_is(original, tmp_path):
    """Constants that are shapes become huge, one after the other: some are refused, none takes the memory."""
    places = [n for n, one in enumerate(read(original).buffers) if one.data is not None and len(one.data) in (8, 12)]
    assert places
    said = []
    for place in places[:8]:
        model = read(original)
        model.buffers[place].data = np.frombuffer(np.full(len(model.buffers[place].data) // 4, 2**14, "int32"), "uint8")
        path = tmp_path / f"{place}.tflite"
        path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
        try:
            edge.Runner(path)
        except ValueError as error:
            said.append(str(error))
    assert said
    assert all(len(one.splitlines()) == 1 for one in said)


def test_a_file_that_declares_huge_inputs_and_states(original, tmp_path):
    """Also where a manifest vouches for it, so that it is not tried out: then no memory is taken until it is called."""
    model = read(original)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if model.buffers[tensor.buffer].data is None and tensor.shape is not None:
                tensor.shape, tensor.shapeSignature = np.full(len(tensor.shape), 2**14, "int32"), None
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(ValueError, match=r"model\.tflite does not run: MemoryError") as error:
        edge.Runner(path)
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ValueError, match="expected sequence of shape"):
        edge.Runner(path, trial=False).predict(np.zeros((5, 3)))
