"""A model from its configuration again, as it is or with fewer units, each layer of the class that it was."""

from typing import NamedTuple

import keras
import numpy as np

from keras_lstm_gates.opening.graphs import graph_of, layers_within, reserve_names
from keras_lstm_gates.shrinking.followers import is_lstm


class Sizes(NamedTuple):
    """What is of another size in a new model; what is not named is as it was.

    Attributes:
        units: {id of an LSTM cell: how many units}.
        shapes: {id of a Reshape: the last size of its shape}.
        inputs: {id of a nested model: [the last size of each input]}.
    """

    units: dict
    shapes: dict
    inputs: dict


def rebuilt(model, weights, sizes=None):
    """A model of the same layers with weights of its own.

    Args:
        model: built Functional or Sequential `keras.Model`.
        weights: list of arrays, in the order of `model.weights`.
        sizes: `Sizes`, or None for those that it has.

    Returns:
        `keras.Model`, compiled where the model is.

    Raises:
        ValueError: "cannot shrink the model 'm', which is not made again from its configuration: ...".
    """
    reserve_names(one.name for one in getattr(model, "operations", model.layers))
    try:
        with keras.saving.custom_object_scope(_objects_of(model)):
            made = _Layers(sizes or Sizes({}, {}, {})).model(model)
        made.set_weights(weights)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"cannot shrink the model {model.name!r}, which is not made again from its configuration: {reason}"
        ) from error
    for layer in layers_within(made):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return made


class _Layers:
    """Makes each layer again, once, wherever it is called."""

    def __init__(self, sizes):
        self._sizes, self._made = sizes, {}

    def model(self, model):
        inputs = None
        if id(model) in self._sizes.inputs:
            inputs = [
                keras.Input(batch_shape=(*one.shape[:-1], last or one.shape[-1]), dtype=one.dtype, name=one.name)
                for one, last in zip(
                    keras.tree.flatten(graph_of(model).input), self._sizes.inputs[id(model)], strict=True
                )
            ]
            inputs = keras.tree.pack_sequence_as(graph_of(model).input, inputs)
        return keras.models.clone_model(model, input_tensors=inputs, clone_function=self.layer)

    def layer(self, layer):
        if id(layer) not in self._made:
            make = self._layer if graph_of(layer) is None else self.model
            # The layer is kept too: no other may get its id.
            self._made[id(layer)] = layer, make(layer)
        return self._made[id(layer)][1]

    def _layer(self, layer):
        config, shapes = _unbuilt(layer.get_config()), self._sizes.shapes
        if isinstance(layer, keras.layers.Bidirectional):
            for key, one in (("layer", layer.forward_layer), ("backward_layer", layer.backward_layer)):
                _resize(config[key]["config"], one, self._sizes.units)
        elif isinstance(layer, keras.layers.RNN):
            _resize(config, layer, self._sizes.units)
        elif id(layer) in shapes and config["target_shape"][-1] != -1:
            config["target_shape"] = (*config["target_shape"][:-1], shapes[id(layer)])
        try:
            return type(layer).from_config(config)
        except Exception:
            # Such as a Lambda, whose code Keras does not make again: without weights, two models may share it.
            if layer.variables:
                raise
            return layer


def _unbuilt(config):
    """A configuration without the shapes that the layers within a layer were built for."""
    if isinstance(config, dict):
        return {key: _unbuilt(value) for key, value in config.items() if key != "build_config"}
    return type(config)(map(_unbuilt, config)) if type(config) in (list, tuple) else config


def _resize(config, layer, units):
    if is_lstm(layer) and id(layer.cell) in units:
        own = config if "units" in config else config["cell"]["config"]
        own["units"] = units[id(layer.cell)]


def _objects_of(model):
    """{name: class or function} of what the model is made of, registered or not."""
    compiled = [model.optimizer, model.loss] if model.compiled else []
    objects = [*layers_within(model), *keras.tree.flatten(compiled)]
    known = {one.__name__: one for one in objects if hasattr(one, "__name__")}
    return known | {type(one).__name__: type(one) for one in objects if type(one).__module__ != "builtins"}


def cut(variables, values, axes, removed):
    """The arrays of variables without some units.

    Args:
        variables: list, `model.weights`.
        values: list of their arrays.
        axes: {id of a variable: [(axis, the number of the unit at each place)]}.
        removed: set of numbers.
    """
    gone = np.array(sorted(removed), int)
    made = []
    for variable, value in zip(variables, values, strict=True):
        for axis, numbers in axes.get(id(variable), ()):
            value = np.compress(~np.isin(numbers, gone), value, axis=axis)
        made.append(value)
    return made
