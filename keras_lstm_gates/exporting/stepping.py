"""One time step of a model with explicit states, from the graph of the whole sequence, and the proof that it is one."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.interventions import tells_steps_apart
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.layers.steered import numbers_of
from keras_lstm_gates.opening.graphs import Names
from keras_lstm_gates.opening.walker import Visitor, walk
from keras_lstm_gates.steering.holders import HeldInterventions


class NoStepError(Exception):
    """Why a model cannot be run one step at a time, in one sentence."""


class Step(NamedTuple):
    """One time step of a model.

    Attributes:
        model: `keras.Model` from a list of inputs to a dict of outputs: the model's own, of this step, and every gate,
            (batch, units).
        inputs: {name: `keras.KerasTensor`}, in the list's order: x, (batch, ...), and the states, (batch, units).
        states: {input: the output that is its next value}: state_h, state_c, of several LSTMs "<layer>/state_h" ….
        every_step: names of the outputs that the whole model gives for every step; of the others it gives the last.
    """

    model: Any
    inputs: dict
    states: dict
    every_step: frozenset


def step_of(opened, places, probe):
    """The model of one time step.

    A masked step leaves h, c and the model's outputs as they were. Its i, g and o are 0 and its f is 1: nothing enters,
    nothing is forgotten. Everywhere else a masked step shows the gates of the last real step again; here these would
    have to be states, four more arrays of every LSTM that each caller carries along for values that act on nothing.

    Args:
        opened: `keras_lstm_gates.opening.exposing.Opened`.
        places: {gate's name in the signature: (path, gate)}.
        probe: array, a few sequences: the step is run along them, and every layer compared with the model's.

    Returns:
        `Step`.

    Raises:
        NoStepError: "the layer 'mean_over_time', a GlobalAveragePooling1D, needs more than one step and the states".
    """
    (sequence,) = keras.tree.flatten(opened.inputs)
    for path in opened.backwards:
        raise NoStepError(f"the layer {path!r} reads time from its end, which a stream does not have yet")
    gates = {name: getattr(opened.gates[path], gate) for name, (path, gate) in places.items()}
    named = {**opened.outputs, **gates}
    graph = keras.Model(sequence, named)
    names = Names(graph)
    whole = Whole()
    of_all_steps = whole.run(graph, [sequence])

    # A time axis of one step, so that the layers before and after the LSTM are called as they are.
    one_step = keras.Input((1, *sequence.shape[2:]), dtype=sequence.dtype, name=names.new("one_step"))
    states = [
        tuple(keras.Input((lstm.units,), dtype="float32", name=names.new(f"state_{name}")) for name in "hc")
        for lstm in whole.lstms
    ]
    # States are outputs too: so they belong to the graph from the start, before the layers take them.
    flat = [state for pair in states for state in pair]
    unread = {f"state:{at}": UnreadState(name=names.new(f"unread_{at}"))(state) for at, state in enumerate(flat)}
    with_states = keras.Model([sequence, *flat], {**named, **unread})
    walk = _StepByStep(states, names, whole)
    now = walk.run(with_states, [one_step, *flat])
    over_time = _TimeAxes(graph, sequence, whole)
    _check(whole, walk, sequence, [one_step, *flat], probe, over_time)

    follows = []
    for result in walk.results:
        for name in "hc":
            output = next(key for key in gates if now[key] is result[name])
            path, slash, _ = output.rpartition("/")
            follows.append((f"{path}{slash}state_{name}", output))
    of_layers = keras.Model([one_step, *flat], {name: now[name] for name in named}, name="of_layers")
    every_step = frozenset(name for name in named if over_time(of_all_steps[name], now[name]))
    return _without_time(of_layers, dict(follows), every_step)


def _without_time(of_layers, follows, every_step):
    """The `Step` of a model from a step with its time axis, and states, to outputs with that axis."""
    one_step, *flat = of_layers.inputs
    x = keras.Input(one_step.shape[2:], dtype=one_step.dtype, name="x")
    # Names of a graph of its own: the layers are within `of_layers`.
    states = [keras.Input(state.shape[1:], name=f"state_{place}") for place, state in enumerate(flat)]
    outputs = of_layers([AddTimeAxis(name="add_time_axis")(x), *states])
    outputs = {
        name: DropTimeAxis(name=f"drop_time_axis_{place}")(value) if name in every_step else value
        for place, (name, value) in enumerate(outputs.items())
    }
    inputs = {"x": x, **dict(zip(follows, states, strict=True))}
    return Step(keras.Model([x, *states], outputs), inputs, follows, every_step)


class Whole(Visitor):
    """Calls the layers of a graph as they are, and notes what each returns: of models whose LSTMs are their own layers.

    Attributes:
        lstms: list of the `GatedLSTM`s, one a call.
        returned: list of (layer, whether it has a mask, what it returns), one a call.
    """

    def __init__(self):
        self.lstms, self.returned = [], []
        self._own = []

    def run(self, model, inputs):
        """{name: tensor}, the outputs of a model on other inputs."""
        self._own = model.layers
        return walk(model, self, inputs=inputs).outputs

    def follows(self, layer):
        return isinstance(layer, GatedLSTM)

    def visit(self, call):
        if not any(call.layer is one for one in self._own):
            raise self.refusal(call.layer, "is not a layer of the model itself")
        if call.states is not None:
            raise self.refusal(call.layer, "starts from states that the model computes")
        self.lstms.append(call.layer)
        tensors = self.of_lstm(call)
        self.returned.append((call.layer, call.given.get("mask") is not None, tensors))
        return tensors, {}

    def pass_by(self, layer, *args, **kwargs):
        if isinstance(layer, UnreadState):
            return layer(*args)
        tensors = self.of_other(layer, *args, **kwargs)
        self.returned.append((layer, kwargs.get("mask") is not None, tensors))
        return tensors

    def refuse(self, path, reason):
        raise NoStepError(f"the layer {path!r}: {reason}")

    def refusal(self, layer, why):
        """The error that says why a layer cannot be served."""
        return NoStepError(f"the layer {layer.name!r} {why}")

    def of_lstm(self, call):
        """What an LSTM returns."""
        return call.as_it_is()

    def of_other(self, layer, *args, **kwargs):
        """What any other layer or operation returns."""
        return layer(*args, **kwargs)


class _StepByStep(Whole):
    """Calls them on one step, an LSTM with states that are inputs."""

    def __init__(self, states, names, whole):
        super().__init__()
        self._states, self._names, self._whole = list(states), names, whole
        self.results = []

    def of_lstm(self, call):
        steps = call.sequences.shape[1]
        if steps != 1:
            raise self.refusal(call.layer, f"reads {steps} steps where the model reads one")
        features, whole = call.sequences.shape[2], call.layer.cell.kernel.shape[0]
        if features != whole:
            raise self.refusal(call.layer, f"reads {whole} features, of which one step has {features}")
        if tells_steps_apart(call.layer.interventions):
            raise self.refusal(call.layer, "is steered at some steps alone, and a stream counts none")
        step = LSTMStep(call.layer, name=self._names.new(f"{call.layer.name}_step"))
        h, c = self._states[len(self.results)]
        given = {name: one for name, one in call.given.items() if name in ("mask", "interventions")}
        self.results.append(step(call.sequences, h, c, **given))
        return self.results[-1]

    def of_other(self, layer, *args, **kwargs):
        if isinstance(layer, HeldInterventions) and layer.tells_steps_apart():
            raise NoStepError(_needs_more(layer))
        tensors = self._of_one_step(layer, *args, **kwargs)
        *_, of_all_steps = self._whole.returned[len(self.returned)]
        if len(keras.tree.flatten(tensors)) != len(keras.tree.flatten(of_all_steps)):
            raise NoStepError(_needs_more(layer))
        return tensors

    def _of_one_step(self, layer, *args, **kwargs):
        name = self._names.new(f"{layer.name}_step")
        if isinstance(layer, keras.layers.Masking):
            return MaskedStep(layer.mask_value, dtype=layer.dtype_policy, name=name)(*args)
        if type(layer).__name__ == "Any" and not isinstance(layer, keras.Layer):
            return AnyFeature(name=name)(*args)
        try:
            return layer(*args, **kwargs)
        except Exception as error:
            raise NoStepError(_needs_more(layer)) from error


def _check(whole, walk, sequence, inputs, probe, over_time):
    """Run both along the probe and raise where a layer gives something else step by step."""
    pairs = []
    for (layer, masked, all_steps), (_, _, one_step) in zip(whole.returned, walk.returned, strict=True):
        if isinstance(layer, GatedLSTM):
            # The gates of a masked step are told otherwise than by repeating the last.
            names = ("output", "c", "h") if masked else ("output", *Gates._fields)
            all_steps, one_step = ([results[name] for name in names] for results in (all_steps, one_step))
        for one, other in zip(keras.tree.flatten(all_steps), keras.tree.flatten(one_step), strict=True):
            if len(one.shape) != len(other.shape):
                raise NoStepError(_needs_more(layer))
            pairs.append((layer, one, other))
    states = [result[name] for result in walk.results for name in "hc"]
    _compare(pairs, states, sequence, inputs, probe, over_time)


def _compare(pairs, states, sequence, inputs, probe, over_time):
    """Raise for the first layer of (layer, tensor of all steps, tensor of one step) where the two disagree."""
    if not pairs:
        return
    every_step = keras.Model(sequence, [one for _, one, _ in pairs])(probe)
    step = keras.Model(inputs, [*(other for *_, other in pairs), *states])
    now = [np.zeros((len(probe), state.shape[-1]), "float32") for state in inputs[1:]]
    steps = []
    try:
        for at in range(probe.shape[1]):
            steps.append([np.asarray(one) for one in step([probe[:, at : at + 1], *now])])
            now = [state[:, 0] for state in steps[-1][len(pairs) :]]
    except Exception as error:
        # A layer that cannot be called: it, or one before it that is the reason.
        _compare(pairs[:-1], states, sequence, inputs, probe, over_time)
        raise NoStepError(_needs_more(pairs[-1][0])) from error
    for (layer, one, other), expected, *received in zip(pairs, every_step, *steps, strict=False):
        received = np.concatenate(received, axis=1) if over_time(one, other) else received[-1]
        expected = np.asarray(expected, "float64")
        allowed = 1e-4 * max(1.0, np.abs(expected, where=np.isfinite(expected), out=np.zeros_like(expected)).max())
        if received.shape != expected.shape or not np.allclose(received, expected, 0, allowed, equal_nan=True):
            raise NoStepError(_needs_more(layer))


class _TimeAxes:
    """Which tensors of a graph have the time axis: in one step those that are one step long, and more in the whole.

    Of a graph whose whole is one step, those that are of any length where the input is.

    Raises:
        NoStepError: "the layer 'flatten', a Flatten, reads one step and no other number".
    """

    def __init__(self, graph, sequence, whole):
        self._free = None
        if sequence.shape[1] != 1:
            return
        any_length = keras.Input((None, *sequence.shape[2:]), dtype=sequence.dtype, name=Names(graph).new("any_length"))
        free = _AnyLength()
        free.run(graph, [any_length])
        self._free = {}
        for (*_, one), (*_, other) in zip(whole.returned, free.returned, strict=True):
            for tensor, of_any in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True):
                # The tensor too: its id is its own only as long as it lives.
                self._free[id(tensor)] = tensor, len(of_any.shape) > 1 and of_any.shape[1] is None

    def __call__(self, whole, step):
        if len(whole.shape) < 2 or step.shape[1] != 1:
            return False
        return whole.shape[1] != 1 if self._free is None else self._free[id(whole)][1]


class _AnyLength(Whole):
    """Calls them on sequences of any length."""

    def of_lstm(self, call):
        if call.sequences.shape[1] is not None:
            raise self.refusal(call.layer, f"reads {call.sequences.shape[1]} step, however many the model reads")
        return super().of_lstm(call)

    def of_other(self, layer, *args, **kwargs):
        try:
            return layer(*args, **kwargs)
        except Exception as error:
            reason = f"the layer {layer.name!r}, a {type(layer).__name__}, reads one step and no other number"
            raise NoStepError(reason) from error


def _needs_more(layer):
    return f"the layer {layer.name!r}, a {type(layer).__name__}, needs more than one step and the states"


class AddTimeAxis(keras.layers.Layer):
    """A step (batch, ...) as a sequence of one, (batch, 1, ...), in the type it has."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        # A mask ends here, without a warning.
        self.supports_masking = True

    def call(self, x):
        return ops.expand_dims(x, 1)

    def compute_mask(self, x, mask=None):
        return None


class DropTimeAxis(AddTimeAxis):
    """A sequence of one step, (batch, 1, ...), as that step (batch, ...)."""

    def call(self, x):
        return ops.squeeze(x, 1)


class UnreadState(keras.layers.Identity):
    """Reads a state that no layer reads yet: Keras before 3.15 has no model with an input that nothing reads."""


class AnyFeature(keras.layers.Layer):
    """`ops.any` over the features of a step by operators that every runtime knows: not all have REDUCE_ANY."""

    def call(self, x):
        return ops.max(ops.cast(x, "float32"), axis=-1) > 0


class MaskedStep(keras.layers.Layer):
    """What `keras.layers.Masking` returns, likewise."""

    def __init__(self, mask_value, **kwargs):
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def call(self, x):
        if self.mask_value == 0:
            return x
        real = ops.max(ops.cast(ops.not_equal(x, self.mask_value), x.dtype), axis=-1, keepdims=True)
        return x * real


class LSTMStep(keras.layers.Layer):
    """One step of a `GatedLSTM`: x (batch, 1, features), h and c (batch, units) to what the layer returns for it."""

    def __init__(self, layer, **kwargs):
        super().__init__(dtype=layer.dtype_policy, autocast=False, **kwargs)
        self.lstm = layer
        self.built = True

    def call(self, x, h, c, mask=None, interventions=None):
        h, c = (ops.cast(state, self.compute_dtype) for state in (h, c))
        act = numbers_of(self.lstm.interventions, interventions, self.lstm.units, x)
        act = {name: [number[:, 0] for number in one] for name, one in act.items()}
        gates = self.lstm.cell.step(ops.cast(ops.squeeze(x, 1), self.compute_dtype), [h, c], interventions=act)
        if mask is not None:
            none = ops.zeros_like(h)
            kept = Gates(i=none, f=ops.ones_like(h), g=none, o=none, c=c, h=h)
            gates = Gates(*(ops.where(mask, new, old) for new, old in zip(gates, kept, strict=True)))
        named = {name: ops.expand_dims(values, 1) for name, values in gates._asdict().items()}
        output = named["h"] if self.lstm.return_sequences else gates.h
        return {**named, "output": output, "state_h": gates.h, "state_c": gates.c}

    def compute_mask(self, *_, **__):
        return None
