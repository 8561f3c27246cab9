"""A model that is run with its inputs, its embeddings or the outputs of its LSTMs moved, and its answer."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.opening.graphs import graph_of, is_known, outputs_by_name
from keras_lstm_gates.opening.visitors import Visitor
from keras_lstm_gates.opening.walker import walk


class Point(keras.layers.Layer):
    """A place in a graph: it hands on what it receives plus `shift`, and keeps what it handed on.

    Attributes:
        shift: tensor of the shape of what it receives, or None.
        value, mask: what it handed on in the last run, and the mask that came with it.
        runs: int, how often it was called in the last run.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.shift = self.value = self.mask = None
        self.runs = 0

    def call(self, inputs, mask=None):
        self.runs += 1
        self.mask = mask
        self.value = inputs if self.shift is None else inputs + ops.cast(self.shift, inputs.dtype)
        return self.value


class Known(keras.layers.Layer):
    """A comparison in a graph, such as a mask, that stays what it is for the data while the numbers are moved.

    Attributes:
        known: bool tensor to hand on, or None: what it receives.
        last: what it handed on in the last run.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.known = self.last = None

    def call(self, inputs):
        self.last = inputs if self.known is None else self.known
        return self.last


class Renamed(keras.layers.Wrapper):
    """A recurrent layer under another name: the directions of two `Bidirectional`s have the same ones.

    Attributes:
        known: list of what it returns at its next calls without computing it, or None.
        last: list of what it returned since it was emptied, call by call.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True
        self.known, self.last = None, []

    def build(self, *shapes, **named_shapes):
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, training=False, interventions=None):
        if self.known is not None:
            return self.known.pop(0)
        given = {} if interventions is None else {"interventions": interventions}
        self.last.append(self.layer(sequences, initial_state=initial_state, mask=mask, training=training, **given))
        return self.last[-1]

    def compute_output_spec(self, sequences, **kwargs):
        shapes = self.layer.compute_output_shape(sequences.shape)
        shapes = dict(shapes) if isinstance(shapes, dict) else shapes
        return keras.tree.map_shape_structure(lambda one: keras.KerasTensor(one, self.layer.compute_dtype), shapes)

    def compute_mask(self, sequences, mask=None):
        return self.layer.compute_mask(sequences, mask)


class WatchedModel:
    """One answer of a model, as a function of what its inputs, embeddings or LSTMs' outputs are moved by.

    The answer is the number in the model's output at `target`; of an output that a softmax or sigmoid of the last
    layer makes, the number before it.

    Args:
        model: built Functional or Sequential `keras.Model`.
        output: the name of one of several outputs.

    Attributes:
        inputs: {name: `keras.KerasTensor`}.
        embeddings: {name of an input of integers: [`Point`, ...] behind the Embedding layers that read it}.
        memories: {path: [("h" or "c", `Point`), ...] behind an LSTM}; "h" of its output or state_h, "c" of state_c.
        activations: {path: the function a of h = o a(c)}.
        acted_on: paths of the LSTMs whose c or h interventions act on, so that c is not the sum of what was written.
        before: "softmax", "sigmoid" or None: the activation that the answer is taken before.
        shape: of the output.

    Raises:
        ValueError: what `walk` raises; "expected output among ['a', 'b']; received None".
    """

    def __init__(self, model, output=None):
        names = own_outputs(model)
        if output is None and len(names) == 1:
            output = names[0]
        if output not in names:
            raise ValueError(f"expected output among {names}; received {output!r}")
        visitor = _Points(model, output)
        walked = walk(model, visitor, inputs=any_batch(model))
        self.output, self.before = output, visitor.before
        behind = {key: list(calls) for key, calls in visitor.behind.items()}
        self.memories, self.activations = {}, {}
        for path, place in walked.places.items():
            # A model that is called twice has its points once; `outputs` refuses it.
            calls = behind[id(place.layer)]
            self.memories[path] = calls.pop(0) if len(calls) > 1 else calls[0]
            self.activations[path] = place.layer.cell.activation
        self.acted_on = {path for path, place in walked.places.items() if id(place.layer) in visitor.acted_on}
        tensor = walked.outputs[output]
        self.shape = tuple(tensor.shape)
        self.inputs = {one.name: one for one in keras.tree.flatten(walked.inputs)}
        self.embeddings = {name: visitor.embedded(name, one) for name, one in self.inputs.items()}
        self._structure = walked.inputs
        self._masks, self._lstms = visitor.masks, list(dict.fromkeys(visitor.lstms))
        self._model = keras.Model(walked.inputs, tensor)

    def numbers(self, x):
        """The inputs by name, as arrays, each checked against the model's own shape."""
        names = list(self.inputs)
        if isinstance(x, dict):
            if set(x) != set(names):
                raise ValueError(f"expected the inputs {names}; received {sorted(x)}")
            given = x
        else:
            flat = keras.tree.flatten(x) if isinstance(x, (list, tuple)) and len(names) > 1 else [x]
            if len(flat) != len(names):
                raise ValueError(f"expected {len(names)} inputs {names}; received {len(flat)}")
            given = dict(zip(names, flat, strict=True))
        return {name: np.asarray(given[name]) for name in names}

    def outputs(self, numbers, shifts=(), masks=None, answered=None):
        """The model's output, run once without dropout.

        Args:
            numbers: {input: tensor}, in the place of the inputs.
            shifts: {`Point`: tensor}.
            masks: what `masks` returned for these samples, or None: those of the numbers.
            answered: what `answered` returned for these numbers, where nothing before an LSTM is shifted, or None: the
                LSTMs run.
        """
        shifts = dict(shifts)
        for place, point in enumerate(self._masks):
            point.known = None if masks is None else masks[place]
        points = self._points()
        for point in points:
            point.shift, point.value, point.runs = shifts.get(point), None, 0
        for place, layer in enumerate(self._lstms):
            layer.known, layer.last = None if answered is None else list(answered[place]), []
        try:
            result = self._model(self.packed(numbers), training=False)
        finally:
            for point in points:
                point.shift = None
            for layer in (*self._masks, *self._lstms):
                layer.known = None
        for point in points:
            if point.runs > 1:
                raise ValueError(
                    f"cannot account for {point.name!r}: it lies in a model that is called {point.runs} times. "
                    "Call it once"
                )
        return result

    def reached(self):
        """`memories` without the points that the last run did not pass, as those of an output that nothing reads."""
        return {path: [one for one in points if one[1].runs] for path, points in self.memories.items()}

    def masks(self):
        """The masks of the last run, in an order that `outputs` takes."""
        return [point.last for point in self._masks]

    def answered(self):
        """What the LSTMs returned in the last run, in an order that `outputs` takes: to spare their steps."""
        return [layer.last for layer in self._lstms]

    def answer(self, outputs, place):
        """(batch,), the numbers of the output at these places, int (batch, axes of the output after the sample)."""
        place = tf.convert_to_tensor(place, "int32")
        batch = tf.range(tf.shape(place)[0])[:, None]
        return tf.gather_nd(outputs, tf.concat([batch, place], axis=1))

    def places(self, outputs, target):
        """int (batch, axes): the index of the answer in each sample's output.

        Args:
            outputs: array, the model's output.
            target: int or tuple of int, one index an axis after the sample; "largest", each sample's largest number
                along the last axis, which takes the indices of the axes before it as ("largest", ...) does not: of an
                output with one axis alone; None for an output of one number.
        """
        axes = outputs.shape[1:]
        if target == "largest" and len(axes) == 1:
            return outputs.argmax(axis=-1)[:, None]
        if target is None and np.prod(axes, dtype=int) == 1:
            target = (0,) * len(axes)
        index = (target,) if isinstance(target, (int, np.integer)) and not isinstance(target, bool) else target
        fits = isinstance(index, (tuple, list)) and len(index) == len(axes)
        if not fits or not all(isinstance(one, (int, np.integer)) and -n <= one < n for one, n in zip(index, axes)):
            raise ValueError(
                f"expected target, {len(axes)} indices into the output {self.output!r} of shape "
                f"(sample, {', '.join(map(str, axes))}){', or largest' if len(axes) == 1 else ''}; received {target!r}"
            )
        return np.tile([one % n for one, n in zip(index, axes)], (len(outputs), 1))

    def packed(self, numbers):
        """The inputs in the structure that the model takes."""
        return keras.tree.map_structure(lambda one: numbers[one.name], self._structure)

    def _points(self):
        behind = [point for points in self.memories.values() for _, point in points]
        return [*behind, *(point for points in self.embeddings.values() for point in points)]


def before_last_activation(model, output):
    """(the model up to one output without the softmax or sigmoid of its last layer, the activation's name or None)."""
    visitor = _LastActivation(model, output)
    walked = walk(model, visitor)
    return keras.Model(walked.inputs, walked.outputs[output]), visitor.before


class _LastActivation(Visitor):
    """Takes the last activation off, and calls all else as it is.

    Attributes:
        before: "softmax", "sigmoid" or None, what was taken off.
    """

    def __init__(self, model, output):
        self.before, self._last = None, last_layer(model, output)

    def pass_by(self, layer, *args, **kwargs):
        return (self._without_activation(layer) if layer is self._last else layer)(*args, **kwargs)

    def _without_activation(self, layer):
        inner = layer.layer if is_known(layer, keras.layers.TimeDistributed) else layer
        activation = getattr(inner, "activation", None)
        if is_known(layer, keras.layers.Softmax):
            activation = keras.activations.softmax
        if activation not in (keras.activations.softmax, keras.activations.sigmoid):
            return layer
        if is_known(layer, keras.layers.Activation, keras.layers.Softmax):
            self.before = activation.__name__
            return keras.layers.Identity(name=f"{layer.name}_before", dtype=layer.dtype_policy)
        if not is_known(inner, keras.layers.Dense):
            return layer
        self.before = activation.__name__
        return linear_twin(layer)


def any_batch(model):
    """Inputs as a model's, of any number of samples."""
    return [keras.Input(tuple(one.shape[1:]), dtype=one.dtype, name=one.name) for one in model.inputs]


def own_outputs(model):
    """The names of a model's outputs but for the gates that it names itself."""
    walked = walk(model, _Paths())
    gates = {f"{path}/{name}" for path in walked.notes for name in Gates._fields}
    return [name for name in walked.outputs if name not in gates | walked.labels]


class _Paths(Visitor):
    """Finds the LSTMs, and calls each as it is."""

    def follows(self, layer):
        return isinstance(layer, (keras.layers.LSTM, keras.layers.LSTMCell))

    def visit(self, call):
        outputs = call.replacement(lambda name: Renamed(call.layer, name=name))(
            call.sequences, initial_state=call.states, **call.given
        )
        return outputs, {"h": keras.tree.flatten(outputs)[0]}


def compares(layer, outputs):
    """Whether an operation of a graph gives true or false alone: Keras shows the making of a mask as such ones."""
    return not isinstance(layer, keras.layers.Layer) and getattr(outputs, "dtype", None) == "bool"


class _Points(_LastActivation):
    """Puts a `Point` behind every LSTM and every Embedding as well."""

    def __init__(self, model, output):
        super().__init__(model, output)
        self.behind, self.acted_on, self.masks, self.lstms = {}, set(), [], []
        self._embedded = []

    def follows(self, layer):
        return isinstance(layer, (keras.layers.LSTM, keras.layers.LSTMCell))

    def visit(self, call):
        layer = call.layer
        if layer.stateful:
            raise ValueError(
                f"expected LSTMs that begin each batch anew; received {call.path!r} with stateful=True: what it "
                "answers depends on what it was asked before"
            )
        renamed = call.replacement(lambda name: Renamed(layer, name=name))
        self.lstms.append(renamed)
        outputs = renamed(call.sequences, initial_state=call.states, **call.given)
        own = [getattr(one, "interventions", None) or {} for one in (layer, layer.cell)]
        if {"c", "h"} & {*(call.given.get("interventions") or {}), *own[0], *own[1]}:
            self.acted_on.add(id(layer))
        points = []
        self.behind.setdefault(id(call.layer), []).append(points)

        def behind(kind, tensor):
            point = Point(name=call.graph.names.new(f"{call.layer.name}_{kind}"), dtype=call.layer.compute_dtype)
            points.append((kind, point))
            return point(tensor)

        if isinstance(outputs, dict):
            kinds = {"output": "h", "h": "h", "state_h": "h", "state_c": "c", "c": "c"}
            moved = {key: behind(kinds[key], one) if key in kinds else one for key, one in outputs.items()}
        elif isinstance(outputs, (tuple, list)):
            moved = tuple(behind(kind, one) for kind, one in zip(("h", "h", "c"), outputs, strict=True))
        else:
            moved = behind("h", outputs)
        # A note, so that the walk gives the call its path.
        return moved, {"h": keras.tree.flatten(moved)[0]}

    def pass_by(self, layer, *args, **kwargs):
        outputs = super().pass_by(layer, *args, **kwargs)
        if compares(layer, outputs):
            self.masks.append(Known(name=f"{layer.name}_known"))
            return self.masks[-1](outputs)
        if is_known(layer, keras.layers.Embedding):
            point = Point(name=f"{layer.name}_point_{len(self._embedded)}", dtype=layer.compute_dtype)
            outputs = point(outputs)
            self._embedded.append((args[0] if args else kwargs["inputs"], point))
        return outputs

    def embedded(self, name, tensor):
        """The points behind the Embedding layers of the model itself that read an input."""
        return [point for source, point in self._embedded if source is tensor or source.name == name]


def linear_twin(layer):
    """A layer with the same weights and no activation; the layer itself where it has none."""
    if is_known(layer, keras.layers.TimeDistributed):
        return keras.layers.TimeDistributed(linear_twin(layer.layer))
    if getattr(layer, "activation", keras.activations.linear) is keras.activations.linear:
        return layer
    config = {**layer.get_config(), "activation": "linear", "name": f"{layer.name}_before"}
    twin = type(layer).from_config(config)
    twin.build_from_config(layer.get_build_config())
    twin.set_weights(layer.get_weights())
    return twin


def last_layer(model, output):
    """The layer that gives an output, where it is called once."""
    graph = graph_of(model)
    if graph is None:
        return None
    if isinstance(model, keras.Sequential):
        return model.layers[-1]
    names = dict(zip(outputs_by_name(model), model.output_names, strict=False))
    layers = [layer for layer in model.layers if layer.name == names.get(output)]
    return layers[0] if layers else None
