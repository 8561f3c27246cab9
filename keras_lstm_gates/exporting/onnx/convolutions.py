"""Convolutions and pooling of sequences and images as ONNX operators, which have the channels first."""

import numpy as np

from keras_lstm_gates.exporting.onnx.activations import activated


def convolution(graph, layer, x, **_):
    """The nodes of a `Conv1D` or `Conv2D`."""
    rank = layer.rank
    # From (*window, channels, filters).
    kernel = np.asarray(layer.kernel, "float32").transpose(rank + 1, rank, *range(rank))
    weights = [kernel, np.asarray(layer.bias, "float32")] if layer.use_bias else [kernel]
    options = {"strides": layer.strides, "dilations": layer.dilation_rate, "group": layer.groups, **_padded(layer)}
    x = graph.add("Conv", _channels_first(graph, layer, x, rank), *weights, **options)
    return activated(graph, layer.activation, _as_the_layer_has_it(graph, layer, x, rank))


def separable_convolution(graph, layer, x, **_):
    """The nodes of a `SeparableConv1D` or `SeparableConv2D`: each channel by itself, then all at each place."""
    rank = layer.rank
    depthwise = np.asarray(layer.depthwise_kernel, "float32")
    channels, times = depthwise.shape[rank:]
    depthwise = depthwise.reshape(*depthwise.shape[:rank], channels * times, 1).transpose(rank, rank + 1, *range(rank))
    pointwise = np.asarray(layer.pointwise_kernel, "float32").transpose(rank + 1, rank, *range(rank))
    options = {"strides": layer.strides, "dilations": layer.dilation_rate, "group": channels, **_padded(layer)}
    x = graph.add("Conv", _channels_first(graph, layer, x, rank), depthwise, **options)
    x = graph.add("Conv", x, pointwise, *([np.asarray(layer.bias, "float32")] if layer.use_bias else []))
    return activated(graph, layer.activation, _as_the_layer_has_it(graph, layer, x, rank))


def padding(graph, layer, x, **_):
    """The nodes of a `ZeroPadding1D` or `ZeroPadding2D`."""
    pairs = [layer.padding] if isinstance(layer.padding[0], int) else list(layer.padding)
    pairs = [(0, 0), (0, 0), *pairs] if layer.data_format == "channels_first" else [(0, 0), *pairs, (0, 0)]
    return graph.add("Pad", x, np.array([one for one, _ in pairs] + [one for _, one in pairs]))


def pooling(operator):
    """Of a `MaxPooling1D` … that is ONNX's operator: a function like `convolution`."""

    def write(graph, layer, x, **_):
        rank = len(layer.pool_size)
        options = {"kernel_shape": layer.pool_size, "strides": layer.strides, "auto_pad": _AUTO_PAD[layer.padding]}
        x = graph.add(operator, _channels_first(graph, layer, x, rank), **options)
        return _as_the_layer_has_it(graph, layer, x, rank)

    return write


def global_pooling(operator):
    """Of a `GlobalMaxPooling2D` … that is ONNX's reduction: a function like `convolution`."""

    def write(graph, layer, x, **_):
        axes = np.array([1, 2] if layer.data_format == "channels_last" else [2, 3])
        return graph.add(operator, x, axes, keepdims=int(layer.keepdims))

    return write


_AUTO_PAD = {"valid": "VALID", "same": "SAME_UPPER"}


def _padded(layer):
    """The attributes that pad a convolution."""
    reach = [rate * (size - 1) for rate, size in zip(layer.dilation_rate, layer.kernel_size, strict=True)]
    if layer.padding == "causal":
        return {"pads": [reach[0], 0]}
    if layer.padding == "same" and max(layer.dilation_rate) > 1:
        # ONNX Runtime has no SAME_UPPER beside dilations; Keras has no strides there.
        return {"pads": [one // 2 for one in reach] + [one - one // 2 for one in reach]}
    return {"auto_pad": _AUTO_PAD[layer.padding]}


def _channels_first(graph, layer, x, rank):
    if layer.data_format == "channels_first":
        return x
    return graph.add("Transpose", x, perm=(0, rank + 1, *range(1, rank + 1)))


def _as_the_layer_has_it(graph, layer, x, rank):
    if layer.data_format == "channels_first":
        return x
    return graph.add("Transpose", x, perm=(0, *range(2, rank + 2), 1))
