"""The model with all its gates as outputs, which a trace runs: kept for the next trace of the same model."""

import contextlib
from typing import Any, NamedTuple

import keras

from keras_lstm_gates.opening.cache import KeptByModel
from keras_lstm_gates.opening.exposing import Opened, open_graph
from keras_lstm_gates.opening.graphs import layers_within
from keras_lstm_gates.opening.inputs import is_stateful


class OpenedModel(NamedTuple):
    """A model's graph with its gates, and the `keras.Model` of them: {"output", "gate", "mask": {path: ...}}."""

    opened: Opened
    model: Any
    stateful: bool


_kept = KeptByModel()


@contextlib.contextmanager
def opened_model(model, layers):
    """Yield the `OpenedModel` of a model, made anew where anything but the numbers in its variables has changed.

    A stateful model's begins with states of its own, zeros, and is used by one at a time: who traces the same model
    meanwhile gets another.

    Args and errors are those of `keras_lstm_gates.expose`.
    """
    key = layers if layers is None or isinstance(layers, str) else tuple(layers)
    if not is_stateful(model):
        yield _kept.get(model, key, lambda: _made(model, layers))
        return
    with _kept.lent(model, key, lambda: _made(model, layers)) as opened:
        _reset(opened.model, model)
        yield opened


def _reset(opened, model):
    """Set the states that an opened model does not share with the model to zeros."""
    shared = {id(layer) for layer in layers_within(model)}
    for layer in layers_within(opened):
        if getattr(layer, "stateful", False) and id(layer) not in shared:
            layer.reset_state()


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
