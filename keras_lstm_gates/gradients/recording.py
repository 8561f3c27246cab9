"""Run a model once and record, for every recurrent layer, its inputs and the loss gradient at its outputs."""

import functools
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates._support.predicting import predict_on_batch
from keras_lstm_gates.layers.cell import GatedLSTMCell
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.opening import Visitor, walk
from keras_lstm_gates.opening.cache import KeptByModel
from keras_lstm_gates.opening.graphs import graph_of
from keras_lstm_gates.opening.inputs import batch_of, by_name, check, in_batches, inputs_of, packed
from keras_lstm_gates.opening.paths import layer_name

CELLS = (GatedLSTMCell, keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)
LAYERS = (GatedLSTM, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN, keras.layers.RNN)


class Recording(NamedTuple):
    """One call of one recurrent layer, in the order in which the layer read its steps.

    Attributes:
        name: str, the path of the call, as `keras_lstm_gates.expose` names it.
        layer: the `keras.layers.RNN` itself; for a cell of a stack, an RNN over this cell alone.
        x: float64, (sample, time, feature); below `TimeDistributed` each step of a sequence is a sample of its own,
            sequence by sequence.
        mask: bool, (sample, time), True = a real step.
        initial: list of float64 arrays (sample, unit): [h] or [h, c].
        output_gradients: dict of float64 arrays, dE/d(output) for each output of the layer; None without a loss.
    """

    name: str
    layer: Any
    x: np.ndarray
    mask: np.ndarray
    initial: list
    output_gradients: dict | None


def record(model, x, y=None, loss=None, watched=None, layer=None):
    """Run a model without dropout on one batch.

    Args:
        model: built Functional or Sequential `keras.Model` with one or more recurrent layers.
        x: the model's input, array (sample, time, ...), or of several inputs a list, or a dict by name. Where the model
            fixes a batch it runs in batches of that size.
        y: the targets, or None: then no gradient is computed.
        loss: what `keras.Model.compile` takes; None takes the loss that the model was compiled with.
        watched: what `watch(model)` returned, for a model that is recorded often: without y it then runs compiled.
        layer: the path of one layer to record, or None for all.

    Returns:
        list of `Recording`, in the order of the graph; and E, a float, None without y. E excludes regularizers.

    Raises:
        ValueError: no graph, no recurrent layer, no loss for a given y, a loss without y, inputs that do not fit or are
            not finite, or with targets another number of sequences than the batch that the model fixes.
    """
    if y is None and loss is not None:
        raise ValueError(f"expected targets y with a loss; received y=None and loss={loss!r}")
    if y is not None and loss is None and not model.compiled:
        raise ValueError("expected a loss or a compiled model for targets y; received loss=None, never compiled")
    if graph_of(model) is None:
        raise ValueError(f"expected a built Functional or Sequential keras.Model; received {model!r}")
    inputs = inputs_of(model)
    arrays = by_name(inputs, x)
    check(inputs, arrays)
    compiled = watched is not None and y is None
    watched, layers = watched or watch(model, layer)
    states = [state for one in layers.values() if _is_stateful(one) for state in one.states]
    before = [np.asarray(state).copy() for state in states]
    energy = output_gradients = None
    if y is None:
        call = functools.partial(predict_on_batch, watched) if compiled else lambda rows: watched(rows, training=False)
        results = _of_batches(call, model, arrays)
    else:
        x, samples, batch = packed(model, arrays), _samples(arrays), batch_of(model)
        if batch not in (None, samples):
            raise ValueError(
                f"expected {batch} sequences with targets, the batch that the model fixes; received {samples}"
            )
        with tf.GradientTape() as tape:
            # A frozen model has gradients too, at the outputs of its layers.
            tape.watch([weight.value for weight in model.weights if "float" in weight.dtype])
            results = watched(x, training=False)
            energy = _energy(model, x, y, results["own"], loss)
        outputs = {name: _below("outputs/", notes) for name, notes in results["layers"].items()}
        output_gradients = tape.gradient(energy, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    for state, value in zip(states, before, strict=True):
        state.assign(value)
    recordings = [
        _recording(name, one, results["layers"][name], None if output_gradients is None else output_gradients[name])
        for name, one in layers.items()
        if layer is None or name == layer
    ]
    return recordings, None if energy is None else float(energy)


def watch(model, layer=None):
    """The same model with a dict as its output: `own`, and each recurrent layer's inputs and outputs.

    Args:
        model: built Functional or Sequential `keras.Model`.
        layer: the path of one layer to watch, or None for all.

    Returns:
        The watched `keras.Model`, and {path: `keras.layers.RNN`}.

    Raises:
        ValueError: no graph, no recurrent layer, or "cannot follow the layer 'mine': ...".
    """
    return _kept.get(model, layer and str(layer), lambda: _watch(model, layer))


_kept = KeptByModel()


def _watch(model, layer):
    visitor = _InputsAndOutputs()
    walked = walk(model, visitor, None if layer is None else [layer_name(layer)])
    if layer is not None and layer not in walked.notes:
        known = list(watch(model)[1])
        raise ValueError(f"expected one of the layers {known}; received {layer!r}")
    if not walked.notes:
        reasons = "".join(f"; {path!r} cannot be followed: {reason}" for path, reason in visitor.refused.items())
        raise ValueError(
            "expected a model with one or more LSTM, GatedLSTM, GRU or SimpleRNN layers; "
            f"received {model.name!r} with none{reasons}"
        )
    for path, reason in visitor.refused.items():
        if layer is None:
            raise ValueError(f"cannot follow the layer {path!r}: {reason}. Name another one with layer=...")
    own = keras.tree.pack_sequence_as(graph_of(model).output, list(walked.outputs.values()))
    watched = keras.Model(walked.inputs, {"own": own, "layers": walked.notes})
    return watched, {path: place.layer for path, place in walked.places.items()}


class _InputsAndOutputs(Visitor):
    """Notes a recurrent layer's inputs, `x`, `mask` and `initial/0` ..., and its `outputs/<name>`."""

    one_batch = True
    shares_states = True

    def __init__(self):
        self.refused = {}

    def follows(self, layer):
        return isinstance(layer, CELLS)

    def refuse(self, path, reason):
        self.refused[path] = reason

    def visit(self, call):
        layer = call.layer
        if call.steered:
            self.refuse(call.path, "its gates are acted on, which the terms of its gradients do not know")
            return call.as_it_is(), {}
        copied_call = call.replacement(lambda name: _CopiedCall(layer, name=name))
        outputs, initial = copied_call(call.sequences, initial_state=call.states, **call.given)
        if not _has_known_equations(layer):
            custom = layer if isinstance(layer.cell, CELLS) and _is_known(layer.cell, CELLS) else layer.cell
            self.refuse(
                call.path,
                f"the class {type(custom).__name__} may have a step of its own; expected LSTM, GatedLSTM, GRU, "
                "SimpleRNN, or RNN over one of their cells",
            )
            return outputs, {}
        notes = {"x": call.sequences, "mask": call.mask()}
        notes.update({f"initial/{place}": state for place, state in enumerate(initial)})
        notes.update({f"outputs/{name}": value for name, value in _by_name(outputs).items()})
        return outputs, notes


class _CopiedCall(keras.layers.Wrapper):
    """A recurrent layer's call: copies of its outputs, and its initial states where it has any.

    The gradient at a copy is not counted again at another output that the layer derives from it.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, *shapes, **named_shapes):
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, training=False):
        given = initial_state
        if given is None and _is_stateful(self.layer):
            given = [state + 0 for state in self.layer.states]
        outputs = self.layer(sequences, initial_state=initial_state, mask=mask, training=training)
        copies = keras.tree.map_structure(lambda value: value + 0, outputs)
        return copies, [state + 0 for state in keras.tree.flatten(given or [])]

    def compute_output_spec(self, sequences, initial_state=None, **kwargs):
        shapes = self.layer.compute_output_shape(sequences.shape)
        shapes = dict(shapes) if isinstance(shapes, dict) else shapes
        outputs = keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor(shape, self.layer.compute_dtype), shapes
        )
        given = self.layer.states if initial_state is None and _is_stateful(self.layer) else initial_state or []
        return outputs, [keras.KerasTensor(state.shape, state.dtype) for state in keras.tree.flatten(given)]

    def compute_mask(self, sequences, mask=None):
        masks = self.layer.compute_mask(sequences, mask)
        given = self.compute_output_spec(sequences)[1]
        return masks, [None for _ in given]


def _is_known(one, kinds):
    """Whether a layer or a cell runs the code of one of the known classes; a subclass may have equations of its own."""
    names = ("call", "step", "inner_loop")
    codes = [[getattr(kind, name, None) for name in names] for kind in (type(one), *kinds)]
    return codes[0] in codes[1:]


def _has_known_equations(layer):
    return isinstance(layer.cell, CELLS) and _is_known(layer.cell, CELLS) and _is_known(layer, LAYERS)


def _is_stateful(layer):
    states = layer.states if layer.stateful else None
    return states is not None and all(state is not None for state in states)


def _by_name(outputs):
    if isinstance(outputs, dict):
        return dict(outputs)
    parts = keras.tree.flatten(outputs)
    return dict(zip(("output", "state_h", "state_c"), parts, strict=False))


def _energy(model, x, y, own, loss):
    if loss is not None:
        model = keras.Model(model.inputs, graph_of(model).output)
        model.compile(loss=loss)
    return model.compute_loss(x=x, y=y, y_pred=own, training=False) - sum(model.losses)


def _below(prefix, notes):
    return {name.removeprefix(prefix): value for name, value in notes.items() if name.startswith(prefix)}


def _recording(name, layer, notes, output_gradients):
    x, mask = np.asarray(notes["x"], "float64"), np.asarray(notes["mask"], bool)
    states = list(_below("initial/", notes).values())
    if not states:
        count = 2 if isinstance(layer.cell, keras.layers.LSTMCell) else 1
        states = [np.zeros((len(x), layer.cell.units))] * count
    if layer.go_backwards:
        x, mask = x[:, ::-1], mask[:, ::-1]
    if output_gradients is not None:
        output_gradients = _at_real_steps(
            layer, mask, {key: np.asarray(value, "float64") for key, value in output_gradients.items()}
        )
    return Recording(name, layer, x, mask, [np.asarray(state, "float64") for state in states], output_gradients)


def _at_real_steps(layer, mask, output_gradients):
    """A masked step repeats the last real one, so its gradient belongs to that one."""
    if not layer.return_sequences:
        last = np.zeros((*mask.shape, layer.cell.units))
        last[:, -1] = output_gradients["output"]
        output_gradients = {**output_gradients, "output": last}
    gradients = {}
    for name, values in output_gradients.items():
        if name.startswith("state_"):
            gradients[name] = values
            continue
        repeats = not (name == "output" and getattr(layer, "zero_output_for_mask", False))
        gradients[name], carry = np.zeros_like(values), 0.0
        for t in reversed(range(mask.shape[1])):
            real = mask[:, t, None]
            carry = carry + values[:, t] * (real | repeats)
            gradients[name][:, t] = carry * real
            carry = carry * ~real
    return gradients


def _of_batches(call, model, arrays):
    """What a model returns, where it fixes a batch in batches of that size, joined and cut to the samples there are."""
    results = [call(packed(model, rows)) for rows in in_batches(model, arrays)]
    samples, batch = _samples(arrays), batch_of(model)
    if len(results) == 1 and batch in (None, samples):
        return results[0]
    filled = len(results) * batch

    def joined(*parts):
        whole = np.concatenate([np.asarray(part) for part in parts])
        # Below `TimeDistributed` each step of a sequence is a row of its own.
        return whole[: samples * len(whole) // filled]

    return keras.tree.map_structure(joined, *results)


def _samples(arrays):
    return len(next(iter(arrays.values())))
