"""The walk over a model's graph: each of its layers is called once more, and a visitor sees every recurrent one.

The walk goes into `Bidirectional`, `TimeDistributed`, `StackedRNNCells` and nested models, names every call by its
path, and carries what the visitor notes out to the outermost graph.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from keras_lstm_gates.layers.bidirectional import Bidirectional
from keras_lstm_gates.opening import directions
from keras_lstm_gates.opening.graphs import (
    Names,
    described,
    graph_of,
    holds,
    is_input,
    is_known,
    layers_within,
    outputs_by_name,
    reserve_names,
)
from keras_lstm_gates.opening.opened_layers import EachStep, LabelledGates, MergedDirections, Reversed, StepMask
from keras_lstm_gates.opening.paths import Paths, below, direction, layer_name, outermost
from keras_lstm_gates.opening.twins import layer_of_cell
from keras_lstm_gates.opening.visitors import Call, Place, Visitor

if TYPE_CHECKING:
    from collections.abc import Sequence


class Walked(NamedTuple):
    """A graph after the walk.

    Attributes:
        inputs: the inputs, in the model's structure.
        outputs: {name: tensor}, the model's own, in the order of its flattened structure.
        notes: {path: {name: tensor}}, what the visitor noted.
        places: {path: `Place`}.
        layers: {name: layer} of all layers of the model itself that were met.
        holders: the names of those that hold a layer to visit.
        labels: the names of the outputs that are gates noted by an earlier opening.
    """

    inputs: Any
    outputs: dict
    notes: dict
    places: dict
    layers: dict
    holders: list
    labels: frozenset


def walk(
    model: keras.Model,
    visitor: Visitor,
    layers: Sequence[str] | None = None,
    inputs: Sequence[keras.KerasTensor] | None = None,
    states: Sequence[keras.KerasTensor] = (),
) -> Walked:
    """Walk the graph of a model.

    Args:
        model: built Functional or Sequential `keras.Model`.
        visitor: `Visitor`.
        layers: names of the model's layers to go into, or None for all; the others are called as they are.
        inputs: flat list of `keras.Input`s to walk on, or None: new ones as the model's.
        states: `keras.Input`s beside the model's own, which the visitor gives to layers.

    Returns:
        `Walked`.

    Raises:
        ValueError: "expected a built Functional or Sequential model, whose graph can be walked; received ...",
            and what the visitor raises.
    """
    if graph_of(model) is None:
        raise ValueError(
            "expected a built Functional or Sequential model, whose graph can be walked; received "
            f"{described(model)}. A subclassed model has no graph: build the same layers with the functional API, or "
            "expose the Functional models inside it"
        )
    return _Graph(model, visitor, layers, states).walked(inputs)


def _with_mask(layer, args, kwargs):
    """The arguments of a call with its mask, which a graph of Keras 3.16 has at the tensors only.

    Keras gives a call of several tensors, as of a sequence and its initial state, no mask.
    """
    takes_one = isinstance(layer, keras.Layer) and "mask" in inspect.signature(layer.call).parameters
    others = keras.tree.flatten([args[1:], kwargs])
    if not takes_one or not args or "mask" in kwargs or any(hasattr(one, "shape") for one in others):
        return kwargs
    masks = keras.tree.map_structure(lambda tensor: getattr(tensor, "_keras_mask", None), args[0])
    return kwargs if all(one is None for one in keras.tree.flatten(masks)) else {**kwargs, "mask": masks}


class _Met(NamedTuple):
    """A call that was met: its path, the name of the layer it is a call of, and what was noted at and below it ("")."""

    path: str
    source: str
    notes: dict
    places: dict


class _Inner(NamedTuple):
    """A model that was walked for use within another one."""

    model: Any
    keys: dict  # {name of an output: (path, name of the note)}
    places: dict
    structure: Any


class _Graph:
    """One graph under way: the names in it, its calls, and the layers that take the place of others."""

    def __init__(self, model, visitor, layers=None, states=(), within=None, kept=None):
        self.own, self.states, self.within = outputs_by_name(model), list(states), within
        # Keras wants every input to lead to an output, and Keras 3.12 to lead into a layer.
        for state in self.states:
            keras.layers.Identity(name="kept")(state)
        kept = {f"state:{place}": state for place, state in enumerate(self.states)}
        self.graph = keras.Model([graph_of(model).input, self.states], {**self.own, **kept})
        self.visitor = visitor
        self.chosen = None if layers is None else set(layers)
        self.names = Names(self.graph)
        reserve_names(operation.name for operation in self.graph.operations)
        self.paths = Paths(layer.name for layer in self.graph.layers)
        self.layers = {}
        self._kept = {} if kept is None else kept
        labels = [layer for layer in self.graph.layers if isinstance(layer, LabelledGates)]
        self._known_as = {label.source: layer_name(label.call_path) for label in labels}
        self._labels = {label.name for label in labels}
        self._order = {label.call_path: label.order for label in labels}
        self._met, self._sources, self._relabelled = [], {}, {}

    def walked(self, inputs=None):
        own, _ = self.graph.input
        flat = inputs or [keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in keras.tree.flatten(own)]
        walked = keras.models.clone_model(
            self.graph,
            input_tensors=[keras.tree.pack_sequence_as(own, flat), self.states],
            clone_function=lambda layer: layer,
            call_function=self.call,
        )
        outputs = {name: walked.output[name] for name in self.own}
        notes, places = self._noted()
        made_by = dict(zip(sorted(walked.output), self.graph.output_names, strict=True))
        labels = frozenset(name for name in self.own if made_by[name] in self._labels)
        holders = [name for name, layer in self.layers.items() if self._holds(layer)]
        return Walked(walked.input[0], outputs, notes, places, self.layers, holders, labels)

    def call(self, layer, *args, **kwargs):
        kwargs = _with_mask(layer, args, kwargs)
        name = self._known_as.get(layer.name, layer.name)
        self.layers.setdefault(name, layer)
        if self._holds(layer) and (self.chosen is None or name in self.chosen):
            before = len(self._met)
            outputs = self._follow(layer, self.paths.next(name), args, kwargs)
            self._remember(outputs, before)
            return outputs
        outputs = self._pass_by(layer, args, kwargs)
        if isinstance(layer, Reversed) and id(args[0]) in self._sources:
            self._sources[id(outputs)] = (self._sources[id(args[0])][0], outputs)
        if isinstance(layer, LabelledGates):
            self._relabel(layer, args[0])
        return outputs

    def once(self, layer, what, make, base):
        """`make(name)` for a layer, once, so that a layer that is called twice is one layer here too."""
        key = (id(layer), what)
        if key not in self._kept:
            own = what == "replacement" and any(layer is one for one in self.graph.layers)
            # The layer is kept too: no other may get its id.
            self._kept[key] = layer, make(base if own else self.names.new(base))
        return self._kept[key][1]

    def mask(self, layer, sequences, given, states):
        # Beside an initial state, Keras hands on no mask but one that the call names.
        masked = states is None or "mask" in given
        what = "steps" if masked else "unmasked_steps"
        steps = self.once(layer, what, lambda name: StepMask(masked, name=name), base=f"{layer.name}_{what}")
        return steps(sequences, **{name: mask for name, mask in given.items() if name == "mask"})

    def _holds(self, layer):
        if not isinstance(layer, keras.layers.Layer):
            return False
        key = (id(layer), "holds")
        if key not in self._kept:
            self._kept[key] = layer, any(self.visitor.follows(one) for one in [layer, *layers_within(layer)])
        return self._kept[key][1]

    def _follow(self, layer, path, args, kwargs):
        if is_known(layer, keras.layers.Bidirectional, Bidirectional) and isinstance(
            layer.forward_layer, keras.layers.RNN
        ):
            return self._bidirectional(layer, path, *recurrent_arguments(layer, args, kwargs))
        if is_known(layer, EachStep):
            of_model = graph_of(layer.layer) is not None
            return self._each_step(layer, path, layer.layer if of_model else None, args, kwargs)
        if is_known(layer, keras.layers.TimeDistributed):
            return self._each_step(layer, path, None, args, kwargs)
        if isinstance(layer, keras.layers.RNN):
            return self._recurrent(layer, path, *recurrent_arguments(layer, args, kwargs))
        if graph_of(layer) is not None:
            inner = self._once_inner(layer, path, lambda: layer)
            return self._unpacked(inner, inner.model(*args, **kwargs), path, layer.name)
        self.visitor.refuse(
            self._full(path),
            f"it is a {type(layer).__name__} that calls an LSTM in its own code, where no graph shows it. "
            "Use the LSTM as a layer of the model",
        )
        return self._pass_by(layer, args, kwargs)

    def _recurrent(self, layer, path, sequences, states, given):
        if isinstance(layer.cell, keras.layers.StackedRNNCells):
            return self._stack(layer, path, sequences, states, given)
        return self._visit(path, layer, sequences, states, given, layer.go_backwards)

    def _visit(self, path, *what):
        call = Call(self._full(path), *what, self)
        outputs, notes = self.visitor.visit(call)
        if notes:
            _, layer = self._kept.get((id(call.layer), "replacement"), (None, call.layer))
            self._met.append(
                _Met(
                    path,
                    layer.name,
                    {"": notes},
                    {"": Place(call.layer, call.backwards, call.steered, is_input(call.sequences))},
                )
            )
        return outputs

    def _full(self, path):
        return path if self.within is None else below(self.within, path)

    def _stack(self, layer, path, sequences, states, given):
        mask = self.mask(layer, sequences, given, states)
        cells, kwargs, ends = layer.cell.cells, given, []
        for number, cell in enumerate(cells):
            # The first cell turns time round; those above it read what it says in the order it says it.
            turned = layer.go_backwards and number == 0
            every_step = layer.return_sequences or number < len(cells) - 1
            one = self.once(
                layer,
                number,
                lambda name: layer_of_cell(
                    layer,
                    number,  # noqa: B023
                    name,
                    return_sequences=every_step,  # noqa: B023
                    go_backwards=turned,  # noqa: B023
                    shares_states=self.visitor.shares_states,
                ),
                base=f"{layer.name}_{number}",
            )
            state = None if states is None else keras.tree.flatten(states[number])
            if any(self.visitor.follows(part) for part in [cell, *layers_within(cell)]):
                outputs = self._visit(below(path, number), one, sequences, state, kwargs, layer.go_backwards)
            else:
                outputs = one(sequences, initial_state=state, **kwargs)
            sequences, *end = outputs if layer.return_state else (outputs,)
            ends.append(end if len(end) > 1 else end[0] if end else None)
            if turned:
                reverse = self.once(layer, "turned", lambda name: Reversed(name=name), base=f"{layer.name}_turned")
                kwargs = {**kwargs, "mask": reverse(mask)}
        return (sequences, *ends) if layer.return_state else sequences

    def _bidirectional(self, layer, path, sequences, states, given):
        first, second = (
            self._recurrent(one, direction(path, one), sequences, state, given)
            for one, state in zip((layer.forward_layer, layer.backward_layer), directions.halves(states), strict=True)
        )
        merge = self.once(
            layer,
            "replacement",
            lambda name: MergedDirections(
                layer.merge_mode, sequences=layer.return_sequences, dtype=layer.dtype_policy, name=name
            ),
            base=layer.name,
        )
        reverse = self.once(layer, "in_time", lambda name: Reversed(name=name), base=f"{layer.name}_in_time")
        return directions.joined(layer, first, second, merge, reverse)

    def _each_step(self, layer, path, model, args, kwargs):
        (sequences, *_) = keras.tree.flatten([args, kwargs])

        def of_one_step():
            if model is not None:
                return model
            step = keras.Input(sequences.shape[2:], dtype=sequences.dtype, name=f"{layer.layer.name}_step")
            return keras.Model(step, layer.layer(step), name=f"{layer.name}_step")

        inner = self._once_inner(layer, path, of_one_step)
        merged = tuple(inner.keys) if self.visitor.one_batch else ()
        what = self._of_call("replacement", layer, path)
        masks = layer.masks_after_a_model() if is_known(layer, EachStep) else "given"
        each = self.once(layer, what, lambda name: EachStep(inner.model, merged, masks, name=name), base=layer.name)
        return self._unpacked(inner, each(*args, **kwargs), path, layer.name)

    def _of_call(self, what, layer, path):
        """`what`, of a further call of a layer one of its own where the visitor tells calls apart."""
        return f"{what} {path}" if self.visitor.per_call and path != layer.name else what

    def _once_inner(self, layer, path, model):
        what = self._of_call("inner", layer, path)
        # The model keeps its name; of a further one the outer graph could not hold the same.
        name = None if what == "inner" else self.names.new(layer.name)
        return self.once(layer, what, lambda _: self._inner(model(), path, name=name), base=f"{layer.name}_inner")

    def _inner(self, model, path, visitor=None, name=None):
        # One layer within two calls of a model stays one layer.
        kept = self._kept if self.visitor.per_call else None
        graph = _Graph(model, visitor or self.visitor, within=self._full(path), kept=kept)
        walked = graph.walked()
        outputs = {f"output:{place:04d}": tensor for place, tensor in enumerate(walked.outputs.values())}
        keys = {f"note:{path}:{name}": (path, name) for path, notes in walked.notes.items() for name in notes}
        notes = {key: walked.notes[path][name] for key, (path, name) in keys.items()}
        inputs = {id(tensor) for tensor in keras.tree.flatten(walked.inputs)}
        # Keras takes an output that is the very input for one of this model, and loses where it comes from.
        tensors = {
            key: keras.layers.Identity(name=graph.names.new("as_it_comes"))(tensor) if id(tensor) in inputs else tensor
            for key, tensor in {**outputs, **notes}.items()
        }
        inner = keras.Model(walked.inputs, tensors, name=name or model.name)
        return _Inner(inner, keys, walked.places, graph_of(model).output)

    def _unpacked(self, inner, tensors, path, source):
        notes = {inner_path: {} for inner_path in inner.places}
        for key, (inner_path, name) in inner.keys.items():
            notes[inner_path][name] = tensors[key]
        self._met.append(_Met(path, source, notes, inner.places))
        outputs = [tensors[name] for name in sorted(tensors) if name.startswith("output:")]
        return keras.tree.pack_sequence_as(inner.structure, outputs)

    def _pass_by(self, layer, args, kwargs):
        if is_known(layer, keras.layers.TimeDistributed) and keras.tree.flatten([args, kwargs])[0].shape[1] is None:
            # Keras's own goes along the batch where a graph does not know the number of steps.
            layer = self.once(layer, "replacement", lambda name: EachStep(layer.layer, name=name), base=layer.name)
        elif graph_of(layer) is not None and holds(layer, keras.layers.TimeDistributed):
            inner = self.once(
                layer, "as it is", lambda _: self._inner(layer, layer.name, Visitor()), base=f"{layer.name}_inner"
            )
            outputs = self.visitor.pass_by(inner.model, *args, **kwargs)
            return keras.tree.pack_sequence_as(inner.structure, [outputs[name] for name in sorted(outputs)])
        return self.visitor.pass_by(layer, *args, **kwargs)

    def _remember(self, outputs, before):
        """From which call these tensors come, by which a label of an earlier opening finds it again."""
        if len(self._met) == before + 1:
            for tensor in keras.tree.flatten(outputs):
                self._sources[id(tensor)] = (before, tensor)

    def _relabel(self, label, tensors):
        for tensor in keras.tree.flatten(tensors):
            if id(tensor) in self._sources:
                number = self._sources[id(tensor)][0]
                own = list(self._met[number].notes) == [""]
                self._relabelled[number] = label.call_path if own else outermost(label.call_path)

    def _noted(self):
        notes, places = {}, {}
        for number, met in enumerate(self._met):
            path = self._relabelled.get(number, met.path)
            for inner, noted in met.notes.items():
                full = path if inner == "" else below(path, inner)
                if self.visitor.labelled:
                    name = self.names.new(f"{full.replace('/', '_').replace('@', '_')}_gates")
                    noted = LabelledGates(full, met.source, self._order.get(full, len(notes)), name=name)(noted)
                notes[full], places[full] = noted, met.places[inner]
        # An opened model keeps the order of the model; Keras orders its graph anew.
        order = sorted(notes, key=lambda path: self._order.get(path, len(notes)))
        return {path: notes[path] for path in order}, {path: places[path] for path in order}


def recurrent_arguments(layer, args, kwargs):
    """(sequences, initial states or None, mask and training where given), however they were given."""
    given = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    sequences = given.pop("sequences")
    states = given.pop("initial_state", None)
    given = {name: value for name, value in given.items() if value is not None}
    if "mask" in given:
        # Of several tensors before the layer it is the first one's.
        given["mask"] = keras.tree.flatten(given["mask"])[0]
    return sequences, states, given
