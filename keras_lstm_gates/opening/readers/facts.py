"""What a file tells of a model before it is built: its layers, inputs, activations, and the paths of its LSTMs."""

import json
from typing import NamedTuple

from keras_lstm_gates.opening.paths import Paths, below
from keras_lstm_gates.opening.readers.contents import Content
from keras_lstm_gates.opening.readers.cutting import holds_lstm
from keras_lstm_gates.opening.readers.formats import format_of
from keras_lstm_gates.opening.readers.leaves import layer_name
from keras_lstm_gates.opening.readers.models import described, in_one_line, planned

SHOWN = "units filters input_dim output_dim rate activation recurrent_activation mask_zero".split()
OPTIONS = "return_sequences return_state go_backwards stateful unroll".split()


class Facts(NamedTuple):
    """What a file tells.

    Attributes:
        words: str, what it is.
        inputs: {name: (shape, dtype)}.
        layers: [(path, class name, details)] of all layers.
        lstms: the paths by which the gates are named.
        backwards: those of them that read time from its end.
        unknown: {layer: why it cannot be built}.
        numbers: int, of all the arrays' values, in float32.
        vocabularies: {path of an Embedding: how many tokens it knows}.
        operations: the paths of what is an operation rather than a layer.
    """

    words: str
    inputs: dict
    layers: list
    lstms: list
    backwards: list
    unknown: dict
    numbers: int
    vocabularies: dict
    operations: list


def facts(path, custom_objects=None, weights=None):
    """The `Facts` of a model's file, read without building the model.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.

    Example:
        >>> from keras_lstm_gates.presets.registry import home
        >>> found = facts(home("japanese_vowels") / "model.keras")
        >>> found.inputs, found.lstms
        ({'sequence': ((None, None, 12), 'float32')}, ['bidirectional/forward', 'bidirectional/backward'])
    """
    with in_one_line(path), planned(path, custom_objects, weights, whole=False) as (one, source, plan):
        reading = _Reading()
        reading.model(plan.config, "")
        words = described(one, source, plan.notes)
        named = (reading.inputs, reading.layers, reading.lstms, reading.backwards)
        return Facts(words, *named, plan.unknown, plan.size // 4, reading.vocabularies, reading.operations)


def arrays(path):
    """(what a file of weights is, [(name, shape)] of its arrays); None where it is none, or a whole model."""
    content = Content(path)
    one = format_of(content)
    if one is None or one.reads is not None or one.weights is None:
        return None
    with in_one_line(path), one.weights(content) as (stored, _):
        return one.words, stored.listed()


class _Reading:
    def __init__(self):
        self.inputs, self.layers, self.lstms, self.backwards = {}, [], [], []
        self.vocabularies, self.operations = {}, []

    def model(self, config, path, calls=1):
        layers = config["config"]["layers"]
        paths = Paths(map(layer_name, layers))
        for layer in layers:
            name = layer_name(layer)
            if layer["class_name"] == "InputLayer":
                if not path:
                    self.inputs[name] = (
                        _shape(layer["config"].get("batch_shape")),
                        _name_of(layer["config"].get("dtype")),
                    )
                continue
            self.layers.append((path + name, layer["class_name"], details(layer["config"])))
            if layer["class_name"] == "Embedding":
                self.vocabularies[path + name] = layer["config"]["input_dim"]
            if str(layer.get("module")).startswith(("keras.src.ops", "keras.ops")):
                self.operations.append(path + name)
            for _ in range(max(1, len(layer.get("inbound_nodes") or ()))):
                self._within(layer, path + paths.next(name))

    def _within(self, layer, path):
        """Note the LSTMs of one call of a layer."""
        config = layer["config"]
        if not holds_lstm(layer) or not isinstance(config, dict):
            return
        if "layers" in config:
            inner = _Reading()
            inner.model(layer, f"{path}/")
            self.lstms += inner.lstms
            self.backwards += inner.backwards
            self.operations += inner.operations
            self.vocabularies |= inner.vocabularies
            self.layers += [one for one in inner.layers if one not in self.layers]
        elif layer["class_name"] == "Bidirectional":
            second = config.get("backward_layer")
            for one in (config["layer"], second or {**config["layer"], "config": _turned(config["layer"]["config"])}):
                self._within(one, below(path, "backward" if one["config"].get("go_backwards") else "forward"))
        elif "layer" in config:
            self._within(config["layer"], below(path, layer_name(config["layer"])))
        else:
            self._recurrent(config, path)

    def _recurrent(self, config, path):
        cell = config.get("cell") or {}
        cells = cell.get("config", {}).get("cells") if isinstance(cell, dict) else None
        own = [path] if cells is None else [below(path, number) for number, one in enumerate(cells) if holds_lstm(one)]
        self.lstms += own
        self.backwards += own if config.get("go_backwards") else []


def details(config):
    """The arguments of a layer that a reader looks for, in words."""
    if not isinstance(config, dict):
        return ""
    inner = config.get("layer")
    if isinstance(inner, dict):
        return f"{inner.get('class_name')}: {details(inner.get('config'))}".rstrip(": ")
    shown = [f"{name}={_name_of(config[name])}" for name in SHOWN if config.get(name) not in (None, False)]
    return ", ".join(shown + [name for name in OPTIONS if config.get(name) is True])


def _turned(config):
    return {**config, "go_backwards": not config.get("go_backwards")}


def _name_of(value):
    """A dtype, a number, or the name of an activation."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("name", value.get("class_name")) if isinstance(inner, dict) else inner
    return str(value).rpartition(">")[2]


def _shape(shape):
    try:
        return tuple(shape)
    except TypeError:
        return json.dumps(shape)
