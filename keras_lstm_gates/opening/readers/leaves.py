"""Where the variables of a model are: its layers down to those that own some, whatever holds them."""

import re
from typing import Any, NamedTuple

import keras


class Step(NamedTuple):
    """One step from a layer to one within it.

    Attributes:
        kind: "layer", of a model; "attribute"; or "item", of a list that is an attribute.
        name: of the layer, or of the attribute.
        number: of an item.
        layer: what the step leads to.
    """

    kind: str
    name: str
    number: int
    layer: Any


class Leaf(NamedTuple):
    """A layer or cell that owns variables.

    Attributes:
        steps: from the model, one or more `Step`s.
        layer: the layer or cell.
        variables: its own, in the order in which Keras saves them; states of a stateful layer are none.
    """

    steps: tuple
    layer: Any
    variables: list

    @property
    def path(self):
        return "/".join(step.name if step.kind != "item" else f"{step.name}/{step.number}" for step in self.steps)


def leaves(model):
    """The `Leaf`s of a model, each once, in the order of its layers."""
    return list(_below(model, (), set(), _states(model)))


class Order:
    """The layers of a model and of the models within it, in the order in which the writer of a file had them.

    Args:
        tree: the configuration of the outermost model, or None: the order is that of the model itself.

    Attributes:
        dropped: the names of the outermost model's layers that are left out.
    """

    def __init__(self, tree=None):
        self._models = dict(_models(tree, ())) if tree is not None else {}
        self.dropped = ()

    def beside(self, leaves, before):
        """{(name, number): class name} of all that hold arrays where some steps lead to."""
        depth = len(before)
        steps = [leaf.steps[depth] for leaf in leaves if len(leaf.steps) > depth and leaf.steps[:depth] == before]
        own = {(step.name, step.number): type(step.layer).__name__ for step in steps}
        order = self._models.get(tuple(step.name for step in before))
        if order is None or steps[0].kind != "layer":
            return own
        dropped = () if before else self.dropped
        return {(name, 0): kind for name, kind in order if (name, 0) in own or name in dropped}


def _models(tree, path):
    """(path, [(name, class name)]) of every model in a configuration."""
    config = tree.get("config") if isinstance(tree, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else config
    if isinstance(layers, list):
        named = [(layer_name(layer), layer) for layer in layers if isinstance(layer, dict)]
        yield path, [(name, str(layer.get("class_name"))) for name, layer in named]
        for name, layer in named:
            yield from _models(layer, (*path, name))
    elif isinstance(config, dict) and isinstance(config.get("layer"), dict):
        yield from _models(config["layer"], (*path, "layer"))


def layer_name(layer):
    """The name of a layer in a model's configuration, as Keras 3 has it."""
    config = layer.get("config")
    name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
    return str(name).replace("/", "_")


def snake_case(class_name):
    """A class's name as Keras writes it into a file of weights; a GatedLSTM is an LSTM.

    Example:
        >>> snake_case("TimeDistributed"), snake_case("GatedLSTM"), snake_case("Mine>Conv1D")
        ('time_distributed', 'lstm', 'conv1d')
    """
    name = re.sub(r"\W+", "", class_name.rpartition(">")[2])
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().removeprefix("gated_")


def _below(layer, steps, seen, states):
    if id(layer) in seen:
        return
    seen.add(id(layer))
    inner = list(_inner(layer))
    held = {id(variable) for step in inner for variable in step.layer.weights}
    own = [one for one in layer.weights if id(one) not in held and id(one) not in states] if steps else []
    if own:
        yield Leaf(steps, layer, own)
    for step in inner:
        yield from _below(step.layer, (*steps, step), seen, states)


def _inner(layer):
    if isinstance(layer, keras.Model):
        yield from (Step("layer", one.name, 0, one) for one in layer.layers)
        return
    for name, value in vars(layer).items():
        if isinstance(value, keras.layers.Layer):
            yield Step("attribute", name, 0, value)
        elif isinstance(value, (list, tuple)) and name != "_layers":
            items = [one for one in value if isinstance(one, keras.layers.Layer)]
            yield from (Step("item", name, number, one) for number, one in enumerate(items))


def _states(model):
    """The ids of the variables that hold the states of stateful layers."""
    states, waiting, seen = set(), [model], set()
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.layers.RNN):
            states |= {id(state) for state in keras.tree.flatten(getattr(layer, "states", None)) if state is not None}
        waiting += [step.layer for step in _inner(layer)]
    return states
