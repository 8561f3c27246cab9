"""What a model reads: its inputs by name, with shape, type and vocabulary; data checked, cut into windows, made up."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np

from keras_lstm_gates.edge import filled_batches
from keras_lstm_gates.opening.graphs import graph_of, layers_within

STEPS = 20
"""How many time steps random data have where the model takes any number."""


class ModelInput(NamedTuple):
    """One input of a model.

    Attributes:
        name: str, of a dict of inputs its key.
        shape: tuple, (batch, ...), with None for a free axis.
        dtype: str.
        vocabulary: int, how many tokens the smallest `Embedding` knows that reads it; None where none does.
    """

    name: str
    shape: tuple
    dtype: str
    vocabulary: int | None

    @property
    def whole(self):
        """Whether its numbers are whole ones."""
        return self.vocabulary is not None or self.dtype.startswith(("int", "uint"))


def inputs_of(model):
    """The inputs of a built Functional or Sequential model, {name: `ModelInput`}, in its order.

    Example:
        >>> words = keras.Input((None,), dtype="int32", name="words")
        >>> inputs_of(keras.Model(words, keras.layers.LSTM(2)(keras.layers.Embedding(9, 4)(words))))
        {'words': ModelInput(name='words', shape=(None, None), dtype='int32', vocabulary=9)}
    """
    structure = graph_of(model).input
    tensors = keras.tree.flatten(structure)
    by_key = isinstance(structure, dict) and len(structure) == len(tensors)
    names = sorted(structure) if by_key else [tensor.name for tensor in tensors]
    sizes = _vocabularies(model)
    return {
        name: ModelInput(name, tuple(tensor.shape), tensor.dtype, sizes.get(tensor.name))
        for name, tensor in zip(names, tensors, strict=True)
    }


def by_name(inputs, data):
    """{name: array} of one input's data, or of several's, given as a list or a dict.

    Args:
        inputs: what `inputs_of` gives.
        data: array, for one input; a list in the model's order, or a dict by name.

    Raises:
        ValueError: "expected data for the inputs ['a', 'b']; received ['a', 'c']: 'b' is missing, 'c' is unknown", or
            another number of samples for each.
    """
    if isinstance(data, dict):
        missing = [f"{name!r} is missing" for name in inputs if name not in data]
        unknown = [f"{name!r} is unknown" for name in data if name not in inputs]
        if missing or unknown:
            differences = ", ".join(missing + unknown)
            raise ValueError(f"expected data for the inputs {[*inputs]}; received {[*data]}: {differences}")
        arrays = {name: np.asarray(data[name]) for name in inputs}
    elif len(inputs) == 1:
        arrays = dict.fromkeys(inputs, np.asarray(data))
    else:
        if not isinstance(data, list | tuple) or len(data) != len(inputs):
            received = f"{len(data)}" if isinstance(data, list | tuple) else f"a {type(data).__name__}"
            raise ValueError(f"expected a list of data for the {len(inputs)} inputs {[*inputs]}; received {received}")
        arrays = {name: np.asarray(one) for name, one in zip(inputs, data, strict=True)}
    return arrays


def check(inputs, arrays, shapes=None):
    """Raise a `ValueError` unless {name: array} are what a model's inputs take, of any number of samples.

    Args:
        inputs: what `inputs_of` gives.
        arrays: {name: array (sample, ...)}.
        shapes: {name: the shape to tell}, where the arrays were made from others; None: their own.

    Raises:
        ValueError: "expected sequences of shape (samples, time, features) = (any, any, 3); received (5, 6, 2)", a
            number that is not finite, or a token that the model's Embedding does not know.
    """
    for name, one in inputs.items():
        _check_shape(one, arrays[name], (shapes or {}).get(name, arrays[name].shape), alone=len(inputs) == 1)
        _check_numbers(one, arrays[name])
    samples = {name: len(array) for name, array in arrays.items()}
    if len(set(samples.values())) > 1:
        raise ValueError(f"expected as many samples of every input; received {samples}")


def packed(model, arrays):
    """{name: array} in the structure that the model is called with."""
    return keras.tree.pack_sequence_as(graph_of(model).input, [*arrays.values()])


def batch_of(model):
    """How many samples the model takes at once, where its inputs fix it; else None."""
    return model.inputs[0].shape[0]


def is_stateful(model):
    """Whether a call of the model begins where the one before ended."""
    return any(getattr(layer, "stateful", False) for layer in layers_within(model))


def in_batches(model, arrays):
    """Yield {name: array} as the model takes them: as they are, or in batches of the size that it fixes.

    The last batch is filled up with its last sample: cut what comes back.

    Raises:
        ValueError: "expected up to 2 sequences at once for the model 'm', which is stateful; received 3".
    """
    batch, samples = batch_of(model), len(next(iter(arrays.values())))
    if batch is None:
        return [arrays]
    if samples > batch and is_stateful(model):
        raise ValueError(
            f"expected up to {batch} sequences at once for the model {model.name!r}, which is stateful: a sequence "
            f"after these would begin where they end; received {samples}"
        )
    return filled_batches(arrays, batch)


def random_data(model: keras.Model, samples: int, steps: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """Made-up data that a model takes, for a first look at it.

    Args:
        model: built Functional or Sequential `keras.Model`.
        samples: int > 0.
        steps: int > 0, of every axis that the model leaves free; None: 20.
        seed: int.

    Returns:
        {input's name: array}: tokens that its Embedding knows, from 1 on where there are more than one, as 0 may mean
        padding; other ints 0 or 1; bools True; floats of a normal distribution.

    Example:
        >>> words = keras.Input((None,), dtype="int32", name="words")
        >>> model = keras.Model(words, keras.layers.LSTM(2)(keras.layers.Embedding(9, 4)(words)))
        >>> data = random_data(model, samples=3, steps=5)["words"]
        >>> data.shape, data.dtype.kind, bool(data.min() >= 1), bool(data.max() <= 8)
        ((3, 5), 'i', True, True)
    """
    random = np.random.default_rng(seed)
    return {name: _random(one, samples, steps or STEPS, random) for name, one in inputs_of(model).items()}


def windows(array: np.ndarray, length: int) -> np.ndarray:
    """A table (time, ...), cut into windows (window, length, ...), one after the other; the rest is left out.

    Raises:
        ValueError: "expected a table of 50 or more steps for windows of 50; received 49".

    Example:
        >>> windows(np.arange(7), 3).tolist()
        [[0, 1, 2], [3, 4, 5]]
    """
    count = len(array) // length
    if count == 0:
        raise ValueError(f"expected a table of {length} or more steps for windows of {length}; received {len(array)}")
    return array[: count * length].reshape(count, length, *array.shape[1:])


def _random(one, samples, steps, random):
    shape = (samples, *(size or steps for size in one.shape[1:]))
    if one.dtype == "bool":
        return np.ones(shape, bool)
    if one.whole:
        most = one.vocabulary or 2
        return random.integers(min(1, most - 1) if one.vocabulary else 0, most, size=shape).astype("int32")
    return random.normal(size=shape).astype("float32")


def _check_shape(one, array, shown, alone):
    expected = (None, *one.shape[1:])
    fits = array.ndim == len(expected) and all(
        size in (None, received) for size, received in zip(expected, array.shape, strict=True)
    )
    if not fits or 0 in array.shape[1:]:
        sizes = ", ".join("any" if size is None else str(size) for size in expected)
        axes = {2: "(samples, time)", 3: "(samples, time, features)"}.get(len(expected), "(samples, ...)")
        which = "" if alone else f" for the input {one.name!r}"
        raise ValueError(f"expected sequences of shape {axes} = ({sizes}); received {shown}{which}")


def _check_numbers(one, array):
    if array.dtype.kind not in "biuf":
        if one.dtype != "string":
            raise ValueError(f"expected numbers; received {one.name!r} of dtype {array.dtype}")
        return
    _refuse_any(array.dtype.kind == "f" and ~np.isfinite(array), array, "finite numbers")
    if one.whole and array.dtype.kind == "f":
        _refuse_any(array != np.floor(array), array, f"whole numbers, tokens, for the input {one.name!r}")
    if one.vocabulary is not None:
        known = f"tokens from 0 to {one.vocabulary - 1}, as the model's Embedding knows them,"
        _refuse_any((array < 0) | (array >= one.vocabulary), array, f"{known} for the input {one.name!r}")


def _refuse_any(wrong, array, expected):
    if np.any(wrong):
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise ValueError(f"expected {expected}; received {array[place]} at index {place}")


def _vocabularies(model):
    """{name of an input: how many tokens the smallest Embedding knows that reads it}."""
    if not any(isinstance(layer, keras.layers.Embedding) for layer in layers_within(model)):
        return {}
    readers = _Readers()
    readers.follow(model, [tensor.name for tensor in keras.tree.flatten(graph_of(model).input)])
    return readers.sizes


class _Readers:
    """Follows the inputs of a model, through what leaves their numbers as they are, to the Embeddings that read them.

    Attributes:
        sizes: {name of an input: tokens that the smallest of these knows}.
    """

    def __init__(self):
        self.sizes = {}
        # The tensor too: its id is its own only as long as it lives.
        self._names = {}

    def follow(self, model, names):
        """Follow the inputs of a model that are called so, None for what is no input of the outermost."""
        graph = graph_of(model)
        inputs = keras.tree.flatten(graph.input)
        for tensor, name in zip(inputs, names, strict=True):
            self._note(tensor, name)
        # Keras takes no model whose output is its input.
        outputs = [one for one in keras.tree.flatten(graph.output) if not any(one is x for x in inputs)]
        if outputs:
            keras.models.clone_model(
                keras.Model(inputs, outputs),
                input_tensors=inputs,
                clone_function=lambda layer: layer,
                call_function=self._call,
            )

    def _call(self, layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        inner = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer
        names = [self._name(tensor) for tensor in keras.tree.flatten(args)]
        if isinstance(inner, keras.layers.Embedding):
            if names[0] is not None:
                self.sizes[names[0]] = min(inner.input_dim, self.sizes.get(names[0], inner.input_dim))
        elif graph_of(inner) is not None:
            self.follow(inner, names)
        elif isinstance(inner, _KEEPING) or type(inner).__name__ in _KEEPING_OPERATIONS:
            for tensor in keras.tree.flatten(outputs):
                self._note(tensor, names[0])
        return outputs

    def _note(self, tensor, name):
        self._names[id(tensor)] = tensor, name

    def _name(self, tensor):
        return self._names.get(id(tensor), (None, None))[1]


_KEEPING = tuple(
    getattr(keras.layers, name) for name in "Identity Reshape Permute Flatten RepeatVector Dropout".split()
)
_KEEPING_OPERATIONS = "Cast ExpandDims Flip GetItem Reshape Split Squeeze Transpose Unstack".split()
"""By the name of their class, which Keras does not make public."""
