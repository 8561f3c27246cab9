"""Layers that join others, with the masks of Keras 1 and 2: a step is real where it is in every input that has a mask.

In Keras 3 it is real where it is in any, and has no mask where one of the inputs of an Add has none.
"""

import keras
from keras import ops


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
    changed = []

    def joined(tree):
        if isinstance(tree, list):
            return [joined(one) for one in tree]
        if not isinstance(tree, dict):
            return tree
        tree = {key: joined(value) for key, value in tree.items()}
        if tree.get("module") == "keras.layers" and tree.get("class_name") in JOINED:
            name = JOINED[tree["class_name"]].__name__
            changed.append(name)
            tree |= {"module": None, "class_name": name, "registered_name": f"keras_lstm_gates>{name}"}
        return tree

    if _masks(config):
        config = joined(config)
    return config, bool(changed)


def _masks(tree):
    """Whether a layer makes a mask, or may make one because its code is not Keras's."""
    if isinstance(tree, dict):
        of_user = not str(tree.get("registered_name") or "keras_lstm_gates>").startswith("keras_lstm_gates>")
        return tree.get("class_name") == "Masking" or bool(tree.get("mask_zero")) or of_user or _masks([*tree.values()])
    return isinstance(tree, list) and any(_masks(one) for one in tree)
