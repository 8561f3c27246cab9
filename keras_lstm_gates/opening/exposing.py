"""Any trained model with LSTMs in it -> the same model, weights shared, with its gates as named outputs."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers.cell import GatedLSTMCell
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.opening.opened_layers import EachStep, MaskedToZero, MergedDirections, StepMask

_CELLS = (keras.layers.LSTMCell, GatedLSTMCell)
_RECURRENT = (keras.layers.LSTM, keras.layers.RNN, GatedLSTM)


class Opened(NamedTuple):
    """A model's graph walked once more, with the tensors met on the way.

    `gates` and `masks` have the same keys, the paths of the LSTMs: "lstm", "bidirectional/forward", "encoder/lstm",
    "rnn/0". A layer's second call is "lstm@2". `backwards` holds the paths of those that read time from its end.
    """

    inputs: Any
    outputs: dict[str, Any]
    gates: dict[str, Gates]
    masks: dict[str, Any]
    backwards: frozenset[str]


def expose(model, layers=None):
    """The same model, weights shared, whose output is a dict that also names every gate.

    Args:
        model: built `keras.Model`, Functional or Sequential, with LSTMs in it: `keras.layers.LSTM`, `GatedLSTM`,
            `RNN(LSTMCell)`, `RNN(StackedRNNCells([LSTMCell, ...]))`, alone or within `Bidirectional`,
            `TimeDistributed` and nested models.
        layers: names of the model's layers to open, or None for all that hold an LSTM. In a stack of cells those
            that are no LSTM's run along without gates.

    Returns:
        A `keras.Model` on the same inputs, with the same variables. Its output is a dict: the model's own outputs
        under their names, and for every LSTM "<path>/i", "/f", "/g", "/o", "/c", "/h", (batch, time, units). The
        path is the layer's name; within a `Bidirectional` "<name>/forward" and "<name>/backward", within a nested
        model "<model>/<name>", in a stack of cells "<name>/0", "<name>/1"; below `TimeDistributed` the gates are
        (batch, steps, time, units). Time runs as in the input, also where a layer reads it backwards. A stateful
        layer starts from states of its own, zeros.

    Raises:
        ValueError: what cannot be opened, the layer, why, and what to do: "expected a built Functional or
            Sequential model, whose graph can be walked; received ...".

    Example:
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm")])
        >>> sorted(expose(model).output)
        ['lstm', 'lstm/c', 'lstm/f', 'lstm/g', 'lstm/h', 'lstm/i', 'lstm/o']
    """
    opened = open_graph(model, layers)
    named = {f"{path}/{name}": tensor for path, gates in opened.gates.items() for name, tensor in _named(gates)}
    return keras.Model(opened.inputs, {**opened.outputs, **named}, name=model.name)


def open_graph(model, layers=None):
    """Walk a model's graph again and note the gates and the mask of every LSTM on the way.

    Args and errors are those of `expose`.

    Returns:
        `Opened`, of symbolic tensors. Every mask is bool (batch, time), True = a real step.
    """
    if not isinstance(model, keras.Model) or not model.built or _graph_output(model) is None:
        raise ValueError(
            "expected a built Functional or Sequential model, whose graph can be walked; received "
            f"{_described(model)}. A subclassed model has no graph: build the same layers with the functional API, or "
            "expose the Functional models inside it"
        )
    walk = _Walk(layers)
    own = _own_outputs(model)
    walked = keras.models.clone_model(
        keras.Model(_graph_input(model), own), clone_function=lambda layer: layer, call_function=walk.call
    )
    walk.check(model)
    return Opened(walked.input, walked.output, walk.gates, walk.masks, frozenset(walk.backwards))


def layers_within(layer):
    """The layers of an opened model, at any depth, one by one."""
    for inner in (*getattr(layer, "layers", ()), *([layer.layer] if hasattr(layer, "layer") else [])):
        yield inner
        yield from layers_within(inner)


class _Walk:
    """Calls the layers of a graph one by one; an LSTM is called through a twin that names its gates."""

    def __init__(self, layers=None):
        self.layers = None if layers is None else [layers] if isinstance(layers, str) else list(layers)
        self.gates, self.masks, self.backwards = {}, {}, set()
        self._twins, self._calls, self._met = {}, {}, {}

    def call(self, layer, *args, **kwargs):
        self._met[layer.name] = layer
        if not _holds_lstm(layer) or (self.layers is not None and layer.name not in self.layers):
            return layer(*args, **kwargs)
        calls = self._calls[layer.name] = self._calls.get(layer.name, 0) + 1
        path = layer.name if calls == 1 else f"{layer.name}@{calls}"
        if isinstance(layer, keras.layers.Bidirectional):
            return self._bidirectional(layer, path, *args, **kwargs)
        if isinstance(layer, keras.layers.TimeDistributed):
            return self._time_distributed(layer, path, *args, **kwargs)
        if isinstance(layer, keras.layers.RNN):
            return self._recurrent(layer, path, *args, **kwargs)
        if isinstance(layer, keras.Model) and _graph_output(layer) is not None:
            return self._nested(layer, path, *args, **kwargs)
        raise ValueError(
            f"cannot open the layer {layer.name!r}: it is a {type(layer).__name__} that calls an LSTM in its own "
            "code, where no graph shows it. Use the LSTM as a layer of the model, or leave it out with layers=[...]"
        )

    def check(self, model):
        """Raise a `ValueError` where a wanted layer is none of the model's LSTMs, or there is no LSTM at all."""
        holders = [name for name, layer in self._met.items() if _holds_lstm(layer)]
        for name in self.layers or ():
            if name not in holders:
                kind = f"a {type(self._met[name]).__name__}" if name in self._met else "no layer of this model"
                raise ValueError(f"expected layers of {holders}, which hold an LSTM; received {name!r}, {kind}")
        if not self.gates:
            kinds = ", ".join(dict.fromkeys(type(layer).__name__ for layer in self._met.values()))
            raise ValueError(
                f"expected a model with one or more LSTM layers; received {model.name!r} with {kinds or 'none'}"
            )

    def _note(self, path, tensors, mask, backwards):
        self.gates[path] = Gates(*(tensors[name] for name in Gates._fields))
        self.masks[path] = mask
        if backwards:
            self.backwards.add(path)
            self.gates[path] = Gates(*(ops.flip(tensor, axis=1) for tensor in self.gates[path]))

    def _recurrent(self, layer, path, sequences, initial_state=None, **kwargs):
        if isinstance(layer.cell, keras.layers.StackedRNNCells):
            return self._stacked(layer, path, sequences, initial_state, **kwargs)
        twin = self._once(layer, lambda: _twin(layer, layer.cell, layer.name))
        tensors = twin(sequences, initial_state=initial_state, **kwargs)
        self._note(path, tensors, self._mask(layer, sequences, kwargs), layer.go_backwards)
        if isinstance(layer, GatedLSTM) and layer.return_gates:
            return tensors
        output = self._zeroed(layer, tensors["output"], kwargs)
        return (output, tensors["state_h"], tensors["state_c"]) if layer.return_state else output

    def _stacked(self, layer, path, sequences, initial_state=None, **given):
        kwargs = given
        cells, mask = layer.cell.cells, self._mask(layer, sequences, given)
        backwards, states = layer.go_backwards, []
        for number, cell in enumerate(cells):
            last = number == len(cells) - 1
            sequence = layer.return_sequences or not last
            # The first cell turns time round; those above it read what it says in the order it says it.
            turned = backwards and number == 0
            twin = self._once(cell, lambda: _of_stack(layer, cell, number, sequence, turned))  # noqa: B023
            state = None if initial_state is None else initial_state[number]
            said = twin(sequences, initial_state=state, **kwargs)
            if isinstance(twin, GatedLSTM):
                self._note(f"{path}/{number}", said, mask, backwards)
                said = (said["output"], said.get("state_h"), said.get("state_c"))
            elif not layer.return_state:
                said = (said,)
            sequences, *state = said
            states.append(state if len(state) > 1 else state[0] if state else None)
            if turned:
                kwargs = {**kwargs, "mask": ops.flip(mask, axis=1)}
        output = self._zeroed(layer, sequences, given)
        return (output, *states) if layer.return_state else output

    def _bidirectional(self, layer, path, sequences, initial_state=None, **kwargs):
        half = None if initial_state is None else len(initial_state) // 2
        states = (None, None) if half is None else (list(initial_state[:half]), list(initial_state[half:]))
        # Either of the two may be the one that reads backwards; each is named after what it does.
        forward, backward = (
            self._recurrent(one, f"{path}/{'backward' if one.go_backwards else 'forward'}", sequences, state, **kwargs)
            for one, state in zip((layer.forward_layer, layer.backward_layer), states, strict=True)
        )
        first, second = (forward[0], backward[0]) if layer.return_state else (forward, backward)
        merge = self._once(
            layer,
            lambda: MergedDirections(
                layer.merge_mode, sequences=layer.return_sequences, dtype=layer.dtype_policy, name=layer.name
            ),
        )
        output = merge([first, second])
        if not layer.return_state:
            return output
        output = tuple(output) if layer.merge_mode is None else (output,)
        return (*output, *forward[1:], *backward[1:])

    def _time_distributed(self, layer, path, sequences, **kwargs):
        def opened():
            step = keras.Input(sequences.shape[2:], dtype=sequences.dtype)
            inner, paths = _exposed_with_masks(keras.Model(step, layer.layer(step), name=f"{layer.name}_step"))
            return EachStep(inner, name=layer.name), paths

        each, paths = self._once(layer, opened)
        return self._unpack(each(sequences, **kwargs), path, paths, layer.layer)

    def _nested(self, layer, path, *args, **kwargs):
        inner, paths = self._once(layer, lambda: _exposed_with_masks(layer))
        return self._unpack(inner(*args, **kwargs), path, paths, layer)

    def _unpack(self, tensors, path, paths, layer):
        for inner in paths:
            self.gates[f"{path}/{inner}"] = Gates(*(tensors[f"{inner}/{name}"] for name in Gates._fields))
            self.masks[f"{path}/{inner}"] = tensors[f"{inner}/mask"]
        self.backwards |= {f"{path}/{inner}" for inner, backwards in paths.items() if backwards}
        outputs = [tensors[name] for name in tensors if name.startswith("output:")]
        graph_output = _graph_output(layer) if isinstance(layer, keras.Model) else None
        return outputs[0] if graph_output is None else keras.tree.pack_sequence_as(graph_output, outputs)

    def _once(self, layer, make):
        """One twin a layer, so that a layer that is called twice is one layer here too."""
        if id(layer) not in self._twins:
            self._twins[id(layer)] = make()
        return self._twins[id(layer)]

    def _mask(self, layer, sequences, kwargs):
        # The mask may come with the tensor, and in a nested model it does so only when the model is called.
        masks = self._twins.setdefault((id(layer), "mask"), StepMask(name=f"{layer.name}_steps"))
        return masks(sequences, **{name: mask for name, mask in kwargs.items() if name == "mask"})

    def _zeroed(self, layer, output, kwargs):
        # Keras sets this for the directions of a Bidirectional, whatever they were made with.
        if not getattr(layer, "zero_output_for_mask", False):
            return output
        if not layer.return_sequences:
            raise ValueError(
                f"cannot open the layer {layer.name!r}: zero_output_for_mask with return_sequences=False. "
                "Set zero_output_for_mask=False"
            )
        zero = self._twins.setdefault(
            (id(layer), "zero"), MaskedToZero(layer.go_backwards, dtype=layer.dtype_policy, name=f"{layer.name}_zeroed")
        )
        return zero(output, **{name: mask for name, mask in kwargs.items() if name == "mask"})


def _twin(layer, cell, name, return_sequences=None, go_backwards=None):
    """A `GatedLSTM` that returns its gates and has the very variables of `cell`."""
    if type(layer) not in _RECURRENT or type(cell) not in _CELLS:
        custom = layer if type(layer) not in _RECURRENT else cell
        raise ValueError(
            f"cannot open the layer {layer.name!r}: expected LSTM, GatedLSTM, or RNN over LSTMCell or GatedLSTMCell; "
            f"received the class {type(custom).__name__}, whose step may differ. Leave it out with layers=[...]"
        )
    if isinstance(layer, GatedLSTM) and layer.return_gates:
        return layer
    of_cell = {key: value for key, value in cell.get_config().items() if key not in ("name", "dtype", "trainable")}
    twin = GatedLSTM(
        **of_cell,
        return_gates=True,
        return_sequences=layer.return_sequences if return_sequences is None else return_sequences,
        return_state=layer.return_state,
        go_backwards=layer.go_backwards if go_backwards is None else go_backwards,
        stateful=layer.stateful,
        unroll=layer.unroll,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
        name=name,
    )
    # Set before it is built, these take the place of the weights it would make.
    twin.cell.kernel, twin.cell.recurrent_kernel, twin.cell.bias = cell.kernel, cell.recurrent_kernel, cell.bias
    twin.cell.built = True
    return twin


def _of_stack(layer, cell, number, return_sequences, go_backwards):
    """The twin of one cell of a stack; a cell that is no LSTM's runs alone, without gates."""
    name = f"{layer.name}_{number}"
    if _holds_lstm(cell):
        return _twin(layer, cell, name, return_sequences=return_sequences, go_backwards=go_backwards)
    return keras.layers.RNN(
        cell,
        return_sequences=return_sequences,
        return_state=layer.return_state,
        go_backwards=go_backwards,
        stateful=layer.stateful,
        unroll=layer.unroll,
        dtype=layer.dtype_policy,
        name=name,
    )


def _exposed_with_masks(model):
    """A model opened for use within another: its outputs, gates and masks by flat names, and {path: backwards}."""
    opened = open_graph(model)
    # In the order of the flattened structure, which sorts a dict's keys.
    outputs = {
        f"output:{place:04d}": tensor for place, tensor in enumerate(keras.tree.flatten(_repacked(model, opened)))
    }
    gates = {f"{path}/{name}": tensor for path, gates in opened.gates.items() for name, tensor in _named(gates)}
    masks = {f"{path}/mask": mask for path, mask in opened.masks.items()}
    inner = keras.Model(opened.inputs, {**outputs, **gates, **masks}, name=model.name)
    return inner, {path: path in opened.backwards for path in opened.gates}


def _repacked(model, opened):
    return keras.tree.pack_sequence_as(_graph_output(model), [opened.outputs[name] for name in _own_outputs(model)])


def _own_outputs(model):
    """The model's outputs by name, in the order of its flattened structure."""
    structure = _graph_output(model)
    tensors = keras.tree.flatten(structure)
    if isinstance(structure, dict):
        names = sorted(structure)
    else:
        names = [model.layers[-1].name] if isinstance(model, keras.Sequential) else list(model.output_names)
    if len(names) != len(tensors) or len(set(names)) != len(names):
        names = [f"output_{place}" for place in range(len(tensors))]
    return dict(zip(names, tensors, strict=True))


def _graph_output(model):
    """The symbolic output of a Functional or built Sequential model, None of any other."""
    if isinstance(model, keras.Sequential):
        return model.outputs[0] if model.built and model.outputs else None
    try:
        return model.output
    except AttributeError:
        return None


def _graph_input(model):
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _holds_lstm(layer):
    if isinstance(layer, (keras.layers.LSTM, keras.layers.LSTMCell)):
        return True
    if isinstance(layer, keras.Model):
        return any(_holds_lstm(inner) for inner in layer.layers)
    if isinstance(layer, keras.layers.Bidirectional):
        return _holds_lstm(layer.forward_layer) or _holds_lstm(layer.backward_layer)
    if isinstance(layer, keras.layers.RNN):
        return _holds_lstm(layer.cell)
    if isinstance(layer, keras.layers.StackedRNNCells):
        return any(_holds_lstm(cell) for cell in layer.cells)
    if isinstance(layer, keras.layers.Wrapper):
        return _holds_lstm(layer.layer)
    # What a layer of one's own keeps: layers among its attributes, alone or in a list.
    values = vars(layer).values() if isinstance(layer, keras.layers.Layer) else ()
    kept = [one for value in values for one in (value if isinstance(value, (list, tuple)) else [value])]
    return any(isinstance(one, (keras.layers.RNN, keras.layers.LSTMCell)) and _holds_lstm(one) for one in kept)


def _named(gates):
    return gates._asdict().items()


def _described(model):
    if not isinstance(model, keras.Model):
        return repr(model)
    return f"{model.name!r}, a {type(model).__name__}" + ("" if model.built else " that is not built")
