"""The configuration of a model of Keras 1 or 2, as Keras 3 would have written it."""

import inspect
import re

import keras

from keras_lstm_gates.opening.readers import devices, merging, old_names, op_layers, operations
from keras_lstm_gates.opening.readers.nodes import Nodes


class Translation:
    """One configuration under way.

    Args:
        version: str, of the Keras that wrote it, or "".
        known: {name: class or function} beside those of Keras.
        first_shape: function of the name of a model's first layer: the shape of its input as its weights show it, or
            None.

    Attributes:
        notes: what was translated, in words, each once.
        unknown: {name of a layer of the model itself: why it cannot be built}.
        unused: the names of the model's own layers that lead to no output, such as those of a loss.
    """

    def __init__(self, version="", known=(), first_shape=lambda name: None):
        self.version = version
        self.notes = {}
        self.unknown = {}
        self.unused = []
        self._known = dict(known)
        self._first_shape = first_shape
        self._problems = []

    def model(self, old, outermost=True):
        """The configuration of a model.

        Args:
            old: {"class_name": "Sequential", "config": ...}.
            outermost: bool. False: it is a layer of another one.

        Raises:
            ValueError: what has no counterpart in Keras 3, by name.
        """
        config = old["config"]
        if isinstance(config, list):
            # Keras up to 2.2.2 wrote the layers of a Sequential alone.
            config = {"name": "sequential", "layers": config}
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list) or not config["layers"]:
            raise ValueError(f"expected the configuration of a model with layers; received {_short(config)}")
        if "input_layers" in config:
            return self._functional(config, outermost)
        return self._sequential(config, outermost)

    def _sequential(self, config, outermost):
        if merging.begins_with_merge(config["layers"]):
            self._note("the Merge of its branches is a graph")
            branches = merging.Branches(config.get("name") or "sequential", config["layers"], self._input_of)
            return self._functional(branches.config, outermost)
        layers = [self._within(one, outermost) for one in config["layers"]]
        if layers[0]["class_name"] != "InputLayer":
            layers.insert(0, self._input_of(config["layers"][0], config))
        name = self._name(config.get("name") or "sequential")
        return _of_keras("keras", "Sequential", {"name": name, "layers": layers}, config)

    def _functional(self, config, outermost):
        whole = devices.without_devices(config)
        if whole is not None:
            self._note("the slices of multi_gpu_model left out")
            config = whole
        names = {one.get("name", one["config"].get("name")) for one in config["layers"]}
        nodes = Nodes(config, names)
        needed = nodes.needed(config)
        if outermost and needed < names:
            self.unused = [self._name(name) for name in names - needed]
            self._note("layers that lead to no output left out")
        layers = []
        for old in config["layers"]:
            name = old.get("name", old["config"].get("name"))
            if outermost and name not in needed:
                continue
            calls = nodes.keywords(old)
            layer = self._within({**old, "config": {**old["config"], "name": name}, "calls": calls}, outermost)
            layers.append({**layer, "name": self._name(name), "inbound_nodes": nodes.of_layer(old, layer, self._name)})
        ends = {key: nodes.ends(config[key], self._name) for key in ("input_layers", "output_layers")}
        return _of_keras("keras", "Model", {"name": self._name(config["name"]), "layers": layers, **ends}, config)

    def _within(self, old, outermost):
        """A layer of a model; a problem of a layer within one of the outermost model's layers is that one's."""
        layer = self.layer(old)
        if outermost and self._problems:
            self.unknown[self._name(old["config"].get("name", ""))] = self._problems[0]
            self._problems = []
        return layer

    def layer(self, old):
        """The configuration of a layer, a cell, or a model within a model; one that cannot be built as it is."""
        if not isinstance(old, dict) or not isinstance(old.get("class_name"), str) or "config" not in old:
            raise ValueError(f"expected the configuration of a layer; received {_short(old)}")
        kind = old["class_name"]
        custom = self._custom(old)
        if custom is not None:
            return self._of_user(old, custom)
        config = old["config"]
        if kind in old_names.MODELS or (isinstance(config, dict) and "input_layers" in config):
            return self.model(old, outermost=False)
        if not isinstance(config, dict):
            raise ValueError(f"expected the configuration of a {kind}; received {_short(config)}")
        if kind in ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"):
            return self._operation(old)
        if kind == "Lambda":
            return self._problem(old, "is a Lambda, Python code in the file, which is not run")
        if kind == "Merge":
            new, reason = merging.merged(old)
            return self._problem(old, reason) if new is None else self.layer(new)
        cls = getattr(keras.layers, old_names.CLASSES.get(kind, kind), None)
        if kind == "ThresholdedReLU":
            cls = keras.layers.ReLU
        if not inspect.isclass(cls) or not issubclass(cls, keras.layers.Layer):
            return self._problem(old, f"is a {kind.rpartition('>')[2]}, a class that is not in Keras")
        if kind.startswith("CuDNN"):
            self._note(f"{kind} is {cls.__name__}")
        return self._built_in(kind, cls, config)

    def _operation(self, old):
        config = old["config"]
        is_node = "node_def" in config
        function = config.get("function")
        reason = op_layers.refusal(config) if is_node else operations.refusal(function, old.get("calls", ()))
        if reason is not None:
            return self._problem(old, reason)
        function = op_layers.function_of(config) if is_node else function
        name = "TensorFlowOperation"
        config = {"function": function, "name": self._name(old["config"].get("name"))}
        return {"module": None, "class_name": name, "config": config, "registered_name": f"keras_lstm_gates>{name}"}

    def _built_in(self, kind, cls, config):
        name = config.get("name", kind)
        renamed = dict(old_names.ARGUMENTS.get(kind, old_names.ARGUMENTS.get(cls.__name__, {})))
        config = {
            key: value for key, value in config.items() if renamed.get(key, key) == key or renamed[key] not in config
        } | {renamed[key]: value for key, value in config.items() if key in renamed and renamed[key] not in config}
        config = {key: value for key, value in config.items() if key not in renamed}
        taken = accepted(cls)
        result = {}
        for key, value in config.items():
            if key in taken and key not in ("weights", "input_shape", "batch_size"):
                result[key] = self._argument(key, value)
            elif key in old_names.NEUTRAL and value not in old_names.NEUTRAL[key]:
                raise ValueError(f"the layer {name!r} has {key}={_short(value)}, which Keras 3 has not")
            elif key not in old_names.DROPPED and not key.endswith(_ENDINGS[1:]) and value not in (None, False):
                raise ValueError(f"the layer {name!r}, a {kind}, has {key}={_short(value)}, which Keras 3 has not")
            elif key == "time_major":
                self._note("time_major dropped")
        for key in taken:
            if key.endswith("_initializer") and key not in result:
                result[key] = taken[key]
        result.update(self._special(kind, cls, config, result))
        result = {key: value for key, value in result.items() if value is not _LEFT_OUT}
        return _of_keras("keras.layers", cls.__name__, result, {})

    def _special(self, kind, cls, config, result):
        """The arguments of some classes that Keras 3 has otherwise or does not write."""
        changed = {}
        if "name" in config:
            changed["name"] = self._name(config["name"])
        if "dtype" in config and "dtype" in accepted(cls):
            changed["dtype"] = _dtype(config["dtype"])
        if cls is keras.layers.InputLayer:
            changed.update(self._input(config))
        elif cls is keras.layers.Embedding and str(changed.get("dtype", "")).startswith(("int", "uint")):
            changed["dtype"] = _LEFT_OUT  # Up to Keras 2.2 it was that of the tokens.
        if cls in (keras.layers.GRU, keras.layers.GRUCell):
            changed["reset_after"] = config.get("reset_after", kind == "CuDNNGRU")
        if cls in _WITH_HARD_SIGMOID and "recurrent_activation" not in result and not kind.startswith("CuDNN"):
            changed["recurrent_activation"] = self._activation("hard_sigmoid")
        if cls in _WITH_HARD_SIGMOID and not isinstance(config.get("unit_forget_bias", True), bool):
            changed["unit_forget_bias"] = config["unit_forget_bias"] in ("one", "ones")
        if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
            changed["axis"] = config["axis"][0]
        if kind == "ThresholdedReLU":
            changed["negative_slope"] = 0.0
        return changed

    def _argument(self, key, value):
        if key == "layer" or key.endswith("_layer") or key == "cell":
            return None if value is None else self.layer(value)
        if key == "cells":
            return [self.layer(one) for one in value]
        if key == "activation" or key.endswith("_activation"):
            return self._activation(value)
        if key.endswith("_initializer"):
            return self._initializer(value)
        if key.endswith(("_regularizer", "_constraint")):
            return self._penalty(key.rpartition("_")[2], value)
        if isinstance(value, dict) and value.keys() == {"type", "value"}:
            # As Keras up to 2.3 wrote a number of NumPy's.
            return value["value"]
        return value

    def _activation(self, value):
        if isinstance(value, dict) and isinstance(value.get("config"), dict):
            return self.layer(value)
        name = value.get("config", value.get("name")) if isinstance(value, dict) else value
        if name is None or not isinstance(name, str):
            return (
                None
                if name is None
                else self._problem(value, "has an activation that is Python code, which is not run")
            )
        if name in self._known:
            return _function(name)
        if name == "hard_sigmoid":
            self._note("hard_sigmoid kept as Keras 2's")
        name = old_names.ACTIVATIONS.get(name, name)
        if isinstance(name, str) and not callable(getattr(keras.activations, name, None)):
            return self._problem(value, f"has the activation {name!r}, which is not in Keras")
        return name

    def _initializer(self, value):
        """It gives no number of a model whose weights are read: an unknown one is left out."""
        if isinstance(value, str):
            name = old_names.INITIALIZERS.get(value, value)
            return name if hasattr(keras.initializers, name) or _in_camel(name) else None
        if not isinstance(value, dict):
            return None
        name = str(value.get("class_name", value.get("name")))
        cls = getattr(keras.initializers, name, None)
        if not inspect.isclass(cls):
            return None
        taken = inspect.signature(cls.__init__).parameters
        config = {key: one for key, one in (value.get("config") or {}).items() if key in taken}
        if "distribution" in config:
            config["distribution"] = old_names.DISTRIBUTIONS.get(config["distribution"], config["distribution"])
        return _of_keras("keras.initializers", name, config, {})

    def _penalty(self, kind, value):
        """A regularizer or a constraint; it gives no number of a trained model: an unknown one is left out."""
        if value is None or isinstance(value, str):
            return None if value is None or not hasattr(keras, f"{kind}s") else value
        module = {"regularizer": keras.regularizers, "constraint": keras.constraints}[kind]
        name = str(value.get("class_name", value.get("name")))
        name = {"WeightRegularizer": "L1L2", "maxnorm": "MaxNorm", "unitnorm": "UnitNorm", "nonneg": "NonNeg"}.get(
            name, name
        )
        cls = getattr(module, name, None)
        if not inspect.isclass(cls):
            self._note(f"the {kind} {name} left out")
            return None
        config = value.get("config", {key: one for key, one in value.items() if key not in ("name", "class_name")})
        renamed = {"m": "max_value", "p": "rate"}
        config = {renamed.get(key, key): one for key, one in config.items()}
        taken = inspect.signature(cls.__init__).parameters
        config = {key: one for key, one in config.items() if key in taken}
        return _of_keras(f"keras.{kind}s", name, config, {})

    def _input(self, config):
        if config.get("ragged"):
            raise ValueError(f"the input {config.get('name')!r} is ragged, which Keras 3 has not")
        shape = config.get("batch_input_shape", config.get("batch_shape"))
        dtype = config.get("dtype") or config.get("input_dtype") or "float32"
        return {"batch_shape": _shape(shape), "dtype": _dtype(dtype), "sparse": bool(config.get("sparse", False))}

    def _input_of(self, first, model):
        """The InputLayer of a Sequential that has none."""
        name, shape = first["config"].get("name", "first") if isinstance(first["config"], dict) else "first", None
        inner, dtype = first, None
        while isinstance(inner, dict) and isinstance(inner.get("config"), (dict, list)) and shape is None:
            config = inner["config"]
            if isinstance(config, list):
                config = {"layers": config}
            shape = config.get("batch_input_shape", config.get("batch_shape"))
            dtype = config.get("input_dtype", dtype) or (
                config.get("dtype") if inner["class_name"] == "Embedding" else None
            )
            if shape is None and config.get("input_dim") and inner["class_name"] in (*old_names.RECURRENT, "Dense"):
                steps = [config.get("input_length")] if inner["class_name"] != "Dense" else []
                shape = [None, *steps, config["input_dim"]]
            deeper = config.get("layers", [config.get("layer")])
            inner = deeper[0] if inner["class_name"] != "TimeDistributed" else None
        shape = shape or model.get("build_input_shape") or self._first_shape(name)
        if shape is None:
            raise ValueError(f"the model {model.get('name')!r} does not tell the shape of its input")
        config = {
            "batch_shape": _shape(shape),
            "dtype": _dtype(dtype or "float32"),
            "name": self._name(f"{name}_input"),
        }
        return _of_keras("keras.layers", "InputLayer", config, {})

    def _custom(self, old):
        """The name under which a class that is not Keras's own is known, or None."""
        names = [old.get("registered_name"), old["class_name"], str(old["class_name"]).rpartition(">")[2]]
        return next((name for name in names if name in self._known), None)

    def _of_user(self, old, name):
        config = dict(old["config"]) if isinstance(old["config"], dict) else old["config"]
        if isinstance(config, dict):
            config = {key: self._deep(key, value) for key, value in config.items() if key != "batch_input_shape"}
            if "dtype" in config:
                config["dtype"] = _dtype(config["dtype"])
        return {"module": None, "class_name": old["class_name"], "config": config, "registered_name": name}

    def _deep(self, key, value):
        if isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value:
            return self._argument(key, value) if key.endswith(_ENDINGS) else self.layer(value)
        return value

    def _problem(self, old, reason):
        self._problems.append(reason)
        return dict(old) if isinstance(old, dict) else {"class_name": "Unknown", "config": {}}

    def _note(self, text):
        self.notes[text] = True

    def _name(self, name):
        """A name that Keras 3 takes."""
        if not isinstance(name, str):
            raise ValueError(f"expected the name of a layer; received {_short(name)}")
        if "/" in name:
            self._note("slashes in names are underscores")
        return name.replace("/", "_")


def accepted(cls):
    """{argument: default} of a class of layers and what it hands on to the class below.

    Example:
        >>> accepted(keras.layers.Dense)["kernel_initializer"]
        'glorot_uniform'
    """
    arguments = {}
    for one in cls.__mro__:
        if "__init__" not in vars(one) or not issubclass(one, keras.layers.Layer):
            continue
        parameters = inspect.signature(one.__init__).parameters.values()
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and parameter.name != "self":
                arguments.setdefault(parameter.name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return arguments


_LEFT_OUT = object()
_ENDINGS = ("activation", "_initializer", "_regularizer", "_constraint")
_WITH_HARD_SIGMOID = (
    keras.layers.LSTM,
    keras.layers.GRU,
    keras.layers.LSTMCell,
    keras.layers.GRUCell,
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
)


def _of_keras(module, class_name, config, old):
    if "trainable" in old and module == "keras" and class_name == "Model":
        config = {**config, "trainable": old["trainable"]}
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _function(name):
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


def _in_camel(name):
    return hasattr(keras.initializers, "".join(part.capitalize() for part in name.split("_")))


def _dtype(dtype):
    """The name of a dtype or of a policy."""
    if isinstance(dtype, dict):
        dtype = (dtype.get("config") or {}).get("name")
    return dtype if isinstance(dtype, str) and re.fullmatch(r"\w+", dtype) else _LEFT_OUT


def _shape(shape):
    if isinstance(shape, dict):
        # As `keras.saving` writes a tuple or a `TensorShape`.
        shape = shape.get("items", shape.get("config", shape.get("value")))
    sizes = list(shape) if isinstance(shape, (list, tuple)) else None
    if sizes is None or not all(size is None or (type(size) is int and size >= 0) for size in sizes):
        raise ValueError(f"expected the shape of an input, such as [None, 10, 3]; received {_short(shape)}")
    return sizes


def _short(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
