"""The formats "tflite" and "tflite_fused": one file with every signature, a file each for smaller numbers."""

import functools
import re
import tempfile
from pathlib import Path

from keras_lstm_gates._support import child_process
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting import comparing
from keras_lstm_gates.exporting.describing import SUMMARIES
from keras_lstm_gates.exporting.exported_files import ExportedFile, named
from keras_lstm_gates.exporting.saved_model import archive, is_name
from keras_lstm_gates.exporting.tflite.compacting import compact
from keras_lstm_gates.exporting.tflite.documenting import documented
from keras_lstm_gates.exporting.tflite.fused import fused_predict, unclipped
from keras_lstm_gates.exporting.tflite.graphs import graph_bytes, read, written
from keras_lstm_gates.exporting.tflite.loops import Loops, by_rule, written_out
from keras_lstm_gates.exporting.tflite.operators import operators
from keras_lstm_gates.exporting.tflite.quantizing import quantize
from keras_lstm_gates.exporting.tflite.shortening import shortened

FILE = "model.tflite"
FUSED_FILE = "model_fused.tflite"


def write(signatures, folder, sizes, precisions, data):
    """Write `folder`/model.tflite, model_int8.tflite …: [`ExportedFile`]."""
    files = []
    made_by = {}
    for precision in precisions:
        end = "" if precision == "float32" else f"_{precision}"
        # Of a loop the quantizer knows nothing.
        form = written_out if precision == "int8" and sizes.time else by_rule
        if form not in made_by:
            made_by[form] = converted(signatures, sizes, folder, form)
        content, notes = made_by[form]
        made = quantize(content, precision, data)
        path = folder / f"{Path(FILE).stem}{end}.tflite"
        done = documented(made.content, signatures, SUMMARIES, data)
        files.append(_finished(f"tflite{end}", path, done, sizes, precision, made.precisions, notes))
    return files


def write_fused(signatures, folder, sizes, precisions, data):
    """Write `folder`/model_fused.tflite, in float32 whatever the precisions: [`ExportedFile`].

    Raises:
        ValueError: that of `keras_lstm_gates.exporting.tflite.fused.fused_predict`.
    """
    content, _ = converted({name: fused_predict(signature) for name, signature in signatures.items()}, sizes, folder)
    content = documented(unclipped(content), signatures, SUMMARIES, data)
    return [_finished("tflite_fused", folder / FUSED_FILE, content, sizes)]


def converted(signatures, sizes, folder, form=by_rule):
    """(bytes of a TFLite file as the converter writes it, `Loops.notes`), of builtin operators only.

    Args:
        signatures: {name: `keras_lstm_gates.exporting.signatures.Signature`}.
        sizes: `keras_lstm_gates.exporting.exported_files.Sizes` with a batch, without which the converter asks for
            operators that no device has.
        folder: `Path`, for temporary files.
        form: function of `keras_lstm_gates.exporting.tflite.loops`, which tells the steps of each loop's turns.

    Raises:
        ValueError: "the format 'tflite' cannot hold the layer 'words': ..." in the converter's words.
        keras_lstm_gates._support.child_process.CrashError: the converter crashed.
    """
    if any("self" in signature.inputs for signature in signatures.values()):
        # It takes the inputs as arguments of a method.
        raise ValueError("the format 'tflite' cannot hold the input 'self': the interpreter has no such name")
    with tempfile.TemporaryDirectory(prefix=".for_tflite.", dir=folder) as workplace:
        saved_model, file = Path(workplace) / "saved_model", Path(workplace) / FILE
        loops, able = Loops(form), {name: _with_names(signature) for name, signature in signatures.items()}
        archive(able, saved_model, sizes, loops.of)
        try:
            child_process.call(
                "keras_lstm_gates.exporting.tflite.converting:convert",
                saved_model=str(saved_model),
                file=str(file),
                signatures=list(signatures),
            )
        except child_process.CrashError as error:
            if "ended its process" in str(error):
                raise
            raise ValueError(_refusal(str(error), signatures)) from error
        return _renamed(file.read_bytes(), signatures), loops.notes


def _with_names(signature):
    """The `Signature` whose inputs have names that a SavedModel can hold."""
    names = {name: name if is_name(name) else f"input_{place}" for place, name in enumerate(signature.inputs)}
    inputs, numbers = (
        {names[name]: one for name, one in of_each.items()} for of_each in (signature.inputs, signature.numbers)
    )
    return signature._replace(inputs=inputs, numbers=numbers)


def _renamed(content, signatures):
    """The file whose inputs have the names of the signatures again."""
    if all(is_name(name) for signature in signatures.values() for name in signature.inputs):
        return content
    model = read(content)
    for one in model.signatureDefs:
        signature = signatures[one.signatureKey.decode()]
        names = dict(zip(_with_names(signature).inputs, signature.inputs, strict=True))
        for tensor in one.inputs:
            tensor.name = names[tensor.name.decode()].encode()
    return written(model)


def _refusal(reason, signatures):
    """What the converter says, with the first of the models' layers that it speaks of."""
    names = {layer.name for signature in signatures.values() for layer in signature.model.layers}
    # TensorFlow spells a layer's scope with a number behind its name.
    scopes = set(re.findall(r"[^/\"]+", reason))
    spoken = [name for name in sorted(names) if any(re.fullmatch(rf"{re.escape(name)}(_\d+)?", one) for one in scopes)]
    spoken.sort(key=reason.index)
    which = f"the layer {spoken[0]!r}" if spoken else "this model"
    return f"the format 'tflite' cannot hold {which}, or not without time=…: {' '.join(reason.split())}"


def usage(manifest, inputs):
    """Lines of the README."""
    given = named(inputs) if len(inputs) > 1 else inputs[0]
    lines = [
        "## On a device",
        "",
        "    pip install numpy ai-edge-litert        # and edge.py, which is in this folder; no other package",
        "",
        "    import edge",
        "    runner = edge.Runner('model.tflite')",
    ]
    known = manifest["signatures"]
    lines += [f"    runner.{name}({given})" for name in ("predict", "gates") if name in known]
    example = next((one[: -len("/scale")] for name in known for one in known[name]["inputs"] if "/scale" in one), None)
    pair = f"{{{example!r}: (0.0, 1.0)}}"
    lines += [f"    runner.steer({given}, {pair})    # scale and shift"] if "steer" in known else []
    lines += ["    stream = runner.stream()", "    stream.push(x)"] if "step" in known else []
    lines += [f"    stream.push(x, {pair})"] if {"step", "steer_step"} <= set(known) else []
    return [*lines, ""]


def _finished(name, path, content, sizes, precision="float32", precisions=None, notes=None):
    """Write a file, short and compact."""
    content = compact(shortened(content))
    path.write_bytes(content)
    call = Runner(path, trial=False).call
    return ExportedFile(
        name,
        path,
        sizes,
        functools.partial(comparing.run, call, batch=sizes.batch),
        call,
        precision,
        precisions or {},
        operators(content),
        {} if notes is None else {"loops": notes, "graph_bytes": graph_bytes(content)},
    )
