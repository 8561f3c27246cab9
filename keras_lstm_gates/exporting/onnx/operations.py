"""Which operations of Keras ONNX has, and as what: by the name of their class, which Keras does not make public."""

import itertools

import keras
import numpy as np

from keras_lstm_gates.exporting.onnx.activations import activated
from keras_lstm_gates.exporting.onnx.graph import Value
from keras_lstm_gates.exporting.onnx.lstm import flipped


def any_along(graph, x, axis, keepdims, to):
    """Whether any number along an axis is not 0, as numbers of ONNX's type `to`."""
    numbers = graph.add("Cast", x, to=graph.float32)
    extreme = graph.add("ReduceMax", numbers, np.atleast_1d(axis), keepdims=int(keepdims))
    return graph.add("Cast", extreme, to=to)


def of_several(operator):
    """A function that writes an operator of two between any number of values, a list of them or each by itself."""

    def write(graph, layer, *values, **_):
        # A layer takes a list, an operation each one by itself.
        values = values[0] if isinstance(values[0], list | tuple) else values
        result, *others = _alike(values)
        for other in others:
            result = graph.add(operator, result, other)
        return result

    return write


def concatenated(graph, layer, values, axis=None, **_):
    return graph.add("Concat", *values, axis=layer.axis if axis is None else axis)


def _alike(values):
    """Values, the constants among them in the type of the values."""
    dtype = next((one.dtype for one in values if isinstance(one, Value)), "float32")
    return [one if isinstance(one, Value) else np.asarray(one, dtype) for one in values]


def _of_one(operator, **attributes):
    return lambda graph, operation, x, **_: graph.add(operator, x, **attributes)


def _filled(value):
    def write(graph, operation, x, **_):
        one = np.array([value], operation.dtype or x.dtype)
        return graph.add("ConstantOfShape", graph.add("Shape", x), value=graph.tensor(one))

    return write


def _power(graph, operation, x, y, **_):
    x, y = _alike([x, y])
    return graph.add("Pow", x, y)


def _floor_divided(graph, operation, x, y, **_):
    return graph.add("Floor", graph.add("Div", *_alike([x, y])))


def _modulo(graph, operation, x, y, **_):
    x, y = _alike([x, y])
    return graph.add("Sub", x, graph.add("Mul", y, graph.add("Floor", graph.add("Div", x, y))))


def _rsqrt(graph, operation, x, **_):
    return graph.add("Reciprocal", graph.add("Sqrt", x))


def _square(graph, operation, x, **_):
    return graph.add("Mul", x, x)


def _where(graph, operation, condition, x1=None, x2=None, **_):
    return graph.add("Where", condition, *_alike([x1, x2]))


def _not_equal(graph, operation, x, other, **_):
    return graph.add("Not", graph.add("Equal", *_alike([x, other])))


def _any(graph, operation, x, **_):
    return any_along(graph, x, operation.axis, keepdims=operation.keepdims, to=graph.bool)


def _all(graph, operation, x, **_):
    numbers = graph.add("Cast", x, to=graph.float32)
    least = graph.add("ReduceMin", numbers, np.atleast_1d(operation.axis), keepdims=int(operation.keepdims))
    return graph.add("Cast", least, to=graph.bool)


def _variance(root):
    def write(graph, operation, x, **_):
        axes = () if operation.axis is None else (np.atleast_1d(operation.axis),)
        centred = graph.add("Sub", x, graph.add("ReduceMean", x, *axes))
        variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), *axes, keepdims=int(operation.keepdims))
        return graph.add("Sqrt", variance) if root else variance

    return write


def _cast(graph, operation, x, dtype=None, **_):
    dtype = keras.backend.standardize_dtype(operation.dtype if dtype is None else dtype)
    return graph.add("Cast", x, to=graph.number_of(dtype))


def _as_it_is(graph, operation, x, **_):
    return x


def _flip(graph, operation, x, **_):
    if operation.axis == 1:
        return flipped(graph, x)
    axes = range(len(x.shape)) if operation.axis is None else np.atleast_1d(operation.axis)
    for axis in axes:
        x = graph.add("Slice", x, *(np.array([one]) for one in (-1, np.iinfo("int64").min, axis, -1)))
    return x


def _transposed(graph, operation, x, **_):
    axes = operation.axes
    return graph.add("Transpose", x, perm=range(len(x.shape))[::-1] if axes is None else axes)


def _swapped(graph, operation, x, **_):
    order = list(range(len(x.shape)))
    first, second = operation.axis1, operation.axis2
    order[first], order[second] = order[second], order[first]
    return graph.add("Transpose", x, perm=order)


def _softmax(operator):
    def write(graph, operation, x, **_):
        if not isinstance(operation.axis, int):
            raise ValueError(f"its axes are {operation.axis}; expected one")
        return graph.add(operator, x, axis=operation.axis)

    return write


def _by_activation(name):
    return lambda graph, operation, x, **_: activated(graph, getattr(keras.activations, name), x)


def _leaky(graph, operation, x, **_):
    return graph.add("LeakyRelu", x, alpha=float(operation.negative_slope))


def _clipped(graph, operation, x, **_):
    low, high = (np.asarray(one, x.dtype) for one in (operation.x_min, operation.x_max))
    return graph.add("Min", graph.add("Max", x, low), high)


def _tiled(graph, operation, x, **_):
    repeats = np.atleast_1d(operation.repeats)
    return graph.add("Tile", x, np.concatenate([np.ones(len(x.shape) - len(repeats), int), repeats]))


def _stacked(graph, operation, values, **_):
    rank = len(values[0].shape) + 1
    parts = [graph.add("Unsqueeze", one, np.array([operation.axis % rank])) for one in values]
    return graph.add("Concat", *parts, axis=operation.axis % rank)


def _split(graph, operation, x, **_):
    axis, parts = operation.axis, operation.indices_or_sections
    if isinstance(parts, int):
        sizes = [x.shape[axis] // parts] * parts
    else:
        places = [0, *parts, x.shape[axis]]
        sizes = [after - before for before, after in itertools.pairwise(places)]
    if len(sizes) == 1:
        return [x]
    return graph.add("Split", x, np.array(sizes), outputs=len(sizes), axis=axis)


def _one_hot(graph, operation, x, **_):
    numbers = graph.add("Cast", x, to=graph.int64)
    return graph.add("OneHot", numbers, np.array(operation.num_classes), np.float32([0, 1]), axis=operation.axis)


def _taken(graph, operation, x, indices, **_):
    if operation.axis is None:
        raise ValueError("it takes from all axes at once; expected one")
    indices = indices if isinstance(indices, Value) else np.asarray(indices)
    return graph.add("Gather", x, indices, axis=operation.axis)


def _gelu(graph, operation, x, **_):
    if operation.approximate:
        inner = graph.add("Mul", graph.add("Mul", graph.add("Mul", x, x), x), np.float32(0.044715))
        inner = graph.add("Mul", graph.add("Add", x, inner), np.float32(np.sqrt(2 / np.pi)))
        share = graph.add("Tanh", inner)
    else:
        share = graph.add("Erf", graph.add("Div", x, np.float32(np.sqrt(2))))
    return graph.add("Mul", graph.add("Mul", x, np.float32(0.5)), graph.add("Add", share, np.float32(1)))


def _cumulated(graph, operation, x, **_):
    if operation.axis is None:
        raise ValueError("it adds along all axes at once; expected one")
    return graph.add("CumSum", x, np.array(operation.axis))


def _padded(graph, operation, x, constant_values=None, **_):
    if operation.mode != "constant":
        raise ValueError(f"its mode is {operation.mode!r}; expected 'constant'")
    pairs = np.array(operation.pad_width)
    return graph.add("Pad", x, pairs.T.reshape(-1), np.asarray(constant_values or 0, x.dtype))


def _argument(operator):
    def write(graph, operation, x, **_):
        if operation.axis is None:
            raise ValueError("it looks along all axes at once; expected one")
        found = graph.add(operator, x, axis=operation.axis, keepdims=int(operation.keepdims))
        return graph.add("Cast", found, to=graph.int32)

    return write


def _reshaped(graph, operation, x, **_):
    shape = list(operation.newshape)
    if any(not isinstance(size, int) for size in shape):
        raise ValueError(f"its new shape is {shape}; expected whole numbers")
    return graph.add("Reshape", x, np.array(shape))


def _unstacked(graph, operation, x, **_):
    axis = operation.axis
    number = x.shape[axis] if operation.num is None else operation.num
    parts = graph.add("Split", x, outputs=number, axis=axis, num_outputs=number)
    # Of one part ONNX has no list.
    return [graph.add("Squeeze", part, np.array([axis])) for part in ([parts] if number == 1 else parts)]


def _reduced(operator):
    def write(graph, operation, x, **_):
        axes = () if operation.axis is None else (np.atleast_1d(operation.axis),)
        return graph.add(operator, x, *axes, keepdims=int(operation.keepdims))

    return write


def _part(graph, operation, x, key, **_):
    key = list(key) if isinstance(key, list | tuple) else [key]
    if Ellipsis in key:
        at = key.index(Ellipsis)
        taken = sum(one is not None for one in key) - 1
        key[at : at + 1] = [slice(None)] * (len(x.shape) - taken)
    axis, gone, new, place = 0, [], [], 0
    most = np.iinfo("int64")
    for one in key:
        if one is None:
            new.append(place)
            place += 1
            continue
        if isinstance(one, int):
            gone.append(axis)
            one = slice(one, None if one == -1 else one + 1)
        elif isinstance(one, slice) and all(isinstance(end, int | None) for end in (one.start, one.stop, one.step)):
            place += 1
        else:
            raise ValueError(f"it takes the part {key}; expected numbers and slices")
        if one != slice(None):
            step = one.step or 1
            first, last = (0, most.max) if step > 0 else (most.max, most.min)
            numbers = (first if one.start is None else one.start, last if one.stop is None else one.stop, axis, step)
            x = graph.add("Slice", x, *(np.array([number]) for number in numbers))
        axis += 1
    x = graph.add("Squeeze", x, np.array(gone)) if gone else x
    return graph.add("Unsqueeze", x, np.array(new)) if new else x


def _with_axis(operator):
    def write(graph, operation, x, **_):
        return graph.add(operator, x, np.atleast_1d(operation.axis))

    return write


OPERATIONS = {
    "Add": of_several("Add"),
    "Subtract": of_several("Sub"),
    "Multiply": of_several("Mul"),
    "Divide": of_several("Div"),
    "TrueDivide": of_several("Div"),
    "FloorDivide": _floor_divided,
    "Mod": _modulo,
    "Maximum": of_several("Max"),
    "Minimum": of_several("Min"),
    "Power": _power,
    "Matmul": of_several("MatMul"),
    "LogicalAnd": of_several("And"),
    "LogicalOr": of_several("Or"),
    "LogicalNot": _of_one("Not"),
    "Equal": of_several("Equal"),
    "NotEqual": _not_equal,
    "Greater": of_several("Greater"),
    "GreaterEqual": of_several("GreaterOrEqual"),
    "Less": of_several("Less"),
    "LessEqual": of_several("LessOrEqual"),
    "Where": _where,
    "Negative": _of_one("Neg"),
    "Absolute": _of_one("Abs"),
    "Abs": _of_one("Abs"),
    "Sign": _of_one("Sign"),
    "Square": _square,
    "Sqrt": _of_one("Sqrt"),
    "Rsqrt": _rsqrt,
    "Reciprocal": _of_one("Reciprocal"),
    "Exp": _of_one("Exp"),
    "Log": _of_one("Log"),
    "Floor": _of_one("Floor"),
    "Ceil": _of_one("Ceil"),
    "Round": _of_one("Round"),
    "Sin": _of_one("Sin"),
    "Cos": _of_one("Cos"),
    "Erf": _of_one("Erf"),
    "Tanh": _by_activation("tanh"),
    "Sigmoid": _by_activation("sigmoid"),
    "Relu": _by_activation("relu"),
    "Elu": _by_activation("elu"),
    "Softplus": _by_activation("softplus"),
    "Softsign": _by_activation("softsign"),
    "Silu": _by_activation("silu"),
    "LeakyRelu": _leaky,
    "Selu": _of_one("Selu"),
    "Gelu": _gelu,
    "Relu6": lambda graph, operation, x, **_: graph.add("Clip", x, np.float32(0), np.float32(6)),
    "Tan": _of_one("Tan"),
    "Arctan": _of_one("Atan"),
    "Softmax": _softmax("Softmax"),
    "LogSoftmax": _softmax("LogSoftmax"),
    "Clip": _clipped,
    "ZerosLike": _filled(0),
    "OnesLike": _filled(1),
    "Cast": _cast,
    "ConvertToTensor": _as_it_is,
    "StopGradient": _as_it_is,
    "Concatenate": concatenated,
    "Stack": _stacked,
    "Split": _split,
    "Unstack": _unstacked,
    "Tile": _tiled,
    "Pad": _padded,
    "Cumsum": _cumulated,
    "BroadcastTo": lambda graph, operation, x, **_: graph.add("Expand", x, np.array(operation.shape)),
    "OneHot": _one_hot,
    "Take": _taken,
    "Argmax": _argument("ArgMax"),
    "Argmin": _argument("ArgMin"),
    "Any": _any,
    "All": _all,
    "Flip": _flip,
    "Transpose": _transposed,
    "Swapaxes": _swapped,
    "SwapAxes": _swapped,
    "Sum": _reduced("ReduceSum"),
    "Mean": _reduced("ReduceMean"),
    "Max": _reduced("ReduceMax"),
    "Min": _reduced("ReduceMin"),
    "Prod": _reduced("ReduceProd"),
    "Logsumexp": _reduced("ReduceLogSumExp"),
    "LogSumExp": _reduced("ReduceLogSumExp"),
    "Var": _variance(root=False),
    "Std": _variance(root=True),
    "GetItem": _part,
    "Reshape": _reshaped,
    "ExpandDims": _with_axis("Unsqueeze"),
    "Squeeze": _with_axis("Squeeze"),
}
