"""TensorFlowOpLayer of Keras up to 2.3: an operation as a node of TensorFlow's graph, and the constants it takes."""

import base64
from typing import NamedTuple


class Node(NamedTuple):
    """How a node's inputs and attributes are the arguments of a function.

    Attributes:
        function: str, a key of `FUNCTIONS`.
        inputs: str, the parameters that the inputs are, in their order; the first with a * takes all that are left.
        attributes: {parameter: the node's attribute}.
    """

    function: str
    inputs: str
    attributes: dict = {}


_KEEP = {"keepdims": "keep_dims"}
_TWO = {
    "Add": "add", "AddV2": "add", "Sub": "subtract", "Mul": "multiply", "Maximum": "maximum", "Minimum": "minimum",
    "RealDiv": "truediv", "DivNoNan": "divide_no_nan", "FloorMod": "floormod", "Pow": "pow",
    "SquaredDifference": "squared_difference", "Equal": "equal", "NotEqual": "not_equal", "Greater": "greater",
    "GreaterEqual": "greater_equal", "Less": "less", "LessEqual": "less_equal", "LogicalAnd": "logical_and",
    "LogicalOr": "logical_or",
}  # fmt: skip
_ONE = {
    "Neg": "math.negative", "Abs": "math.abs", "Sign": "math.sign", "Square": "math.square", "Sqrt": "math.sqrt",
    "Rsqrt": "math.rsqrt", "Reciprocal": "math.reciprocal", "Exp": "math.exp", "Log": "math.log",
    "Log1p": "math.log1p", "Floor": "math.floor", "Ceil": "math.ceil", "Round": "math.round", "Sin": "math.sin",
    "Cos": "math.cos", "Tanh": "math.tanh", "Erf": "math.erf", "Sigmoid": "math.sigmoid",
    "Softplus": "math.softplus", "LogicalNot": "math.logical_not", "Relu": "nn.relu", "Relu6": "nn.relu6",
    "Elu": "nn.elu", "Selu": "nn.selu", "Softsign": "nn.softsign", "Softmax": "nn.softmax",
    "LogSoftmax": "nn.log_softmax", "Identity": "identity", "StopGradient": "stop_gradient", "Shape": "compat.v1.shape",
    "ZerosLike": "zeros_like", "OnesLike": "ones_like",
}  # fmt: skip
_OVER = {"Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min", "Prod": "prod", "Any": "any", "All": "all"}

NODES = {
    **{name: Node(f"math.{function}", "x y") for name, function in _TWO.items()},
    **{name: Node(function, "x") for name, function in _ONE.items()},
    **{name: Node(f"math.reduce_{function}", "input_tensor axis", _KEEP) for name, function in _OVER.items()},
    "FloorDiv": Node("compat.v1.floor_div", "x y"),
    "BiasAdd": Node("nn.bias_add", "value bias"),
    "LeakyRelu": Node("nn.leaky_relu", "features", {"alpha": "alpha"}),
    "MatMul": Node("linalg.matmul", "a b", {"transpose_a": "transpose_a", "transpose_b": "transpose_b"}),
    "BatchMatMul": Node("linalg.matmul", "a b", {"adjoint_a": "adj_x", "adjoint_b": "adj_y"}),
    "BatchMatMulV2": Node("linalg.matmul", "a b", {"adjoint_a": "adj_x", "adjoint_b": "adj_y"}),
    "Einsum": Node("einsum", "*inputs", {"equation": "equation"}),
    "AddN": Node("math.add_n", "*inputs"),
    "ConcatV2": Node("concat", "*values axis"),
    "Pack": Node("stack", "*values", {"axis": "axis"}),
    "Unpack": Node("unstack", "value", {"axis": "axis", "num": "num"}),
    "Split": Node("split", "axis value", {"num_or_size_splits": "num_split"}),
    "SplitV": Node("split", "value num_or_size_splits axis"),
    "ExpandDims": Node("expand_dims", "input axis"),
    "Squeeze": Node("compat.v1.squeeze", "input", {"axis": "squeeze_dims"}),
    "Transpose": Node("compat.v1.transpose", "a perm"),
    "Reshape": Node("reshape", "tensor shape"),
    "Tile": Node("tile", "input multiples"),
    "ReverseV2": Node("reverse", "tensor axis"),
    "Pad": Node("compat.v1.pad", "tensor paddings"),
    "PadV2": Node("compat.v1.pad", "tensor paddings constant_values"),
    "Slice": Node("slice", "input_ begin size"),
    "StridedSlice": Node("__operators__.getitem", "tensor begin end strides"),
    "GatherV2": Node("compat.v1.gather", "params indices axis", {"batch_dims": "batch_dims"}),
    "Select": Node("where", "condition x y"),
    "SelectV2": Node("where", "condition x y"),
    "ClipByValue": Node("clip_by_value", "t clip_value_min clip_value_max"),
    "OneHot": Node("one_hot", "indices depth on_value off_value", {"axis": "axis"}),
    "Cumsum": Node("math.cumsum", "x axis", {"exclusive": "exclusive", "reverse": "reverse"}),
    "ArgMax": Node("math.argmax", "input axis"),
    "ArgMin": Node("math.argmin", "input axis"),
    "Cast": Node("cast", "x", {"dtype": "DstT"}),
    "Fill": Node("fill", "dims value"),
}
"""{TensorFlow's name of an operation: `Node`}."""


def refusal(config):
    """Why a TensorFlowOpLayer cannot be translated, or None."""
    operation = _operation(config)
    if operation not in NODES:
        return f"is the operation {operation!r} of TensorFlow, which is not translated"
    if operation == "StridedSlice" and not {"1", "2", "3"} <= set(config.get("constants") or {}):
        return "is a part of a tensor whose place is computed, which is not translated"
    return None


def function_of(config):
    """The key of `FUNCTIONS` of a TensorFlowOpLayer."""
    return NODES[_operation(config)].function


def call_of(config, tensors):
    """(args, kwargs) of the function for a call on some tensors.

    Example:
        >>> node = {"op": "Sub", "input": ["one", "x"], "attr": {}}
        >>> call_of({"node_def": node, "constants": {"0": 1.0}}, ["x"])
        ([1.0], {'y': 'x'})
    """
    node = NODES[_operation(config)]
    tensors, constants = list(tensors), dict(config.get("constants") or {})
    number = len(tensors) + len(constants)
    inputs = [constants[str(place)] if str(place) in constants else tensors.pop(0) for place in range(number)]
    attributes = config["node_def"].get("attr") or {}
    given = {parameter: _value(attributes[name]) for parameter, name in node.attributes.items() if name in attributes}
    names = node.inputs.split()
    if names[0] == "*inputs" and node.function == "einsum":
        return [given["equation"], *inputs], {}
    if names[0].startswith("*"):
        after = names[1:]
        first = inputs[: len(inputs) - len(after)]
        return [first], {**dict(zip(after, inputs[len(first) :], strict=True)), **given}
    if _operation(config) == "StridedSlice":
        return [inputs[0]], {"slice_spec": _slices(*inputs[1:], attributes)}
    if names[0] == "axis":
        axis, value = inputs
        return [value], {"axis": axis, **given}
    return inputs[:1], {**dict(zip(names[1:], inputs[1:], strict=True)), **given}


def _operation(config):
    node = config.get("node_def")
    return node.get("op") if isinstance(node, dict) else None


def _value(attribute):
    """A node's attribute, as JSON has it: {"b": true}, {"i": "1"}, {"list": {"i": ["1"]}}, {"type": "DT_FLOAT"}."""
    ((kind, value),) = attribute.items() if attribute else (("b", False),)
    if kind == "list":
        return [int(one) for one in value.get("i", ())] or None
    if kind == "type":
        names = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}
        return names.get(value, str(value).removeprefix("DT_").lower())
    if kind == "s":
        return base64.b64decode(value).decode("utf-8", "replace")
    return {"i": int, "f": float}.get(kind, lambda one: one)(value)


def _slices(begin, end, strides, attributes):
    """What Python writes between brackets, of the node's numbers and the masks that say which of them count."""
    masks = {name: int((attributes.get(f"{name}_mask") or {}).get("i", 0)) for name in _MASKS}
    spec = []
    for place, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            spec.append({"class_name": "__ellipsis__"})
        elif masks["new_axis"] & bit:
            spec.append(None)
        elif masks["shrink_axis"] & bit:
            spec.append(first)
        else:
            start = None if masks["begin"] & bit else first
            stop = None if masks["end"] & bit else last
            spec.append({"start": start, "stop": stop, "step": step})
    return spec


_MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
