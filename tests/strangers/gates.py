"""What every gate of a stock model must be: its LSTMs' calls are recorded, and computed again in NumPy float64."""

import contextlib
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np
from reference import gru, lstm, sigmoid

from keras_lstm_gates.opening.opened_layers import EachStep
from strangers.subjects import reset


class Call(NamedTuple):
    """One call of a recurrent layer: what it read, as arrays."""

    layer: Any
    x: Any
    initial_state: Any
    mask: Any


FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "keras2_hard_sigmoid": lambda z: np.clip(0.2 * z + 0.5, 0, 1),
    "relu": lambda z: np.maximum(z, 0),
}


def expected(model, data, grus=False):
    """{path: (gates, mask, backwards)} of every LSTM, with one row a call in the order of the calls; of GRUs too.

    gates: {name: float64 (batch, time, units)}, (batch, steps, time, units) below a `TimeDistributed`. Time runs as in
    the input. mask: bool, (batch, time), True = a real step.
    """
    calls = _recorded(model, data)
    samples = len(keras.tree.flatten(data)[0])
    found = {}
    kinds = CELLS if grus else CELLS[:1]
    for path, layer, steps in _paths(model, kinds):
        own = [call for call in calls if call.layer is layer]
        # Below a `TimeDistributed` a layer is called for each of its steps.
        together = max(steps, 1)
        for group in (own[place : place + together] for place in range(0, len(own), together)):
            numbers = [_gates_of(call) for call in group]
            for name in numbers[0]:
                parts = [one[name] for one in numbers]
                gates = {gate: _joined([part[0][gate] for part in parts], steps, samples) for gate in parts[0][0]}
                if "f" not in gates and not grus:
                    continue
                mask = _joined([part[1] for part in parts], steps, samples)
                found.setdefault(f"{path}{name}", []).append((gates, mask, layer.go_backwards))
    return found


def _joined(parts, steps, samples):
    if steps == -1:
        return parts[0].reshape(samples, -1, *parts[0].shape[1:])
    return np.stack(parts, axis=1) if steps else parts[0]


def path_and_call(path):
    """A path without the numbers of its calls, "a@2/b" to ("a/b", 1)."""
    parts = [part.partition("@") for part in path.split("/")]
    return "/".join(name for name, _, _ in parts), max(int(number or 1) for _, _, number in parts) - 1


def _recorded(model, data):
    calls, depth = [], [0]

    def recording(call):
        def record(layer, sequences, initial_state=None, mask=None, training=False, **kwargs):
            if not depth[0]:
                calls.append(Call(layer, *(_arrays(one) for one in (sequences, initial_state, mask))))
            depth[0] += 1
            try:
                return call(layer, sequences, initial_state=initial_state, mask=mask, training=training, **kwargs)
            finally:
                depth[0] -= 1

        return record

    with contextlib.ExitStack() as patches:
        for kind in (keras.layers.LSTM, keras.layers.GRU, keras.layers.RNN):
            patches.enter_context(mock.patch.object(kind, "call", recording(kind.call)))
        reset(model)
        model(data, training=False)
    return calls


def _arrays(tensors):
    return None if tensors is None else keras.tree.map_structure(np.asarray, tensors)


CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell)


def _paths(layer, kinds, path="", steps=0):
    """(path, recurrent layer, steps of a `TimeDistributed` above it) of every layer over such cells below a layer.

    The steps are -1 where the layer is called once for all of them, as one batch.
    """
    for inner in layer.layers:
        yield from _paths_of(inner, kinds, f"{path}{inner.name}", steps)


def _paths_of(layer, kinds, path, steps):
    if isinstance(layer, keras.layers.Bidirectional):
        for one in (layer.forward_layer, layer.backward_layer):
            yield from _paths_of(one, kinds, f"{path}/{'backward' if one.go_backwards else 'forward'}", steps)
    elif isinstance(layer, (keras.layers.TimeDistributed, EachStep)):
        steps = -1 if isinstance(layer, EachStep) else keras.tree.flatten(layer.input)[0].shape[1]
        inner = layer.layer
        # A Bidirectional or a model brings its own name.
        yield from _paths_of(inner, kinds, f"{path}/{inner.name}", steps)
    elif isinstance(layer, keras.Model):
        yield from _paths(layer, kinds, f"{path}/", steps)
    elif isinstance(layer, keras.layers.RNN) and any(isinstance(cell, kinds) for cell in _cells(layer)):
        yield path, layer, steps


def _cells(layer):
    return getattr(layer.cell, "cells", [layer.cell])


def _gates_of(call):
    """{"" or "/0", "/1" …: (gates, mask)} of one call."""
    layer, x, mask = call.layer, call.x, call.mask
    mask = np.ones(x.shape[:2], bool) if mask is None else np.asarray(mask, bool)
    shown = mask
    if layer.go_backwards:
        x, mask = x[:, ::-1], mask[:, ::-1]
    cells = _cells(layer)
    states = [None] * len(cells)
    if call.initial_state is not None and not layer.stateful:
        states = [call.initial_state] if len(cells) == 1 else call.initial_state
    found = {}
    for place, (cell, state) in enumerate(zip(cells, states, strict=True)):
        if not isinstance(cell, CELLS):
            # What it says is not ours to compute, nor what the cells above it make of that.
            found[f"/{place}"] = None
            break
        numbers = _numbers(cell, x, mask, state)
        x = numbers["h"]
        if layer.go_backwards:
            numbers = {name: value[:, ::-1] for name, value in numbers.items()}
        found["" if not hasattr(layer.cell, "cells") else f"/{place}"] = (numbers, shown)
    return {name: one for name, one in found.items() if one is not None}


def _numbers(cell, x, mask, state):
    functions = {
        "tanh": FUNCTIONS[cell.activation.__name__],
        "sigmoid": FUNCTIONS[cell.recurrent_activation.__name__],
    }
    weights = [np.asarray(one, "float64") for one in cell.get_weights()]
    if isinstance(cell, keras.layers.GRUCell):
        h0 = None if state is None else keras.tree.flatten(state)[0]
        return gru(x, *weights, reset_after=cell.reset_after, mask=mask, h0=h0, **functions)
    h0, c0 = (None, None) if state is None else state
    return lstm(x, *weights, mask=mask, h0=h0, c0=c0, **functions)


def cells_by_path(model):
    """{path: cell} of every LSTM of a model."""
    found = {}
    for path, layer, _ in _paths(model, CELLS[:1]):
        for place, cell in enumerate(_cells(layer)):
            found[f"{path}/{place}" if hasattr(layer.cell, "cells") else path] = cell
    return found
