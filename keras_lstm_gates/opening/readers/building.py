"""A Keras 3 model from a configuration: bounded, in safe mode, and without what nobody knows."""

import json
import warnings
from typing import Any, NamedTuple

import keras

from keras_lstm_gates.opening.graphs import reserve_names
from keras_lstm_gates.opening.readers import cutting
from keras_lstm_gates.opening.readers.declared import at_most, expecting, restore_initializers
from keras_lstm_gates.opening.readers.filling import fill
from keras_lstm_gates.opening.readers.leaves import layer_name


class Plan(NamedTuple):
    """What a file tells of a model.

    Attributes:
        config: of the model, as Keras 3 writes it.
        unknown: {name of a layer of the model itself: why it cannot be built}.
        stored: its arrays, of `keras_lstm_gates.opening.readers.stored`.
        size: int, bytes of its arrays.
        notes: list of str, what was translated.
        order: `Order` of its layers, as the writer had them.
    """

    config: Any
    unknown: dict
    stored: Any
    size: int
    notes: list
    order: Any


def built(plan, custom_objects):
    """The model of a plan with its weights, or its part up to its last LSTM, of which a warning tells.

    Raises:
        ValueError: why not, in one line.
    """
    config = plan.config
    if plan.unknown:
        config, left_out, ends = cutting.cut(config, plan.unknown)
        tell_of_part(plan.unknown, left_out, ends)
        plan.order.dropped = [*plan.order.dropped, *left_out]
    model = bare(config, plan.size, custom_objects)
    restore_initializers(model)
    plan.stored.order = plan.order
    fill(model, plan.stored)
    return model


def bare(config, size, custom_objects):
    """A model of zeros, whose arrays take no more than `size` bytes."""
    with at_most(size), warnings.catch_warnings():
        # Keras's, on arguments that are old.
        warnings.simplefilter("ignore")
        # Keras changes what it is given.
        config = json.loads(json.dumps(expecting(config)))
        reserve_names(layer_name(layer) for layer in config["config"].get("layers", ()))
        config.pop("compile_config", None)
        model = keras.saving.deserialize_keras_object(config, custom_objects=custom_objects, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise ValueError(f"expected a model; received {type(model).__name__}")
    if not model.built:
        raise ValueError(f"the model {model.name!r} does not tell the shape of its input")
    return model


def tell_of_part(unknown, left_out, ends):
    name, why = next(iter(unknown.items()))
    warnings.warn(
        f"opened up to its last LSTM: the layer {name!r} {why}. Left out: {_listed(left_out)}; the outputs are those "
        f"of {_listed(ends)}. The gates need nothing of what is left out",
        stacklevel=2,
    )


def _listed(names):
    return ", ".join(map(repr, names))


def unknown_layers(config, custom_objects):
    """{name: why} of the layers of a model of Keras 3 whose class nobody knows, or that hold Python code."""
    unknown = {}
    for layer in config["config"].get("layers", ()):
        why = _unknown(layer, custom_objects)
        if why is not None:
            unknown[layer.get("name") or layer["config"].get("name")] = why
    return unknown


def _unknown(config, custom_objects):
    if isinstance(config, list):
        return next((why for one in config if (why := _unknown(one, custom_objects))), None)
    if not isinstance(config, dict):
        return None
    kind = config.get("class_name")
    if kind in ("__lambda__", "Lambda"):
        return "is a Lambda, Python code in the file, which is not run"
    if isinstance(kind, str) and "config" in config and not _is_known(config, kind, custom_objects):
        return f"is a {kind.rpartition('>')[2]}, a class that is not in Keras"
    return next((why for one in config.values() if (why := _unknown(one, custom_objects))), None)


def _is_known(config, kind, custom_objects):
    module, registered = config.get("module"), config.get("registered_name")
    if kind.startswith("__") or (kind == "function" and module == "builtins" and not isinstance(config["config"], str)):
        return True
    names = {registered, kind, str(registered).rpartition(">")[2], config["config"] if kind == "function" else None}
    if any(isinstance(name, str) and keras.saving.get_registered_object(name, custom_objects) for name in names):
        return True
    if kind == "function":
        return callable(getattr(keras.activations, str(config["config"]), None)) or str(module).startswith("keras")
    return isinstance(module, str) and (module == "keras" or module.startswith("keras."))
