"""Where the units of a model's LSTMs go: their places in every tensor, and the weights that read them."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lstm_gates.opening.graphs import graph_of, reserve_names
from keras_lstm_gates.opening.twins import CELLS, LAYERS
from keras_lstm_gates.shrinking.channel_ranges import ChannelRange
from keras_lstm_gates.shrinking.units import FIXED, Units


class Reader(NamedTuple):
    """A weight that reads units, a row a unit.

    Attributes:
        kernel: variable; its last axis is what comes out.
        axis: int, the axis of the kernel along which the rows lie.
        bias: variable that a constant can be added to, or None.
        units: int (rows,), the number of each row's unit, or `FIXED`.
        columns: int (what comes out,), the number of the unit that a column belongs to, or `FIXED`.
        range: `ChannelRange` of what is read; None: h of the step before.
    """

    kernel: Any
    axis: int
    bias: Any
    units: np.ndarray
    columns: np.ndarray
    range: Any


class Follower:
    """Follows units through a graph, each layer by its rule, and makes the same graph with the ranges of what is read.

    Args:
        rule_of: function of a layer or an operation to its rule, a function of (follower, layer, args, kwargs) that
            calls it, notes what comes out and returns it.

    Attributes:
        units: `Units`.
        layers: {id of a cell: the layer that has it}.
        readers: {id of a kernel: `Reader`}.
        axes: {id of a variable: [(axis, units' numbers along it)]}, all axes that become shorter with a unit.
        states: {id of a cell: [`ChannelRange` of its initial h]}, of cells that start from states they are given.
        pairs: of cells that stay of one size: the directions of a `Bidirectional`.
        shapes: {id of a Reshape: units' numbers along the last axis of its shape}.
        inputs: {id of a nested model: [units' numbers along the last axis of each input]}.
        refused: {id of a cell: why}.
    """

    def __init__(self, rule_of):
        self._rule_of = rule_of
        self.units = Units()
        self.layers, self.readers, self.axes, self.states = {}, {}, {}, {}
        self.shapes, self.inputs = {}, {}
        self.pairs, self.refused = [], {}
        # The tensors too: an id is a tensor's own only as long as it lives.
        self._places, self._ranges, self._made = {}, {}, 0

    def follow(self, model, places=None):
        """The same graph with ranges, its layers those of the model, whose inputs hold units at these places.

        Args:
            model: with a graph.
            places: list of int arrays, one an input; None: none of them holds any.

        Returns:
            (`keras.Model`, [places of each output]).
        """
        graph = graph_of(model)
        self._made += 1
        functional = keras.Model(graph.input, graph.output, name=f"shrinking_{self._made}")
        reserve_names(operation.name for operation in functional.operations)
        flat = keras.tree.flatten(graph.input)
        inputs = [keras.Input(batch_shape=one.shape, dtype=one.dtype, name=one.name) for one in flat]
        for tensor, numbers in zip(inputs, places or [None] * len(inputs), strict=True):
            self.note(tensor, numbers)
        followed = keras.models.clone_model(
            functional,
            input_tensors=keras.tree.pack_sequence_as(graph.input, inputs),
            clone_function=lambda layer: layer,
            call_function=lambda layer, *args, **kwargs: self._rule_of(layer)(self, layer, args, kwargs),
        )
        return followed, [self.places(tensor) for tensor in keras.tree.flatten(followed.output)]

    def note(self, tensor, numbers):
        """Say which units a tensor holds; None: none."""
        if numbers is not None:
            self._places[id(tensor)] = tensor, numbers

    def places(self, tensor):
        """The number of the unit at each place of a tensor's last axis, or `FIXED`."""
        if id(tensor) in self._places:
            return self._places[id(tensor)][1]
        size = tensor.shape[-1] if len(tensor.shape) else None
        return np.full(size or 0, FIXED)

    def refuse(self, numbers, why):
        """Leave the cells of some units as they are."""
        for number in np.unique(numbers[numbers != FIXED]):
            self.refused.setdefault(id(self.units.cell_of(number)), why)

    def together(self, one, other, what):
        """The places of what is made of two tensors place by place."""
        if len(one) != len(other):
            for alone, units in ((one, other), (other, one)):
                if len(alone) == 1 and alone[0] == FIXED:
                    # One number, which is no unit's, for all of them: a weight of attention.
                    return units
            self.refuse(np.concatenate([one, other]), f"{what} joins units of two sizes")
            return one if len(one) > len(other) else other
        mixed = (one == FIXED) != (other == FIXED)
        self.refuse(np.concatenate([one[mixed], other[mixed]]), f"{what} joins its units with what is no LSTM's")
        both = (one != FIXED) & (other != FIXED)
        self.units.tie(one[both], other[both])
        return np.where(one == FIXED, other, one)

    def read(self, layer, tensor, *weights, axis=0):
        """The tensor through a range, for a layer whose weights (kernel, bias or None, columns or None) read it."""
        numbers = self.places(tensor)
        key = id(layer)
        if key not in self._ranges:
            self._made += 1
            self._ranges[key] = layer, ChannelRange(name=f"shrinking_{self._made}", dtype=layer.dtype_policy)
        _, seen = self._ranges[key]
        for kernel, bias, columns in weights:
            if id(kernel) in self.readers:
                before = self.readers[id(kernel)].units
                self.together(before, numbers, f"the shared {layer.name!r}")
                continue
            columns = np.full(kernel.shape[-1], FIXED) if columns is None else columns
            self.readers[id(kernel)] = Reader(kernel, axis, bias, numbers, columns, seen)
            self.cut(kernel, axis, numbers)
        passed = seen(tensor)
        self.note(passed, numbers)
        return passed

    def start(self, layer, state):
        """A state that a layer starts from, through a range."""
        self._made += 1
        seen = ChannelRange(name=f"shrinking_{self._made}", dtype=layer.dtype_policy)
        self.states.setdefault(id(layer.cell), []).append(seen)
        return seen(state)

    def cut(self, variable, axis, numbers):
        """Say that an axis of a variable holds units."""
        self.axes.setdefault(id(variable), []).append((axis, numbers))

    def own(self, layer):
        """The numbers of the units of a layer's cell, whose weights are noted at the first call."""
        cell = layer.cell
        numbers = self.units.add(cell, int(cell.units))
        if id(cell) not in self.layers:
            self.layers[id(cell)] = layer
            columns = np.tile(numbers, 4)
            self.cut(cell.kernel, 1, columns)
            self.cut(cell.recurrent_kernel, 1, columns)
            self.cut(cell.recurrent_kernel, 0, numbers)
            if cell.bias is not None:
                self.cut(cell.bias, 0, columns)
            kernel = cell.recurrent_kernel
            self.readers[id(kernel)] = Reader(kernel, 0, cell.bias, numbers, columns, None)
            if getattr(layer, "interventions", None) or getattr(cell, "interventions", None):
                self.refuse(numbers, "something acts on its gates")
        return numbers


def is_lstm(layer):
    """Whether a layer is one whose units can be removed: an LSTM of Keras or of this package, over one cell."""
    return type(layer) in LAYERS and type(layer.cell) in CELLS
