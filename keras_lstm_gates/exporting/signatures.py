"""What an exported file can be asked: named signatures, as Keras models with named inputs and outputs."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.exporting.rebuilding import in_float32, stateless
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


class Request(NamedTuple):
    """What is asked of a model's files.

    Attributes:
        signatures: {name: `Signature`}.
        missing: {name of a signature that the model cannot have: why, in one sentence}.
        sequence: `keras.KerasTensor`, the model's input.
        gates: `keras.Model` of what the signature `gates` answers, in the model's own precision.
        masks: `keras.Model` of {gate's name: bool (batch, time), True = a real step}.
        data: array, sequences as the signatures take them.
        reduced: bool, whether the model computes in fewer bits than its files.
    """

    signatures: dict
    missing: dict
    sequence: Any
    gates: Any
    masks: Any
    data: Any
    reduced: bool


def request_for(model, data, names=None):
    """The signatures of a model, and data for them.

    Args:
        model: `keras.Model`.
        data: array, (samples, time, features) or tokens (samples, time).
        names: of "predict", "gates" and "step", or None for all that the model can have.

    Returns:
        `Request`.

    Raises:
        ValueError: what `expose` cannot open, a name that is unknown or that the model cannot have, data of another
            shape or that are not numbers, or "expected a model with one input; received 2: ['a', 'b']".
    """
    for name in names or ():
        if name not in NAMES:
            raise ValueError(f"expected signatures of {list(NAMES)}; received {name!r}")
    own = open_graph(stateless(model))
    if len(model.inputs) != 1:
        raise ValueError(
            f"expected a model with one input; received {len(model.inputs)}: {[tensor.name for tensor in model.inputs]}"
        )
    data = _checked(model, data)
    rebuilt = in_float32(model)
    opened = own if rebuilt is None else open_graph(rebuilt)
    (sequence,) = keras.tree.flatten(opened.inputs)
    kind = "int32" if _takes_tokens(model) else "float32"
    inputs = {"tokens" if kind == "int32" else "sequence": keras.KerasTensor(sequence.shape, kind)}
    places = _gate_places(opened)
    every = {
        "predict": Signature(keras.Model([sequence], opened.outputs), inputs),
        "gates": Signature(_gates_model(opened, places), inputs),
    }
    missing = {}
    if names is None or "step" in names:
        try:
            step = step_of(opened, places, _probe(model, data))
        except (NoStepError, TypeError, ValueError) as error:
            if names is not None:
                raise ValueError(f"this model cannot have the signature 'step': {error}") from None
            missing["step"] = str(error)
        else:
            x = keras.KerasTensor(step.inputs["x"].shape, kind)
            every["step"] = Signature(step.model, {**step.inputs, "x": x}, step.states, step.every_step)
    (of_own,) = keras.tree.flatten(own.inputs)
    return Request(
        {name: one for name, one in every.items() if names is None or name in names},
        missing,
        *inputs.values(),
        _gates_model(own, places),
        keras.Model([of_own], {name: own.masks[path] for name, (path, _) in places.items()}),
        data,
        rebuilt is not None,
    )


def _gates_model(opened, places):
    gates = {name: getattr(opened.gates[path], gate) for name, (path, gate) in places.items()}
    return keras.Model([*keras.tree.flatten(opened.inputs)], {**opened.outputs, **gates})


def _gate_places(opened):
    """{name: (path, gate)}: i, f, g, o, c, h, and "<path>/i" … where there is more than one LSTM.

    With the path too, where an output of the model has one of these names.
    """
    places = {(path, gate): f"{path}/{gate}" for path in opened.gates for gate in opened.gates[path]._fields}
    short = {name: name.rpartition("/")[2] for name in places.values()}
    single = len(opened.gates) == 1 and not set(short.values()) & set(opened.outputs)
    return {short[name] if single else name: place for place, name in places.items()}


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


def _takes_tokens(model):
    """Whether a model's input is token numbers, (batch, time), rather than floats."""
    (sequence,) = model.inputs
    if sequence.dtype.startswith(("int", "uint")):
        return True
    # A Keras model may declare float tokens, which its Embedding makes ints.
    return any(isinstance(layer, keras.layers.Embedding) and layer.input is sequence for layer in model.layers)


def _checked(model, data):
    """Data as the arrays that the signatures take, of any number of samples.

    Raises:
        ValueError: another shape, a number that is not finite, or tokens that are not whole numbers.
    """
    (sequence,) = model.inputs
    data = np.asarray(data)
    check_sequences(data, (None, *sequence.shape[1:]))
    if 0 in data.shape:
        raise ValueError(f"expected one or more sequences; received shape {data.shape}")
    if not _takes_tokens(model):
        return data.astype("float32")
    if data.dtype.kind not in "iu":
        raise ValueError(f"expected token numbers, an array of ints; received dtype {data.dtype}")
    return data.astype("int32")
