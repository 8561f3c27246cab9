"""The format "onnx": a folder with one file a signature, an LSTM as ONNX's own operator."""

import functools
import importlib.util

import keras

from keras_lstm_gates.exporting import comparing, steered
from keras_lstm_gates.exporting.exported_files import ExportedFile, named
from keras_lstm_gates.exporting.onnx.graph import Graph, Value
from keras_lstm_gates.exporting.onnx.layers import nodes
from keras_lstm_gates.exporting.onnx.operators import operators
from keras_lstm_gates.opening.graphs import graph_of
from keras_lstm_gates.opening.walker import Visitor, walk

FOLDER = "onnx"


def write(signatures, folder, sizes, precisions, data):
    """Write `folder`/onnx with a file a signature, in float32 whatever the precisions: [`ExportedFile`].

    Raises:
        ModuleNotFoundError: without onnx.
        ValueError: "the format 'onnx' cannot hold the layer 'conv1d': it is a Conv1D; expected one of ...".
    """
    for name in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"expected {name} for ONNX files; pip install 'keras_lstm_gates[onnx]'")
    contents = {name: _content(signature, name, sizes) for name, signature in signatures.items()}
    path = folder / FOLDER
    path.mkdir()
    for name, content in contents.items():
        (path / f"{name}.onnx").write_bytes(content)
    call = open_onnx(path)
    return [
        ExportedFile(
            FOLDER,
            path,
            sizes,
            functools.partial(comparing.run, call, batch=sizes.batch),
            call,
            operators={name: operators(content) for name, content in contents.items()},
        )
    ]


def usage(manifest, inputs):
    """Lines of the README."""
    known = manifest["formats"]["onnx"]["signatures"]
    lines = [
        "## With ONNX Runtime",
        "",
        *(
            f"    onnxruntime.InferenceSession('onnx/{name}.onnx').run(None, {named(inputs)})"
            for name in known
            if name in ("predict", "gates")
        ),
    ]
    if "steer" not in known:
        return [*lines, ""]
    example = next(name for name in manifest["signatures"]["steer"]["inputs"] if name.endswith("/scale"))
    return [
        *lines,
        "    steer = onnxruntime.InferenceSession('onnx/steer.onnx')",
        "    numbers = {one.name: np.full((1, 1, one.shape[-1]), one.name.endswith('/scale'), 'float32')",
        "               for one in steer.get_inputs() if one.name.endswith(('/scale', '/shift'))}",
        f"    steer.run(None, {{**numbers, **{named(inputs)}, {example!r}: 0 * numbers[{example!r}]}})",
        "",
    ]


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


def _content(signature, name, sizes):
    inputs = signature.model.inputs
    visitor = _ToONNX()
    visitor.take({key: one for key, one in signature.inputs.items() if key not in signature.numbers}, inputs)
    visitor.graph.replacements = {
        id(number.variable): Value(key, number.spec.shape, "float32") for key, number in signature.numbers.items()
    }
    outputs = walk(signature.model, visitor, inputs=inputs).outputs
    specs = {key: (visitor.value(tensor), tensor) for key, tensor in outputs.items()}
    shapes = steered.shapes(signature, sizes)
    sized = {key: keras.KerasTensor(shapes[key], tensor.dtype) for key, tensor in signature.inputs.items()}
    return visitor.graph.model(sized, specs, name, sizes.batch)


def _cannot(layer, why):
    return f"the format 'onnx' cannot hold the layer {layer.name!r}: {why}"


_ATTENDING = (keras.layers.Attention, keras.layers.AdditiveAttention, keras.layers.MultiHeadAttention)


def _has_mask(tensor):
    return getattr(tensor, "_keras_mask", None) is not None


class _ToONNX(Visitor):
    """Calls the layers of a graph as they are, and appends the nodes of each."""

    def __init__(self):
        self.graph = Graph()
        # The tensor too: its id is its own only as long as it lives.
        self._values = {}

    def take(self, specs, tensors):
        """Let the graph's inputs, {name: `keras.KerasTensor`}, be the model's; one may say float of what are tokens."""
        self.graph.scope = "inputs"
        for (name, spec), tensor in zip(specs.items(), tensors, strict=True):
            same = spec.dtype == tensor.dtype
            self._note(tensor, name if same else self.graph.add("Cast", name, to=getattr(self.graph, tensor.dtype)))

    def pass_by(self, layer, *args, **kwargs):
        result = layer(*args, **kwargs)
        if graph_of(layer) is not None:
            if any(mask is not None for mask in keras.tree.flatten(kwargs.get("mask"))):
                # Keras hands it on beside the tensors, where no graph shows it.
                raise ValueError(_cannot(layer, "it is a model of its own, called with a mask"))
            self._note(layer.inputs, [self.value(tensor) for tensor in keras.tree.flatten(args)])
            inner = walk(layer, self, inputs=layer.inputs).outputs.values()
            self._note(result, [self.value(tensor) for tensor in inner])
            return result
        if isinstance(layer, _ATTENDING) and any(_has_mask(one) for one in keras.tree.flatten(args)):
            # Handed on beside the tensors too.
            raise ValueError(_cannot(layer, "it has a mask"))
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
