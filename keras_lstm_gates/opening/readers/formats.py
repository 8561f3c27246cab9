"""The formats that are told from one another, one a row: how to recognise it, and how to read it or what to say."""

import contextlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import h5py

from keras_lstm_gates._support import sizes
from keras_lstm_gates._support.hdf5 import check_self_contained
from keras_lstm_gates.opening.readers import checkpoints, stored
from keras_lstm_gates.opening.readers.contents import HDF5_START, ZIP_START, is_architecture, looks_like_yaml


class Format(NamedTuple):
    """A format.

    Attributes:
        words: str, with an article.
        recognises: function of a `Content`.
        reads: function of a `Content`: a context of `Source`; None where it is no model.
        weights: function of a `Content`: a context of (arrays, bytes); None where it has none.
        advice: str, what to do, where it is no model.
    """

    words: str
    recognises: Callable
    reads: Callable | None = None
    weights: Callable | None = None
    advice: str = ""


class Source(NamedTuple):
    """What a file holds of a model.

    Attributes:
        tree: its configuration, as it was written.
        version: str, of the Keras that wrote it, or "".
        stored: its arrays, or None.
        size: int, bytes of them.
    """

    tree: dict
    version: str
    stored: object
    size: int

    @property
    def is_keras_3(self):
        return self.version.startswith("3")


def format_of(content):
    """The `Format` of a content; None where it is of none."""
    return next((one for one in FORMATS if one.recognises(content)), None)


@contextlib.contextmanager
def _archive(content):
    with _member(content, "model.weights.h5") as file:
        tree = json.loads(_text(content, "config.json"))
        metadata = json.loads(_text(content, "metadata.json"))
        version = metadata.get("keras_version", "") if isinstance(metadata, dict) else ""
        yield Source(_checked(tree), str(version), stored.Nested(file), stored.bytes_in(file))


@contextlib.contextmanager
def _archive_weights(content):
    with _member(content, "model.weights.h5") as file:
        yield stored.Nested(file), stored.bytes_in(file)


@contextlib.contextmanager
def _whole(content):
    with _hdf5(content) as file:
        try:
            tree = json.loads(stored.attribute(file, "model_config"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"has a damaged configuration: {error}") from None
        group = file.get("model_weights")
        if not isinstance(group, h5py.Group):
            raise ValueError("expected the weights of its model; received none")
        arrays = stored.Listed(group)
        version = stored.attribute(file, "keras_version") or arrays.version
        yield Source(_checked(tree), version, arrays, stored.bytes_in(file))


@contextlib.contextmanager
def _whole_weights(content):
    with _hdf5(content) as file:
        group = file.get("model_weights")
        if not isinstance(group, h5py.Group):
            raise ValueError("expected the weights of its model; received none")
        yield stored.Listed(group), stored.bytes_in(file)


@contextlib.contextmanager
def _listed_weights(content):
    with _hdf5(content) as file:
        yield stored.Listed(file), stored.bytes_in(file)


@contextlib.contextmanager
def _nested_weights(content):
    with _hdf5(content) as file:
        yield stored.Nested(file), stored.bytes_in(file)


@contextlib.contextmanager
def _json(content):
    tree = content.tree
    yield Source(_checked(tree), str(tree.get("keras_version", "")), None, 0)


@contextlib.contextmanager
def _yaml(content):
    try:
        import yaml
    except ImportError:
        raise ValueError("is an architecture in YAML: pip install 'keras_lstm_gates[keras2]' reads it") from None
    loader = type("Loader", (yaml.SafeLoader,), {})
    # The one tag that Keras's `to_yaml` wrote; any other is refused.
    loader.add_constructor(
        "tag:yaml.org,2002:python/tuple", lambda one, node: list(one.construct_sequence(node, deep=True))
    )
    try:
        tree = yaml.load(content.text, loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"is damaged YAML: {' '.join(str(error).split())[:200]}") from None
    if not is_architecture(tree):
        raise ValueError("expected the architecture of a Keras model in YAML; received another tree")
    yield Source(_checked(tree), str(tree.get("keras_version", "")), None, 0)


@contextlib.contextmanager
def _saved_model(content):
    tree, version, positions = checkpoints.saved_model(content.path)
    arrays = checkpoints.Tracked(content.path / "variables" / "variables", positions)
    yield Source(_checked(tree), version or "2", arrays, arrays.size)


@contextlib.contextmanager
def _saved_model_weights(content):
    arrays = checkpoints.Tracked(content.path / "variables" / "variables")
    yield arrays, arrays.size


@contextlib.contextmanager
def _checkpoint(content):
    prefix = re.sub(r"\.(index|data-\d+-of-\d+)$", "", str(content.path))
    arrays = checkpoints.Tracked(prefix)
    yield arrays, arrays.size


@contextlib.contextmanager
def _hdf5(content):
    check_self_contained(content.path)
    with h5py.File(content.path, "r") as file:
        yield file


DAMAGE = (ValueError, RuntimeError, NotImplementedError, EOFError, LookupError, zipfile.BadZipFile, zlib.error)
"""What the library raises of an archive that is damaged."""


@contextlib.contextmanager
def _member(content, name):
    """An HDF5 file within a zip archive."""
    try:
        with zipfile.ZipFile(content.path) as archive:
            sizes.check(sum(member.file_size for member in archive.infolist()), content.size)
            data = io.BytesIO(archive.read(name))
    except DAMAGE as error:
        raise ValueError(f"{content.path} is not a whole .keras file: {error}") from None
    check_self_contained(content.path, data)
    with h5py.File(data, "r") as file:
        yield file


def _text(content, name):
    try:
        with zipfile.ZipFile(content.path) as archive:
            return archive.read(name).decode("utf-8")
    except DAMAGE as error:
        raise ValueError(f"{content.path} is not a whole .keras file: {error}") from None


def _checked(tree):
    if not is_architecture(tree):
        raise ValueError("expected the configuration of a Keras model; received another tree")
    return tree


def _ends(*endings):
    return lambda content: content.path.name.lower().endswith(endings)


def _is_keras_2(content):
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        return not str(json.loads(_text(content, "metadata.json")).get("keras_version", "")).startswith("3")
    return False


def _is_keras_3_hdf5(content):
    with contextlib.suppress(OSError, RuntimeError), h5py.File(content.path, "r") as file:
        return stored.attribute(file, "keras_version").startswith("3")
    return False


def _torch_in_zip(content):
    return any(name.endswith("data.pkl") for name in content.names)


def _begins(*starts):
    return lambda content: content.begins(*starts)


def _hdf5_with(attribute=None, groups=()):
    def recognises(content):
        if content.hdf5 is None:
            return False
        attributes, names = content.hdf5
        return (attribute is not None and {attribute, f"{attribute}0"} & attributes) or bool(names & set(groups))

    return recognises


def _is_tensorflow_js(content):
    return isinstance(content.tree, dict) and "modelTopology" in content.tree


def _safetensors(content):
    return content.head[8:9] == b"{" and int.from_bytes(content.head[:8], "little") < max(content.size, 1)


CUT_OFF = "it is cut off or damaged; fetch it again"
TORCH = "keras_lstm_gates.opening.from_torch makes Keras layers of its LSTMs"
WEIGHTS_ONLY = (
    "expected a whole model; build the model in Python and call keras_lstm_gates.load_weights(model, path), or give "
    "its architecture with it: load_model('model.json', weights=path), on the command line --weights"
)

FORMATS = (
    Format("an empty file", lambda content: not content.is_folder and not content.size, advice="fetch it again"),
    Format("not a whole HDF5 file", lambda c: c.begins(HDF5_START) and c.hdf5 is None, advice=CUT_OFF),
    Format("not a whole zip archive", lambda c: c.begins(ZIP_START) and not c.names, advice=CUT_OFF),
    Format(
        "a pointer of Git LFS, not the file itself",
        _begins(b"version https://git-lfs"),
        advice="run `git lfs pull` where it comes from, or download the file itself",
    ),
    Format(
        "a Keras 2 model (.keras)",
        lambda c: c.holds("config.json", "metadata.json") and not c.is_folder and _is_keras_2(c),
        _archive,
        _archive_weights,
    ),
    Format(
        "a Keras 3 model (.keras)",
        lambda c: c.holds("config.json", "metadata.json") and not c.is_folder,
        _archive,
        _archive_weights,
    ),
    Format(
        "a Keras 3 model (HDF5)",
        lambda c: _hdf5_with("model_config")(c) and _is_keras_3_hdf5(c),
        _whole,
        _whole_weights,
    ),
    Format("a Keras 2 model (HDF5)", _hdf5_with("model_config"), _whole, _whole_weights),
    Format("the weights of a Keras model (HDF5)", _hdf5_with("layer_names"), None, _listed_weights, WEIGHTS_ONLY),
    Format(
        "the weights of a Keras model (.weights.h5)",
        _hdf5_with(None, stored.CONTAINERS),
        None,
        _nested_weights,
        WEIGHTS_ONLY,
    ),
    Format("the architecture of a Keras model (JSON)", lambda c: is_architecture(c.tree), _json),
    Format("a TensorFlow.js model", _is_tensorflow_js, advice="tensorflowjs_converter turns it into a Keras file"),
    Format("the architecture of a Keras model (YAML)", lambda c: c.tree is None and looks_like_yaml(c.text), _yaml),
    Format(
        "a SavedModel of TensorFlow",
        lambda c: c.is_folder and c.holds("saved_model.pb"),
        _saved_model,
        _saved_model_weights,
    ),
    Format("a checkpoint of TensorFlow", _ends(".index", ".data-00000-of-00001"), None, _checkpoint, WEIGHTS_ONLY),
    Format(
        "a part of a SavedModel",
        lambda c: c.path.name in ("saved_model.pb", "keras_metadata.pb"),
        advice="give the folder that it lies in",
    ),
    Format(
        "a TFLite file",
        lambda c: c.head[4:8] == b"TFL3",
        advice="`keras-lstm-gates run` runs it; the gates need the Keras file that it was made of",
    ),
    Format("a PyTorch file", _torch_in_zip, advice=TORCH),
    Format("a safetensors file", _safetensors, advice=TORCH),
    Format(
        "a pickle",
        _begins(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        advice="opening it would run code from it, so it is not opened; save the model with model.save",
    ),
    Format(
        "a NumPy archive",
        lambda c: bool(c.names) and not c.is_folder and all(name.endswith(".npy") for name in c.names),
        advice="expected a model",
    ),
    Format("a NumPy array", _begins(b"\x93NUMPY"), advice="expected a model"),
    Format("an ONNX file", _ends(".onnx"), advice="the gates need the Keras file that it was made of"),
    Format(
        "a web page, not the file itself", _begins(b"<!DOCTYPE", b"<!doctype", b"<html"), advice="download the raw file"
    ),
    Format(
        "a compressed file", _begins(b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ"), advice="unpack it first"
    ),
    Format("an HDF5 file without a Keras model", lambda c: c.hdf5 is not None, advice="expected what model.save wrote"),
)
