"""What an exported file can be asked: named signatures, as Keras models with named inputs and outputs."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.exporting.describing import meanings
from keras_lstm_gates.exporting.rebuilding import in_float32, stateless
from keras_lstm_gates.exporting.steered import numbers_of, opened_for_steering
from keras_lstm_gates.exporting.stepping import NoStepError, step_of
from keras_lstm_gates.opening.exposing import open_graph
from keras_lstm_gates.opening.inputs import by_name, check, inputs_of
from keras_lstm_gates.steering.models import opened_steered

PROBE_STEPS = 12
NAMES = ("predict", "gates", "step", "steer", "steer_step")


class Signature(NamedTuple):
    """What can be asked of a file.

    Attributes:
        model: `keras.Model` from a list of inputs to a dict of outputs.
        inputs: {name: `keras.KerasTensor`} in the list's order, with None for a free axis.
        states: of `step`, {input: the output that is its next value}.
        every_step: of `step`, names of the outputs that `predict` and `gates` give for every step.
        numbers: of `steer`, {input: `keras_lstm_gates.exporting.steered.Number`}, behind the model's own inputs.
        meanings: {"inputs" or "outputs": {name: what it is, in one phrase}}.
    """

    model: Any
    inputs: dict
    states: dict = {}
    every_step: frozenset = frozenset()
    numbers: dict = {}
    meanings: dict = {}


class Request(NamedTuple):
    """What is asked of a model's files.

    Attributes:
        signatures: {name: `Signature`}.
        missing: {name of a signature that the model cannot have: why, in one sentence}.
        inputs: {name: `keras.KerasTensor`}, the model's; a single one is called `sequence` or `tokens`.
        gates: `keras.Model` of what the signature `gates` answers, in the model's own precision.
        masks: `keras.Model` of {gate's name: bool (batch, time), True = a real step}.
        data: {input: array}, sequences as the signatures take them.
        reduced: bool, whether the model computes in fewer bits than its files.
        steered: function of {"<path>/<gate>": (scale, shift)} and their number of steps to what `gates` is, of the
            model that `steer` makes.
    """

    signatures: dict
    missing: dict
    inputs: dict
    gates: Any
    masks: Any
    data: Any
    reduced: bool
    steered: Any


def request_for(model, data, names=None):
    """The signatures of a model, and data for them.

    Args:
        model: `keras.Model`.
        data: array, (samples, time, features) or tokens (samples, time); of several inputs a list, or a dict by name.
        names: of `NAMES`, or None for predict, gates, and step where the model can have it.

    Returns:
        `Request`.

    Raises:
        ValueError: what `expose` cannot open, a name that is unknown or that the model cannot have, data of another
            shape or that are not numbers, or not one array for each input.
    """
    for name in names or ():
        if name not in NAMES:
            raise ValueError(f"expected signatures of {list(NAMES)}; received {name!r}")
    names = _with_companions(names)
    without_states = stateless(model)
    own = open_graph(without_states)
    inputs = _named_inputs(model)
    data = _checked(model, inputs, data)
    rebuilt = in_float32(model)
    opened = own if rebuilt is None else open_graph(rebuilt)
    places = _gate_places(opened, inputs)
    every = {
        "predict": Signature(_model(opened, {**opened.outputs, **opened.labelled}), inputs),
        "gates": Signature(_gates_model(opened, places), inputs),
    }
    missing = {}
    if names is None or "step" in names:
        try:
            every["step"] = _step(model, opened, places, data, inputs)
        except (NoStepError, TypeError, ValueError) as error:
            if names is not None:
                raise ValueError(f"this model cannot have the signature 'step': {error}") from None
            missing["step"] = str(error)
    if set(names or ()) & {"steer", "steer_step"}:
        every |= _steering(model, without_states if rebuilt is None else rebuilt, places, data, inputs, names)
    masks = {name: own.masks[path] for name, (path, _) in places.items()}
    return Request(
        {
            name: one._replace(meanings=meanings(one, inputs, places))
            for name, one in every.items()
            if names is None or name in names
        },
        missing,
        inputs,
        _gates_model(own, places),
        _model(own, masks),
        data,
        rebuilt is not None,
        lambda interventions, steps: _gates_model(opened_steered(without_states, interventions, steps), places),
    )


def _with_companions(names):
    """The names, with that of the stream that can be steered where both a stream and steering are requested."""
    return names if names is None or not {"step", "steer"} <= {*names} else [*names, "steer_step"]


def _step(model, opened, places, data, inputs):
    """The `Signature` step.

    Raises:
        NoStepError, TypeError, ValueError: what keeps the model from having it.
    """
    if len(data) > 1:
        raise NoStepError(f"the model has {len(data)} inputs, {[*data]}, and a stream is of one")
    (sequences,) = data.values()
    step = step_of(opened, places, _probe(model, sequences))
    (dtype,) = (tensor.dtype for tensor in inputs.values())
    x = keras.KerasTensor(step.inputs["x"].shape, dtype)
    return Signature(step.model, {**step.inputs, "x": x}, step.states, step.every_step)


def _steering(model, in_file, places, data, inputs, names):
    """{name: `Signature`} of those of `steer` and `steer_step` that are among the names."""
    made = {}
    for name in ("steer", "steer_step"):
        if name not in names:
            continue
        try:
            opened = opened_for_steering(in_file, dict.fromkeys(path for path, _ in places.values()))
            if name == "steer":
                plain = Signature(_gates_model(opened, places), inputs)
            else:
                plain = _step(model, opened, places, data, inputs)
            numbers = numbers_of(plain.model, places, plain.inputs, one_step=name == "steer_step")
        except (NoStepError, TypeError, ValueError) as error:
            raise ValueError(f"this model cannot have the signature {name!r}: {error}") from None
        specs = {key: number.spec for key, number in numbers.items()}
        made[name] = plain._replace(inputs={**plain.inputs, **specs}, numbers=numbers)
    return made


def _gates_model(opened, places):
    gates = {name: getattr(opened.gates[path], gate) for name, (path, gate) in places.items()}
    return _model(opened, {**opened.outputs, **opened.labelled, **gates})


def _model(opened, outputs):
    return keras.Model([*keras.tree.flatten(opened.inputs)], outputs)


def _gate_places(opened, inputs):
    """{name: (path, gate)}: i, f, g, o, c, h, and "<path>/i" … where there is more than one LSTM.

    With the path too, where an input or an output of the model has one of these names, and as "gates/<path>/i" … where
    it has even that.
    """
    places = {(path, gate): f"{path}/{gate}" for path in opened.gates for gate in opened.gates[path]._fields}
    short = {name: name.rpartition("/")[2] for name in places.values()}
    single = len(opened.gates) == 1 and not set(short.values()) & {*inputs, *opened.outputs}
    start = ""
    while {f"{start}{name}" for name in short} & {*inputs, *opened.outputs, *opened.labelled}:
        start += "gates/"
    return {short[name] if single else f"{start}{name}": place for place, name in places.items()}


def _probe(model, data):
    """A few sequences of the data, short where the model lets them be, and not as many as they have steps."""
    batch, time = model.inputs[0].shape[:2]
    steps = data.shape[1]
    few = data[:, :PROBE_STEPS]
    try:
        # A forecaster may read more steps at once than these.
        fits = time is None and len(model(few[:2], training=False)) > 0
    except (ValueError, tf.errors.OpError):
        fits = False
    sequences = few if fits else data
    return np.resize(sequences, (batch or (3 if steps == 2 else 2), *sequences.shape[1:]))


def _named_inputs(model):
    """{name: `keras.KerasTensor`} of the signatures, in the model's order, of the types that they take."""
    inputs = {name: keras.KerasTensor(one.shape, _dtype(one)) for name, one in inputs_of(model).items()}
    if len(inputs) > 1:
        return inputs
    (tensor,) = inputs.values()
    return {"tokens" if tensor.dtype == "int32" else "sequence": tensor}


def _dtype(one):
    """Of token numbers int32, also where a model declares them as floats, of a mask bool, else float32."""
    return "bool" if one.dtype == "bool" else "int32" if one.whole else "float32"


def _checked(model, inputs, data):
    """{input: array} of the types and shapes that the signatures take, of any number of samples.

    Raises:
        ValueError: not one array for each input, other shapes, a number that is not finite, or tokens that are not
            whole numbers or that the model does not know.
    """
    own = inputs_of(model)
    alone = len(own) == 1 and isinstance(data, dict) and list(data) == list(inputs)
    arrays = by_name(own, next(iter(data.values())) if alone else data)
    for array in arrays.values():
        if 0 in array.shape:
            raise ValueError(f"expected one or more sequences; received shape {array.shape}")
    check(own, arrays)
    arrays = dict(zip(inputs, arrays.values(), strict=True))
    for name, array in arrays.items():
        if inputs[name].dtype == "int32" and array.dtype.kind not in "iu":
            raise ValueError(f"expected token numbers, ints; received an array of dtype {array.dtype}")
    return {name: array.astype(inputs[name].dtype) for name, array in arrays.items()}
