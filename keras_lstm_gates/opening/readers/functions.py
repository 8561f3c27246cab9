"""TensorFlow's functions, as Keras 2 names them, by operations of Keras 3: one table."""

import math

import keras
from keras import ops


def _getitem(tensor, slice_spec):
    spec = slice_spec if isinstance(slice_spec, (list, tuple)) else [slice_spec]
    return ops.get_item(tensor, tuple(_part(one) for one in spec))


def _part(one):
    """A part of an index, where a file has {"start": ..., "stop": ..., "step": ...} for a slice."""
    if not isinstance(one, dict):
        return one
    if one == {"class_name": "__ellipsis__"}:
        return ...
    return slice(one["start"], one["stop"], one["step"])


def _slice(input_, begin, size):
    return ops.get_item(
        input_, tuple(slice(one, None if length == -1 else one + length) for one, length in zip(begin, size))
    )


def _alike(x, y):
    """Two operands, a constant in the dtype of the tensor beside it, as TensorFlow takes it."""
    if not hasattr(x, "dtype"):
        return ops.convert_to_tensor(x, getattr(y, "dtype", None)), y
    return x, y if hasattr(y, "dtype") else ops.convert_to_tensor(y, x.dtype)


def _of_two(function):
    return lambda x, y: function(*_alike(x, y))


def _of_x(function):
    return lambda x: function(x)


def _of_features(function):
    return lambda features: function(features)


def _over_axes(function):
    return lambda input_tensor, axis=None, keepdims=False: function(input_tensor, axis=axis, keepdims=bool(keepdims))


def _mean(input_tensor, axis=None, keepdims=False):
    dtype = keras.backend.standardize_dtype(input_tensor.dtype)
    if "float" not in dtype:
        raise ValueError(f"expected a mean over floats, which TensorFlow does not round; received {dtype}")
    return ops.mean(input_tensor, axis=axis, keepdims=bool(keepdims))


def _index_of(function):
    return lambda input, axis=0, output_type="int64": ops.cast(function(input, axis=axis), output_type)


def _matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False):
    a, b = _alike(a, b)
    return ops.matmul(
        ops.swapaxes(a, -1, -2) if transpose_a or adjoint_a else a,
        ops.swapaxes(b, -1, -2) if transpose_b or adjoint_b else b,
    )


def _where(condition, x, y):
    return ops.where(condition, *_alike(x, y))


def _clipped(t, clip_value_min, clip_value_max):
    return ops.minimum(*_alike(ops.maximum(*_alike(t, clip_value_min)), clip_value_max))


def _l2_normalized(x, axis=None, epsilon=1e-12):
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, epsilon))


def _norm(tensor, ord="euclidean", axis=None, keepdims=False):
    if ord in ("euclidean", 2) and (ord != 2 or isinstance(axis, int)):
        return ops.sqrt(ops.sum(ops.square(tensor), axis=axis, keepdims=bool(keepdims)))
    if ord == 1 and isinstance(axis, int):
        return ops.sum(ops.abs(tensor), axis=axis, keepdims=bool(keepdims))
    raise ValueError(f"expected a euclidean norm, or of the order 1 along an axis; received the order {ord}")


def _normalized(tensor, ord="euclidean", axis=None):
    norm = _norm(tensor, ord, axis, keepdims=True)
    return tensor / norm, norm


def _gather(params, indices, axis=None, batch_dims=0):
    axis = batch_dims if axis is None else axis
    if not batch_dims:
        return ops.take(params, indices, axis=axis)
    if batch_dims != 1 or axis != 1 or len(indices.shape) != 2:
        raise ValueError(f"expected steps (batch, n) of every sample; received batch_dims={batch_dims}, axis={axis}")
    rest = len(params.shape) - 2
    return ops.take_along_axis(params, ops.reshape(indices, (-1, indices.shape[1], *[1] * rest)), axis=1)


def _split(value, num_or_size_splits, axis=0):
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis=axis)
    sizes = list(num_or_size_splits)
    if -1 in sizes:
        sizes[sizes.index(-1)] = value.shape[axis] - sum(sizes) - 1
    return ops.split(value, [sum(sizes[: place + 1]) for place in range(len(sizes) - 1)], axis=axis)


def _squeezed(input, axis=None):
    ones = tuple(place for place, size in enumerate(input.shape) if size == 1)
    return ops.squeeze(input, ones if axis is None else axis)


def _one_hot(indices, depth, on_value=1.0, off_value=0.0, axis=-1, dtype="float32"):
    hot = ops.one_hot(indices, depth, axis=-1 if axis is None else axis, dtype=dtype or "float32")
    return hot * (on_value - off_value) + off_value


def _cumulated(x, axis=0, exclusive=False, reverse=False):
    turned = ops.flip(x, axis=axis) if reverse else x
    total = ops.cumsum(turned, axis=axis)
    total = total - turned if exclusive else total
    return ops.flip(total, axis=axis) if reverse else total


def _padded(tensor, paddings, mode="CONSTANT", constant_values=0):
    given = {"constant_values": constant_values} if mode.upper() == "CONSTANT" else {}
    return ops.pad(tensor, paddings, mode=mode.lower(), **given)


def _band(input, num_lower, num_upper):
    input = input if num_upper < 0 else ops.tril(input, k=num_upper)
    return input if num_lower < 0 else ops.triu(input, k=-num_lower)


def _sequence_mask(lengths, maxlen, dtype="bool"):
    return ops.cast(ops.arange(maxlen, dtype=lengths.dtype) < ops.expand_dims(lengths, -1), dtype)


def _shape(input, out_type="int32"):
    return ops.cast(ops.stack(list(ops.shape(input))), out_type)


def _divided_without_nan(x, y):
    x, y = _alike(x, y)
    zero = ops.equal(y, 0)
    return ops.where(zero, ops.zeros_like(x), x / ops.where(zero, ops.ones_like(y), y))


def _added(inputs):
    return sum(inputs[1:], start=inputs[0])


def _pooled(function):
    return lambda input, ksize, strides, padding: function(input, ksize, strides=strides, padding=padding.lower())


FUNCTIONS = {
    "__operators__.getitem": _getitem,
    "slice": _slice,
    "__operators__.add": _of_two(ops.add),
    "math.add": _of_two(ops.add),
    "math.subtract": _of_two(ops.subtract),
    "math.multiply": _of_two(ops.multiply),
    "math.maximum": _of_two(ops.maximum),
    "math.minimum": _of_two(ops.minimum),
    "math.truediv": _of_two(ops.true_divide),
    "math.divide": _of_two(ops.true_divide),
    "math.divide_no_nan": _divided_without_nan,
    "compat.v1.floor_div": _of_two(ops.floor_divide),
    "math.floormod": _of_two(ops.mod),
    "math.pow": _of_two(ops.power),
    "math.squared_difference": _of_two(lambda x, y: ops.square(x - y)),
    "math.add_n": _added,
    "math.accumulate_n": _added,
    "math.equal": _of_two(ops.equal),
    "math.not_equal": _of_two(ops.not_equal),
    "__operators__.eq": _of_two(ops.equal),
    "__operators__.ne": _of_two(ops.not_equal),
    "math.greater": _of_two(ops.greater),
    "math.greater_equal": _of_two(ops.greater_equal),
    "math.less": _of_two(ops.less),
    "math.less_equal": _of_two(ops.less_equal),
    "math.logical_and": _of_two(ops.logical_and),
    "math.logical_or": _of_two(ops.logical_or),
    "math.logical_not": _of_x(ops.logical_not),
    "math.negative": _of_x(ops.negative),
    "math.abs": _of_x(ops.abs),
    "math.sign": _of_x(ops.sign),
    "math.square": _of_x(ops.square),
    "math.sqrt": _of_x(ops.sqrt),
    "math.rsqrt": _of_x(ops.rsqrt),
    "math.reciprocal": _of_x(ops.reciprocal),
    "math.exp": _of_x(ops.exp),
    "math.expm1": _of_x(ops.expm1),
    "math.log": _of_x(ops.log),
    "math.log1p": _of_x(ops.log1p),
    "math.floor": _of_x(ops.floor),
    "math.ceil": _of_x(ops.ceil),
    "math.round": _of_x(ops.round),
    "math.sin": _of_x(ops.sin),
    "math.cos": _of_x(ops.cos),
    "math.tan": _of_x(ops.tan),
    "math.atan": _of_x(ops.arctan),
    "math.sinh": _of_x(ops.sinh),
    "math.cosh": _of_x(ops.cosh),
    "math.tanh": _of_x(ops.tanh),
    "math.erf": _of_x(ops.erf),
    "math.sigmoid": _of_x(ops.sigmoid),
    "math.log_sigmoid": _of_x(ops.log_sigmoid),
    "math.softplus": lambda features: ops.softplus(features),
    "math.is_nan": _of_x(ops.isnan),
    "nn.relu": _of_features(ops.relu),
    "nn.relu6": _of_features(ops.relu6),
    "nn.elu": _of_features(ops.elu),
    "nn.selu": _of_features(ops.selu),
    "nn.silu": lambda features, beta=1.0: features * ops.sigmoid(beta * features),
    "nn.softsign": _of_features(ops.softsign),
    "nn.leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, alpha),
    "nn.gelu": lambda features, approximate=False: ops.gelu(features, approximate),
    "nn.softmax": lambda logits, axis=-1: ops.softmax(logits, axis=-1 if axis is None else axis),
    "nn.log_softmax": lambda logits, axis=-1: ops.log_softmax(logits, axis=-1 if axis is None else axis),
    "nn.bias_add": lambda value, bias: ops.add(*_alike(value, bias)),
    "nn.avg_pool1d": _pooled(ops.average_pool),
    "nn.max_pool1d": _pooled(ops.max_pool),
    "math.reduce_mean": _mean,
    "math.reduce_sum": _over_axes(ops.sum),
    "math.reduce_max": _over_axes(ops.max),
    "math.reduce_min": _over_axes(ops.min),
    "math.reduce_prod": _over_axes(ops.prod),
    "math.reduce_any": _over_axes(ops.any),
    "math.reduce_all": _over_axes(ops.all),
    "math.reduce_std": _over_axes(ops.std),
    "math.reduce_variance": _over_axes(ops.var),
    "math.reduce_logsumexp": _over_axes(ops.logsumexp),
    "compat.v1.norm": _norm,
    "linalg.normalize": _normalized,
    "math.l2_normalize": _l2_normalized,
    "math.argmax": _index_of(ops.argmax),
    "math.argmin": _index_of(ops.argmin),
    "math.top_k": lambda input, k=1, sorted=True: tuple(ops.top_k(input, k, sorted=sorted)),
    "sort": lambda values, axis=-1: ops.sort(values, axis=axis),
    "math.cumsum": _cumulated,
    "math.cumprod": lambda x, axis=0: ops.cumprod(x, axis=axis),
    "linalg.matmul": _matmul,
    "tensordot": lambda a, b, axes: ops.tensordot(*_alike(a, b), axes=axes),
    "einsum": lambda equation, x, *inputs: ops.einsum(equation, x, *inputs),
    "linalg.band_part": _band,
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "identity": _of_x(lambda x: x),
    "stop_gradient": lambda input: ops.stop_gradient(input),
    "convert_to_tensor": lambda value, dtype=None: ops.convert_to_tensor(value, dtype),
    "ensure_shape": lambda x, shape: x,
    "concat": lambda values, axis: ops.concatenate(values, axis=axis),
    "stack": lambda values, axis=0: ops.stack(values, axis=axis),
    "unstack": lambda value, num=None, axis=0: ops.unstack(value, num, axis),
    "split": _split,
    "expand_dims": lambda input, axis: ops.expand_dims(input, axis),
    "compat.v1.squeeze": _squeezed,
    "reshape": lambda tensor, shape: ops.reshape(tensor, shape),
    "keras.backend.batch_flatten": lambda x: ops.reshape(x, (-1, math.prod(x.shape[1:]))),
    "compat.v1.transpose": lambda a, perm=None: ops.transpose(a, perm),
    "reverse": lambda tensor, axis: ops.flip(tensor, axis=axis),
    "roll": lambda input, shift, axis: ops.roll(input, shift, axis=axis),
    "tile": lambda input, multiples: ops.tile(input, multiples),
    "repeat": lambda input, repeats, axis=None: ops.repeat(input, repeats, axis=axis),
    "broadcast_to": lambda input, shape: ops.broadcast_to(input, shape),
    "compat.v1.pad": _padded,
    "where": _where,
    "compat.v1.gather": _gather,
    "clip_by_value": _clipped,
    "one_hot": _one_hot,
    "sequence_mask": _sequence_mask,
    "compat.v1.shape": _shape,
    "zeros_like": lambda input, dtype=None: ops.zeros_like(input, dtype),
    "ones_like": lambda input, dtype=None: ops.ones_like(input, dtype),
    "zeros": lambda shape, dtype="float32": ops.zeros(shape, dtype),
    "ones": lambda shape, dtype="float32": ops.ones(shape, dtype),
    "fill": lambda dims, value: ops.full(dims, value, "float32"),
}
"""{the name that Keras 2 writes: a function of Keras 3, its parameters named as TensorFlow names them}."""
