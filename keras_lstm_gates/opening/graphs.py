"""What a model's graph shows: its inputs and outputs, the names in it, and which layers hold an LSTM."""

import functools
import inspect
from typing import Any, NamedTuple

import keras

MOST_OF_A_NAME = 10_000
"""Higher numbers in a name are left to chance: Keras counts up to them one by one."""


class FunctionalGraph(NamedTuple):
    """The symbolic inputs and outputs of a model, in its own structures."""

    input: Any
    output: Any


def graph_of(model):
    """The `FunctionalGraph` of a Functional or built Sequential model; None of what runs code of its own."""
    if not isinstance(model, keras.Model) or not model.built or not _runs_its_graph(model):
        return None
    if isinstance(model, keras.Sequential):
        return _sequential(model)
    try:
        return FunctionalGraph(model.input, model.output)
    except (AttributeError, ValueError):
        return None


def outputs_by_name(model):
    """The outputs of a model with a graph, in the order of its flattened structure.

    Returns:
        {name: `keras.KerasTensor`}: of a dict its keys, else the names of the layers that give them, and "output_0",
        "output_1", ... where these are not one each.
    """
    structure = graph_of(model).output
    tensors = keras.tree.flatten(structure)
    if isinstance(structure, dict):
        names = sorted(structure)
    elif isinstance(model, keras.Sequential):
        names = [model.layers[-1].name]
    else:
        names = list(model.output_names)
    if len(names) != len(tensors) or len(set(names)) != len(names):
        names = [f"output_{place}" for place in range(len(tensors))]
    return dict(zip(names, tensors, strict=True))


def holds(layer, kinds):
    """Whether a layer is one of some kinds or holds one, at any depth and in any wrapper, list or attribute.

    Example:
        >>> stack = keras.layers.RNN([keras.layers.GRUCell(2), keras.layers.LSTMCell(2)])
        >>> holds(keras.layers.TimeDistributed(stack), (keras.layers.LSTM, keras.layers.LSTMCell))
        True
    """
    return any(isinstance(one, kinds) for one in [layer, *layers_within(layer)])


def layers_within(layer):
    """Every layer and cell that a layer or a model holds, at any depth, each of them once."""
    seen = {id(layer)}
    waiting = [layer]
    while waiting:
        for one in _held(waiting.pop()):
            if isinstance(one, keras.layers.Layer) and id(one) not in seen:
                seen.add(id(one))
                waiting.append(one)
                yield one


def described(model):
    """A model in the words of an error."""
    if not isinstance(model, keras.Model):
        return repr(model)
    return f"{model.name!r}, a {type(model).__name__}" + ("" if model.built else " that is not built")


def is_known(layer, *kinds):
    """Whether a wrapper is called as one of some classes is, rather than by code of its own."""
    return any(isinstance(layer, kind) and type(layer).call is kind.call for kind in kinds)


class Names:
    """Names for new layers that no layer or operation of some models has.

    A layer that gets its name from Keras can meet the same one in a model that another process saved.

    Example:
        >>> model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2, name="lstm")])
        >>> names = Names(model)
        >>> names.new("lstm"), names.new("lstm"), names.new("steps")
        ('lstm_2', 'lstm_3', 'steps')
    """

    def __init__(self, *models):
        self._taken = set()
        for model in models:
            operations = getattr(model, "operations", None) or model.layers
            self._taken |= {operation.name for operation in operations}
            self._taken |= {tensor.name for tensor in model.inputs}

    def new(self, base):
        """`base` itself where it is free, else "<base>_2", "<base>_3", ...; a name is given once."""
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name


def reserve_names(names):
    """Let Keras give none of these names to what it makes itself, such as the operations of a mask.

    It numbers them from the start in every process, and takes no model with two layers or operations of one name.
    """
    for name in names:
        base, _, number = name.rpartition("_")
        base, number = (base, int(number)) if base and number.isdigit() else (name, 0)
        # Where it is further, it only goes on.
        while number < MOST_OF_A_NAME and keras.backend.get_uid(base) <= number:
            pass


def _sequential(model):
    if not model.outputs:
        return None
    (tensor,) = model.inputs
    # `outputs` is flat: the structure is that of what the model returns.
    structure = model.compute_output_spec(keras.KerasTensor(tensor.shape, tensor.dtype))
    return FunctionalGraph(tensor, keras.tree.pack_sequence_as(structure, list(model.outputs)))


def _runs_its_graph(model):
    """Whether a call of the model is a walk of its graph: a subclass with a `call` of its own does something else."""
    if isinstance(model, keras.Sequential):
        return type(model).call is keras.Sequential.call
    return type(model).call is _functional_call()


@functools.cache
def _functional_call():
    # Keras does not make the class public. The names are ours, so that the user's models count theirs from the start.
    x = keras.Input((1,), name="x")
    return type(keras.Model(x, keras.layers.Identity(name="y")(x), name="identity")).call


def _held(layer):
    """What a layer keeps: its own layers, and layers among its attributes, alone or in a list or dict."""
    yield from getattr(layer, "layers", ()) if isinstance(layer, keras.Model) else ()
    try:
        values = list(vars(layer).values())
    except TypeError:
        return
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, (list, tuple)):
            yield from value
        else:
            yield value


def accepts(layer, argument):
    """Whether a layer's `call` takes an argument of this name."""
    return argument in inspect.signature(layer.call).parameters


_STEP_BY_STEP = (
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.Embedding,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
    keras.layers.Masking,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.SpatialDropout1D,
)


def is_input(tensor):
    """Whether a tensor of a graph is an input, or the same steps in other numbers: embedded, scaled, noisy, masked.

    Example:
        >>> words = keras.Input((None,))
        >>> embedded = keras.layers.Embedding(9, 2)(words)
        >>> is_input(embedded), is_input(keras.layers.LSTM(2, return_sequences=True)(embedded))
        (True, False)
    """
    operation, place, _ = tensor._keras_history
    if isinstance(operation, keras.layers.InputLayer):
        return True
    return isinstance(operation, _STEP_BY_STEP) and is_input(operation._inbound_nodes[place].input_tensors[0])
