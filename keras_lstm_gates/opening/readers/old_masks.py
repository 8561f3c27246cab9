"""Layers with the masks of Keras 1 and 2.

- Of layers that join others a step is real where it is in every input that has a mask; in Keras 3 where it is in any,
  and it has no mask where one of the inputs of an Add has none.
- TimeDistributed hands on what its layer makes of each step: of characters a mask for each, of the words that an LSTM
  reads from them whether a word has any. In Keras 3 it hands on the mask that it is given, and makes none.
"""

import keras
from keras import ops

from keras_lstm_gates.opening.opened_layers import EachStep


class _RealInEvery:
    def compute_mask(self, inputs, mask=None):
        known = [(x, one) for x, one in zip(inputs, mask or (), strict=False) if one is not None]
        along = getattr(self, "axis", -1)
        if not known or along not in (-1, inputs[0].ndim - 1):
            return super().compute_mask(inputs, mask)
        real, *others = [one if one.ndim < x.ndim else ops.all(one, axis=-1) for x, one in known]
        for one in others:
            real = ops.logical_and(real, one)
        return real


JOINED = {
    name: keras.saving.register_keras_serializable(package="keras_lstm_gates")(
        type(f"{name}OfKeras2", (_RealInEvery, getattr(keras.layers, name)), {"__module__": __name__})
    )
    for name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
}
"""{the name of a layer of Keras: the class that is it with the masks of Keras 2}."""


def with_masks_of_keras_2(config):
    """(a configuration in Keras 3's form with these classes, whether there are any); as it is where nothing masks."""
    changed, names = [], {name: cls.__name__ for name, cls in JOINED.items()}
    if _masks_parts_of_steps(config):
        names["TimeDistributed"] = EachStep.__name__

    def translated(tree):
        if isinstance(tree, list):
            return [translated(one) for one in tree]
        if not isinstance(tree, dict):
            return tree
        tree = {key: translated(value) for key, value in tree.items()}
        name = names.get(tree.get("class_name")) if tree.get("module") == "keras.layers" else None
        if name is not None:
            changed.append(name)
            tree |= {"module": None, "class_name": name, "registered_name": f"keras_lstm_gates>{name}"}
        if name == EachStep.__name__:
            tree["config"]["masks"] = "inner"
        return tree

    if _masks(config):
        config = translated(config)
    return config, bool(changed)


def _masks(tree):
    """Whether a layer makes a mask, or may make one because its code is not Keras's."""
    own = "keras_lstm_gates>"
    return any(
        one.get("class_name") == "Masking"
        or one.get("mask_zero")
        or not str(one.get("registered_name") or own).startswith(own)
        for one in _parts(tree)
    )


def _masks_parts_of_steps(tree):
    """Whether a mask may have more axes than sample and time."""
    wrapped = [one["config"] for one in _parts(tree) if one.get("class_name") == "TimeDistributed"]
    shapes = [one["batch_shape"] for one in _parts(tree) if isinstance(one.get("batch_shape"), (list, tuple))]
    embedded = any(one.get("mask_zero") for one in _parts(tree))
    return any(map(_masks, wrapped)) or any(len(shape) >= (3 if embedded else 4) for shape in shapes)


def _parts(tree):
    """Every dict of a configuration."""
    if isinstance(tree, dict):
        yield tree
    for one in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _parts(one)
