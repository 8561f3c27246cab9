"""Open a saved model, whichever Keras wrote it."""

from __future__ import annotations

import contextlib
import importlib
import re
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import keras

# So that Keras knows their classes.
import keras_lstm_gates.activations
import keras_lstm_gates.initializers
import keras_lstm_gates.layers.bidirectional
import keras_lstm_gates.losses
import keras_lstm_gates.opening.opened_layers  # noqa: F401
from keras_lstm_gates.opening.readers import building, newer, old_masks
from keras_lstm_gates.opening.readers.building import Plan
from keras_lstm_gates.opening.readers.contents import Content
from keras_lstm_gates.opening.readers.declared import TooManyError
from keras_lstm_gates.opening.readers.formats import format_of
from keras_lstm_gates.opening.readers.leaves import Order
from keras_lstm_gates.opening.readers.stored import Nested
from keras_lstm_gates.opening.readers.translating import Translation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keras_lstm_gates._support.annotations import StrPath


class FromFile(NamedTuple):
    """A model and what its file is.

    Attributes:
        model: `keras.Model`.
        words: str, "a Keras 2.2.4 model (HDF5); translated: hard_sigmoid kept as Keras 2's".
    """

    model: Any
    words: str


def load_model(
    path: StrPath, custom_objects: Mapping[str, Any] | None = None, weights: StrPath | None = None
) -> keras.Model:
    """A trained model from a file, with the numbers of the program that wrote it.

    It opens what Keras 1, 2 and 3 save, told from one another by their content: `.keras`, `.h5`, `.hdf5`, SavedModel
    folders, and an architecture in JSON or YAML with its weights. No code in a file is run. docs/opening.md has the
    table.

    Args:
        path: str or `Path`.
        custom_objects: {name: class or function} of your own, beside those that are registered with Keras.
        weights: str or `Path` of the weights of an architecture.

    Returns:
        `keras.Model` of Keras 3. Only a `.keras` file of Keras 3 comes compiled, and not where its loss or metrics are
        your own and not known here, of which a warning tells. Where a layer's class is not known and no LSTM needs it,
        it is the model up to its last LSTM, of which a warning tells.

    Raises:
        FileNotFoundError: "no such file: model.keras".
        ValueError: what the file is instead, or why it cannot be opened, in one line.

    Example:
        >>> from keras_lstm_gates.presets.registry import home
        >>> load_model(home("shakespeare_plays") / "model.keras").loss.name
        'summed_cross_entropy'
    """
    return read(path, custom_objects, weights).model


def read(path: StrPath, custom_objects: Mapping[str, Any] | None = None, weights: StrPath | None = None) -> FromFile:
    """`load_model` and, in words, what the file is: a `FromFile`."""
    with in_one_line(path), planned(path, custom_objects, weights) as (one, source, plan):
        custom_objects = _by_every_name(plan.config, custom_objects)
        if isinstance(plan.stored, Nested) and source.is_keras_3 and weights is None and not plan.unknown:
            building.bare(plan.config, plan.size, custom_objects)
            with (
                newer.with_configuration(path, plan.config) if plan.notes else contextlib.nullcontext(path) as readable
            ):
                model = _by_keras(readable, custom_objects)
        else:
            model = building.built(plan, custom_objects)
        return FromFile(model, described(one, source, plan.notes))


@contextlib.contextmanager
def planned(path, custom_objects=None, weights=None, whole=True):
    """(`Format`, `Source`, `Plan`) of a model's file, while it is open; with whole=False an architecture alone will do.

    Raises:
        ValueError: it is no model, in one line that says what it is.
    """
    content = Content(path)
    one = format_of(content)
    if one is None:
        raise ValueError(
            f"{path} is not a whole model file: expected what Keras saves (.keras, .h5, a SavedModel, .json with "
            f"weights); received {content.described()}"
        )
    if one.reads is None:
        raise ValueError(f"{path} is {one.words}: {one.advice}")
    with one.reads(content) as source, contextlib.ExitStack() as open_files:
        stored, size = source.stored, source.size
        if weights is not None:
            stored, size = open_files.enter_context(stored_weights(weights))
        if stored is None and whole:
            raise ValueError(f"{path} is {one.words}, without weights: load_model(path, weights=...), --weights FILE")
        yield one, source, _plan(source, stored, size, custom_objects)


@contextlib.contextmanager
def stored_weights(path):
    """(the arrays in a file of weights or of a whole model, their bytes), while it is open."""
    content = Content(path)
    one = format_of(content)
    if one is None or one.weights is None:
        what = content.described() if one is None else one.words
        raise ValueError(f"{path} has no weights: expected a file that Keras saved; received {what}")
    with one.weights(content) as arrays:
        yield arrays


def described(one, source, notes):
    """What a file is, in words."""
    version = re.match(r"[\w.-]{1,20}", source.version)
    words = (
        re.sub(r"Keras [23]?", f"Keras {version[0]} ", one.words, count=1)
        if version and "Keras" in one.words
        else one.words
    )
    words = words.replace("  ", " ")
    return f"{words}; translated: {', '.join(notes)}" if notes else words


def _plan(source, stored, size, custom_objects):
    order = Order(source.tree)
    if source.is_keras_3:
        written = _with_modules(source.tree)
        _import_own(written)
        config = newer.without_news(written)
        notes = [] if config == written else ["arguments of a newer Keras, which ask for nothing"]
        return Plan(config, building.unknown_layers(config, custom_objects), stored, size, notes, order)
    known = {**keras.saving.get_custom_objects(), **(custom_objects or {})}
    # A class registered as "package>Name" is in some files "Name".
    short = {name.rpartition(">")[2]: one for name, one in known.items()}
    known |= {name: one for name, one in short.items() if not hasattr(keras.layers, name)}
    translation = Translation(source.version, known, _first_shape(stored))
    config, masked = old_masks.with_masks_of_keras_2(translation.model(_with_lists(source.tree)))
    order.dropped = translation.unused
    notes = [*translation.notes, *["masks as in Keras 2"] * masked]
    return Plan(config, translation.unknown, stored, size, notes, order)


def _with_lists(tree):
    """A configuration in which a tuple or a shape, as later files of Keras 2 write it, is a list."""
    if isinstance(tree, list):
        return [_with_lists(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("class_name") in ("__tuple__", "TensorShape") and isinstance(tree.get("items"), list):
        return _with_lists(tree["items"])
    return {key: _with_lists(one) for key, one in tree.items()}


def _first_shape(stored):
    """The shape of a model's input, as the kernel of its first layer shows it."""

    def shape(layer):
        shapes = [shape for name, shape in getattr(stored, "shapes_of", lambda name: [])(layer) if "kernel" in name]
        recurrent = any("recurrent" in name for name, _ in getattr(stored, "shapes_of", lambda name: [])(layer))
        return [None, None, shapes[0][0]] if shapes and recurrent else None

    return shape


def _with_modules(config):
    """A configuration from HDF5, where Keras 3 leaves out where its own classes are."""
    if isinstance(config, list):
        return [_with_modules(one) for one in config]
    if not isinstance(config, dict):
        return config
    config = {key: _with_modules(value) for key, value in config.items()}
    kind = config.get("class_name")
    if "config" in config and isinstance(kind, str) and "module" not in config and not kind.startswith("__"):
        if kind in ("Sequential", "Functional", "Model"):
            return {
                **config,
                "class_name": kind.replace("Functional", "Model"),
                "module": "keras",
                "registered_name": None,
            }
        module = "keras.layers" if hasattr(keras.layers, kind) else None
        return {**config, "module": module, "registered_name": None if module else kind}
    return config


def _import_own(config):
    """Import the modules of the room above this one whose classes a configuration names."""
    for one in config if isinstance(config, list) else config.values() if isinstance(config, dict) else ():
        _import_own(one)
    module = config.get("module") if isinstance(config, dict) else None
    if isinstance(module, str) and re.fullmatch(r"keras_lstm_gates\.steering\.[a-z]+", module):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _by_every_name(config, custom_objects):
    """Custom objects by the names that a configuration has for them: "package>Name" for "Name"."""
    named, waiting = dict(custom_objects or {}), [config]
    while waiting:
        one = waiting.pop()
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if isinstance(one, dict):
            for name in (one.get("registered_name"), one.get("class_name"), one.get("config")):
                short = name.rpartition(">")[2] if isinstance(name, str) else None
                if short in named:
                    named[name] = named[short]
    return named


def _by_keras(path, custom_objects):
    try:
        return keras.models.load_model(path, custom_objects=custom_objects)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        try:
            model = keras.models.load_model(path, custom_objects=custom_objects, compile=False)
        except Exception:
            raise error from None
        warnings.warn(f"opened {path} without compiling it: {reason(error)}", stacklevel=2)
        return model


@contextlib.contextmanager
def in_one_line(path):
    """Whatever Keras, h5py or TensorFlow raise at a file from somebody else is one `ValueError` of one line."""
    try:
        yield
    except FileNotFoundError:
        raise
    except TooManyError as error:
        raise ValueError(f"cannot open {path}: {error}") from None
    except MemoryError:
        raise ValueError(f"cannot open {path}: it needs more memory than there is") from None
    except Exception as error:
        text = reason(error)
        raise ValueError(text if text.startswith(str(path)) else f"cannot open {path}: {text}") from error


def reason(error):
    """What an error of Keras says, in one line: no configurations, and no advice to run what a file holds."""
    text = str(error).rpartition("Exception encountered: ")[2]
    text = re.split(
        r"Full object config|\n\nconfig=| If you trust the source| you can override|Make sure custom", text
    )[0]
    text = " ".join(text.split()) or type(error).__name__
    if isinstance(error, (KeyError, IndexError, AttributeError, RecursionError)):
        text = f"its configuration is damaged ({type(error).__name__}: {text})"
    return text if len(text) <= 400 else f"{text[:400]} ..."
