"""Any trained model with LSTMs in it -> the same model, weights shared, with its gates as named outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from keras_lstm_gates.gates import Gates, GRUGates, kind_of
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.opening.graphs import holds
from keras_lstm_gates.opening.gru import GRUWithGates, gru_with_gates
from keras_lstm_gates.opening.opened_layers import MaskedToZero, Reversed
from keras_lstm_gates.opening.twins import gated_twin
from keras_lstm_gates.opening.visitors import Visitor
from keras_lstm_gates.opening.walker import walk

if TYPE_CHECKING:
    from collections.abc import Sequence


class Opened(NamedTuple):
    """A model's graph walked once more, with the tensors met on the way.

    `gates` and `masks` have the same keys, the paths of the LSTMs: "lstm", "bidirectional/forward", "encoder/lstm",
    "rnn/0". A layer's second call is "lstm@2". `backwards` holds the paths of those that read time from its end.
    `labelled` are outputs that an earlier opening gave the model, beside its own in `outputs`. `cells` are the cells,
    `steered` the gates and states that something acts on, and `reads_input` whether a layer reads an input's
    steps, by path.
    """

    inputs: Any
    outputs: dict[str, Any]
    gates: dict[str, Gates | GRUGates]
    masks: dict[str, Any]
    backwards: frozenset[str]
    labelled: dict[str, Any]
    cells: dict[str, Any]
    steered: dict[str, frozenset[str]]
    reads_input: dict[str, bool]


def expose(model: keras.Model, layers: Sequence[str] | None = None) -> keras.Model:
    """The same model, weights shared, whose output is a dict that also names every gate.

    Args:
        model: built `keras.Model`, Functional or Sequential, with LSTMs in it: `keras.layers.LSTM`, `GatedLSTM`,
            `RNN(LSTMCell)`, `RNN(StackedRNNCells([LSTMCell, ...]))`, alone or within `Bidirectional`,
            `TimeDistributed` and nested models; or with GRUs in it, likewise, to be read. One that is opened already
            keeps its paths and gains nothing.
        layers: names of the model's layers to open, or None for all that hold an LSTM or a GRU. In a stack of cells
            those that are neither run along without gates.

    Returns:
        A `keras.Model` on the same inputs, with the same variables. Its output is a dict: the model's own outputs
        under their names, and for every LSTM "<path>/i", "/f", "/g", "/o", "/c", "/h", (batch, time, units), for
        every GRU "<path>/z", "/r", "/candidate", "/h" (`keras_lstm_gates.gates.GRUGates`). The path is the layer's
        name, of a shared layer's second call "<name>@2"; within a `Bidirectional` "<name>/forward" and
        "<name>/backward", within a nested model "<model>/<name>", in a stack of cells "<name>/0", "<name>/1"; below
        `TimeDistributed` the gates are (batch, steps, time, units). An output of the model's own
        that has the name of a gate becomes "output_<name>". Time runs as in the input, also where a layer reads it
        backwards. A stateful layer starts from states of its own, zeros.

    Raises:
        ValueError: what cannot be opened, the layer, why, and what to do: "expected a built Functional or
            Sequential model, whose graph can be walked; received ...".

    Example:
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm")])
        >>> sorted(expose(model).output)
        ['lstm', 'lstm/c', 'lstm/f', 'lstm/g', 'lstm/h', 'lstm/i', 'lstm/o']
    """
    opened = opened_by(GateNotes(grus=True, labelled=True), model, layers)
    return keras.Model(opened.inputs, named_outputs(opened), name=model.name)


def open_graph(model: keras.Model, layers: Sequence[str] | None = None, grus: bool = False) -> Opened:
    """Walk a model's graph again and note the gates and the mask of every LSTM on the way, with `grus` of every GRU.

    Args and errors are those of `expose`.

    Returns:
        `Opened`, of symbolic tensors. Every mask is bool (batch, time), True = a real step.
    """
    return opened_by(GateNotes(grus), model, layers)


def named_outputs(opened):
    """{name: tensor}, the outputs that `expose` gives a model."""
    gates = {f"{path}/{name}": value for path, gates in opened.gates.items() for name, value in gates._asdict().items()}
    outputs = dict(gates)
    for name, value in opened.outputs.items():
        while name in outputs:
            name = f"output_{name}"
        outputs[name] = value
    return outputs


def opened_by(visitor, model, layers=None):
    """`open_graph` by a `GateNotes` or a visitor that notes what it does."""
    layers = [layers] if isinstance(layers, str) else layers
    walked = walk(model, visitor, layers)
    kind_held = "LSTM or GRU" if visitor.grus else "LSTM"
    for name in layers or ():
        if name not in walked.holders:
            kind = f"a {type(walked.layers[name]).__name__}" if name in walked.layers else "no layer of this model"
            raise ValueError(
                f"expected layers of {walked.holders}, which hold an {kind_held}; received {name!r}, {kind}"
            )
    if not walked.notes:
        kinds = ", ".join(dict.fromkeys(type(layer).__name__ for layer in walked.layers.values()))
        grus = not visitor.grus and any(holds(layer, _GRUS) for layer in walked.layers.values())
        reading = "; the gates of a GRU are for reading alone: expose, trace, statistics, plots, report"
        raise ValueError(
            f"expected a model with one or more {kind_held} layers; received {model.name!r} with {kinds or 'none'}"
            f"{reading if grus else ''}"
        )
    # The gates that an earlier opening noted are noted again; of a model of gates alone they are its outputs.
    outputs = {name: value for name, value in walked.outputs.items() if name not in walked.labels} or walked.outputs
    labelled = {name: value for name, value in walked.outputs.items() if name not in outputs}
    kinds = {path: GRUGates if kind_of(notes) == "GRU" else Gates for path, notes in walked.notes.items()}
    gates = {path: kind(*(walked.notes[path][name] for name in kind._fields)) for path, kind in kinds.items()}
    masks = {path: notes["mask"] for path, notes in walked.notes.items()}
    backwards = frozenset(path for path, place in walked.places.items() if place.backwards)
    cells = {path: walked.places[path].layer.cell for path in walked.notes}
    steered = {path: walked.places[path].steered for path in walked.notes}
    reads_input = {path: walked.places[path].reads_input for path in walked.notes}
    return Opened(walked.inputs, outputs, gates, masks, backwards, labelled, cells, steered, reads_input)


class GateNotes(Visitor):
    """Calls an LSTM, and with `grus` a GRU, through a twin that names its gates, and notes them."""

    def __init__(self, grus=False, labelled=False):
        self.grus, self.labelled = grus, labelled

    def follows(self, layer):
        return isinstance(layer, (*_LSTMS, *_GRUS) if self.grus else _LSTMS)

    def visit(self, call):
        layer = call.layer
        if not self.follows(layer) and not self.follows(layer.cell):
            # The other direction of a `Bidirectional`.
            return call.as_it_is(), {}
        twin = call.replacement(lambda name: _twin(layer, name, call.path))
        tensors = twin(call.sequences, initial_state=call.states, **call.given)
        fields = GRUGates._fields if isinstance(layer.cell, keras.layers.GRUCell) else Gates._fields
        gates = {name: tensors[name] for name in fields}
        if call.backwards:
            gates = {name: call.companion("gates_in_time", Reversed)(value) for name, value in gates.items()}
        notes = {**gates, "mask": call.mask()}
        if isinstance(layer, GRUWithGates) or (isinstance(layer, GatedLSTM) and layer.return_gates):
            return tensors, notes
        if isinstance(twin, GRUWithGates):
            return (tensors["output"], tensors["state_h"]) if layer.return_state else tensors["output"], notes
        output = zeroed(call, tensors["output"])
        return ((output, tensors["state_h"], tensors["state_c"]) if layer.return_state else output), notes


_LSTMS = (keras.layers.LSTM, keras.layers.LSTMCell)
_GRUS = (keras.layers.GRU, keras.layers.GRUCell)


def _twin(layer, name, path):
    if isinstance(layer.cell, keras.layers.GRUCell):
        return layer if type(layer) is GRUWithGates and layer.name == name else gru_with_gates(layer, name, path)
    if type(layer) is GatedLSTM and layer.return_gates and layer.name == name:
        return layer
    return gated_twin(layer, name, path, return_gates=True)


def zeroed(call, output):
    """The output of a call as the layer returns it where masked steps are zeros."""
    # Keras sets this for the directions of a Bidirectional, whatever they were made with.
    layer = call.layer
    if not getattr(layer, "zero_output_for_mask", False):
        return output
    if not layer.return_sequences:
        raise ValueError(
            f"cannot open the layer {call.path!r}: zero_output_for_mask with return_sequences=False. "
            "Set zero_output_for_mask=False"
        )
    zero = call.companion("zeroed", lambda name: MaskedToZero(layer.go_backwards, dtype=layer.dtype_policy, name=name))
    return zero(output, **{name: mask for name, mask in call.given.items() if name == "mask"})
