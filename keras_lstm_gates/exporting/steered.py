"""The inputs of the signatures `steer` and `steer_step`: a scale and a shift of every gate, which the caller gives."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.steering.holders import in_place_of
from keras_lstm_gates.steering.models import Interventions, opened_steered

KINDS = ("scale", "shift")


class Number(NamedTuple):
    """The scale or the shift of a gate, an input "<path>/<gate>/scale", "<path>/<gate>/shift".

    Attributes:
        key: str, "<path>/<gate>".
        kind: "scale" or "shift".
        gate: str, the name of the gate among the outputs.
        variable: `keras.Variable` of the model (samples or 1, steps, units), whose place the input takes.
        spec: `keras.KerasTensor` of the input, (1 or batch, 1 or time, units), of one step (1 or batch, units).
    """

    key: str
    kind: str
    gate: str
    variable: Any
    spec: Any


def opened_for_steering(model, paths):
    """The graph of a model in which every gate of the LSTMs at these paths waits for its scale and shift.

    Raises:
        ValueError: what `steer` refuses; "expected gates that nothing acts on yet; received 'lstm/f'".
    """
    return opened_steered(model, {f"{path}/{gate}": [] for path in paths for gate in Gates._fields})


def numbers_of(model, places, inputs, one_step=False):
    """{input's name: `Number`} of a model of `opened_for_steering`.

    Args:
        model: `keras.Model`.
        places: {gate's name among the outputs: (path, gate)}.
        inputs: names that the model's own inputs have.
        one_step: bool, whether the model is that of one step.

    Raises:
        ValueError: "expected inputs whose names do not end as those of scales and shifts; received 'x/scale'".
    """
    held, numbers = Interventions(model), {}
    for gate, place in places.items():
        key = "/".join(place)
        for kind, variable in zip(KINDS, held.variables(key), strict=True):
            _, rows, units = variable.shape
            steps = () if one_step else (None if held.is_open(key) else rows,)
            spec = keras.KerasTensor((None, *steps, units), "float32")
            numbers[f"{key}/{kind}"] = Number(key, kind, gate, variable, spec)
    for name in inputs:
        if name.endswith(("/scale", "/shift")):
            raise ValueError(f"expected inputs whose names do not end as those of scales and shifts; received {name!r}")
    return numbers


def answers(signature, inputs):
    """{output: tensor} of a `keras_lstm_gates.exporting.signatures.Signature` for its {input: tensor}."""
    own = [tensor for name, tensor in inputs.items() if name not in signature.numbers]
    given = {
        id(number.variable): keras.ops.expand_dims(inputs[name], 1) if signature.states else inputs[name]
        for name, number in signature.numbers.items()
    }
    with in_place_of(given):
        return signature.model(own, training=False)


def shapes(signature, sizes):
    """{input: shape} of a signature in a file of these `keras_lstm_gates.exporting.exported_files.Sizes`.

    Scales and shifts may be one for all samples, and one for all steps, where the file takes any number of these.
    """
    own = {name: sizes.shape(one) for name, one in signature.inputs.items() if name not in signature.numbers}
    steps = {name: number.spec.shape[1:-1] for name, number in signature.numbers.items()}
    if sizes.time is not None and any(None in one for one in steps.values()):
        tensors = [keras.KerasTensor(own[name], one.dtype) for name, one in zip(own, signature.model.inputs)]
        gates = signature.model.compute_output_spec(tensors)
        steps = {name: gates[number.gate].shape[-2:-1] for name, number in signature.numbers.items()}
    return own | {
        name: (None, *(None for _ in steps[name]), number.spec.shape[-1])
        if sizes.batch is None
        else (1, *steps[name], number.spec.shape[-1])
        for name, number in signature.numbers.items()
    }


def trial_numbers(numbers, gates):
    """{input: array (1, time, units)} to compare a file with the model by: another number for every step and unit.

    Scales are below 1 and shifts small, so that no cell state grows without an end.

    Args:
        numbers: {input: `Number`}.
        gates: {gate's name: array (batch, ..., time, units)}.
    """
    rng, ranges = np.random.default_rng(0), {"scale": (0.5, 1.0), "shift": (-0.1, 0.1)}
    return {
        name: rng.uniform(*ranges[number.kind], (1, *gates[number.gate].shape[-2:])).astype("float32")
        for name, number in numbers.items()
    }


def pairs(numbers, arrays):
    """{"<path>/<gate>": (scale, shift)}, as `steer` takes them, of {input: array}."""
    by_key = {}
    for name, number in numbers.items():
        by_key.setdefault(number.key, {})[number.kind] = arrays[name]
    return {key: tuple(one[kind] for kind in KINDS) for key, one in by_key.items()}
