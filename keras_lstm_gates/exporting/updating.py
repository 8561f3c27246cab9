"""Exported loops without copies that the converter puts in: faster, with the same answers bit for bit."""

import copy

import numpy as np
from ai_edge_litert.schema_py_generated import BuiltinOptions, DynamicUpdateSliceOptionsT, OperatorT, TensorType

from keras_lstm_gates.tflite_graphs import operator_code, operators, read, written

_OLDEST_VERSION = "2.9.0"
"""Of TensorFlow, whose interpreter has DYNAMIC_UPDATE_SLICE."""


def with_slice_updates(content):
    """Let one operator, DYNAMIC_UPDATE_SLICE, write a step into a history.

    The converter writes a history (a TensorList of float32) as concatenate(history[:step], update, history[step + 1:]),
    which copies all of it twice at every step. The parts that nothing else reads are gone from the new file.

    Args:
        content: bytes of a .tflite file.

    Returns:
        bytes of the new file; of one without such an update, the same.
    """
    model, changed = read(content), False
    for subgraph in model.subgraphs:
        changed |= _update_slices(model, subgraph)
    if not changed:
        return bytes(content)
    _need_version(model, _OLDEST_VERSION)
    return written(model)


def _update_slices(model, subgraph):
    makers = {one.outputs[0]: (name, one) for name, one in operators(model, subgraph)}
    starts, order = {}, []
    for one in subgraph.operators:
        found = _update(_formula(model, subgraph, makers, one.outputs[0]), makers, subgraph)
        if found is not None:
            history, update, step, next_start = found
            if step not in starts:
                # [step, 0, 0] is made as [step + 1, 0, 0] is.
                start = copy.deepcopy(makers[next_start][1])
                subgraph.tensors.append(copy.deepcopy(subgraph.tensors[next_start]))
                starts[step] = len(subgraph.tensors) - 1
                start.inputs[0], start.outputs[0] = step, starts[step]
                order.append(start)
            one = _operator(model, [history, update, starts[step]], one.outputs)
        order.append(one)
    subgraph.operators = _read_by_others(order, subgraph.outputs)
    return bool(starts)


def _formula(model, subgraph, makers, place, depth=5):
    """(place, operator's name, *formulas of its inputs) of a tensor; (place, "constant", {numbers}) of whole ones."""
    if place in makers and depth:
        name, maker = makers[place]
        return place, name, *(_formula(model, subgraph, makers, one, depth - 1) for one in maker.inputs)
    tensor = subgraph.tensors[place]
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type != TensorType.INT32:
        return (place,)
    return place, "constant", {*np.frombuffer(bytes(data), "int32").tolist()}


def _update(formula, makers, subgraph):
    """(history, update, [step], [step + 1, 0, 0]) of a history with a step written into it, or None."""
    match formula:
        case (
            place,
            "CONCATENATION",
            (_, "SLICE", (history, *_), (_, "constant", begin), (_, "CONCATENATION", now, (_, "constant", size))),
            (update, *_),
            (_, "SLICE", (other, *_), (start, "CONCATENATION", after, (_, "constant", tail)), (_, "constant", rest)),
        ):
            pass
        case _:
            return None
    match now, after:
        case (step, "RESHAPE", (number, *_), _), (_, "RESHAPE", (_, "ADD", (same, *_), (_, "constant", added)), _):
            pass
        case _:
            return None
    fits = (
        (history, number, begin, size, tail, rest, added) == (other, same, {0}, {-1}, {0}, {-1}, {1})
        and makers[place][1].builtinOptions.axis == 0
        and subgraph.tensors[update].shape[0] == 1
        and subgraph.tensors[history].type == TensorType.FLOAT32
    )
    return (history, update, step, start) if fits else None


def _operator(model, inputs, outputs):
    made = OperatorT()
    made.opcodeIndex = operator_code(model, "DYNAMIC_UPDATE_SLICE", 1)
    made.builtinOptionsType = BuiltinOptions.DynamicUpdateSliceOptions
    made.builtinOptions = DynamicUpdateSliceOptionsT()
    made.inputs, made.outputs = inputs, outputs
    return made


def _read_by_others(order, outputs):
    """The operators that the outputs need."""
    kept, needed = [], {*outputs}
    for one in reversed(order):
        if needed & {*one.outputs}:
            kept.append(one)
            needed |= {*one.inputs}
    return kept[::-1]


def _need_version(model, version):
    """Tell it in the file's metadata, where that says less."""
    for one in model.metadata or ():
        if one.name == b"min_runtime_version":
            told = bytes(model.buffers[one.buffer].data).rstrip(b"\0").decode()
            if [int(part) for part in told.split(".")] < [int(part) for part in version.split(".")]:
                model.buffers[one.buffer].data = np.frombuffer(version.encode().ljust(16, b"\0"), "uint8")
