"""The graphs of a .tflite file with one operator where the converter wrote many: the same answers bit for bit."""

import copy

import numpy as np
from ai_edge_litert.schema_py_generated import (
    BufferT,
    BuiltinOptions,
    DynamicUpdateSliceOptionsT,
    FillOptionsT,
    OperatorT,
    TensorT,
    TensorType,
)

from keras_lstm_gates.exporting.tflite.graphs import operator_code, operators, read, written

_OLDEST_VERSION = "2.9.0"
"""Of TensorFlow, whose interpreter has DYNAMIC_UPDATE_SLICE."""


def shortened(content):
    """Let one operator do what the converter wrote as many.

    - A step is written into a history by DYNAMIC_UPDATE_SLICE. The converter wrote the history (a TensorList of
      float32) as concatenate(history[:step], update, history[step + 1:]), which copies all of it twice at every step.
    - A history begins as FILL, not as zeros that the file holds.
    - x W of three axes, whose sizes the converter did not know, is one FULLY_CONNECTED that keeps its axes. The
      converter wrote reshape(reshape(x, (-1, features)) W, ...), and ten operators for these two shapes.
    - reshape(x, (time, 1, features)) W of one sequence is reshape(x W, (time, 1, units)), as long as before, but right:
      of two tensors that one part of the graph begins by reshaping, XNNPACK may take one for the other from the second
      run on, depending on where its memory lies (ai-edge-litert 2.3).

    Args:
        content: bytes of a .tflite file.

    Returns:
        bytes of the new file; of one that is short already, the same.
    """
    model, changed = read(content), 0
    for subgraph in model.subgraphs:
        changed += _multiply_last_axis(model, subgraph) + _update_slices(model, subgraph)
        changed += _fill_histories(model, subgraph)
    if changed:
        _need_version(model, _OLDEST_VERSION)
    for subgraph in model.subgraphs:
        changed += _multiply_before_reshape(model, subgraph)
    return written(model) if changed else bytes(content)


def _update_slices(model, subgraph):
    """How many times concatenate(history[:step], update, history[step + 1:]) was replaced."""
    formula, starts, order, count = _Formulas(model, subgraph), {}, [], 0
    for name, one in operators(model, subgraph):
        match = _slice_update(formula(one.outputs[0]), subgraph) if name == "CONCATENATION" else None
        if match is not None and one.builtinOptions.axis == 0:
            history, update, step, next_start = match
            if step not in starts:
                # [step, 0, 0] is made as [step + 1, 0, 0] is.
                start = copy.deepcopy(formula.makers[next_start][1])
                subgraph.tensors.append(copy.deepcopy(subgraph.tensors[next_start]))
                starts[step] = len(subgraph.tensors) - 1
                start.inputs[0], start.outputs[0] = step, starts[step]
                order.append(start)
            one = _update_operator(model, [history, update, starts[step]], one.outputs)
            count += 1
        order.append(one)
    subgraph.operators = _needed(order, subgraph.outputs)
    return count


def _slice_update(formula, subgraph):
    """(history, update, [step], [step + 1, 0, 0]) of a history with a step written into it, or None."""
    match formula:
        case (
            _,
            "CONCATENATION",
            (_, "SLICE", (history, *_), (_, "numbers", *begin), (_, "CONCATENATION", now, (_, "numbers", *size))),
            (update, *_),
            (_, "SLICE", (other, *_), (start, "CONCATENATION", after, (_, "numbers", *tail)), (_, "numbers", *rest)),
        ):
            pass
        case _:
            return None
    match now, after:
        case (step, "RESHAPE", (number, *_), _), (_, "RESHAPE", (_, "ADD", (same, *_), (_, "numbers", 1)), _):
            pass
        case _:
            return None
    fits = (
        (history, number, {*begin}, {*size}, {*tail}, {*rest}) == (other, same, {0}, {-1}, {0}, {-1})
        and subgraph.tensors[update].shape[0] == 1
        and subgraph.tensors[history].type == TensorType.FLOAT32
    )
    return (history, update, step, start) if fits else None


def _update_operator(model, inputs, outputs):
    made = OperatorT()
    made.opcodeIndex = operator_code(model, "DYNAMIC_UPDATE_SLICE", 1)
    made.builtinOptionsType = BuiltinOptions.DynamicUpdateSliceOptions
    made.builtinOptions = DynamicUpdateSliceOptionsT()
    made.inputs, made.outputs = inputs, outputs
    return made


def _fill_histories(model, subgraph):
    """How many tensors of zeros, which loops begin with, are made when they are needed."""
    order, made = [], {}
    for name, one in operators(model, subgraph):
        for place in one.inputs if name == "WHILE" else ():
            if place not in made and _is_long_and_zero(model, subgraph.tensors[place]):
                subgraph.tensors.append(copy.deepcopy(subgraph.tensors[place]))
                subgraph.tensors[-1].buffer = 0
                made[place] = len(subgraph.tensors) - 1
                order.append(_fill_operator(model, subgraph, made[place]))
        one.inputs = [made.get(place, place) for place in one.inputs] if name == "WHILE" else one.inputs
        order.append(one)
    subgraph.operators = order
    return len(made)


_LONG = 256
"""Numbers; shorter tensors cost less than the operator."""


def _is_long_and_zero(model, tensor):
    data = model.buffers[tensor.buffer].data
    if tensor.type != TensorType.FLOAT32 or data is None or len(data) < 4 * _LONG:
        return False
    return not np.any(np.asarray(data, "uint8"))


def _fill_operator(model, subgraph, target):
    """The operator FILL that makes zeros of the shape of the tensor `target`."""
    made = OperatorT()
    made.opcodeIndex = operator_code(model, "FILL", 1)
    made.builtinOptionsType, made.builtinOptions = BuiltinOptions.FillOptions, FillOptionsT()
    shape = np.array(subgraph.tensors[target].shape, "int32")
    made.inputs = [
        _constant(model, subgraph, shape, TensorType.INT32),
        _constant(model, subgraph, np.zeros((), "float32"), TensorType.FLOAT32),
    ]
    made.outputs = [target]
    return made


def _constant(model, subgraph, values, kind):
    """The place of a new tensor of these numbers."""
    buffer, tensor = BufferT(), TensorT()
    buffer.data = np.frombuffer(values.tobytes(), "uint8")
    tensor.shape, tensor.type, tensor.buffer = list(values.shape), kind, len(model.buffers)
    tensor.name, tensor.hasRank = f"constant {len(subgraph.tensors)}".encode(), True
    model.buffers.append(buffer)
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _multiply_last_axis(model, subgraph):
    """How many times reshape(reshape(x, (-1, features)) W, (*x.shape[:2], units)) was replaced."""
    formula, count = _Formulas(model, subgraph), 0
    for place, (name, one) in enumerate(operators(model, subgraph)):
        match = _last_axis_product(formula(one.outputs[0])) if name == "RESHAPE" else None
        if match is not None:
            x, product = match
            made = copy.deepcopy(formula.makers[product][1])
            made.inputs[0], made.outputs = x, one.outputs
            made.builtinOptions.keepNumDims = True
            code = model.operatorCodes[made.opcodeIndex]
            code.version = max(code.version, _KEEPS_AXES)
            subgraph.operators[place] = made
            count += 1
    subgraph.operators = _needed(subgraph.operators, subgraph.outputs)
    return count


_KEEPS_AXES = 5
"""The version of FULLY_CONNECTED that can keep its axes."""


def _last_axis_product(formula):
    """(x, the product of two axes) of a product with the last of x's three axes, or None."""
    match formula:
        case (
            _,
            "RESHAPE",
            (product, "FULLY_CONNECTED", (_, "RESHAPE", (x, *_), (_, "PACK", rows, columns)), *_),
            (_, "CONCATENATION", (_, "GATHER", (_, "SHAPE", (first, *_)), (_, "numbers", 0, 1)), (_, "numbers", _)),
        ):
            pass
        case _:
            return None
    match rows, columns:
        case (
            (_, "REDUCE_PROD", (_, "GATHER", (_, "SHAPE", (second, *_)), (_, "numbers", 0, 1)), (_, "numbers", 0)),
            (_, "REDUCE_PROD", (_, "GATHER", (_, "SHAPE", (third, *_)), (_, "numbers", 2)), (_, "numbers", 0)),
        ):
            return (x, product) if x == first == second == third else None
    return None


def _multiply_before_reshape(model, subgraph):
    """How many products reshape(x, (time, 1, features)) W became reshape(x W, (time, 1, units))."""
    order = [*operators(model, subgraph)]
    uses = {}
    for name, one in order:
        for place, tensor in enumerate(one.inputs):
            uses.setdefault(tensor, []).append((name, place, one))
    reshapes = {one.outputs[0]: one for name, one in order if name == "RESHAPE"}
    ahead = {
        tensor: one
        for tensor, one in reshapes.items()
        if _swaps_batch_and_time(subgraph, one)
        and tensor not in subgraph.outputs
        and all(
            (name, place) == ("FULLY_CONNECTED", 0) and user.builtinOptions.keepNumDims
            for name, place, user in uses.get(tensor, [])
        )
    }
    subgraph.operators, count = [], 0
    for _, one in order:
        if ahead.get(one.outputs[0]) is one:
            continue
        subgraph.operators.append(one)
        if one.inputs and one.inputs[0] in ahead:
            reshape, output = ahead[one.inputs[0]], one.outputs[0]
            one.inputs[0], one.outputs[0] = reshape.inputs[0], _tensor_of_one_sequence(subgraph, output)
            subgraph.operators.append(_reshape(model, subgraph, reshape, one.outputs[0], output))
            count += 1
    return count


def _swaps_batch_and_time(subgraph, reshape):
    before, after = (subgraph.tensors[tensor].shape for tensor in (reshape.inputs[0], reshape.outputs[0]))
    return (
        len(reshape.inputs) == 2
        and len(before) == len(after) == 3
        and (before[0], before[1], before[2]) == (1, after[0], after[2])
        and after[1] == 1
    )


def _tensor_of_one_sequence(subgraph, place):
    """The place of a new tensor like the one of (time, 1, units) at `place`, but (1, time, units)."""
    tensor = copy.deepcopy(subgraph.tensors[place])
    time, batch, units = tensor.shape
    tensor.name, tensor.shape, tensor.shapeSignature = tensor.name + b"/of_one_sequence", [batch, time, units], None
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _reshape(model, subgraph, original, source, target):
    """The operator RESHAPE, like the `original`, from the tensor `source` to the tensor `target` and its shape."""
    shape = [int(size) for size in subgraph.tensors[target].shape]
    buffer, tensor = BufferT(), copy.deepcopy(subgraph.tensors[original.inputs[1]])
    buffer.data, tensor.buffer = np.frombuffer(np.array(shape, "int32").tobytes(), "uint8"), len(model.buffers)
    model.buffers.append(buffer)
    subgraph.tensors.append(tensor)
    made = copy.deepcopy(original)
    made.inputs, made.outputs = [source, len(subgraph.tensors) - 1], [target]
    if made.builtinOptions is not None:
        made.builtinOptions.newShape = shape
    return made


class _Formulas:
    """How the tensors of a graph are made.

    Attributes:
        makers: {tensor: (operator's name, operator)}.
    """

    _DEPTH = 8
    """As deep as the formulas that are looked for."""

    def __init__(self, model, subgraph):
        self._model, self._tensors = model, subgraph.tensors
        self.makers = {one.outputs[0]: (name, one) for name, one in operators(model, subgraph)}

    def __call__(self, place, depth=_DEPTH):
        """(tensor, operator's name, *formulas of its inputs); (tensor, "numbers", *whole numbers) of a constant."""
        if place in self.makers and depth:
            name, maker = self.makers[place]
            return place, name, *(self(one, depth - 1) for one in maker.inputs)
        data = self._model.buffers[self._tensors[place].buffer].data
        if data is None or self._tensors[place].type != TensorType.INT32:
            return (place,)
        return place, "numbers", *np.frombuffer(bytes(data), "int32").tolist()


def _needed(order, outputs):
    """The operators that the outputs need."""
    kept, needed = [], {*outputs}
    for one in reversed(order):
        if needed & {*one.outputs}:
            kept.append(one)
            needed |= {*one.inputs}
    return kept[::-1]


def _need_version(model, version):
    """Raise the runtime version in the file's metadata to this one, where it is lower."""
    for one in model.metadata or ():
        if one.name == b"min_runtime_version":
            current = bytes(model.buffers[one.buffer].data).rstrip(b"\0").decode()
            if [int(part) for part in current.split(".")] < [int(part) for part in version.split(".")]:
                model.buffers[one.buffer].data = np.frombuffer(version.encode().ljust(16, b"\0"), "uint8")
