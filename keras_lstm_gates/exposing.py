"""A model with LSTMs in it -> the same model with its gates as named outputs."""

from typing import Any, NamedTuple

import keras

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.lstm import GatedLSTM


class Opened(NamedTuple):
    """A model's graph walked once more, with the tensors met on the way."""

    inputs: Any
    outputs: dict[str, Any]
    gates: dict[str, Gates]
    masks: dict[str, Any]


def expose(model):
    """The same model, weights shared, whose output is a dict that also names every gate.

    Args:
        model: `keras.Model`, Functional or Sequential, with one or more `GatedLSTM(return_gates=True)` in it.

    Returns:
        A `keras.Model` on the same inputs. Its output is a dict: the model's own outputs under their names, and
        "<layer>/i", "<layer>/f", "<layer>/g", "<layer>/o", "<layer>/c", "<layer>/h", (batch, time, units), for every
        such layer.

    Raises:
        ValueError: "expected a model with one or more GatedLSTM layers, each made with return_gates=True; received
            ...".

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> model = expose(SequenceClassifier(features=12, classes=9, units=8))
        >>> sorted(model.output)
        ['lstm/c', 'lstm/f', 'lstm/g', 'lstm/h', 'lstm/i', 'lstm/o', 'probabilities']
    """
    opened = open_graph(model)
    named = {
        f"{layer}/{name}": tensor for layer, gates in opened.gates.items() for name, tensor in gates._asdict().items()
    }
    return keras.Model(opened.inputs, {**opened.outputs, **named}, name=model.name)


def open_graph(model):
    """Walk a model's graph again with the same layers and note the gates and the mask of every LSTM on the way.

    Returns:
        `Opened(inputs, outputs, gates, masks)`: symbolic tensors; the model's outputs by name, its layers' `Gates` by
        the layer's name, and the mask (batch, time) that each layer received, None where there was none.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "output_names") or not model.built:
        raise ValueError(f"expected a built Functional or Sequential keras.Model; received {model!r}")
    gates, masks = {}, {}

    def call_and_note(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if isinstance(layer, GatedLSTM):
            if not layer.return_gates:
                raise ValueError(
                    "expected a model with one or more GatedLSTM layers, each made with return_gates=True; "
                    f"received the layer {layer.name!r} made without it"
                )
            gates[layer.name] = Gates(*(outputs[name] for name in Gates._fields))
            masks[layer.name] = kwargs.get("mask")
        return outputs

    own = dict(zip(model.output_names, keras.tree.flatten(model.output), strict=True))
    walked = keras.models.clone_model(
        keras.Model(model.inputs, own), clone_function=lambda layer: layer, call_function=call_and_note
    )
    if not gates:
        raise ValueError(
            "expected a model with one or more GatedLSTM layers, each made with return_gates=True; "
            f"received {model.name!r} with none"
        )
    inputs = walked.inputs if len(walked.inputs) > 1 else walked.inputs[0]
    return Opened(inputs, walked.output, gates, masks)
