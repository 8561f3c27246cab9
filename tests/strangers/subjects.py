"""What a stage works on: a stock model, the same with its layers swapped, data and targets; built, or loaded."""

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

import keras_lstm_gates
from strangers.case import Case, rng
from strangers.corpus import CASES
from strangers.swapping import swapped


class Subject(NamedTuple):
    """
    Attributes:
        case: `Case`.
        stock: `keras.Model` of Keras's own layers: the oracle.
        swapped: the same with `GatedLSTM`, or None.
        data: array, list or dict, as the model takes them.
        targets: array, list or dict, as its outputs.
    """

    case: Case
    stock: Any
    swapped: Any
    data: Any
    targets: Any


def use_names(models):
    """So many models made by a user's script before, so that the automatic names count from elsewhere."""
    for _ in range(models):
        inputs = keras.Input((3, 2))
        keras.Model(inputs, keras.layers.Dense(1)(keras.layers.LSTM(2)(inputs)))


def built(name, swap=True):
    """A `Subject` with weights that look trained: not small, and biases not zero."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    case = CASES[name]
    # The second model of its process: the names in it end in _1.
    use_names(1)
    stock, data, targets = case.build()
    random = rng(2)
    for variable in stock.trainable_variables:
        variable.assign(variable + 0.3 * random.normal(size=variable.shape))
    return Subject(case, stock, swapped(stock) if swap else None, data, targets)


def save(subject, folder):
    """Write a subject's models, data, and what the stock model answers."""
    folder = Path(folder)
    subject.stock.save(folder / "stock.keras")
    if subject.swapped is not None:
        subject.swapped.save(folder / "swapped.keras")
    reset(subject.stock)
    with open(folder / "data.pickle", "wb") as file:
        pickle.dump((subject.data, subject.targets, answers(subject.stock, subject.data)), file)


def loaded(name, folder, swap=True):
    """A `Subject` read from a folder that `save` wrote, the stock model by Keras's own load_model."""
    folder = Path(folder)
    stock = keras.models.load_model(folder / "stock.keras")
    with open(folder / "data.pickle", "rb") as file:
        data, targets, before = pickle.load(file)
    for value, wanted in zip(answers(stock, data), before, strict=True):
        np.testing.assert_allclose(value, wanted, atol=CASES[name].tolerance, err_msg="Keras's own saved model")
    ours = keras_lstm_gates.load_model(folder / "swapped.keras") if swap else None
    return Subject(CASES[name], stock, ours, data, targets)


def answers(model, data):
    """The model's outputs in order, as arrays, by a call without a graph."""
    reset(model)
    return [np.asarray(one) for one in keras.tree.flatten(model(data, training=False))]


def layers_within(layer):
    """Every layer within a layer, at any depth."""
    inner = [*getattr(layer, "layers", ()), *(getattr(layer, name, None) for name in _HOLDERS)]
    for one in inner:
        if isinstance(one, keras.layers.Layer):
            yield one
            yield from layers_within(one)


_HOLDERS = ("layer", "forward_layer", "backward_layer")


def reset(model):
    """Every stateful layer begins anew."""
    for layer in layers_within(model):
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()


def rows(data, samples):
    """Data repeated or cut to so many samples."""
    return keras.tree.map_structure(lambda one: np.resize(one, (samples, *np.shape(one)[1:])), data)


def steps(data):
    """The number of time steps of the first input that has a time axis."""
    return next(one.shape[1] for one in keras.tree.flatten(data) if one.ndim > 1)


def samples(data):
    return len(keras.tree.flatten(data)[0])


def fixed_batch(model):
    """The batch that the model's inputs fix, or None."""
    return model.inputs[0].shape[0]


def another_batch(subject):
    """The data in another order and number, where the batch is free: neither that of the data nor of the steps."""
    if fixed_batch(subject.stock):
        return keras.tree.map_structure(lambda one: one[::-1].copy(), subject.data)
    number = samples(subject.data) + 2
    number += number == steps(subject.data)
    return keras.tree.map_structure(lambda one: one[::-1].copy(), rows(subject.data, number))


def another_length(subject):
    """`another_batch` with the last two steps cut off every input whose time is free, or None where none is."""
    inputs = list(subject.stock.inputs)
    free = {tensor.name for tensor in inputs if len(tensor.shape) > 1 and tensor.shape[1] is None}
    if not free:
        return None
    data = another_batch(subject)
    if isinstance(data, dict):
        return {name: one[:, :-2] if name in free else one for name, one in data.items()}
    flat = [one[:, :-2] if tensor.name in free else one for tensor, one in zip(inputs, _listed(data), strict=True)]
    return flat if isinstance(data, list) else flat[0]


def _listed(data):
    return data if isinstance(data, list) else [data]
