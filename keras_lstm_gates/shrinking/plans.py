"""Which units of a model can be removed, where they are in its weights, and which LSTMs keep their size, and why."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lstm_gates.opening.exposing import open_graph
from keras_lstm_gates.opening.graphs import described, graph_of, holds
from keras_lstm_gates.opening.inputs import is_stateful
from keras_lstm_gates.opening.paths import layer_name
from keras_lstm_gates.shrinking.followers import Follower
from keras_lstm_gates.shrinking.rebuilding import Sizes, cut, rebuilt
from keras_lstm_gates.shrinking.rules import rule_of
from keras_lstm_gates.steering.ablations import chosen as chosen_of

_LSTMS = (keras.layers.LSTM, keras.layers.LSTMCell)


class Plan(NamedTuple):
    """A model whose units may be removed.

    Attributes:
        model: `keras.Model`, a copy of the one that is shrunk, of the same size.
        followed: the same layers in a graph with a `ChannelRange` before all that reads units.
        follower: `Follower`.
        paths: {id of a cell: [the paths of its calls]}, of the LSTMs whose units have numbers.
        groups: {number of the first: numbers of all that go together}, those that may be removed.
        refused: {path or layer's name: why it keeps its size}.
    """

    model: Any
    followed: Any
    follower: Any
    paths: dict
    groups: dict
    refused: dict

    @property
    def cells(self):
        """The cells of the LSTMs whose units may be removed, in the model's order."""
        free = {id(self.follower.units.cell_of(number)) for number in self.groups}
        return [cell for cell in self.follower.units.cells() if id(cell) in free]

    def path(self, cell):
        """The first path of a cell."""
        return self.paths[id(cell)][0]

    def names(self):
        """Names of the model's layers that hold an LSTM whose units have numbers."""
        return list(dict.fromkeys(layer_name(path) for paths in self.paths.values() for path in paths))

    def members(self, root):
        """[(cell, unit)] of a group."""
        units = self.follower.units
        return [(units.cell_of(one), one - int(units.of(units.cell_of(one))[0])) for one in self.groups[root]]

    def numbers(self, roots):
        """The set of the numbers of all units of some groups."""
        return {number for root in roots for number in self.groups[root]}

    def left(self, roots):
        """{id of a cell: how many units it has without some groups}, of all cells that have numbers."""
        units, gone = self.follower.units, self.numbers(roots)
        return {id(cell): len(set(units.of(cell).tolist()) - gone) for cell in units.cells()}

    def settled(self, roots, worth=None):
        """Of some groups those that can go: each LSTM keeps a unit, and both directions of a `Bidirectional` as many.

        Args:
            roots: of the groups.
            worth: {root: tuple}; of those that cannot all go the ones that are worth most stay, and of the others none.
        """
        order = sorted(roots, key=lambda root: (worth or {}).get(root, (-np.inf,)))
        while True:
            left = self.left(order)
            kept = next((id(cell) for cell in self.follower.units.cells() if left[id(cell)] == 0), None)
            for first, second in self.follower.pairs:
                if kept is None and left[id(first)] != left[id(second)]:
                    kept = min(id(first), id(second), key=left.get)
            if kept is None:
                return order
            order.remove([root for root in order if any(id(cell) == kept for cell, _ in self.members(root))][-1])

    def smaller(self, values, roots):
        """The model without some groups, whose weights are otherwise these arrays."""
        gone, left, follower = self.numbers(roots), self.left(roots), self.follower

        def size(numbers):
            return int((~np.isin(numbers, sorted(gone))).sum())

        sizes = Sizes(
            {id(cell): left[id(cell)] for cell in follower.units.cells()},
            {layer: size(numbers) for layer, numbers in follower.shapes.items()},
            {layer: list(map(size, several)) for layer, several in follower.inputs.items()},
        )
        return rebuilt(self.model, cut(self.model.weights, values, follower.axes, gone), sizes)

    def parameters(self, roots):
        """How many parameters the model has without some groups."""
        return sum(
            map(np.size, cut(self.model.weights, self.model.get_weights(), self.follower.axes, self.numbers(roots)))
        )


def plan_of(model, layers=None):
    """The `Plan` of a model.

    Args:
        model: built `keras.Model`.
        layers: names of its layers that may lose units, or None for all.

    Raises:
        ValueError: of a model without a graph, one that is stateful, or one in which no LSTM can lose a unit.
    """
    if graph_of(model) is None:
        raise ValueError(
            f"expected a built Functional or Sequential model, whose graph can be followed; received {described(model)}"
        )
    if is_stateful(model):
        raise ValueError(
            f"expected LSTMs that begin each batch anew; received {model.name!r} with a layer that is stateful"
        )
    copy = rebuilt(model, model.get_weights())
    paths, refused = _paths(copy)
    follower = Follower(rule_of)
    followed, outputs = follower.follow(copy)
    for numbers in outputs:
        follower.refuse(numbers, "its units are an output of the model")
    known = {id(cell) for cell in follower.units.cells()}
    for cell, own in paths.items():
        if cell not in known:
            layer = copy.get_layer(layer_name(own[0]))
            refused |= dict.fromkeys(
                own, f"it is within {layer.name!r}, a {type(layer).__name__}, which stays as it is"
            )
    paths = {cell: own for cell, own in paths.items() if cell in known}
    for cell in follower.units.cells():
        if id(cell) not in paths:
            follower.refuse(follower.units.of(cell), refused.get(follower.layers[id(cell)].name, "it cannot be opened"))
    chosen = chosen_of({path: cell for cell, own in paths.items() for path in own}, layers)
    for cell in follower.units.cells():
        if not set(paths.get(id(cell), ())) & set(chosen):
            follower.refuse(follower.units.of(cell), "it is not among the layers that may lose units")
    groups = follower.units.groups()
    _spread(follower, groups, paths)
    refused |= {path: follower.refused[cell] for cell, own in paths.items() if cell in follower.refused for path in own}
    free = {
        root: numbers for root, numbers in groups.items() if id(follower.units.cell_of(root)) not in follower.refused
    }
    if not free:
        reasons = "; ".join(f"{path!r}: {why}" for path, why in refused.items())
        raise ValueError(f"expected an LSTM that can lose units in {model.name!r}; received {reasons or 'no LSTM'}")
    return Plan(copy, followed, follower, paths, free, refused)


def _paths(model):
    """({id of a cell: its paths}, {layer's name: why it cannot be opened})."""
    paths, refused = {}, {}
    for layer in {layer.name: layer for layer in model.layers if holds(layer, _LSTMS)}.values():
        try:
            cells = open_graph(model, [layer.name]).cells
        except ValueError as error:
            refused[layer.name] = " ".join(str(error).split())
            continue
        for path, cell in cells.items():
            paths.setdefault(id(cell), []).append(path)
    return paths, refused


def _spread(follower, groups, paths):
    """Whose units go with those of an LSTM that keeps its size keeps its own."""
    partners = [*({id(follower.units.cell_of(one)) for one in numbers} for numbers in groups.values())]
    partners += [{id(one) for one in pair} for pair in follower.pairs]
    changed = True
    while changed:
        changed = False
        for cells in partners:
            refused = [cell for cell in cells if cell in follower.refused]
            for cell in cells if refused else ():
                if cell not in follower.refused:
                    name = paths.get(refused[0], [follower.layers[refused[0]].name])[0]
                    follower.refused[cell] = f"its units go with those of {name!r}: {follower.refused[refused[0]]}"
                    changed = True
