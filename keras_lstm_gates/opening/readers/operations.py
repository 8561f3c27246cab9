"""TensorFlow's operations between the layers of a Keras 2 model, as operations of Keras 3: one table."""

import inspect

import keras
from keras import ops


def _getitem(tensor, slice_spec):
    spec = slice_spec if isinstance(slice_spec, (list, tuple)) else [slice_spec]
    return ops.get_item(tensor, tuple(_part(one) for one in spec))


def _part(one):
    """A part of an index, where a file has {"start": ..., "stop": ..., "step": ...} for a slice."""
    if one == {"class_name": "__ellipsis__"}:
        return ...
    return slice(one["start"], one["stop"], one["step"]) if isinstance(one, dict) else one


def _alike(x, y):
    """Two operands, a constant in the dtype of the tensor beside it, as TensorFlow takes it."""
    if not hasattr(x, "dtype"):
        return ops.convert_to_tensor(x, y.dtype), y
    return x, y if hasattr(y, "dtype") else ops.convert_to_tensor(y, x.dtype)


def _of_two(function):
    return lambda x, y: function(*_alike(x, y))


def _over_axes(function):
    return lambda input_tensor, axis=None, keepdims=False: function(input_tensor, axis=axis, keepdims=keepdims)


def _mean(input_tensor, axis=None, keepdims=False):
    dtype = keras.backend.standardize_dtype(input_tensor.dtype)
    if "float" not in dtype:
        raise ValueError(f"expected a mean over floats, which TensorFlow does not round; received {dtype}")
    return ops.mean(input_tensor, axis=axis, keepdims=keepdims)


def _matmul(a, b, transpose_a=False, transpose_b=False):
    a, b = _alike(a, b)
    return ops.matmul(ops.swapaxes(a, -1, -2) if transpose_a else a, ops.swapaxes(b, -1, -2) if transpose_b else b)


FUNCTIONS = {
    "__operators__.getitem": _getitem,
    "__operators__.add": _of_two(ops.add),
    "math.add": _of_two(ops.add),
    "math.subtract": _of_two(ops.subtract),
    "math.multiply": _of_two(ops.multiply),
    "math.maximum": _of_two(ops.maximum),
    "math.minimum": _of_two(ops.minimum),
    "math.negative": lambda x: ops.negative(x),
    "math.abs": lambda x: ops.abs(x),
    "math.square": lambda x: ops.square(x),
    "math.sqrt": lambda x: ops.sqrt(x),
    "math.exp": lambda x: ops.exp(x),
    "math.log": lambda x: ops.log(x),
    "math.truediv": _of_two(ops.true_divide),
    "math.divide": _of_two(ops.true_divide),
    "math.pow": _of_two(ops.power),
    "math.tanh": lambda x: ops.tanh(x),
    "math.sigmoid": lambda x: ops.sigmoid(x),
    "nn.relu": lambda features: ops.relu(features),
    "nn.softmax": lambda logits, axis=-1: ops.softmax(logits, axis=axis),
    "math.reduce_mean": _mean,
    "math.reduce_sum": _over_axes(ops.sum),
    "math.reduce_max": _over_axes(ops.max),
    "math.reduce_min": _over_axes(ops.min),
    "linalg.matmul": _matmul,
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "concat": lambda values, axis: ops.concatenate(values, axis=axis),
    "stack": lambda values, axis=0: ops.stack(values, axis=axis),
    "expand_dims": lambda input, axis: ops.expand_dims(input, axis),
    "compat.v1.squeeze": lambda input, axis=None: ops.squeeze(input, axis),
    "reshape": lambda tensor, shape: ops.reshape(tensor, shape),
    "compat.v1.transpose": lambda a, perm=None: ops.transpose(a, perm),
    "one_hot": lambda indices, depth: ops.one_hot(indices, depth),
}
"""{the name that Keras 2 writes: a function of Keras 3, its parameters named as TensorFlow names them}."""


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class TensorFlowOperation(keras.Operation):
    """One of TensorFlow's operations, by its name in `FUNCTIONS`; a mask ends at it, as in Keras 2.

    Args:
        function: str, a key of `FUNCTIONS`.

    Raises:
        ValueError: "expected an operation of ...; received 'shape'".

    Example:
        >>> TensorFlowOperation("math.add")(keras.ops.ones(2), 1).numpy().tolist()
        [2.0, 2.0]
    """

    def __init__(self, function, name=None):
        super().__init__(name=name)
        if function not in FUNCTIONS:
            raise ValueError(f"expected an operation of {', '.join(FUNCTIONS)}; received {function!r}")
        self.function = function

    def call(self, *args, **kwargs):
        return FUNCTIONS[self.function](*args, **kwargs)

    def get_config(self):
        return {"function": self.function, "name": self.name}


def keywords(function, given):
    """The keyword arguments of a call without those that are off and that Keras 3 need not take.

    Args:
        function: str, a key of `FUNCTIONS`.
        given: dict, as Keras 2 wrote them.
    """
    taken = inspect.signature(FUNCTIONS[function]).parameters
    return {
        key: value
        for key, value in given.items()
        if key in taken or not (key == "name" or value is None or value is False or (key, value) == ("batch_dims", 0))
    }


def refusal(function, calls):
    """Why an operation cannot be translated, or None.

    Args:
        function: str, its name in TensorFlow.
        calls: list of the keyword arguments of its calls.
    """
    if not isinstance(function, str) or function not in FUNCTIONS:
        return f"is {function!r} of TensorFlow, which is not translated"
    taken = inspect.signature(FUNCTIONS[function]).parameters
    for given in calls:
        for key, value in keywords(function, given).items():
            if key not in taken:
                return f"is {function!r} of TensorFlow with {key}={value!r}, which is not translated"
    return None
