"""The arrays of a model in a file, by the ways in which Keras wrote them down: one class a layout.

Each gives `arrays(leaves, names)`: for every `Leaf` of a model the list of its (name, array), as the file has them.
"""

import re

import h5py
import numpy as np

from keras_lstm_gates.opening.readers.conversions import number_of_arrays
from keras_lstm_gates.opening.readers.leaves import Order, snake_case


class Listed:
    """Keras 1 to 3, HDF5: a group a layer, in it the layer's arrays in a list.

    Args:
        group: `h5py.Group` with the attribute `layer_names`.
    """

    def __init__(self, group):
        self._group = group
        self.version = attribute(group, "keras_version") or "1"
        self.backend = attribute(group, "backend")
        self.layers = {
            name: attributes(self._member(group, name), "weight_names") for name in attributes(group, "layer_names")
        }
        # Keras 3 keeps the states of stateful layers there too.
        kept = {name: [one for one in names if "rnn_state" not in one] for name, names in self.layers.items()}
        self.layers = {name: names for name, names in kept.items() if names}
        # Keras 3 has no slashes in names.
        self._known_as = {name.replace("/", "_"): name for name in self.layers}

    def shapes_of(self, layer):
        """[(name, shape)] of a layer's arrays; of none an empty list."""
        return [(name, self._array(layer, name).shape) for name in self.layers.get(layer, ())]

    def listed(self):
        """[(name, shape)] of all arrays."""
        return [(f"{layer}/{name}", shape) for layer in self.layers for name, shape in self.shapes_of(layer)]

    def arrays(self, leaves, names):
        result = {}
        for layer, of_file in names.items():
            own = [(place, leaf) for place, leaf in enumerate(leaves) if leaf.steps[0].name == layer]
            slots = [slot for place, leaf in own for slot in self._slots(place, leaf)]
            # A layer's trainable arrays come first, those of what it holds too.
            slots = [place for place, trainable in slots if trainable] + [
                place for place, trainable in slots if not trainable
            ]
            of_file = self._known_as.get(of_file, of_file)
            stored = self.layers.get(of_file, [])
            if len(stored) != len(slots):
                raise ValueError(
                    f"expected {len(slots)} arrays for the layer {layer!r}; received {len(stored)}: {_some(stored)}"
                )
            for place, name in zip(slots, stored, strict=True):
                result.setdefault(place, []).append((name, np.asarray(self._array(of_file, name))))
        return [result.get(place, []) for place in range(len(leaves))]

    def _slots(self, place, leaf):
        number = number_of_arrays(leaf.layer, leaf.variables, self.version)
        if number != len(leaf.variables):
            return [(place, leaf.layer.trainable)] * number
        top = {id(variable) for variable in leaf.steps[0].layer.trainable_variables}
        return [(place, id(variable) in top) for variable in leaf.variables]

    def _member(self, group, name):
        if not isinstance(group.get(name), h5py.Group):
            raise ValueError(f"expected a group {name!r}, which its list of layers names; received none")
        return group[name]

    def _array(self, layer, name):
        data = self._group[layer].get(name)
        return number_array(data, f"{layer}/{name}")


class Nested:
    """`.weights.h5` and `.keras` of Keras 2.13 and later: groups within groups, as the layers lie within layers.

    Args:
        group: the root.

    Attributes:
        order: `Order` of the layers that the writer's model had.
    """

    version, backend = "", ""

    def __init__(self, group):
        self._group = group
        self.order = Order()

    def listed(self):
        """[(name, shape)] of all arrays."""
        result = []
        self._group.visititems(
            lambda name, one: result.append((name, one.shape)) if isinstance(one, h5py.Dataset) else None
        )
        return result

    @property
    def names_layers(self):
        """Whether each layer's name stands by its arrays, as Keras 3 has it."""
        seen = []
        self._group.visititems(lambda name, one: seen.append("name" in one.attrs) if name.endswith("vars") else None)
        return any(seen)

    def arrays(self, leaves, names):
        result = []
        for leaf in leaves:
            group = self._group
            for number, step in enumerate(leaf.steps):
                group = self._next(group, step, self.order.beside(leaves, leaf.steps[:number]))
            stored = _numbered(group.get("vars"))
            if len(stored) != len(leaf.variables):
                raise ValueError(f"expected {len(leaf.variables)} arrays for {leaf.path!r}; received {len(stored)}")
            result.append([(None, np.asarray(number_array(one, one.name))) for one in stored])
        return result

    def _next(self, group, step, beside):
        container, name = group, step.name
        if step.kind == "item":
            container = group.get(step.name)
        elif step.kind == "layer":
            container = next((group[name] for name in CONTAINERS if isinstance(group.get(name), h5py.Group)), None)
        if step.kind != "attribute":
            name = _name(container, (step.name, step.number), beside)
        inner = container.get(name) if isinstance(container, h5py.Group) else None
        if not isinstance(inner, h5py.Group):
            raise ValueError(f"expected arrays for {step.name!r} in {group.name!r}; received none")
        return inner


CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""The latter up to Keras 2.13."""


def attribute(group, name):
    """An attribute that is a text, else ""."""
    value = group.attrs.get(name, "")
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else ""


def attributes(group, name):
    """An attribute that is a list of texts; a long one is kept in pieces."""
    values = list(_texts(group, name))
    number = 0
    while f"{name}{number}" in group.attrs:
        values += _texts(group, f"{name}{number}")
        number += 1
    return values


def bytes_in(group):
    """The bytes in memory of all data sets below a group."""
    seen = []
    group.visititems(
        lambda name, one: seen.append(one.size * one.dtype.itemsize) if isinstance(one, h5py.Dataset) else None
    )
    return sum(seen)


def number_array(data, name):
    """A data set of numbers, or a `ValueError`."""
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "fiub":
        raise ValueError(f"expected an array of numbers at {name!r}; received {data!r}")
    return data


def _texts(group, name):
    value = group.attrs.get(name, ())
    values = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in np.ravel(values)]


def _numbered(group):
    if not isinstance(group, h5py.Group):
        return []
    return [group[name] for name in sorted((name for name in group if name.isdigit()), key=int)]


def _name(container, key, beside):
    """The group of a layer: of those of its class the one with its place."""
    kind = snake_case(beside[key])
    same = [one for one, class_name in beside.items() if snake_case(class_name) == kind]
    stored = _of_class(container, kind)
    if len(same) != len(stored):
        raise ValueError(f"expected arrays of {len(same)} layers of the class {kind}; received {len(stored)}")
    return stored[same.index(key)]


def _of_class(container, kind):
    """The groups of a class that hold arrays, in the order of their numbers."""
    if not isinstance(container, h5py.Group):
        return []
    matches = [re.fullmatch(rf"{re.escape(kind)}(?:_(\d{{1,9}}))?", name) for name in container]
    matches = [match for match in matches if match and _holds_arrays(container[match[0]])]
    return [match[0] for match in sorted(matches, key=lambda match: int(match[1] or -1))]


def _holds_arrays(group):
    seen = []
    if isinstance(group, h5py.Group):
        group.visititems(lambda name, one: seen.append(name) if isinstance(one, h5py.Dataset) else None)
    return bool(seen)


def _some(names):
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
