"""What each kind of layer does with the units on the last axis of its input: a table, one row a kind.

A rule calls the layer, notes where the units are in what comes out, and returns that. What has no rule is called as it
is, and the LSTMs whose units reach it keep their size.
"""

import keras
import numpy as np

from keras_lstm_gates.layers.bidirectional import Bidirectional
from keras_lstm_gates.opening import directions
from keras_lstm_gates.opening.graphs import graph_of
from keras_lstm_gates.opening.opened_layers import EachStep
from keras_lstm_gates.opening.walker import recurrent_arguments
from keras_lstm_gates.shrinking.followers import is_lstm
from keras_lstm_gates.shrinking.units import FIXED


def rule_of(layer):
    """The rule of a layer, a model, or an operation between layers."""
    if not isinstance(layer, keras.layers.Layer):
        return _OPERATIONS.get(type(layer).__name__, _unknown)
    if graph_of(layer) is not None:
        return _nested
    if isinstance(layer, keras.layers.RNN):
        return _recurrent if _is_known(layer) else _unknown
    return _LAYERS.get(type(layer), _unknown)


def _tensors(args, kwargs):
    """What a call is given but masks, which hold no units."""
    given = {name: one for name, one in kwargs.items() if name not in ("mask", "attention_mask")}
    return [one for one in keras.tree.flatten([args, given]) if isinstance(one, keras.KerasTensor)]


def _described(layer):
    return f"{layer.name!r}, a {type(layer).__name__}"


def _unknown(follower, layer, args, kwargs):
    for tensor in _tensors(args, kwargs):
        follower.refuse(follower.places(tensor), f"its units go into {_described(layer)}, which is read as a whole")
    return layer(*args, **kwargs)


def _passes(follower, layer, args, kwargs):
    """Each number by itself, or over other axes than the last."""
    (tensor, *others) = _tensors(args, kwargs)
    if others or getattr(layer, "data_format", "channels_last") != "channels_last":
        return _unknown(follower, layer, args, kwargs)
    outputs = layer(*args, **kwargs)
    follower.note(outputs, follower.places(tensor))
    return outputs


def _says_nothing(follower, layer, args, kwargs):
    """Of another tensor only its shape, as where a mask is made."""
    return layer(*args, **kwargs)


def _activation(follower, layer, args, kwargs):
    known = any(layer.activation is one for one in _ACTIVATIONS)
    return (_passes if known else _unknown)(follower, layer, args, kwargs)


def _rescaling(follower, layer, args, kwargs):
    alike = all(np.ndim(one) == 0 for one in (layer.scale, layer.offset))
    return (_passes if alike else _unknown)(follower, layer, args, kwargs)


def _over_time(follower, layer, args, kwargs):
    """An operation that reduces axes; not the last."""
    (tensor,) = _tensors(args, kwargs)
    axes = np.atleast_1d(layer.axis) if layer.axis is not None else np.arange(len(tensor.shape))
    last = any(axis % len(tensor.shape) == len(tensor.shape) - 1 for axis in axes)
    return (_unknown if last else _passes)(follower, layer, args, kwargs)


def _get_item(follower, layer, args, kwargs):
    tensor, key = args
    key = key if isinstance(key, tuple) else (key,)
    plain = all(isinstance(one, int | slice) for one in key)
    if not plain or (len(key) == len(tensor.shape) and key[-1] != slice(None)):
        return _unknown(follower, layer, args, kwargs)
    outputs = layer(*args, **kwargs)
    follower.note(outputs, follower.places(tensor))
    return outputs


def _dense(follower, layer, args, kwargs, within=None):
    """A kernel (features, units), of the layer itself or of the one within a `TimeDistributed`."""
    dense = within or layer
    tensor, *others = _tensors(args, kwargs)
    if others or all(dense.kernel is not one for one in dense.weights):
        return _unknown(follower, layer, args, kwargs)
    return layer(follower.read(dense, tensor, (dense.kernel, dense.bias, None)))


def _convolution(follower, layer, args, kwargs):
    tensor, *others = _tensors(args, kwargs)
    plain = layer.groups == 1 and layer.data_format == "channels_last"
    if others or not plain or all(layer.kernel is not one for one in layer.weights):
        return _unknown(follower, layer, args, kwargs)
    axis = len(layer.kernel.shape) - 2
    return layer(follower.read(layer, tensor, (layer.kernel, layer.bias, None), axis=axis))


def _batch_normalization(follower, layer, args, kwargs):
    tensor, *others = _tensors(args, kwargs)
    if others or layer.axis not in (-1, len(tensor.shape) - 1):
        return _unknown(follower, layer, args, kwargs)
    numbers = follower.places(tensor)
    for variable in layer.weights:
        if id(variable) in follower.axes:
            ((_, before),) = follower.axes[id(variable)]
            follower.together(before, numbers, f"the shared {layer.name!r}")
        else:
            follower.cut(variable, 0, numbers)
    outputs = layer(*args, **kwargs)
    follower.note(outputs, numbers)
    return outputs


def _time_distributed(follower, layer, args, kwargs):
    inner = type(layer.layer)
    if inner is keras.layers.Dense:
        return _dense(follower, layer, args, kwargs, within=layer.layer)
    rule = _LAYERS.get(inner, _unknown) if inner in _EACH_NUMBER else _unknown
    return (_passes if rule is _passes else _unknown)(follower, layer, args, kwargs)


def _concatenate(follower, layer, args, kwargs):
    tensors = _tensors(args, kwargs)
    outputs = layer(*args, **kwargs)
    places = [follower.places(one) for one in tensors]
    if layer.axis in (-1, len(outputs.shape) - 1):
        follower.note(outputs, np.concatenate(places))
    else:
        follower.note(outputs, _joined(follower, layer, places))
    return outputs


def _merge(follower, layer, args, kwargs):
    """Place by place: a sum, a product, a mean, a maximum."""
    tensors = _tensors(args, kwargs)
    given = [one for one in keras.tree.flatten(args) if not isinstance(one, keras.KerasTensor)]
    if len({len(one.shape) for one in tensors}) > 1 or any(np.size(one) != 1 for one in given):
        return _unknown(follower, layer, args, kwargs)
    outputs = layer(*args, **kwargs)
    follower.note(outputs, _joined(follower, layer, [follower.places(one) for one in tensors]))
    return outputs


def _joined(follower, layer, places):
    joined = places[0]
    for one in places[1:]:
        joined = follower.together(joined, one, _described(layer))
    return joined


def _flatten(follower, layer, args, kwargs):
    (tensor,) = _tensors(args, kwargs)
    if None in tensor.shape[1:] or layer.data_format != "channels_last":
        return _unknown(follower, layer, args, kwargs)
    outputs = layer(*args, **kwargs)
    follower.note(outputs, np.tile(follower.places(tensor), int(np.prod(tensor.shape[1:-1]))))
    return outputs


def _reshape(follower, layer, args, kwargs):
    (tensor,) = _tensors(args, kwargs)
    outputs = layer(*args, **kwargs)
    last, numbers = outputs.shape[-1], follower.places(tensor)
    if last is None or len(numbers) == 0 or last % len(numbers) or None in tensor.shape[1:]:
        return _unknown(follower, layer, args, kwargs)
    # The last axis, or several whole axes as one.
    sizes = np.cumprod([1, *reversed(tensor.shape[1:-1])]) * len(numbers)
    if last not in sizes:
        return _unknown(follower, layer, args, kwargs)
    numbers = np.tile(numbers, last // len(numbers))
    if id(layer) in follower.shapes:
        follower.together(follower.shapes[id(layer)], numbers, f"the shared {layer.name!r}")
    follower.shapes[id(layer)] = numbers
    follower.note(outputs, numbers)
    return outputs


def _nested(follower, layer, args, kwargs):
    entering = [follower.places(one) for one in keras.tree.flatten(args)]
    for before, now in zip(follower.inputs.setdefault(id(layer), entering), entering, strict=True):
        follower.together(before, now, f"the shared {layer.name!r}")
    inner, places = follower.follow(layer, entering)
    outputs = inner(*args, **kwargs)
    for tensor, numbers in zip(keras.tree.flatten(outputs), places, strict=True):
        follower.note(tensor, numbers)
    return outputs


def _is_known(layer):
    own = {keras.layers.GRU: keras.layers.GRUCell, keras.layers.SimpleRNN: keras.layers.SimpleRNNCell}
    return is_lstm(layer) or (type(layer) in own and type(layer.cell) is own[type(layer)])


def _weights(follower, layer):
    """(kernel, bias, columns) of what a recurrent layer reads of its input."""
    cell = layer.cell
    return cell.kernel, cell.bias, np.tile(follower.own(layer), 4) if is_lstm(layer) else None


def _own(follower, layer):
    return follower.own(layer) if is_lstm(layer) else np.full(int(layer.cell.units), FIXED)


def _started(follower, layer, states):
    """The initial states of a layer, whose units go with those of the states."""
    own, started = _own(follower, layer), []
    for place, state in enumerate(states or ()):
        follower.together(own, follower.places(state), f"the initial state of {layer.name!r}")
        started.append(follower.start(layer, state) if is_lstm(layer) and place == 0 else state)
    return started or None


def _recurrent(follower, layer, args, kwargs):
    sequences, states, given = recurrent_arguments(layer, args, kwargs)
    if given.pop("interventions", None):
        return _unknown(follower, layer, args, kwargs)
    own = _own(follower, layer)
    sequences = follower.read(layer, sequences, _weights(follower, layer))
    outputs = layer(sequences, initial_state=_started(follower, layer, states), **given)
    for tensor in keras.tree.flatten(outputs):
        follower.note(tensor, own)
    return outputs


def _bidirectional(follower, layer, args, kwargs):
    both = layer.forward_layer, layer.backward_layer
    if not all(isinstance(one, keras.layers.RNN) and _is_known(one) for one in both):
        return _unknown(follower, layer, args, kwargs)
    sequences, states, given = recurrent_arguments(layer, args, kwargs)
    forward, backward = own = [_own(follower, one) for one in both]
    if all(map(is_lstm, both)):
        follower.pairs.append(tuple(one.cell for one in both))
    else:
        follower.refuse(np.concatenate(own), f"the other direction of {layer.name!r} is no LSTM")
    sequences = follower.read(layer, sequences, *(_weights(follower, one) for one in both))
    started = [_started(follower, one, half) for one, half in zip(both, directions.halves(states), strict=True)]
    states = None if states is None else [*started[0], *started[1]]
    outputs = layer(sequences, initial_state=states, **given)
    merged = _merged(follower, layer, forward, backward)
    if isinstance(outputs, dict):
        named = {name: forward if name.startswith("forward/") else backward for name in outputs}
        named["output"] = merged
        pairs = [
            pair
            for name, one in outputs.items()
            for pair in zip(keras.tree.flatten(one), named[name] if name == "output" else [named[name]], strict=True)
        ]
    else:
        tensors = keras.tree.flatten(outputs)
        ends = (len(tensors) - len(merged)) // 2
        pairs = zip(tensors, [*merged, *[forward] * ends, *[backward] * ends], strict=True)
    for tensor, numbers in pairs:
        follower.note(tensor, numbers)
    return outputs


def _merged(follower, layer, forward, backward):
    """[the places of each merged output]."""
    if layer.merge_mode is None:
        return [forward, backward]
    if layer.merge_mode == "concat":
        return [np.concatenate([forward, backward])]
    return [follower.together(forward, backward, f"{layer.name!r} with merge_mode={layer.merge_mode!r}")]


_ACTIVATIONS = [
    getattr(keras.activations, name)
    for name in "linear relu relu6 leaky_relu elu selu gelu silu mish tanh sigmoid hard_sigmoid hard_silu softplus "
    "softsign exponential".split()
]
_EACH_NUMBER = [
    getattr(keras.layers, name)
    for name in "Identity Dropout GaussianNoise GaussianDropout AlphaDropout SpatialDropout1D ActivityRegularization "
    "ReLU LeakyReLU ELU".split()
]
_OVER_TIME = [
    getattr(keras.layers, name)
    for name in "GlobalAveragePooling1D GlobalMaxPooling1D AveragePooling1D MaxPooling1D Cropping1D ZeroPadding1D "
    "UpSampling1D RepeatVector".split()
]
_MERGES = [getattr(keras.layers, name) for name in "Add Subtract Multiply Average Maximum Minimum".split()]
_LAYERS = {
    **dict.fromkeys([*_EACH_NUMBER, *_OVER_TIME], _passes),
    **dict.fromkeys(_MERGES, _merge),
    keras.layers.Activation: _activation,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Dense: _dense,
    keras.layers.Conv1D: _convolution,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.TimeDistributed: _time_distributed,
    EachStep: _time_distributed,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Flatten: _flatten,
    keras.layers.Reshape: _reshape,
    keras.layers.Bidirectional: _bidirectional,
    Bidirectional: _bidirectional,
}
# By the name of their class, which Keras does not make public.
_OPERATIONS = {
    **dict.fromkeys("Relu Relu6 Elu Selu Gelu Silu Tanh Sigmoid Softplus Softsign".split(), _passes),
    **dict.fromkeys("Abs Absolute Negative Exp Square Cast Identity".split(), _passes),
    **dict.fromkeys("Add Subtract Multiply Divide Maximum Minimum".split(), _merge),
    **dict.fromkeys("Mean Max Min Sum".split(), _over_time),
    **dict.fromkeys(("ZerosLike", "OnesLike"), _says_nothing),
    "Concatenate": _concatenate,
    "GetItem": _get_item,
}  # fmt: skip
