"""Which layers and operations of Keras ONNX has, and as what."""

import keras
import numpy as np

from keras_lstm_gates.exporting.onnx.activations import activated
from keras_lstm_gates.exporting.onnx.attention import (
    additive_attention,
    attention,
    dot,
    masked_softmax,
    multi_head_attention,
)
from keras_lstm_gates.exporting.onnx.convolutions import (
    convolution,
    global_pooling,
    padding,
    pooling,
    separable_convolution,
)
from keras_lstm_gates.exporting.onnx.graph import Value
from keras_lstm_gates.exporting.onnx.lstm import flipped, held_interventions, lstm, lstm_step
from keras_lstm_gates.exporting.onnx.operations import OPERATIONS, any_along, concatenated, of_several
from keras_lstm_gates.exporting.onnx.recurrent import bidirectional, convolutional_lstm, joined, recurrent
from keras_lstm_gates.exporting.stepping import AddTimeAxis, AnyFeature, DropTimeAxis, LSTMStep, MaskedStep
from keras_lstm_gates.layers.calibration import Calibration
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.opening.opened_layers import (
    EachStep,
    LabelledGates,
    MaskedToZero,
    MergedDirections,
    Reversed,
    StepMask,
)
from keras_lstm_gates.opening.readers.old_masks import JOINED
from keras_lstm_gates.steering.holders import HeldInterventions


def nodes(graph, layer, *args, **kwargs):
    """Append the nodes of a layer or an operation.

    Args:
        graph: `keras_lstm_gates.exporting.onnx.graph.Graph`.
        layer: `keras.Layer`, or an operation of `keras.ops`.
        args, kwargs: what it is called with, with `Value`s in the place of tensors.

    Returns:
        What it returns, with names in the place of tensors.

    Raises:
        ValueError: one that is not known, or that does what ONNX does not.
    """
    known = LAYERS if isinstance(layer, keras.Layer) else OPERATIONS
    kind = type(layer) if isinstance(layer, keras.Layer) else type(layer).__name__
    if kind not in known:
        raise _unknown(layer, known)
    return known[kind](graph, layer, *args, **kwargs)


def _unknown(layer, known):
    names = sorted(one if isinstance(one, str) else one.__name__ for one in known)
    return ValueError(f"it is a {type(layer).__name__}; expected one of {', '.join(names)}")


def _as_it_is(graph, layer, x, **_):
    return x


def _activation(graph, layer, x, **_):
    return activated(graph, layer.activation, x)


def _masking(graph, layer, x, **_):
    real = graph.add("Not", graph.add("Equal", x, np.float32(layer.mask_value)))
    return graph.add("Mul", x, any_along(graph, real, axis=-1, keepdims=True, to=graph.float32))


def _masked_step(graph, layer, x, **_):
    return x if layer.mask_value == 0 else _masking(graph, layer, x)


def _normalization(graph, layer, x, **_):
    mean, deviation = (np.asarray(keras.ops.convert_to_numpy(one), "float32") for one in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(deviation), np.float32(keras.config.epsilon()))
    if layer.invert:
        return graph.add("Add", graph.add("Mul", x, deviation), mean)
    return graph.add("Div", graph.add("Sub", x, mean), deviation)


def _rescaling(graph, layer, x, **_):
    scaled = graph.add("Mul", x, np.asarray(layer.scale, "float32"))
    return graph.add("Add", scaled, np.asarray(layer.offset, "float32"))


def _embedding(graph, layer, x, **_):
    x = x if x.dtype.startswith("int") else graph.add("Cast", x, to=graph.int32)
    return graph.add("Gather", np.asarray(layer.embeddings, "float32"), x, axis=0)


def _dense(graph, layer, x, **_):
    product = graph.add("MatMul", x, np.asarray(layer.kernel, "float32"))
    if layer.use_bias:
        product = graph.add("Add", product, np.asarray(layer.bias, "float32"))
    return activated(graph, layer.activation, product)


def _layer_normalization(graph, layer, x, **_):
    axes = sorted(int(axis) % len(x.shape) for axis in np.atleast_1d(layer.axis))
    if axes != [len(x.shape) - 1]:
        return _normalized_over(graph, layer, x, axes)
    width = x.shape[-1]
    scale = np.ones(width, "float32") if layer.gamma is None else np.asarray(layer.gamma, "float32")
    offset = np.zeros(width, "float32") if layer.beta is None else np.asarray(layer.beta, "float32")
    return graph.add("LayerNormalization", x, scale, offset, axis=-1, epsilon=float(layer.epsilon))


def _normalized_over(graph, layer, x, axes):
    """`LayerNormalization` over other axes than the last, which ONNX's own operator needs."""
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, np.array(axes)))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), np.array(axes))
    deviation = graph.add("Sqrt", graph.add("Add", variance, np.float32(layer.epsilon)))
    normal = graph.add("Div", centred, deviation)
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    if layer.gamma is not None:
        normal = graph.add("Mul", normal, np.asarray(layer.gamma, "float32").reshape(shape))
    return normal if layer.beta is None else graph.add("Add", normal, np.asarray(layer.beta, "float32").reshape(shape))


def _flatten(graph, layer, x, **_):
    rank = len(x.shape)
    if layer.data_format == "channels_first" and rank > 2:
        x = graph.add("Transpose", x, perm=(0, *range(2, rank), 1))
    return graph.add("Flatten", x, axis=1)


def _reshape(graph, layer, x, **_):
    return graph.add("Reshape", x, np.array([0, *layer.target_shape]))


def _step_mask(graph, layer, x, mask=None, **_):
    if mask is not None and layer.masked:
        return mask
    return graph.add("ConstantOfShape", graph.add("Shape", x, end=2), value=graph.tensor(np.array([True])))


def _repeated(graph, layer, x, **_):
    return graph.add("Tile", graph.add("Unsqueeze", x, np.array([1])), np.array([1, layer.n, 1]))


def _time_distributed(graph, layer, x, **_):
    of_features = np.all(np.equal(getattr(layer.layer, "axis", -1), -1))
    if of_features and type(layer.layer) in (*EACH_FEATURE_VECTOR, *OF_TRAINING, keras.layers.Embedding):
        return nodes(graph, layer.layer, x)
    each = (None, *x.shape[2:])
    sizes = layer.layer.compute_output_shape(each)[1:]
    if None in (*each[1:], *sizes):
        raise ValueError(f"it holds a {type(layer.layer).__name__} of {each}; expected known sizes")
    step = Value(graph.add("Reshape", x, np.array([-1, *each[1:]])), each, x.dtype)
    shape = graph.add("Concat", graph.add("Shape", x, end=2), np.array(sizes), axis=0)
    return graph.add("Reshape", nodes(graph, layer.layer, step), shape)


def _average(graph, layer, x, mask=None, **_):
    time, features = _axes(layer)
    over_time = np.array([time])
    if mask is None:
        return graph.add("ReduceMean", x, over_time, keepdims=int(layer.keepdims))
    real = graph.add("Cast", graph.add("Unsqueeze", mask, np.array([features])), to=graph.float32)
    total = graph.add("ReduceSum", graph.add("Mul", x, real), over_time, keepdims=int(layer.keepdims))
    return graph.add("Div", total, graph.add("ReduceSum", real, over_time, keepdims=int(layer.keepdims)))


def _maximum_over_time(graph, layer, x, **_):
    time = _axes(layer)[0]
    return graph.add("ReduceMax", x, np.array([time]), keepdims=int(layer.keepdims))


def _axes(layer):
    """The axes of time and features of a layer that has a `data_format`."""
    return (1, 2) if layer.data_format == "channels_last" else (2, 1)


def _average_of_several(graph, layer, values, **_):
    return graph.add("Div", of_several("Add")(graph, layer, values), np.float32(len(values)))


def _batch_normalization(graph, layer, x, **_):
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    if axis not in (-1, len(x.shape) - 1):
        raise ValueError(f"it normalizes the axis {axis}; expected the last")
    scale = 1 / np.sqrt(np.asarray(layer.moving_variance, "float32") + np.float32(layer.epsilon))
    scale = scale * np.asarray(layer.gamma, "float32") if layer.scale else scale
    offset = -np.asarray(layer.moving_mean, "float32") * scale
    offset = offset + np.asarray(layer.beta, "float32") if layer.center else offset
    return graph.add("Add", graph.add("Mul", x, scale), offset)


def _softmax(graph, layer, x, mask=None, **_):
    if not isinstance(layer.axis, int):
        raise ValueError(f"its axes are {layer.axis}; expected one")
    return masked_softmax(graph, x, mask, layer.axis)


def _rectified(graph, layer, x, **_):
    if layer.threshold or (layer.max_value is not None and layer.negative_slope):
        raise ValueError(f"its threshold is {layer.threshold}; expected 0")
    if layer.max_value is not None:
        return graph.add("Clip", x, np.float32(0), np.float32(layer.max_value))
    return (
        graph.add("LeakyRelu", x, alpha=float(layer.negative_slope)) if layer.negative_slope else graph.add("Relu", x)
    )


def _leaky(graph, layer, x, **_):
    return graph.add("LeakyRelu", x, alpha=float(layer.negative_slope))


def _parametric(graph, layer, x, **_):
    return graph.add("PRelu", x, np.asarray(layer.alpha, "float32"))


def _elu(graph, layer, x, **_):
    return graph.add("Elu", x, alpha=float(layer.alpha))


def _unit_normalized(graph, layer, x, **_):
    size = graph.add("ReduceL2", x, np.atleast_1d(layer.axis))
    return graph.add("Div", x, graph.add("Max", size, np.float32(1e-6)))


def _permuted(graph, layer, x, **_):
    return graph.add("Transpose", x, perm=(0, *layer.dims))


def _merged_directions(graph, layer, values, **_):
    first, second = values
    if layer.sequences:
        second = flipped(graph, second)
    return joined(graph, layer.merge_mode, first, second)


def _masked_to_zero(graph, layer, x, mask=None, **_):
    if mask is None:
        return x
    mask = flipped(graph, mask) if layer.backwards else mask
    return graph.add("Where", graph.add("Unsqueeze", mask, np.array([-1])), x, np.float32(0))


def _any_feature(graph, layer, x, **_):
    return any_along(graph, x, axis=-1, keepdims=False, to=graph.bool)


def _add_time_axis(graph, layer, x, **_):
    return graph.add("Unsqueeze", x, np.array([1]))


_layers = keras.layers
OF_TRAINING = (
    _layers.Dropout,
    _layers.SpatialDropout1D,
    _layers.SpatialDropout2D,
    _layers.AlphaDropout,
    _layers.GaussianNoise,
    _layers.GaussianDropout,
    _layers.ActivityRegularization,
    _layers.Identity,
)
EACH_FEATURE_VECTOR = {
    _layers.Dense: _dense,
    _layers.Activation: _activation,
    _layers.Normalization: _normalization,
    _layers.LayerNormalization: _layer_normalization,
    _layers.Rescaling: _rescaling,
    _layers.ReLU: _rectified,
    _layers.LeakyReLU: _leaky,
    _layers.ELU: _elu,
    _layers.UnitNormalization: _unit_normalized,
}
"""Those that do the same at every step."""
OF_WINDOWS = {
    _layers.Conv1D: convolution,
    _layers.Conv2D: convolution,
    _layers.SeparableConv1D: separable_convolution,
    _layers.SeparableConv2D: separable_convolution,
    _layers.ZeroPadding1D: padding,
    _layers.ZeroPadding2D: padding,
    _layers.MaxPooling1D: pooling("MaxPool"),
    _layers.MaxPooling2D: pooling("MaxPool"),
    _layers.AveragePooling1D: pooling("AveragePool"),
    _layers.AveragePooling2D: pooling("AveragePool"),
    _layers.GlobalMaxPooling2D: global_pooling("ReduceMax"),
    _layers.GlobalAveragePooling2D: global_pooling("ReduceMean"),
    _layers.Flatten: _flatten,
    _layers.BatchNormalization: _batch_normalization,
}
"""Those that `TimeDistributed` calls for one step after the other."""
LAYERS = {
    GatedLSTM: lstm,
    LSTMStep: lstm_step,
    HeldInterventions: held_interventions,
    MaskedToZero: _masked_to_zero,
    MergedDirections: _merged_directions,
    StepMask: _step_mask,
    LabelledGates: _as_it_is,
    Reversed: lambda graph, layer, x, **_: flipped(graph, x),
    EachStep: _time_distributed,
    MaskedStep: _masked_step,
    AddTimeAxis: _add_time_axis,
    DropTimeAxis: lambda graph, layer, x, **_: graph.add("Squeeze", x, np.array([1])),
    AnyFeature: _any_feature,
    Calibration: lambda graph, layer, x, **_: graph.add("Mul", x, np.asarray(layer.factors, "float32")),
    _layers.Masking: _masking,
    _layers.Embedding: _embedding,
    _layers.Reshape: _reshape,
    _layers.Permute: _permuted,
    _layers.Softmax: _softmax,
    _layers.PReLU: _parametric,
    _layers.GRU: recurrent,
    _layers.SimpleRNN: recurrent,
    _layers.RNN: recurrent,
    _layers.Bidirectional: bidirectional,
    _layers.ConvLSTM2D: convolutional_lstm,
    _layers.Dot: dot,
    _layers.Attention: attention,
    _layers.AdditiveAttention: additive_attention,
    _layers.MultiHeadAttention: multi_head_attention,
    _layers.Average: _average_of_several,
    _layers.GlobalAveragePooling1D: _average,
    _layers.GlobalMaxPooling1D: _maximum_over_time,
    _layers.Concatenate: concatenated,
    _layers.Add: of_several("Add"),
    _layers.Subtract: of_several("Sub"),
    _layers.Multiply: of_several("Mul"),
    _layers.Maximum: of_several("Max"),
    _layers.Minimum: of_several("Min"),
    _layers.RepeatVector: _repeated,
    _layers.TimeDistributed: _time_distributed,
    **EACH_FEATURE_VECTOR,
    **OF_WINDOWS,
    **dict.fromkeys(OF_TRAINING, _as_it_is),
}
LAYERS |= {cls: LAYERS[getattr(keras.layers, name)] for name, cls in JOINED.items()}
