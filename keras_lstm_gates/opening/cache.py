"""What is made of a model: kept for the next call with the same model, or forgotten whole."""

import contextlib
import weakref

from keras_lstm_gates.opening.graphs import layers_within
from keras_lstm_gates.recurrence.paths import path_in_use


class KeptByModel:
    """Graphs, models and functions made of models, each as long as its model lives and nothing but numbers change.

    Keras notes every call of a layer in that layer, and TensorFlow never frees what it compiled: what is made anew at
    each call of a function would fill the memory.

    Example:
        >>> import keras
        >>> kept, model = KeptByModel(), keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> kept.get(model, "a list", list) is kept.get(model, "a list", list)
        True
    """

    def __init__(self):
        self._by_model = weakref.WeakKeyDictionary()

    def get(self, model, key, make):
        """What `make()` gave at the first call, which must not hold the model itself."""
        with self.lent(model, key, make) as value:
            return value

    @contextlib.contextmanager
    def lent(self, model, key, make):
        """The same for one at a time: who asks for it meanwhile gets another."""
        identity = _identity(model)
        # With the variables, so that no other gets the number of one that is gone.
        variables = [*model.variables]
        identity_before, _, value = self._by_model.get(model, {}).pop(key, (None, None, None))
        if identity is None or identity != identity_before:
            value = make()
        try:
            yield value
        finally:
            self._by_model.setdefault(model, {})[key] = identity, variables, value


def _identity(model):
    """What determines the graph of a model but the numbers in its variables; None where Keras cannot describe it."""
    try:
        described = model.to_json()
    except (NotImplementedError, TypeError, ValueError):
        return None
    return described, path_in_use(), model.jit_compile, tuple(map(id, model.variables))


@contextlib.contextmanager
def calls_forgotten(model):
    """Forget, at the end, which calls of the model's layers were noted within: for graphs that end there too.

    Keras notes every call of a layer in that layer, for as long as it lives.
    """
    noted = {id(one): one for layer in (model, *layers_within(model)) for one in (layer, *_operations(layer))}.values()
    before = [(calls, len(calls)) for one in noted for calls in (one._inbound_nodes, one._outbound_nodes)]
    try:
        yield
    finally:
        for calls, count in before:
            del calls[count:]


def _operations(layer):
    return getattr(layer, "operations", ())
