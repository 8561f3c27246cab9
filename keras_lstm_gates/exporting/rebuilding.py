"""A model as its files hold it: in float32, and without states of its own between two calls."""

import keras

_FLOAT32 = "float32"


def stateless(model):
    """The model with every recurrent layer starting from zeros at each call; itself where every one does.

    Raises:
        ValueError: "cannot export the layer 'lstm', which is stateful: ...".
    """
    for layer in _layers(model):
        if getattr(layer, "stateful", False):
            return _rebuilt(model, _without_states, f"the layer {layer.name!r}, which is stateful")
    return model


def in_float32(model):
    """The model with every layer computing in float32; None where every one does.

    Raises:
        ValueError: "cannot export the layer 'lstm', whose dtype policy is 'mixed_float16': ...".
    """
    for layer in _layers(model):
        policy = layer.dtype_policy.name
        if layer.compute_dtype in ("float16", "bfloat16", "float64") and policy != _FLOAT32:
            description = f"the layer {layer.name!r}, whose dtype policy is {policy!r}"
            return _rebuilt(stateless(model), _of_float32, description)
    return None


def _layers(layer):
    """Every layer within, at any depth."""
    inner = [*getattr(layer, "layers", ()), *getattr(layer, "cells", ())]
    for name in ("layer", "forward_layer", "backward_layer", "cell"):
        one = getattr(layer, name, None)
        inner += [one] if isinstance(one, keras.layers.Layer) else []
    for one in inner:
        yield one
        yield from _layers(one)


def _rebuilt(model, change, description):
    """The model from its configuration with every part of it changed, and its weights copied."""
    try:
        rebuilt = type(model).from_config(_changed(model.get_config(), change))
        rebuilt.set_weights(model.get_weights())
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        text = f"cannot export {description}: the model is not made again from its configuration: {reason}"
        raise ValueError(text) from error
    return rebuilt


def _changed(config, change):
    if isinstance(config, dict):
        return {key: change(key, _changed(value, change)) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_changed(one, change) for one in config)
    return config


def _without_states(key, value):
    return False if key == "stateful" else value


def _of_float32(key, value):
    policy = isinstance(value, dict) and value.get("class_name") == "DTypePolicy"
    half = key == "dtype" and isinstance(value, str) and value.endswith(("float16", "bfloat16", "float64"))
    return _FLOAT32 if policy or half else value
