"""The format "onnx": a folder with one file a signature, an LSTM as ONNX's own operator."""

import functools
import importlib.util
import inspect

import keras
import numpy as np

from keras_lstm_gates.exporting import comparing, steered
from keras_lstm_gates.exporting.exported_files import ExportedFile, named
from keras_lstm_gates.exporting.onnx.graph import Graph, Value
from keras_lstm_gates.exporting.onnx.layers import nodes
from keras_lstm_gates.exporting.onnx.operators import operators
from keras_lstm_gates.opening.graphs import accepts, graph_of, is_known
from keras_lstm_gates.opening.opened_layers import EachStep
from keras_lstm_gates.opening.readers.operations import TensorFlowOperation
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


_REFUSAL = "the format 'onnx' cannot hold the layer"


def _cannot(layer, why):
    return f"{_REFUSAL} {layer.name!r}: {why}"


_OF_A_LIST = (keras.layers.Attention, keras.layers.AdditiveAttention)


class _ToONNX(Visitor):
    """Calls the layers of a graph as they are, and appends the nodes of each."""

    def __init__(self):
        self.graph = Graph()
        # The tensor too: its id is its own only as long as it lives.
        self._values = {}
        # {id of a tensor: (it, its mask)} where Keras would have the mask only when the model runs.
        self._masks_in_use = {}

    def take(self, specs, tensors):
        """Let the graph's inputs, {name: `keras.KerasTensor`}, be the model's; one may say float of what are tokens."""
        self.graph.scope = "inputs"
        for (name, spec), tensor in zip(specs.items(), tensors, strict=True):
            same = spec.dtype == tensor.dtype
            self._note(tensor, name if same else self.graph.add("Cast", name, to=getattr(self.graph, tensor.dtype)))

    def pass_by(self, layer, *args, **kwargs):
        result = layer(*args, **kwargs)
        self.graph.scope = layer.name
        try:
            if graph_of(layer) is not None:
                given = [self.value(tensor) for tensor in keras.tree.flatten(args)]
                masks = kwargs.get("mask")
                if masks is None:
                    masks = [self._mask_of(one) for one in keras.tree.flatten(args)]
                named = self._of_model(layer, given, keras.tree.flatten(masks), result)
            elif is_known(layer, EachStep, keras.layers.TimeDistributed) and graph_of(layer.layer) is not None:
                named = self._of_each_step(layer, self.value(*keras.tree.flatten(args)), kwargs.get("mask"))
            elif isinstance(layer, TensorFlowOperation):
                named = self._of_tensorflow(layer, args, kwargs)
            else:
                kwargs = {**kwargs, **self._masks(layer, args, kwargs)}
                named = nodes(self.graph, layer, *self._without_tensors(args), **self._without_tensors(kwargs))
        except ValueError as error:
            text = str(error)
            raise ValueError(text if text.startswith(_REFUSAL) else _cannot(layer, text)) from None
        self._note(result, named)
        self._hand_on_masks(layer, args, result)
        return result

    def _hand_on_masks(self, layer, args, result):
        """Keep the mask of what a layer returned, where its input has one that no graph shows."""
        masks = keras.tree.map_structure(self._mask_of, args[0]) if args and _has_tensors(args[0]) else None
        hands_on = isinstance(layer, keras.Layer) and layer.supports_masking and graph_of(layer) is None
        if hands_on and any(mask is not None for mask in keras.tree.flatten(masks)):
            given = keras.tree.flatten(layer.compute_mask(args[0], masks))
            for tensor, mask in zip(keras.tree.flatten(result), given, strict=False):
                if mask is not None and getattr(tensor, "_keras_mask", None) is None:
                    self._masks_in_use[id(tensor)] = tensor, mask

    def _of_model(self, model, values, masks, result):
        """The values of a model within the model, called on some values with their masks, for the tensors it gave."""
        tensors = [keras.Input(batch_shape=one.shape, dtype=one.dtype) for one in model.inputs]
        self._note(tensors, values)
        states = []
        for tensor, mask in zip(tensors, masks, strict=False):
            if mask is not None:
                # Keras hands it on beside the tensors.
                states.append(keras.Input(batch_shape=mask.shape, dtype="bool"))
                tensor._keras_mask = states[-1]
                self._note(states[-1], self._computed(mask))
        inner = walk(model, self, inputs=tensors, states=states).outputs.values()
        for tensor, of_inner in zip(keras.tree.flatten(result), inner, strict=True):
            if self._mask_of(of_inner) is not None:
                self._masks_in_use[id(tensor)] = tensor, self._mask_of(of_inner)
        return [self.value(tensor) for tensor in inner]

    def _of_each_step(self, layer, x, mask):
        """The values of a model that is called on every step: all steps of all samples as one batch."""
        if mask is not None and len(mask.shape) > 2:
            raise ValueError("it has a mask for each step")
        add = self.graph.add
        sizes = add("Concat", np.array([-1]), add("Shape", x, start=2), axis=0)
        step = keras.Input(batch_shape=(None, *x.shape[2:]), dtype=x.dtype)
        self._note(step, add("Reshape", x, sizes))
        named, lead = [], add("Shape", x, end=2)
        for name, tensor in walk(layer.layer, self, inputs=[step]).outputs.items():
            value = self.value(tensor)
            if name not in getattr(layer, "merged", ()):
                value = add("Reshape", value, add("Concat", lead, add("Shape", value, start=1), axis=0))
            named.append(value)
        return named

    def _of_tensorflow(self, operation, args, kwargs):
        """The values of an operation of TensorFlow's, by the operations of Keras that it is made of."""
        add, inputs = self.graph.add, {}
        if operation.function == "compat.v1.shape":
            return [add("Cast", add("Shape", self.value(*keras.tree.flatten(args))), to=self.graph.int32)]
        sizes = kwargs.get("shape") if operation.function == "reshape" else None
        if isinstance(sizes, list) and any(isinstance(one, keras.KerasTensor) for one in sizes):
            sizes = [np.array([one]) if isinstance(one, int) else self._size(self.value(one)) for one in sizes]
            return [add("Reshape", self.value(*keras.tree.flatten(args)), add("Concat", *sizes, axis=0))]

        def within(one):
            if not isinstance(one, keras.KerasTensor):
                return one
            if id(one) not in inputs:
                inputs[id(one)] = keras.Input(batch_shape=one.shape, dtype=one.dtype)
                self._note(inputs[id(one)], self.value(one))
            return inputs[id(one)]

        args, kwargs = keras.tree.map_structure(within, (list(args), kwargs))
        try:
            outputs = keras.tree.flatten(operation.call(*args, **kwargs))
        except Exception:
            raise ValueError(
                f"no operations of Keras are {operation.function!r} of TensorFlow with these arguments"
            ) from None
        return [self._computed(one) for one in outputs]

    def _size(self, value):
        """A number as a part of a shape."""
        return self.graph.add("Reshape", self.graph.add("Cast", value, to=self.graph.int64), np.array([1]))

    def _masks(self, layer, args, kwargs):
        """The masks that Keras hands to a layer beside its tensors: {argument: tensor}."""
        if not isinstance(layer, keras.Layer) or all(
            self._mask_of(one) is None for one in keras.tree.flatten((args, kwargs))
        ):
            return {}
        given = inspect.signature(layer.call).bind(*args, **kwargs).arguments
        named = {name: one for name, one in given.items() if _has_tensors(one)}
        if isinstance(layer, _OF_A_LIST):
            masks = {"mask": [self._mask_of(one) for one in given["inputs"]]}
        elif len(named) == 1:
            masks = {"mask": self._mask_of(keras.tree.flatten(*named.values())[0])}
        else:
            masks = {
                f"{name}_mask": self._mask_of(one) for name, one in named.items() if not isinstance(one, (list, tuple))
            }
        return {name: mask for name, mask in masks.items() if accepts(layer, name) and kwargs.get(name) is None}

    def _mask_of(self, tensor):
        """The mask that Keras keeps beside a tensor, or None."""
        _, mask = self._masks_in_use.get(id(tensor), (None, None))
        return getattr(tensor, "_keras_mask", None) if mask is None else mask

    def _note(self, tensors, names):
        for tensor, name in zip(keras.tree.flatten(tensors), keras.tree.flatten(names), strict=True):
            self._values[id(tensor)] = tensor, name

    def value(self, tensor):
        name = self._values[id(tensor)][1]
        return Value(name if isinstance(name, str) else name.name, tuple(tensor.shape), tensor.dtype)

    def _computed(self, tensor):
        """The `Value` of a tensor, also of one that Keras computed beside the graph that is walked, as masks are."""
        if id(tensor) not in self._values:
            operation, place, _ = tensor._keras_history
            node = operation._inbound_nodes[place]
            args, kwargs = self._without_tensors((node.arguments.args, node.arguments.kwargs))
            self._note(node.outputs, nodes(self.graph, operation, *args, **kwargs))
        return self.value(tensor)

    def _without_tensors(self, given):
        return keras.tree.map_structure(
            lambda one: self._computed(one) if isinstance(one, keras.KerasTensor) else one, given
        )


def _has_tensors(given):
    return any(isinstance(one, keras.KerasTensor) for one in keras.tree.flatten(given))
