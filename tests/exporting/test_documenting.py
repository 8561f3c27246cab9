"""A .tflite file used as every tutorial does, without signatures, and its metadata, read by their own layout."""

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from flatbuffers.number_types import UOffsetTFlags
from keras import layers

from keras_lstm_gates import exporting, zoo
from keras_lstm_gates.exporting.tflite.documenting import METADATA
from keras_lstm_gates.exporting.tflite.graphs import read
from keras_lstm_gates.presets.registry import home


def first_lines(content):
    """The interpreter's default graph along an array of its default shape: (input, [outputs])."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    x = np.random.default_rng(0).normal(size=detail["shape"])
    x = (np.abs(x) > 0.5 if detail["dtype"] is np.int32 else x).astype(detail["dtype"])
    interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    return x, [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


class Table:
    """A table of a flatbuffer by the numbers of its fields, as metadata_schema.fbs of tflite-support has them."""

    def __init__(self, content, place):
        self._table = flatbuffers.table.Table(content, place)

    @classmethod
    def root(cls, content):
        return cls(content, flatbuffers.encode.Get(UOffsetTFlags.packer_type, content, 0))

    def text(self, field):
        place = self._table.Offset(4 + 2 * field)
        return self._table.String(place + self._table.Pos).decode()

    def tables(self, field):
        place = self._table.Offset(4 + 2 * field)
        start = self._table.Vector(place)
        count = self._table.VectorLen(place)
        return [Table(self._table.Bytes, self._table.Indirect(start + 4 * number)) for number in range(count)]


def metadata(content):
    model = read(content)
    (entry,) = (one for one in model.metadata if one.name == METADATA)
    return bytearray(model.buffers[entry.buffer].data)


class Forecaster(keras.layers.Layer):
    """Reads the last four steps, and fails with fewer."""

    def call(self, x):
        return keras.ops.reshape(x[:, -4:], (-1, 4 * x.shape[-1]))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, 2), name="load")
    hidden = layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="scores")(Forecaster()(hidden)))
    x = np.random.default_rng(1).normal(size=(3, 6, 2)).astype("float32")
    folder = tmp_path_factory.mktemp("exported")
    files = exporting.export(model, folder, x, ("tflite",), signatures=("predict", "gates", "steer")).files
    return model, files["tflite"].read_bytes()


def test_a_stranger_s_first_lines(exported):
    model, content = exported
    x, (scores,) = first_lines(content)
    assert x.shape == (1, 6, 2)
    np.testing.assert_allclose(scores, model(x), atol=1e-6)


def test_the_metadata_say_what_each_tensor_is(exported):
    _, content = exported
    graphs, raw = read(content).subgraphs, metadata(content)
    assert raw[4:8] == b"M001"
    about = Table.root(raw)
    assert about.text(7) == "1.0.0"
    assert "gates: these, and every gate of every step" in about.text(1)
    told = {one.text(0): one for one in about.tables(3)}
    assert list(told) == ["predict", "gates", "steer"]
    assert told["predict"].text(1) == "the model's outputs for whole sequences"
    for place, (name, one) in enumerate(told.items()):
        for field, tensors in ((2, graphs[place].inputs), (3, graphs[place].outputs)):
            named = [f"{name}/{tensor.text(0)}" for tensor in one.tables(field)]
            assert named == [graphs[place].tensors[tensor].name.decode() for tensor in tensors]
    meanings = {tensor.text(0): tensor.text(1) for tensor in told["gates"].tables(3)}
    assert (meanings["f"], meanings["scores"]) == ("forget gate", "the model's output")
    meanings = {tensor.text(0): tensor.text(1) for tensor in told["steer"].tables(2)}
    assert meanings["lstm/f/scale"] == "scale of the forget gate of the layer lstm, 1 where nothing acts"


@pytest.mark.parametrize("name", zoo.list())
def test_a_stranger_s_first_lines_with_a_preset(name):
    _, outputs = first_lines((home(name) / "model.tflite").read_bytes())
    assert all(np.isfinite(values).all() for values in outputs)
