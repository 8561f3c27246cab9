"""The model with all its gates as outputs, which a trace runs: kept for the next trace of the same model."""

import weakref
from typing import Any, NamedTuple

import keras

from keras_lstm_gates.opening.exposing import Opened, open_graph
from keras_lstm_gates.opening.inputs import is_stateful
from keras_lstm_gates.recurrence.paths import path_in_use


class OpenedModel(NamedTuple):
    """A model's graph with its gates, and the `keras.Model` of them: {"output", "gate", "mask": {path: ...}}."""

    opened: Opened
    model: Any
    stateful: bool


# TensorFlow never frees what it compiled for a model: a new one at each trace would fill the memory.
_kept = weakref.WeakKeyDictionary()


def opened_model(model, layers):
    """The `OpenedModel` of a model, made anew where anything but the numbers in its variables has changed.

    A stateful model's is never kept: it begins with states of its own, zeros.

    Args and errors are those of `keras_lstm_gates.expose`.
    """
    variables = [*model.variables]
    chosen = layers if layers is None or isinstance(layers, str) else tuple(layers)
    identity = chosen, path_in_use(), model.jit_compile, model.to_json(), tuple(map(id, variables))
    identity_before, _, kept = _kept.get(model, (None, None, None))
    if identity != identity_before:
        kept = _made(model, layers)
        if not kept.stateful:
            # With the variables, so that no other gets the number of one that is gone.
            _kept[model] = identity, variables, kept
    return kept


def _made(model, layers):
    opened = open_graph(model, layers, grus=True)
    made = keras.Model(
        opened.inputs,
        {
            "output": {"": opened.outputs},
            "gate": {path: gates._asdict() for path, gates in opened.gates.items()},
            "mask": {path: {"mask": mask} for path, mask in opened.masks.items()},
        },
    )
    return OpenedModel(opened, made, is_stateful(made))
