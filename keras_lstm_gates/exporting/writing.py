"""`export`: every file is run and compared with the model before any of them takes its name."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_lstm_gates._support import child_process
from keras_lstm_gates._support.files import filled_when_whole
from keras_lstm_gates._support.notebooks import table
from keras_lstm_gates.exporting import comparing, describing
from keras_lstm_gates.exporting.exported_files import Sizes, sizes
from keras_lstm_gates.exporting.formats import FORMATS
from keras_lstm_gates.exporting.signatures import request_for
from keras_lstm_gates.exporting.tflite.quantizing import PRECISIONS
from keras_lstm_gates.opening.cache import calls_forgotten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import keras

    from keras_lstm_gates._support.annotations import Arrays, StrPath


class Exported(NamedTuple):
    """What `export` wrote.

    Attributes:
        files: {format: path}; in another precision it is called "tflite_float16", "micro_int8" …
        differences: {the same: {signature: {output: largest difference from the model}}}.
        missing: {signature that the model cannot have: why, in one sentence}; "onnx/step" where a format alone cannot
            have it, "onnx" where a format can have none, and others were written.
    """

    files: dict
    differences: dict
    missing: dict

    def _repr_html_(self):
        rows = [
            (self.files[name], signature, f"{max(outputs.values()):.1e}")
            for name, signatures in self.differences.items()
            for signature, outputs in signatures.items()
        ]
        rows += [("", signature, reason) for signature, reason in self.missing.items()]
        return table("Exported", ("file", "signature", "largest difference from the model"), rows)


def export(
    model: keras.Model,
    folder: StrPath,
    data: Arrays,
    formats: Sequence[str] = ("saved_model", "tflite"),
    precisions: Sequence[str] = ("float32",),
    signatures: Sequence[str] | None = None,
    batch: int | None = None,
    time: int | None = None,
    tolerances: Mapping[str, float] | None = None,
    trained_on: Any = None,
) -> Exported:
    """Export a model with named signatures, each file compared with the model before it is kept.

    - `predict` gives the model's own outputs by name for whole sequences, called `sequence`, or `tokens`; several
      inputs have the names of the model's.
    - `gates` gives these and every gate: i, f, g, o, c, h, (batch, time, units), named "<layer>/i" … where the model
      has more than one LSTM.
    - `step` takes one time step `x`, (batch, features) or tokens (batch,), and the states `state_h` and `state_c`,
      (batch, units), of several LSTMs "<layer>/state_h" …, zeros at first. It gives the outputs and gates of that step,
      without a time axis; h and c (or "<layer>/h" …) are the next states. A masked step leaves states and outputs as
      they were, and its i, g and o are 0, its f 1. A model that reads backwards, pools over time, or otherwise needs
      more than the step and the states, or that has several inputs, has no `step`.
    - `steer`, on request, gives what `gates` does and takes "<path>/<gate>/scale" and "<path>/<gate>/shift" of every
      gate and state, with the paths of `expose`: value = scale * value + shift where the value arises, and all later
      steps feel it, as `keras_lstm_gates.steering.steer` has it. Scales of 1 and shifts of 0 do nothing. Both are
      (samples, time, units). In a file of any batch samples may be 1 for all alike, in others they are 1; in a file of
      any number of steps time may be 1 for all alike. Beside `step` it brings `steer_step`, which takes those of one
      step, (samples, units).

    Sizes that the model's Input fixes, batch and time, are fixed in every file. Where they are free, a SavedModel or
    ONNX file takes any batch and number of time steps, a TFLite file any number of time steps. A SavedModel loads
    without this package. A TFLite file holds builtin operators only, of TensorFlow 2.9 or older, and no names but those
    that its signatures show. Numbers are float32, also of a model of mixed precision. A stateful layer starts from
    zeros at each call of `predict` and `gates`; `step` carries its states on.

    Args:
        model: `keras.Model` that `expose` opens. Its inputs are floats (batch, time, features), tokens (batch, time),
            which is where an input is int or is read by an Embedding, or what else the model takes.
        folder: str or `Path`; gets `saved_model/`, `model.tflite`, `model_int8.tflite` …, `onnx/`, `micro/`,
            `manifest.json`, a README.md and, with TFLite, edge.py, in one step. A format that cannot hold the model is
            left out where others can, and told in `missing`; a file that differs from the model leaves nothing written.
        data: float (samples, time, features), or int (samples, time), sequences to compare the files with the model
            on, of several inputs a list, or a dict by name; "int8" takes its ranges from them.
        formats: of "saved_model", "tflite", "tflite_fused", "onnx" and "micro". "tflite_fused" is `predict` alone, by
            TFLite's fused LSTM operator: for LSTMs without a mask; the interpreter runs it, LiteRT's CompiledModel and
            LiteRT.js do not; its state lives on between calls until `reset_all_variables()`. "onnx" is one file a
            signature, of any batch and time, with ONNX's own LSTM operator, for models of the layers in
            `keras_lstm_gates.exporting.onnx.layers` (needs `pip install 'keras_lstm_gates[onnx]'`). "micro" is the C++
            sources of `step` for a microcontroller (`keras_lstm_gates.exporting.micro`; needs `pip install
            'keras_lstm_gates[micro]'`).
        precisions: of "float32", "float16", "dynamic_int8" and "int8", a file each of the format "tflite"; of "micro"
            what TFLM runs, float32 and int8; the other formats are in float32. What they mean:
            `keras_lstm_gates.exporting.tflite.quantizing.quantize` (needs `pip install 'keras_lstm_gates[quantize]'`).
        signatures: of "predict", "gates", "step", "steer" and "steer_step", or None for predict, gates, and step where
            the model and the format can have it.
        batch: int > 0, of the TFLite file, and in place of the model's own where it fixes one; or None for that, and
            for 1 where it fixes none.
        time: int > 0, the TFLite file's number of time steps; or None for the model's own, and for any where it fixes
            none.
        tolerances: {precision: what an output may be off} where it is not that of `TOLERANCES`, which says how it
            is measured.
        trained_on: `training.descriptions.Description` of the model, or None. The manifest then names the columns that
            a forecaster reads, and `edge.Runner.forecast` takes them by name.

    Returns:
        `Exported(files, differences, missing)`.

    Raises:
        ValueError: an unknown format, precision or signature, a signature, a layer or an input's name that a format
            cannot have, data or a time that do not fit the model.
        ArithmeticError: "model.tflite differs from the model: gates/c by 0.02, allowed 0.0001". Nothing is kept then.
        ModuleNotFoundError: "micro" without tflite-micro, "onnx" without onnx and onnxruntime, another precision
            without ai-edge-quantizer.
        keras_lstm_gates._support.child_process.CrashError: the converter crashed.
        RuntimeError: the quantizer failed, or crashed.
    """
    folder = Path(folder)
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f"expected formats of {[*FORMATS]}; received {name!r}")
    tolerances = {**comparing.TOLERANCES, **(tolerances or {})}
    for name in (*precisions, *tolerances):
        if name not in PRECISIONS:
            raise ValueError(f"expected precisions of {list(PRECISIONS)}; received {name!r}")
    shared = {name: _precisions(name, precisions) for name in formats}
    with calls_forgotten(model):
        return _written(model, folder, data, shared, signatures, (batch, time), tolerances, trained_on)


def _written(model, folder, data, formats, signatures, given_sizes, tolerances, trained_on):
    request = request_for(model, data, signatures)
    references = comparing.References(request)
    results, missing = {}, dict(request.missing)
    with filled_when_whole(folder) as temporary:
        for name, precisions in formats.items():
            before = {*temporary.iterdir()}
            try:
                plan = _plan(name, request, precisions, *given_sizes)
                own, files, refusals = _files(name, plan, request.data, temporary, every=signatures is not None)
            except _REFUSALS as error:
                refusal, missing[name] = error, " ".join(str(error).split())
                for path in {*temporary.iterdir()} - before:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                continue
            missing |= {f"{name}/{signature}": why for signature, why in refusals.items()}
            for file in files:
                differences = comparing.compare(file, own, references.of(plan.sizes), tolerances, request.reduced)
                results[file.name] = file, differences, _latencies(file, own, references.of(plan.sizes)[0])
        if not results:
            raise refusal
        manifest = describing.manifest(model.name, request, results, missing, trained_on)
        written = [name for name in FORMATS if name in formats and name not in missing]
        usages = [FORMATS[name].usage for name in written if FORMATS[name].usage]
        (temporary / "README.md").write_text(describing.readme(manifest, usages))
        runners = [FORMATS[name].runner for name in written if FORMATS[name].runner]
        for path in runners:
            shutil.copyfile(path, temporary / path.name)
        beside = ["README.md", *(path.name for path in runners)]
        manifest["sha256"] = {name: hashlib.sha256((temporary / name).read_bytes()).hexdigest() for name in beside}
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return Exported(
        {name: folder / file.path.name for name, (file, *_) in results.items()},
        {name: differences for name, (_, differences, _) in results.items()},
        missing,
    )


class _Plan(NamedTuple):
    """What a format is to hold."""

    signatures: dict
    precisions: list
    sizes: Sizes


def _precisions(name, precisions):
    """Those of a format.

    Raises:
        ValueError: the format has none of these.
    """
    known = FORMATS[name].precisions
    shared = [precision for precision in precisions if precision in known]
    if not shared and len(known) > 1:
        raise ValueError(f"expected precisions of {list(known)} for the format {name!r}; received {precisions}")
    return shared or ["float32"]


def _plan(name, request, precisions, batch, time):
    """The `_Plan` of a format.

    Raises:
        ValueError: the format has none of these signatures.
    """
    format_ = FORMATS[name]
    own = {one: signature for one, signature in request.signatures.items() if one in format_.signatures}
    if not own:
        (only,) = format_.signatures
        why = request.missing.get(only, "signatures leaves it out")
        raise ValueError(f"the format {name!r} is the signature {only!r} alone: {why}")
    return _Plan(own, precisions, sizes([*request.inputs.values()], batch, time, format_.free))


def _files(name, plan, data, folder, every):
    """Write the files of a format with all of the plan's signatures, or where not `every` one has to be, with some.

    Returns:
        ({name: `Signature`}, [`ExportedFile`], {name of a signature that the format cannot hold: why}).
    """

    def write(signatures, into):
        return FORMATS[name].write(signatures, into, plan.sizes, plan.precisions, data)

    try:
        return plan.signatures, write(plan.signatures, folder), {}
    except _REFUSALS as error:
        if every or len(plan.signatures) == 1:
            raise
        reason = error
    own, refusals = {}, {}
    for signature, one in plan.signatures.items():
        with tempfile.TemporaryDirectory(dir=folder) as trial:
            try:
                write({signature: one}, Path(trial))
                own[signature] = one
            except _REFUSALS as error:
                refusals[signature] = " ".join(str(error).split())
    if not own or not refusals:
        raise reason
    return own, write(own, folder), refusals


_REFUSALS = (ValueError, TypeError, NotImplementedError, child_process.CrashError)
"""What a format, or the converter of one, raises where it cannot hold a model."""


def _latencies(file, signatures, reference):
    """{signature: milliseconds of a call}, where calls are timed."""
    if file.call is None:
        return {}
    return {
        name: comparing.latency_ms(file.call, name, signature, reference.inputs_of(signature), file.sizes.batch)
        for name, signature in signatures.items()
    }
