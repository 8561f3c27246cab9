"""What an exported file can be asked: named signatures, as Keras models with named inputs and outputs."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.exporting.stepping import NoStepError, step_of
from keras_lstm_gates.opening.exposing import open_graph
from keras_lstm_gates.tracing.traces import check_sequences

PROBE_STEPS = 12
NAMES = ("predict", "gates", "step")


class Signature(NamedTuple):
    """What can be asked of a file.

    Attributes:
        model: `keras.Model` from a list of inputs to a dict of outputs.
        inputs: {name: `keras.KerasTensor`} in the list's order, with None for a free axis.
        states: of `step`, {input: the output that is its next value}.
        every_step: of `step`, names of the outputs that `predict` and `gates` give for every step.
    """

    model: Any
    inputs: dict
    states: dict = {}
    every_step: frozenset = frozenset()


class Asked(NamedTuple):
    """What is asked of a model's files.

    Attributes:
        signatures: {name: `Signature`}.
        missing: {name of a signature that the model cannot have: why, in one sentence}.
        gates: `keras.Model`, of the signature `gates`.
        data: array, sequences as the signatures take them.
        masks: {gate's name: bool (samples, time), True = a real step} along the data.
    """

    signatures: dict
    missing: dict
    gates: Any
    data: Any
    masks: dict


def asked(model, data, names=None):
    """The signatures of a model, and data for them.

    Args:
        model: `keras.Model`.
        data: array, (samples, time, features) or tokens (samples, time).
        names: of "predict", "gates" and "step", or None for all that the model can have.

    Returns:
        `Asked`.

    Raises:
        ValueError: what `expose` cannot open, a name that is unknown or that the model cannot have, data of another
            shape or that are not numbers, or "expected a model with one input; received 2: ['a', 'b']".
    """
    for name in names or ():
        if name not in NAMES:
            raise ValueError(f"expected signatures of {list(NAMES)}; received {name!r}")
    opened = open_graph(model)
    if len(model.inputs) != 1:
        raise ValueError(
            f"expected a model with one input; received {len(model.inputs)}: {[tensor.name for tensor in model.inputs]}"
        )
    data = _checked(model, data)
    (sequence,) = keras.tree.flatten(opened.inputs)
    inputs = {
        "tokens" if _takes_tokens(model) else "sequence": keras.KerasTensor(
            sequence.shape, "int32" if _takes_tokens(model) else "float32"
        )
    }
    places = _gate_places(opened)
    gates = {name: getattr(opened.gates[path], gate) for name, (path, gate) in places.items()}
    found = {
        "predict": Signature(keras.Model([sequence], opened.outputs), inputs),
        "gates": Signature(keras.Model([sequence], {**opened.outputs, **gates}), inputs),
    }
    missing = {}
    if names is None or "step" in names:
        try:
            step = step_of(opened, places, _probe(model, data))
        except NoStepError as error:
            if names is not None:
                raise ValueError(f"this model cannot have the signature 'step': {error}") from None
            missing["step"] = str(error)
        else:
            (spec,) = inputs.values()
            x = keras.KerasTensor(step.inputs["x"].shape, spec.dtype)
            found["step"] = Signature(step.model, {**step.inputs, "x": x}, step.states, step.every_step)
    masks = keras.Model([sequence], opened.masks)([data])
    masks = {name: np.asarray(masks[path]) for name, (path, _) in places.items()}
    wanted = {name: one for name, one in found.items() if names is None or name in names}
    return Asked(wanted, missing, found["gates"].model, data, masks)


def _gate_places(opened):
    """{name: (path, gate)}: i, f, g, o, c, h, and "<path>/i" … where there is more than one LSTM."""
    single = len(opened.gates) == 1
    return {
        gate if single else f"{path}/{gate}": (path, gate)
        for path in opened.gates
        for gate in opened.gates[path]._fields
    }


def _probe(model, data):
    """A few sequences of the data, short where the model lets them be."""
    batch, time = model.inputs[0].shape[:2]
    sequences = np.resize(data, (batch or 2, *data.shape[1:]))
    few = sequences[:, :PROBE_STEPS]
    try:
        # A forecaster may read more steps at once than these.
        fits = time is None and len(model(few, training=False)) == len(few)
    except (ValueError, tf.errors.OpError):
        fits = False
    return few if fits else sequences


def _takes_tokens(model):
    """Whether a model's input is token numbers, (batch, time), rather than floats."""
    (sequence,) = model.inputs
    if sequence.dtype.startswith(("int", "uint")):
        return True
    # A Keras model may declare float tokens, which its Embedding makes ints.
    return any(isinstance(layer, keras.layers.Embedding) and layer.input is sequence for layer in model.layers)


def _checked(model, data):
    """Data as the arrays that the signatures take.

    Raises:
        ValueError: another shape, a number that is not finite, or tokens that are not whole numbers.
    """
    (sequence,) = model.inputs
    data = np.asarray(data)
    check_sequences(data, sequence.shape)
    if not _takes_tokens(model):
        return data.astype("float32")
    if data.dtype.kind not in "iu":
        raise ValueError(f"expected token numbers, an array of ints; received dtype {data.dtype}")
    return data.astype("int32")
