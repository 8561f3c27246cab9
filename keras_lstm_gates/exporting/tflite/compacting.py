"""A finished .tflite file in fewer bytes, with the same answers bit for bit."""

# ruff: noqa: N802  the names of flatbuffers' own methods

import flatbuffers
import numpy as np

_ALIGNMENT = 16
"""Bytes; where the format wants the weights to begin."""


def compact(content):
    """Write a .tflite file again, smaller, with the same operators on the same numbers.

    Names are kept where a signature shows them, on the inputs and outputs of its graph; those within, by which tools
    such as a quantizer find a tensor, are gone. So compact a file last. Of parts that are equal (weights, scales,
    shapes, whole tensors and operators) one is written, and the others point to it.

    Args:
        content: bytes of a .tflite file.

    Returns:
        bytes of the new file; of one that is compact already, the same.

    Example:
        >>> from keras_lstm_gates.presets.registry import home
        >>> content = compact((home("italy_power_demand") / "model.tflite").read_bytes())
        >>> compact(content) == content
        True
    """
    from ai_edge_litert.tools import flatbuffer_utils

    # Numbers stay arrays here, which `graphs.read` would make lists of.
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    shown = {signature.subgraphIndex for signature in model.signatureDefs or ()}
    for place, subgraph in enumerate(model.subgraphs):
        named = {*subgraph.inputs, *subgraph.outputs} if place in shown else set()
        if place not in shown:
            subgraph.name = None
        for number, tensor in enumerate(subgraph.tensors):
            _strip(tensor, keep_name=number in named)
    _merge_buffers(model)
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _strip(tensor, keep_name):
    """Drop what says nothing about a tensor."""
    if not keep_name:
        tensor.name = None
    if tensor.quantization is not None and tensor.quantization.scale is None:
        tensor.quantization = None
    if tensor.shapeSignature is not None and np.array_equal(tensor.shapeSignature, tensor.shape):
        tensor.shapeSignature = None


def _merge_buffers(model):
    """One buffer for equal data; the first, which is empty, for every tensor without data."""
    kept, places, moved = [model.buffers[0]], {b"": 0}, {}
    for place, buffer in enumerate(model.buffers):
        data = b"" if buffer.data is None else bytes(buffer.data)
        if data not in places:
            places[data] = len(kept)
            kept.append(buffer)
        moved[place] = places[data]
    for one in (*(tensor for subgraph in model.subgraphs for tensor in subgraph.tensors), *(model.metadata or ())):
        one.buffer = moved[one.buffer]
    # Long replaced by `metadata`.
    model.metadataBuffer = None
    model.buffers = kept


class _SharingBuilder(flatbuffers.Builder):
    """Writes a vector of numbers, a string or a table once, and points to it where an equal one is wanted."""

    def __init__(self):
        super().__init__()
        self._places = {}
        self._table = []

    def CreateNumpyVector(self, x):
        if x.dtype == np.uint8:
            # flatbuffers for Python leaves out the schema's alignment of weights.
            self.Prep(_ALIGNMENT, x.nbytes)
        return self._once((x.dtype.str, x.tobytes()), super().CreateNumpyVector, x)

    def CreateString(self, s, encoding="utf-8", errors="strict"):
        return self._once(s, super().CreateString, s, encoding, errors)

    def StartObject(self, numfields):
        # A table is begun when it is known to be new.
        self._table = [numfields]

    def PrependSlot(self, flags, o, x, d):
        self._table.append((super().PrependSlot, flags, o, x, d))

    def PrependUOffsetTRelativeSlot(self, o, x, d):
        self._table.append((super().PrependUOffsetTRelativeSlot, o, x, d))

    def EndObject(self):
        return self._once(tuple(self._table), self._write_table)

    def _write_table(self):
        fields, *slots = self._table
        super().StartObject(fields)
        for prepend, *slot in slots:
            prepend(*slot)
        return super().EndObject()

    def _once(self, key, write, *arguments):
        if key not in self._places:
            self._places[key] = write(*arguments)
        return self._places[key]
