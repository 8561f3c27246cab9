"""The format "onnx": a folder with one file a signature, an LSTM as ONNX's own operator."""

import importlib.util

import keras

from keras_lstm_gates.exporting.onnx.graph import Graph, Value
from keras_lstm_gates.exporting.onnx.layers import nodes
from keras_lstm_gates.exporting.stepping import Whole


def write_onnx(signatures, path, batch, time):
    """Without `batch` and `time`, of any.

    Raises:
        ModuleNotFoundError: without onnx.
        ValueError: "the format 'onnx' cannot hold the layer 'conv1d': it is a Conv1D; expected one of ...".
    """
    for name in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"expected {name} for ONNX files; pip install 'keras_lstm_gates[onnx]'")
    path.mkdir()
    for name, signature in signatures.items():
        (path / f"{name}.onnx").write_bytes(_content(signature, name))


def open_onnx(path):
    """A function of a signature's name and {input: array}, of any batch, to {output: array}."""
    import onnxruntime

    sessions = {
        file.stem: onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        for file in sorted(path.glob("*.onnx"))
    }

    def call(name, inputs):
        names = [one.name for one in sessions[name].get_outputs()]
        return dict(zip(names, sessions[name].run(names, inputs), strict=True))

    return call


def _content(signature, name):
    inputs = signature.model.inputs
    walk = _ToONNX(dict(zip(signature.inputs, inputs, strict=True)))
    outputs = walk.run(signature.model, inputs)
    specs = {key: (walk.value(tensor), tensor) for key, tensor in outputs.items()}
    return walk.graph.model(signature.inputs, specs, name)


def _cannot(layer, why):
    return f"the format 'onnx' cannot hold the layer {layer.name!r}: {why}"


class _ToONNX(Whole):
    """Calls the layers of a graph as they are, and appends the nodes of each."""

    def __init__(self, inputs):
        super().__init__()
        self.graph = Graph()
        # The tensor too: its id is its own only as long as it lives.
        self._values = {id(tensor): (tensor, name) for name, tensor in inputs.items()}

    def call(self, layer, *args, **kwargs):
        result = layer(*args, **kwargs)
        if isinstance(layer, keras.Model):
            if any(mask is not None for mask in keras.tree.flatten(kwargs.get("mask"))):
                # Keras hands it on beside the tensors, where no graph shows it.
                raise ValueError(_cannot(layer, "it is a model of its own, called with a mask"))
            self._note(layer.inputs, [self.value(tensor) for tensor in keras.tree.flatten(args)])
            inner = self.run(layer, layer.inputs)
            self._note(result, [self.value(tensor) for tensor in keras.tree.flatten(inner)])
            return result
        self.graph.scope = layer.name
        try:
            named = nodes(self.graph, layer, *self._without_tensors(args), **self._without_tensors(kwargs))
        except ValueError as error:
            raise ValueError(_cannot(layer, error)) from None
        self._note(result, named)
        return result

    def _note(self, tensors, names):
        for tensor, name in zip(keras.tree.flatten(tensors), keras.tree.flatten(names), strict=True):
            self._values[id(tensor)] = tensor, name

    def value(self, tensor):
        name = self._values[id(tensor)][1]
        return Value(name if isinstance(name, str) else name.name, tuple(tensor.shape), tensor.dtype)

    def _without_tensors(self, given):
        return keras.tree.map_structure(
            lambda one: self.value(one) if isinstance(one, keras.KerasTensor) else one, given
        )
