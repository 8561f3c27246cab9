"""The part of an answer that a span of steps makes through the gates: contextual decomposition.

Every tensor becomes two that add up to it, the relevant one of the span and the irrelevant one of all else; they stand
one behind the other along the batch. What is linear acts on both. With a bias b, an activation s and z = z_r + z_q + b

    r = (s(z_r + b) - s(b) + s(z) - s(z_q + b)) / 2        q = s(z) - s(b) - r        s(b)

are the shares of the relevant, of the irrelevant and of the bias, averaged over both orders; in the products i g and
f c_{t-1} what has a relevant factor and no irrelevant one is relevant. h = o tanh(c), with o whole.
"""

import keras
import numpy as np
import tensorflow as tf
import xarray as xr
from keras import ops

from keras_lstm_gates.attribution.watched import WatchedModel, any_batch, compares, last_layer, linear_twin
from keras_lstm_gates.layers.bidirectional import Bidirectional
from keras_lstm_gates.opening.graphs import is_known, layers_within
from keras_lstm_gates.opening.opened_layers import EachStep, MaskedToZero
from keras_lstm_gates.opening.visitors import Visitor
from keras_lstm_gates.opening.walker import walk

SPANS = 256
"""Run at once."""

_LINEAR = (
    *(keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.GaussianDropout, keras.layers.GaussianNoise),
    *(keras.layers.Identity, keras.layers.ActivityRegularization, keras.layers.Flatten, keras.layers.Reshape),
    *(keras.layers.Permute, keras.layers.RepeatVector, keras.layers.GlobalAveragePooling1D),
    *(keras.layers.AveragePooling1D, keras.layers.ZeroPadding1D, keras.layers.Cropping1D, keras.layers.UpSampling1D),
    *(keras.layers.Concatenate, keras.layers.Add, keras.layers.Subtract, keras.layers.Average),
)


def decomposed(model, x, target, steps, output=None):
    """The Dataset of `attribute(..., method="contextual_decomposition")`."""
    if steps is None:
        raise ValueError("expected steps, a slice or a list of int, for contextual decomposition; received None")
    pairs = _DecomposedModel(model, x, output)
    inside = _inside(steps, pairs.steps)
    samples = len(pairs.answers)
    place = pairs.watched.places(pairs.answers, target)
    contribution, rest = pairs.run(np.arange(samples), np.tile(inside, (samples, 1)), place)
    answer = pairs.answers[(np.arange(samples), *place.T)].astype("float64")
    return xr.Dataset(
        {
            "contribution": ("sample", contribution),
            "answer": ("sample", answer),
            "at_baseline": ("sample", rest),
            "remainder": ("sample", answer - rest - contribution),
        },
        attrs={
            "target": str(target),
            "output": str(pairs.watched.output),
            "before": pairs.watched.before or "",
            "steps": np.flatnonzero(inside).tolist(),
        },
    )


def phrases(model, x, target=None, longest=5, output=None):
    """The contribution of every span of up to `longest` steps of each sequence, by contextual decomposition.

    Args and errors are those of `attribute` with this method.

    Returns:
        array (sample, time, longest): of the span of 1, 2, ... steps that begins at a step; NaN where it would end
        behind the sequence's last step.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> model = SequenceClassifier(features=3, classes=2, units=4)
        >>> np.isnan(phrases(model, np.ones((1, 4, 3), "float32"), 1, longest=2)[0, 3]).tolist()
        [False, True]
    """
    pairs = _DecomposedModel(model, x, output)
    samples, steps = len(pairs.answers), pairs.steps
    place = pairs.watched.places(pairs.answers, target)
    result = np.full((samples, steps, longest), np.nan)
    spans = [index for index in np.ndindex(*result.shape) if index[1] + index[2] < steps]
    times = np.arange(steps)
    for start in range(0, len(spans), SPANS):
        sample, first, length = np.array(spans[start : start + SPANS]).T
        inside = (times >= first[:, None]) & (times <= (first + length)[:, None])
        result[sample, first, length] = pairs.run(sample, inside.astype(float), place[sample])[0]
    return result


class _DecomposedModel:
    """A model on pairs, and the data whose answers it divides.

    Attributes:
        watched: `WatchedModel`.
        steps: int, of the inputs.
        answers: array, the model's output for the data.
    """

    def __init__(self, model, x, output):
        self.watched = WatchedModel(model, output)
        self._numbers = self.watched.numbers(x)
        for name, one in self.watched.inputs.items():
            if len(one.shape) < 2 or one.shape[1:2] == ():
                raise ValueError(f"expected inputs with steps; received {name!r} of shape {tuple(one.shape)}")
        self._visitor = _Decomposing(model, self.watched.output)
        walked = walk(model, self._visitor, inputs=self._visitor.inputs)
        self._inputs = walked.inputs
        self._model = keras.Model(walked.inputs, walked.outputs[self.watched.output])
        sizes = {array.shape[1] for array in self._numbers.values()}
        if len(sizes) != 1:
            raise ValueError(f"expected inputs of one number of steps; received {sorted(sizes)}")
        (self.steps,) = sizes
        tensors = {name: tf.convert_to_tensor(one) for name, one in self._numbers.items()}
        self.answers = np.asarray(self.watched.outputs(tensors))

    def run(self, rows, inside, place):
        """The parts (row,) of an answer that the steps of a span make, and all others.

        Args:
            rows: int array, the samples.
            inside: (row, time), 1 at the steps of the span.
            place: int (row, axes), the answer's index in the output.
        """
        for pair in self._visitor.pairs:
            pair.inside = inside
        given = keras.tree.map_structure(lambda one: tf.convert_to_tensor(self._numbers[one.name][rows]), self._inputs)
        both = np.asarray(self._model(given, training=False), "float64")
        return [values[(np.arange(len(values)), *place.T)] for values in np.split(both, 2)]


def _inside(steps, time):
    """Numbers (time,), 1 at the steps of a span."""
    inside = np.zeros(time)
    try:
        inside[steps] = 1.0
    except (IndexError, TypeError, ValueError):
        inside[:] = 0.0
    if not inside.any():
        raise ValueError(f"expected steps, a slice or a list of int, of {time} steps; received {steps!r}")
    return inside


def shares(activation, relevant, irrelevant, bias=0.0):
    """The shares of an activation's value: of the relevant, of the irrelevant and of the bias."""
    whole, alone = activation(relevant + irrelevant + bias), activation(bias + ops.zeros_like(relevant))
    of_relevant = (activation(relevant + bias) - alone + whole - activation(irrelevant + bias)) / 2
    return of_relevant, whole - alone - of_relevant, alone


class _Pair(keras.layers.Layer):
    """(batch, time, ...) to (2 * batch, time, ...): the steps inside the span, and the others."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.inside = None

    def call(self, inputs):
        if keras.backend.standardize_dtype(inputs.dtype) == "bool":
            return ops.concatenate([inputs, inputs], axis=0)
        inside = np.ones((1, inputs.shape[1])) if self.inside is None else self.inside
        inside = ops.cast(ops.reshape(inside, (*inside.shape, *[1] * (len(inputs.shape) - 2))), inputs.dtype)
        return ops.concatenate([inputs * inside, inputs * (1 - inside)], axis=0)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((None, *inputs.shape[1:]), inputs.dtype)

    def compute_mask(self, inputs, mask=None):
        return None if mask is None else ops.concatenate([mask, mask], axis=0)


class _OfPairs(keras.layers.Layer):
    """A layer acting on a pair by a rule: function of (layer, relevant, irrelevant, mask) to the same structure."""

    def __init__(self, layer, rule, **kwargs):
        super().__init__(**kwargs)
        self.layer, self.rule = layer, rule
        self.supports_masking = True

    def build(self, input_shape):
        self.built = True

    def call(self, inputs, mask=None):
        relevant, irrelevant = ops.split(inputs, 2, axis=0)
        mask = None if mask is None else ops.split(mask, 2, axis=0)[0]
        both = zip(*self.rule(self.layer, relevant, irrelevant, mask), strict=True)
        parts = [ops.concatenate(pair, axis=0) for pair in both]
        return parts if len(parts) > 1 else parts[0]

    def compute_output_spec(self, inputs, mask=None):
        specs = self.layer.compute_output_spec(keras.KerasTensor((None, *inputs.shape[1:]), inputs.dtype))
        return keras.tree.map_structure(lambda one: keras.KerasTensor((None, *one.shape[1:]), one.dtype), specs)

    def compute_mask(self, inputs, mask=None):
        if isinstance(self.layer, keras.layers.Masking):
            either = ops.add(*ops.split(inputs, 2, axis=0))
            mask = ops.any(ops.not_equal(either, self.layer.mask_value), axis=-1)
            return ops.concatenate([mask, mask], axis=0)
        return self.layer.compute_mask(inputs, mask)


class _Decomposing(Visitor):
    """Calls every layer on pairs."""

    def __init__(self, model, output):
        self.pairs = []
        self.inputs = any_batch(model)
        self._last = last_layer(model, output)
        # What is no pair yet, and the pair of it.
        self._single = {id(one): [one, None] for one in self.inputs}
        for layer in layers_within(model):
            if is_known(layer, keras.layers.Bidirectional, Bidirectional) and layer.merge_mode == "mul":
                raise _unknown(layer, "merge_mode='mul'")

    def follows(self, layer):
        return isinstance(layer, (keras.layers.LSTM, keras.layers.LSTMCell))

    def visit(self, call):
        layer = call.layer
        if call.states is not None:
            raise _unknown(layer, "initial states from another layer")
        if layer.stateful:
            raise _unknown(layer, "stateful=True")
        if call.steered:
            raise _unknown(layer, "interventions on its gates")
        pairs = call.replacement(lambda name: _OfPairs(_without_gates(layer), _lstm, name=name))
        given = {key: self._pair(one) for key, one in call.given.items() if key == "mask"}
        outputs = pairs(self._pair(call.sequences), **given)
        if getattr(layer, "zero_output_for_mask", False) and layer.return_sequences:
            zero = call.companion("zeroed", lambda name: MaskedToZero(layer.go_backwards, name=name))
            outputs = zero(outputs, **given)
        return (tuple(outputs) if isinstance(outputs, list) else outputs), {}

    def pass_by(self, layer, *args, **kwargs):
        if is_known(layer, keras.layers.Embedding):
            embedded = layer(*args, **kwargs)
            self._single[id(embedded)] = [embedded, None]
            return embedded
        if not isinstance(layer, keras.layers.Layer):
            return self._operation(layer, args, kwargs)
        args, kwargs = keras.tree.map_structure(self._pair, (args, kwargs))
        if is_known(layer, *_LINEAR):
            return layer(*args, **kwargs)
        kwargs.pop("training", None)
        return _OfPairs(layer, _rule(layer, layer is self._last), name=f"{layer.name}_of_pairs")(*args, **kwargs)

    def _operation(self, operation, args, kwargs):
        """The making of a mask, from what is no pair."""
        tensors = [one for one in keras.tree.flatten([args, kwargs]) if isinstance(one, keras.KerasTensor)]
        outputs = operation(*args, **kwargs)
        if not compares(operation, outputs) or any(id(one) not in self._single for one in tensors):
            raise _unknown(operation)
        self._single[id(outputs)] = [outputs, None]
        return outputs

    def _pair(self, tensor):
        """The pair of a tensor: itself where it is one already."""
        single = self._single.get(id(tensor))
        if single is None or keras.backend.standardize_dtype(tensor.dtype).startswith(("int", "uint")):
            return tensor
        if single[1] is None:
            pair = _Pair(name=f"pair_{len(self._single)}_{len(self.pairs)}", dtype=tensor.dtype)
            self.pairs.append(pair)
            single[1] = pair(tensor)
        return single[1]


def _rule(layer, last):
    """How a layer that is not linear acts on a pair."""
    inner = layer.layer if is_known(layer, keras.layers.TimeDistributed, EachStep) else layer
    if is_known(inner, keras.layers.Masking):
        return _masking
    if is_known(inner, keras.layers.Softmax) and last:
        return _as_it_is
    if is_known(inner, keras.layers.Activation, *_ACTIVATIONS):
        of_last = last and inner.activation in _LAST if isinstance(inner, keras.layers.Activation) else False
        return _as_it_is if of_last else _activation
    if is_known(inner, *_AFFINE):
        return _affine(None)
    if is_known(inner, *_WITH_ACTIVATION):
        return _affine(None if last and inner.activation in _LAST else inner.activation)
    raise _unknown(layer)


def _unknown(layer, what=None):
    kinds = (*_LINEAR, *_AFFINE, *_WITH_ACTIVATION, *_ACTIVATIONS, keras.layers.Activation, keras.layers.Masking)
    names = sorted(kind.__name__ for kind in (*kinds, keras.layers.Embedding, keras.layers.LSTM))
    received = f"a {type(layer).__name__}" + (f" with {what}" if what else "")
    return ValueError(
        f"contextual decomposition does not know the layer {layer.name!r}: expected one of {', '.join(names)}, or "
        f"Bidirectional; received {received}. Take another method"
    )


def _as_it_is(layer, relevant, irrelevant, mask):
    return [relevant], [irrelevant]


def _masking(layer, relevant, irrelevant, mask):
    real = ops.any(ops.not_equal(relevant + irrelevant, layer.mask_value), axis=-1, keepdims=True)
    real = ops.cast(real, relevant.dtype)
    return [relevant * real], [irrelevant * real]


def _activation(layer, relevant, irrelevant, mask):
    of_relevant, of_irrelevant, of_zero = shares(layer, relevant, irrelevant)
    return [of_relevant], [of_irrelevant + of_zero]


def _affine(activation):
    def rule(layer, relevant, irrelevant, mask):
        alone = linear_twin(layer)
        bias = alone(ops.zeros_like(relevant))
        relevant, irrelevant = alone(relevant) - bias, alone(irrelevant) - bias
        if activation in (None, keras.activations.linear):
            return [relevant], [irrelevant + bias]
        of_relevant, of_irrelevant, of_bias = shares(activation, relevant, irrelevant, bias)
        return [of_relevant], [of_irrelevant + of_bias]

    return rule


def _lstm(layer, relevant, irrelevant, mask):
    cell, steps = layer.cell, relevant.shape[1]
    order = range(steps)[::-1] if layer.go_backwards else range(steps)
    bias = 0.0 if cell.bias is None else ops.convert_to_tensor(cell.bias)
    gates = (cell.recurrent_activation, cell.recurrent_activation, cell.activation, cell.recurrent_activation)
    # Of h and c, each the relevant and the irrelevant part.
    state = [ops.zeros((ops.shape(relevant)[0], cell.units), relevant.dtype)] * 4
    sequence = []
    for t in order:
        h_r, h_q, c_r, c_q = state
        z_r = ops.matmul(relevant[:, t], cell.kernel) + ops.matmul(h_r, cell.recurrent_kernel)
        z_q = ops.matmul(irrelevant[:, t], cell.kernel) + ops.matmul(h_q, cell.recurrent_kernel)
        parts = [ops.split(part, 4, axis=-1) for part in (z_r, z_q, bias + ops.zeros_like(z_r))]
        i, f, g, o = (shares(gate, *part) for gate, part in zip(gates, zip(*parts), strict=True))
        new_r = i[0] * (g[0] + g[2]) + i[2] * g[0] + (f[0] + f[2]) * c_r
        new_q = sum(i) * sum(g) + sum(f) * (c_r + c_q) - new_r
        of_c = shares(cell.activation, new_r, new_q)
        new = [sum(o) * of_c[0], sum(o) * (of_c[1] + of_c[2]), new_r, new_q]
        if mask is not None:
            real = ops.expand_dims(mask[:, t], -1)
            new = [ops.where(real, one, before) for one, before in zip(new, state, strict=True)]
        state = new
        sequence.append(state[:2])
    h = [ops.stack(part, axis=1) for part in zip(*sequence, strict=True)] if layer.return_sequences else state[:2]
    return tuple([one, *(state[place::2] if layer.return_state else ())] for place, one in enumerate(h))


def _without_gates(layer):
    """A layer that returns what Keras's LSTM would: of a `GatedLSTM` with gates, refused."""
    if getattr(layer, "return_gates", False):
        raise _unknown(layer, "return_gates=True")
    return layer


_LAST = (keras.activations.softmax, keras.activations.sigmoid)
_AFFINE = (keras.layers.BatchNormalization, keras.layers.Normalization, keras.layers.Rescaling)
_WITH_ACTIVATION = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.DepthwiseConv1D, keras.layers.SeparableConv1D)
_ACTIVATIONS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
