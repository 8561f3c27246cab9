"""One time step of a model with explicit states, from the graph of the whole sequence, and the proof that it is one."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers.lstm import GatedLSTM
from keras_lstm_gates.opening.opened_layers import EachStep


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


def step_of(opened, names, probe):
    """The model of one time step.

    A masked step leaves h, c and the model's outputs as they were; its i, g and o are 0 and its f is 1.

    Args:
        opened: `keras_lstm_gates.opening.exposing.Opened`.
        names: {gate's name in the signature: (path, gate)}.
        probe: array, a few sequences: the step is run along them, and every layer compared with the model's.

    Returns:
        `Step`.

    Raises:
        NoStepError: "the layer 'mean_over_time', a GlobalAveragePooling1D, needs more than one step and the states".
    """
    (sequence,) = keras.tree.flatten(opened.inputs)
    for path in opened.backwards:
        raise NoStepError(f"the layer {path!r} reads time from its end, which a stream does not have yet")
    gates = {name: getattr(opened.gates[path], gate) for name, (path, gate) in names.items()}
    named = {**opened.outputs, **gates}
    whole = Whole()
    whole.run(keras.Model(sequence, named), [sequence])

    # A time axis of one step, so that the layers before and after the LSTM are called as they are.
    one_step = keras.Input((1, *sequence.shape[2:]), dtype=sequence.dtype)
    states = [tuple(keras.Input((lstm.units,), dtype="float32") for _ in "hc") for lstm in whole.lstms]
    # States are outputs too: so they belong to the graph from the start, before the layers take them.
    flat = [state for pair in states for state in pair]
    unread = {f"state:{at}": UnreadState()(state) for at, state in enumerate(flat)}
    with_states = keras.Model([sequence, *flat], {**named, **unread})
    walk = _StepByStep(states)
    now = walk.run(with_states, [one_step, *flat])
    _check(whole, walk, sequence, [one_step, *flat], probe)

    follows = []
    for result in walk.results:
        for name in "hc":
            output = next(key for key in gates if now[key] is result[name])
            path, slash, _ = output.rpartition("/")
            follows.append((f"{path}{slash}state_{name}", output))
    x = keras.Input(sequence.shape[2:], dtype=sequence.dtype, name="x")
    inputs = {"x": x, **{name: keras.Input(state.shape[1:]) for (name, _), state in zip(follows, flat, strict=True)}}
    of_layers = keras.Model([one_step, *flat], {name: now[name] for name in named})
    outputs = of_layers([ops.expand_dims(x, 1), *list(inputs.values())[1:]])
    every_step = frozenset(name for name in named if _over_time(named[name], now[name]))
    outputs = {name: ops.squeeze(value, 1) if name in every_step else value for name, value in outputs.items()}
    return Step(keras.Model(list(inputs.values()), outputs), inputs, dict(follows), every_step)


class Whole:
    """Calls the layers of a graph as they are, and notes what each returns."""

    def __init__(self):
        self.lstms, self.returned = [], []

    def run(self, model, inputs):
        walked = keras.models.clone_model(
            model,
            input_tensors=keras.tree.pack_sequence_as(model.input, inputs),
            clone_function=lambda layer: layer,
            call_function=self.call,
        )
        return walked.output

    def call(self, layer, *args, **kwargs):
        if isinstance(layer, UnreadState):
            return layer(*args)
        within = layer.layer if isinstance(layer, EachStep) else layer
        if isinstance(within, keras.Model) and _has_lstm(within):
            raise NoStepError(f"the LSTM within {layer.name!r} is not a layer of the model itself")
        if isinstance(layer, GatedLSTM):
            if kwargs.get("initial_state") is not None:
                raise NoStepError(f"the layer {layer.name!r} starts from states that the model computes")
            self.lstms.append(layer)
        result = self.now(layer, *args, **kwargs)
        self.returned.append((layer, kwargs.get("mask") is not None, result))
        return result

    def now(self, layer, *args, **kwargs):
        return layer(*args, **kwargs)


class _StepByStep(Whole):
    """Calls them on one step, an LSTM with states that are inputs."""

    def __init__(self, states):
        super().__init__()
        self._states = list(states)
        self.results = []

    def now(self, layer, *args, **kwargs):
        if isinstance(layer, GatedLSTM):
            if args[0].shape[1] != 1:
                raise NoStepError(f"the layer {layer.name!r} reads {args[0].shape[1]} steps where the model reads one")
            step = LSTMStep(layer, name=f"{layer.name}_step_{len(self.results)}")
            h, c = self._states[len(self.results)]
            self.results.append(step(args[0], h, c, mask=kwargs.get("mask")))
            return self.results[-1]
        if isinstance(layer, keras.layers.Masking):
            return MaskedStep(layer.mask_value, dtype=layer.dtype_policy)(*args)
        if type(layer).__name__ == "Any" and not isinstance(layer, keras.Layer):
            return AnyFeature(name=f"{layer.name}_feature")(*args)
        try:
            return layer(*args, **kwargs)
        except Exception as error:
            raise NoStepError(_needs_more(layer)) from error


def _check(whole, walk, sequence, inputs, probe):
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
    _compare(pairs, states, sequence, inputs, probe)


def _compare(pairs, states, sequence, inputs, probe):
    """Raise for the first layer of (layer, tensor of all steps, tensor of one step) where the two disagree."""
    all_steps = keras.Model(sequence, [one for _, one, _ in pairs])(probe)
    step = keras.Model(inputs, [*(other for *_, other in pairs), *states])
    now = [np.zeros((len(probe), state.shape[-1]), "float32") for state in inputs[1:]]
    steps = []
    try:
        for at in range(probe.shape[1]):
            steps.append([np.asarray(one) for one in step([probe[:, at : at + 1], *now])])
            now = [state[:, 0] for state in steps[-1][len(pairs) :]]
    except Exception as error:
        # A layer that cannot be called: it, or one before it that is the reason.
        _compare(pairs[:-1], states, sequence, inputs, probe)
        raise NoStepError(_needs_more(pairs[-1][0])) from error
    for (layer, one, other), wanted, *received in zip(pairs, all_steps, *steps, strict=False):
        received = np.concatenate(received, axis=1) if _over_time(one, other) else received[-1]
        wanted = np.asarray(wanted, "float64")
        allowed = 1e-4 * max(1.0, np.abs(wanted).max())
        if received.shape != wanted.shape or not np.allclose(received, wanted, rtol=0, atol=allowed):
            raise NoStepError(_needs_more(layer))


def _over_time(whole, step):
    """Whether a tensor has the time axis: it is one step long where the model reads one step, else not."""
    return len(whole.shape) > 1 and step.shape[1] == 1 and whole.shape[1] != 1


def _needs_more(layer):
    return f"the layer {layer.name!r}, a {type(layer).__name__}, needs more than one step and the states"


def _has_lstm(model):
    return any(isinstance(one, GatedLSTM) or (isinstance(one, keras.Model) and _has_lstm(one)) for one in model.layers)


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

    def call(self, x, h, c, mask=None):
        h, c = (ops.cast(state, self.compute_dtype) for state in (h, c))
        gates = self.lstm.cell.step(ops.cast(ops.squeeze(x, 1), self.compute_dtype), [h, c])
        if mask is not None:
            none = ops.zeros_like(h)
            kept = Gates(i=none, f=ops.ones_like(h), g=none, o=none, c=c, h=h)
            gates = Gates(*(ops.where(mask, new, old) for new, old in zip(gates, kept, strict=True)))
        named = {name: ops.expand_dims(values, 1) for name, values in gates._asdict().items()}
        output = named["h"] if self.lstm.return_sequences else gates.h
        return {**named, "output": output, "state_h": gates.h, "state_c": gates.c}

    def compute_mask(self, x, h=None, c=None, mask=None):
        return None
