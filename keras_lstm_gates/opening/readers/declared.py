"""The arrays that a configuration declares: no more than its file holds are made."""

import contextlib
import contextvars
import math

import keras
from keras import ops

from keras_lstm_gates.opening.graphs import layers_within

_LEFT = contextvars.ContextVar("bytes that a configuration may still declare", default=None)

SMALL_BYTES = 2**20
"""So much a model may have beside what its file holds: states, counters."""


class TooManyError(ValueError):
    """A configuration declares larger arrays than its file holds."""


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class Expected(keras.initializers.Initializer):
    """Zeros in the place of values that a file has, as far as it can have them.

    Args:
        original: the initializer's configuration, its name, or None.
    """

    def __init__(self, original=None):
        self.original = original

    def __call__(self, shape, dtype=None, **kwargs):
        left = _LEFT.get()
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        size = math.prod(shape) * (2 if dtype.endswith("16") else 4)
        if left is None or size > left[0]:
            raise TooManyError(
                f"its configuration declares an array of shape {tuple(shape)}; expected no more than its weights hold"
            )
        left[0] -= size
        return ops.zeros(shape, dtype)

    def get_config(self):
        return {"original": self.original}


@contextlib.contextmanager
def at_most(size):
    """Within it `Expected` makes that many bytes of zeros, and a small rest."""
    token = _LEFT.set([size + SMALL_BYTES])
    try:
        yield
    finally:
        _LEFT.reset(token)


def expecting(config):
    """A configuration of Keras 3, each initializer in it an `Expected`.

    Example:
        >>> expecting({"kernel_initializer": "zeros", "units": 4})["kernel_initializer"]["config"]
        {'original': 'zeros'}
    """
    if isinstance(config, list):
        return [expecting(one) for one in config]
    if not isinstance(config, dict):
        return config
    return {
        name: _expected(value) if name.endswith("_initializer") else expecting(value) for name, value in config.items()
    }


def _expected(original):
    name = "keras_lstm_gates>Expected"
    return {"module": None, "class_name": "Expected", "config": {"original": original}, "registered_name": name}


def restore_initializers(model):
    """Give the layers of a model their own initializers back."""
    for layer in layers_within(model):
        for name, value in list(vars(layer).items()):
            if isinstance(value, Expected):
                setattr(layer, name, keras.initializers.get(value.original))
