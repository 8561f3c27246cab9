"""Run a model once and note, for every recurrent layer, what went in and what the loss asks of what came out."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers.cell import GatedLSTMCell

CELLS = (GatedLSTMCell, keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)


class Recorded(NamedTuple):
    """One call of one recurrent layer, in the order in which the layer read its steps.

    Attributes:
        name: str, the layer's name; "<name>/forward" and "<name>/backward" in a `Bidirectional`, "<name>/call_2" for
            the second call of a shared layer.
        layer: the `keras.layers.RNN` itself.
        x: float64, (sample, time, feature).
        mask: bool, (sample, time), True = a real step.
        initial: list of float64 arrays (sample, unit): [h] or [h, c].
        asked: dict of float64 arrays, dE by each output of the layer, None without a loss.
    """

    name: str
    layer: Any
    x: np.ndarray
    mask: np.ndarray
    initial: list
    asked: dict | None


def record(model, x, y=None, loss=None, watched=None):
    """Run a model without dropout on one batch.

    Args:
        model: built Functional or Sequential `keras.Model` with one or more recurrent layers.
        x: the model's input, array (sample, time, ...) or a list or dict of them.
        y: the targets, or None: nothing is asked.
        loss: what `keras.Model.compile` takes; None takes the loss that the model was compiled with.
        watched: what `watch(model)` returned, for a model that is recorded often: without y it then runs compiled.

    Returns:
        list of `Recorded`, in the order of the graph; and E, a float, None without y. E leaves out regularizers.

    Raises:
        ValueError: no graph, no recurrent layer, no loss for a given y, a loss without y, or an input not finite.
    """
    if y is None and loss is not None:
        raise ValueError(f"expected targets y beside a loss; received y=None and loss={loss!r}")
    if y is not None and loss is None and not model.compiled:
        raise ValueError("expected a loss or a compiled model beside targets y; received loss=None, never compiled")
    x = keras.tree.map_structure(np.asarray, x)
    for array in keras.tree.flatten(x):
        _check_finite(array)
    compiled = watched is not None and y is None
    watched, layers = watched or watch(model)
    before = {
        name: [np.asarray(state).copy() for state in layer.states]
        for name, layer in layers.items()
        if _is_stateful(layer)
    }
    energy = asked = None
    if y is None:
        results = watched.predict_on_batch(x) if compiled else watched(x, training=False)
    else:
        with tf.GradientTape() as tape:
            # A frozen model has gradients too, at the outputs of its layers.
            tape.watch([weight.value for weight in model.weights if "float" in weight.dtype])
            results = watched(x, training=False)
            energy = _energy(model, x, y, results["own"], loss)
        outputs = {name: noted["outputs"] for name, noted in results["layers"].items()}
        asked = tape.gradient(energy, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    for name, states in before.items():
        for state, value in zip(layers[name].states, states, strict=True):
            state.assign(value)
    recorded = [
        _recorded(name, layer, results["layers"][name], before.get(name), None if asked is None else asked[name])
        for name, layer in layers.items()
    ]
    return recorded, None if energy is None else float(energy)


def watch(model):
    """The model once more, its output a dict: `own` and, for each layer, its input, mask, states and outputs.

    Returns:
        The watched `keras.Model`, and the recurrent layers by name.
    """
    if not _has_graph(model):
        raise ValueError(f"expected a built Functional or Sequential keras.Model; received {model!r}")
    notes, layers = {}, {}

    def note(name, layer, args, kwargs):
        sequence, *positional = args
        given = {**dict(zip(("initial_state", "mask"), positional, strict=False)), **kwargs}
        called, number = name, 1
        while called in layers:
            number += 1
            called = f"{name}/call_{number}"
        # Each output is copied, so that what is asked of one is not asked again of another it was made from.
        outputs = keras.tree.map_structure(_Copy(), layer(*args, **kwargs))
        noted = {"x": sequence, "outputs": _named(outputs)}
        if given.get("mask") is not None:
            noted["mask"] = keras.tree.flatten(given["mask"])[0]
        if given.get("initial_state") is not None:
            noted["initial"] = list(keras.tree.flatten(given["initial_state"]))
        layers[called], notes[called] = layer, noted
        return outputs

    def call(layer, *args, **kwargs):
        if _is_recurrent(layer):
            return note(layer.name, layer, args, kwargs)
        if isinstance(layer, keras.layers.Bidirectional) and _is_recurrent(layer.forward_layer):
            return _both_directions(layer, note, args, kwargs)
        if _has_graph(layer):
            inner = keras.Model(layer.inputs, _output(layer))
            return walk(inner, input_tensors=keras.tree.flatten(args[0])).output
        return layer(*args, **kwargs)

    def walk(graph, **kwargs):
        return keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call, **kwargs)

    walked = walk(keras.Model(model.inputs, {"own": _output(model)}))
    if not layers:
        raise ValueError(
            "expected a model with one or more LSTM, GatedLSTM, GRU or SimpleRNN layers; "
            f"received {model.name!r} with none"
        )
    inputs = walked.inputs if len(walked.inputs) > 1 else walked.inputs[0]
    return keras.Model(inputs, {**walked.output, "layers": notes}), layers


def _both_directions(layer, note, args, kwargs):
    """What `keras.layers.Bidirectional` does, with each direction's own output noted."""
    sequence, *positional = args
    given = {**dict(zip(("initial_state", "mask"), positional, strict=False)), **kwargs}
    states = given.pop("initial_state", None)
    halves = ({}, {})
    if states is not None:
        middle = len(states) // 2
        halves = ({"initial_state": states[:middle]}, {"initial_state": states[middle:]})
    directions = zip(("forward", "backward"), (layer.forward_layer, layer.backward_layer), halves, strict=True)
    results = [
        note(f"{layer.name}/{name}", one, (sequence,), {**given, **initial}) for name, one, initial in directions
    ]
    if isinstance(results[0], dict):
        return _with_gates(layer, *results)
    final = []
    if layer.return_state:
        final = [state for result in results for state in result[1:]]
        results = [result[0] for result in results]
    merged = _merged(layer, *results)
    if layer.merge_mode is None:
        return [*merged, *final]
    return [merged, *final] if final else merged


def _with_gates(layer, forward, backward):
    """The dict of `keras_lstm_gates.layers.bidirectional.Bidirectional`."""
    named = {"output": _merged(layer, forward["output"], backward["output"])}
    for direction, values in (("forward", forward), ("backward", backward)):
        for name, value in values.items():
            if name != "output":
                turned = direction == "backward" and name in Gates._fields
                named[f"{direction}/{name}"] = _Reversed()(value) if turned else value
    return named


def _merged(layer, forward, backward):
    if layer.return_sequences:
        backward = _Reversed()(backward)
    return (forward, backward) if layer.merge_mode is None else _MERGES[layer.merge_mode]()([forward, backward])


class _Copy(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x):
        return x + 0


class _Reversed(keras.layers.Layer):
    """The output of a backward layer in the input's order; its mask is in that order already."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x):
        return keras.ops.flip(x, axis=1)


_MERGES = {
    "concat": keras.layers.Concatenate,
    "sum": keras.layers.Add,
    "ave": keras.layers.Average,
    "mul": keras.layers.Multiply,
}


def _has_graph(model):
    if isinstance(model, keras.Sequential):
        return model.built
    return isinstance(model, keras.Model) and hasattr(model, "output_names")


def _output(model):
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def _is_recurrent(layer):
    """Whether the layer runs one of the cells whose equations are known; a subclass may have equations of its own."""
    if not isinstance(layer, keras.layers.RNN):
        return False
    kind = type(layer.cell)
    own = [(kind.call, getattr(kind, "step", None)) == (cell.call, getattr(cell, "step", None)) for cell in CELLS]
    return isinstance(layer.cell, CELLS) and any(own)


def _is_stateful(layer):
    return layer.stateful and all(state is not None for state in layer.states)


def _named(outputs):
    if isinstance(outputs, dict):
        return dict(outputs)
    parts = keras.tree.flatten(outputs)
    return dict(zip(("output", "state_h", "state_c"), parts, strict=False))


def _energy(model, x, y, own, loss):
    if loss is not None:
        model = keras.Model(model.inputs, _output(model))
        model.compile(loss=loss)
    return model.compute_loss(x=x, y=y, y_pred=own, training=False) - sum(model.losses)


def _recorded(name, layer, noted, states, asked):
    x = np.asarray(noted["x"], "float64")
    mask = np.asarray(noted["mask"], bool) if "mask" in noted else np.ones(x.shape[:2], bool)
    if "initial" in noted:
        states = noted["initial"]
    elif states is None:
        count = 2 if isinstance(layer.cell, keras.layers.LSTMCell) else 1
        states = [np.zeros((len(x), layer.cell.units))] * count
    if layer.go_backwards:
        x, mask = x[:, ::-1], mask[:, ::-1]
    if asked is not None:
        asked = _at_real_steps(layer, mask, {key: np.asarray(value, "float64") for key, value in asked.items()})
    return Recorded(name, layer, x, mask, [np.asarray(state, "float64") for state in states], asked)


def _at_real_steps(layer, mask, asked):
    """A masked step repeats the last real one, so what is asked of it is asked of that one."""
    if not layer.return_sequences:
        last = np.zeros((*mask.shape, layer.cell.units))
        last[:, -1] = asked["output"]
        asked = {**asked, "output": last}
    moved = {}
    for name, values in asked.items():
        if name.startswith("state_"):
            moved[name] = values
            continue
        repeats = not (name == "output" and getattr(layer, "zero_output_for_mask", False))
        moved[name], carried = np.zeros_like(values), 0.0
        for t in reversed(range(mask.shape[1])):
            real = mask[:, t, None]
            carried = carried + values[:, t] * (real | repeats)
            moved[name][:, t] = carried * real
            carried = carried * ~real
    return moved


def _check_finite(array):
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"expected finite numbers; received {array[place]} at index {place}")
