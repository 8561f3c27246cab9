"""The format "saved_model": a folder that TensorFlow loads without this package."""

import contextlib
import functools
import keyword
import re

import keras
import tensorflow as tf

from keras_lstm_gates.exporting import comparing, steered
from keras_lstm_gates.exporting.exported_files import ExportedFile, named
from keras_lstm_gates.exporting.without_gates import without_gates
from keras_lstm_gates.recurrence import use_path

FOLDER = "saved_model"


def write(signatures, folder, sizes, precisions, data):
    """Write `folder`/saved_model, in float32 whatever the precisions: [`ExportedFile`].

    Raises:
        ValueError: "the format 'saved_model' cannot hold the input 'lstm@2/state_h': TensorFlow has no such names".
    """
    for signature in signatures.values():
        for name in signature.inputs:
            if not is_name(name):
                raise ValueError(
                    f"the format 'saved_model' cannot hold the input {name!r}: TensorFlow has no such names"
                )
    path = folder / FOLDER
    archive(signatures, path, sizes)
    call = open_saved_model(path)
    return [ExportedFile(FOLDER, path, sizes, functools.partial(comparing.run, call, batch=sizes.batch), call)]


def usage(manifest, inputs):
    """Lines of the README."""
    given = f"{inputs[0]}={inputs[0]}" if len(inputs) == 1 else f"**{named(inputs)}"
    lines = [
        "## On a server",
        "",
        "    signatures = tf.saved_model.load('saved_model').signatures      # needs TensorFlow only",
        *(f"    signatures['{name}']({given})" for name in manifest["signatures"] if name in ("predict", "gates")),
    ]
    if "steer" not in manifest["signatures"]:
        return [*lines, ""]
    example = next(name for name in manifest["signatures"]["steer"]["inputs"] if name.endswith("/shift"))
    own = ", ".join(f"{name!r}: {name}" for name in inputs)
    return [
        *lines,
        "    specs = signatures['steer'].structured_input_signature[1]",
        "    numbers = {one.name: tf.fill([size or 1 for size in one.shape], float(one.name.endswith('/scale')))",
        "               for one in specs.values() if one.name.endswith(('/scale', '/shift'))}",
        f"    signatures['steer'](**{{**numbers, {own}, {example!r}: 0.5 + numbers[{example!r}]}})",
        "",
    ]


def archive(signatures, path, sizes, traced_in=lambda name: contextlib.nullcontext()):
    """Write a SavedModel of {name: `Signature`}, with batch and time of these `Sizes`.

    `traced_in` is a function of a signature's name to the context in which its graph is made.
    """
    archive = keras.export.ExportArchive()
    # Ordinary operations: what other runtimes know.
    with use_path("portable"):
        for name, signature in signatures.items():
            signature = without_gates(signature) if name == "predict" else signature
            archive.track(signature.model)
            shapes = steered.shapes(signature, sizes)
            specs = [
                tf.TensorSpec(shapes[input_name], tensor.dtype, name=input_name)
                for input_name, tensor in signature.inputs.items()
            ]
            archive.add_endpoint(name, _endpoint(signature, traced_in, name), input_signature=specs)
        try:
            archive.write_out(path, verbose=False)
        except tf.errors.OpError as error:
            raise OSError(f"cannot write a SavedModel below {path.parent.parent}: {error.message}") from error


def is_name(name):
    """Whether TensorFlow can give an input of a signature this name."""
    return re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*", name) is not None and name not in _OF_PYTHON


# TensorFlow makes the inputs arguments of a function of Python, by name.
_OF_PYTHON = {"self", *keyword.kwlist}


def open_saved_model(path):
    """A function of a signature's name and {input: array} to {output: array}."""
    loaded = tf.saved_model.load(str(path)).signatures

    def call(name, inputs):
        outputs = loaded[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    return call


def _endpoint(signature, traced_in, name):
    def call(*inputs):
        with traced_in(name):
            answers = steered.answers(signature, dict(zip(signature.inputs, inputs, strict=True)))
        # Outputs that share a tensor (h and a model's own output) would lose a name: give each its own.
        return {name: tf.identity(value) for name, value in answers.items()}

    return call
