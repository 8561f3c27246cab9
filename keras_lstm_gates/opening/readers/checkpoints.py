"""Checkpoints and SavedModels of TensorFlow: their arrays and the model's configuration. Nothing in them is run."""

import json
import os
import struct
from pathlib import Path

from keras_lstm_gates._support import sizes
from keras_lstm_gates.opening.readers.leaves import Order

KERAS_MODELS = ("_tf_keras_network", "_tf_keras_sequential", "_tf_keras_model")


class Tracked:
    """The arrays of a checkpoint, found by the names of the objects that held them.

    Args:
        prefix: str, the path without ".index".
        positions: {layer of the model: name of the object at the root}, or None: by the order of layers with arrays.
    """

    version, backend = "", ""

    def __init__(self, prefix, positions=None):
        import tensorflow as tf
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            self.shapes = self._reader.get_variable_to_shape_map()
            self._check_size(prefix)
            graph = trackable_object_graph_pb2.TrackableObjectGraph()
            graph.ParseFromString(self._reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"is not a whole checkpoint of Keras: {_one_line(error)}") from None
        self._nodes = graph.nodes
        self._positions = positions
        self.order = Order()

    def listed(self):
        """[(name, shape)] of all arrays."""
        return [(name, tuple(shape)) for name, shape in sorted(self.shapes.items())]

    def arrays(self, leaves, names):
        positions = self._positions
        if positions is None:
            tops = [name for name, _ in self.order.beside(leaves, ())]
            positions = {name: f"layer_with_weights-{place}" for place, name in enumerate(tops)}
            more = f"layer_with_weights-{len(tops)}"
            if self._child(0, more) is not None:
                raise ValueError(f"expected {len(tops)} layers with arrays; received more: {more}")
        return [self._of_leaf(leaf, leaves, positions) for leaf in leaves]

    def _of_leaf(self, leaf, leaves, positions):
        node = 0
        for depth, step in enumerate(leaf.steps):
            if step.kind != "layer":
                node = self._next(node, step.name)
                node = self._next(node, str(step.number)) if step.kind == "item" else node
            elif depth == 0:
                node = self._next(node, positions[step.name])
            else:
                beside = list(self.order.beside(leaves, leaf.steps[:depth]))
                place = beside.index((step.name, step.number))
                node = self._next(node, f"layer_with_weights-{place}")
        return [(variable.name, self._array(self._next(node, variable.name))) for variable in leaf.variables]

    def _next(self, node, name):
        child = self._child(node, name)
        if child is None:
            raise ValueError(f"expected an object {name!r} with arrays; received none")
        return child

    def _child(self, node, name):
        if not 0 <= node < len(self._nodes):
            return None
        return next((one.node_id for one in self._nodes[node].children if one.local_name == name), None)

    def _array(self, node):
        for one in self._nodes[node].attributes:
            if one.name == "VARIABLE_VALUE" and one.checkpoint_key in self.shapes:
                return self._reader.get_tensor(one.checkpoint_key)
        raise ValueError("expected the values of a variable; received none")

    def _check_size(self, prefix):
        types = self._reader.get_variable_to_dtype_map()
        declared = 0
        for name, shape in self.shapes.items():
            size = max(types[name].size, 1)
            for one in shape:
                size *= one
            declared += size
        prefix = Path(prefix)
        stored = sum(os.path.getsize(path) for path in prefix.parent.glob(f"{prefix.name}.data-*"))
        sizes.check(declared, stored)
        self.size = declared


def saved_model(folder):
    """(the configuration of the Keras model in a SavedModel, its version, {layer: object's name}).

    Raises:
        ValueError: there is none.
    """
    folder = Path(folder)
    metadata = folder / "keras_metadata.pb"
    nodes = _keras_metadata(metadata.read_bytes()) if metadata.is_file() else _object_graph(folder / "saved_model.pb")
    root = next((text for path, kind, text in nodes if path == "root" and kind in KERAS_MODELS), None)
    if root is None:
        raise ValueError(
            "is a SavedModel without the configuration of a Keras model, as `model.export` writes it: the gates need "
            "the file that `model.save` wrote"
        )
    tree = _parsed(root)
    model = tree.get("model_config") or {"class_name": tree.get("class_name"), "config": tree.get("config")}
    if not isinstance(model.get("config"), (dict, list)) or not (
        isinstance(model["config"], list) or "layers" in model["config"]
    ):
        raise ValueError(
            "is a SavedModel of a subclassed model, which has no graph: build the model in Python and give it the "
            f"weights: load_weights(model, {str(folder / 'variables' / 'variables')!r})"
        )
    positions = {}
    for path, _, text in nodes:
        parts = path.split(".")
        if len(parts) == 2 and parts[0] == "root" and parts[1].startswith("layer"):
            name = _parsed(text).get("name")
            if name is not None and (name not in positions or parts[1].startswith("layer_with_weights")):
                positions[str(name).replace("/", "_")] = parts[1]
    version = str(tree.get("keras_version", ""))
    return model, version, positions


def _parsed(text):
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"has a damaged configuration: {_one_line(error)}") from None
    return tree if isinstance(tree, dict) else {}


def _keras_metadata(content):
    """[(path, kind, text)] of keras_metadata.pb, a message of objects: 3 is the path, 4 the kind, 5 the text."""
    nodes = []
    for number, value in _fields(content):
        if number == 1:
            fields = dict(_fields(value))
            nodes.append(tuple(fields.get(key, b"").decode("utf-8", "replace") for key in (3, 4, 5)))
    return nodes


def _object_graph(path):
    """The same from saved_model.pb, up to TensorFlow 2.4."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString(path.read_bytes())
    except (DecodeError, OSError) as error:
        raise ValueError(f"is not a whole SavedModel: {_one_line(error)}") from None
    nodes = proto.meta_graphs[0].object_graph_def.nodes if proto.meta_graphs else []
    found, waiting = [], [(0, "root")]
    while waiting:
        place, name = waiting.pop(0)
        if not 0 <= place < len(nodes):
            continue
        node = nodes[place]
        if node.WhichOneof("kind") == "user_object":
            found.append((name, node.user_object.identifier, node.user_object.metadata))
        if name.count(".") < 1:
            waiting += [(child.node_id, f"{name}.{child.local_name}") for child in node.children]
    return found


def _fields(content):
    """(number, bytes) of the fields of a protocol buffer's message that have a length; the others are passed by."""
    place = 0
    try:
        while place < len(content):
            key, place = _varint(content, place)
            if key & 7 == 2:
                size, place = _varint(content, place)
                if place + size > len(content):
                    raise IndexError
                yield key >> 3, content[place : place + size]
                place += size
            elif key & 7 == 0:
                _, place = _varint(content, place)
            elif key & 7 in (1, 5):
                place += struct.calcsize("<q" if key & 7 == 1 else "<i")
            else:
                raise IndexError
    except IndexError:
        raise ValueError("is not a whole SavedModel: keras_metadata.pb is damaged") from None


def _varint(content, place):
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return value, place
        shift += 7


def _one_line(error):
    return " ".join(str(error).split())[:300]
