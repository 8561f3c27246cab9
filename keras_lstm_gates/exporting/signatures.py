"""What an exported file can be asked: named signatures, as Keras models with named inputs and outputs."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lstm_gates.exposing import open_graph
from keras_lstm_gates.tracing import check_sequences


class Signature(NamedTuple):
    """A `keras.Model` to a dict of outputs, and its inputs: {name: `keras.KerasTensor`}, with None for a free axis."""

    model: Any
    inputs: dict


def signatures(model):
    """The signatures of a model by name: `predict` and `gates`.

    Raises:
        ValueError: what `expose` cannot open, or "expected a model with one input; received 2: ['a', 'b']".
    """
    if isinstance(model, keras.Model) and model.built and len(model.inputs) != 1:
        names = [tensor.name for tensor in model.inputs]
        raise ValueError(f"expected a model with one input; received {len(names)}: {names}")
    opened = open_graph(model)
    (sequence,) = keras.tree.flatten(opened.inputs)
    inputs = {input_name(model): sequence_spec(model)}
    return {
        "predict": Signature(keras.Model(sequence, opened.outputs), inputs),
        "gates": Signature(keras.Model(sequence, {**opened.outputs, **named_gates(opened)}), inputs),
    }


def named_gates(opened):
    """{name: tensor} of every gate: i, f, g, o, c, h, and "<layer>/i" … where there is more than one LSTM."""
    single = len(opened.gates) == 1
    return {
        name if single else f"{path}/{name}": tensor
        for path, gates in opened.gates.items()
        for name, tensor in gates._asdict().items()
    }


def takes_tokens(model):
    """Whether a model's input is token numbers, (batch, time), rather than floats."""
    (sequence,) = model.inputs
    if sequence.dtype.startswith(("int", "uint")):
        return True
    # A Keras model may declare float tokens, which its Embedding makes ints.
    return any(isinstance(layer, keras.layers.Embedding) and layer.input is sequence for layer in model.layers)


def input_name(model):
    """The name of the one input in `predict` and `gates`."""
    return "tokens" if takes_tokens(model) else "sequence"


def sequence_spec(model):
    """The one input of `predict` and `gates`, (batch, time) int32 or (batch, time, ...) float32."""
    (sequence,) = model.inputs
    return keras.KerasTensor(sequence.shape, "int32" if takes_tokens(model) else "float32")


def checked_data(model, data):
    """Data as the arrays that the signatures take.

    Raises:
        ValueError: another shape, a number that is not finite, or tokens that are not whole numbers.
    """
    (sequence,) = model.inputs
    data = np.asarray(data)
    check_sequences(data, sequence.shape)
    if not takes_tokens(model):
        return data.astype("float32")
    if data.dtype.kind not in "iu":
        raise ValueError(f"expected token numbers, an array of ints; received dtype {data.dtype}")
    return data.astype("int32")
