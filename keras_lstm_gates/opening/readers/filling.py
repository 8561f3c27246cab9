"""The arrays of a file into the variables of a model: all of them, each by its name and shape."""

import re

import keras

from keras_lstm_gates.opening.readers.conversions import converted
from keras_lstm_gates.opening.readers.leaves import leaves


def fill(model, stored, names=None):
    """Set every variable of a model from a file.

    Args:
        model: built `keras.Model`.
        stored: one of `keras_lstm_gates.opening.readers.stored`.
        names: {layer of the model: layer of the file}, or None: the same.

    Raises:
        ValueError: an array that is missing, or has another name or shape than the layer's own; the model is then as
            it was.
    """
    ends = leaves(model)
    tops = list(dict.fromkeys(leaf.steps[0].name for leaf in ends))
    names = {name: name for name in tops} if names is None else names
    pairs = []
    for leaf, arrays in zip(ends, stored.arrays(ends, names), strict=True):
        pairs += _paired(leaf, arrays, stored)
    for variable, array in pairs:
        variable.assign(array)
    for leaf in ends:
        if callable(getattr(leaf.layer, "finalize_state", None)):
            # A Normalization computes with what it makes of its variables.
            leaf.layer.finalize_state()


def _paired(leaf, named, stored):
    values = [array for _, array in named]
    expected = [tuple(variable.shape) for variable in leaf.variables]
    if len(values) == len(expected):
        _check_names(leaf, named)
    arrays = converted(leaf.layer, values, expected, stored.version, stored.backend)
    for variable, array in zip(leaf.variables, arrays, strict=True):
        if tuple(variable.shape) != tuple(array.shape):
            raise ValueError(
                f"expected an array of shape {tuple(variable.shape)} for {leaf.path + '/' + variable.name!r}; "
                f"received {tuple(array.shape)}"
            )
    return list(zip(leaf.variables, arrays, strict=True))


def _check_names(leaf, named):
    """Raise a `ValueError` where a layer of Keras would get an array under another name than its own."""
    if not any(getattr(keras.layers, kind.__name__, None) is kind for kind in type(leaf.layer).__mro__[:2]):
        return
    roles = {variable.name for variable in leaf.variables}
    for variable, (name, _) in zip(leaf.variables, named, strict=True):
        role = None if name is None else role_of(name, roles)
        if role is not None and role != variable.name:
            raise ValueError(f"expected {variable.name!r} of {leaf.path!r}; received {name!r}")


def role_of(name, roles):
    """Which of some roles an array's name gives it: "lstm_1/kernel:0" is a "kernel"; None where it is none of them.

    Example:
        >>> role_of("lstm/lstm_cell_3/recurrent_kernel_1:0", {"kernel", "recurrent_kernel"})
        'recurrent_kernel'
    """
    last = name.rpartition("/")[2].partition(":")[0]
    short = re.sub(r"_\d+$", "", last)
    return last if last in roles else short if short in roles else None
