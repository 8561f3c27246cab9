"""`export`: every file is run and compared with the model before any of them takes its name."""

import json
from pathlib import Path
from typing import NamedTuple

from keras_lstm_gates._support.files import filled_when_whole
from keras_lstm_gates.exporting import comparing
from keras_lstm_gates.exporting.describing import manifest, readme
from keras_lstm_gates.exporting.formats import FORMATS
from keras_lstm_gates.exporting.micro import written as micro
from keras_lstm_gates.exporting.signatures import asked
from keras_lstm_gates.exporting.tflite.compacting import compact
from keras_lstm_gates.exporting.tflite.fused import fused_predict
from keras_lstm_gates.exporting.tflite.quantizing import PRECISIONS, quantize
from keras_lstm_gates.exporting.tflite.shortening import shortened


class Exported(NamedTuple):
    """What `export` wrote.

    Attributes:
        files: {format: path}; in another precision it is called "tflite_float16", "micro_int8" …
        differences: {the same: {signature: {output: largest difference from the model}}}.
        missing: {signature that the model cannot have: why, in one sentence}.
    """

    files: dict
    differences: dict
    missing: dict


def export(
    model,
    folder,
    data,
    formats=("saved_model", "tflite"),
    precisions=("float32",),
    signatures=None,
    batch=1,
    time=None,
    tolerances=None,
):
    """Export a model with named signatures, each file compared with the model before it is kept.

    - `predict` gives the model's own outputs by name for whole sequences, called `sequence`, or `tokens`.
    - `gates` gives these and every gate: i, f, g, o, c, h, (batch, time, units), named "<layer>/i" … where the model
      has more than one LSTM.
    - `step` takes one time step `x`, (batch, features) or tokens (batch,), and the states `state_h` and `state_c`,
      (batch, units), of several LSTMs "<layer>/state_h" …, zeros at first. It gives the outputs and gates of that step,
      without a time axis; h and c (or "<layer>/h" …) are the next states. A masked step leaves states and outputs as
      they were, and its i, g and o are 0, its f 1. A model that reads backwards, pools over time, or otherwise needs
      more than the step and the states, has no `step`.

    A SavedModel takes any batch and any number of time steps, and loads without this package. A TFLite file holds
    builtin operators only, of TensorFlow 2.9 or older, and no names but those that its signatures show.

    Args:
        model: `keras.Model` that `expose` opens, with one input: floats (batch, time, features), or tokens (batch,
            time), which is where the input is int or is read by an Embedding.
        folder: str or `Path`; gets `saved_model/`, `model.tflite`, `model_int8.tflite` …, `onnx/`, `micro/`,
            `manifest.json` and a README.md, all or none.
        data: float (samples, time, features), or int (samples, time), sequences to compare the files with the model
            on; "int8" takes its ranges from them.
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
        signatures: of "predict", "gates" and "step", or None for all that the model can have.
        batch: int > 0, of the TFLite file.
        time: int > 0, the TFLite file's number of time steps, or None for any.
        tolerances: {precision: what an output may be off} where it is not that of `TOLERANCES`, which says how it
            is measured.

    Returns:
        `Exported(files, differences, missing)`.

    Raises:
        ValueError: an unknown format, precision or signature, a signature or a layer that a format cannot have, a model
            of several inputs, or data that do not fit the model.
        ArithmeticError: "model.tflite differs from the model: gates/c by 0.02, allowed 0.0001". Nothing is kept then.
        ModuleNotFoundError: "micro" without tflite-micro, "onnx" without onnx and onnxruntime, another precision
            without ai-edge-quantizer.
        keras_lstm_gates._support.child_process.CrashError: the converter failed, or crashed.
        RuntimeError: the quantizer failed, or crashed.
    """
    folder = Path(folder)
    known = [*FORMATS, micro.FOLDER]
    for name in formats:
        if name not in known:
            raise ValueError(f"expected formats of {known}; received {name!r}")
    tolerances = {**comparing.TOLERANCES, **(tolerances or {})}
    for name in (*precisions, *tolerances):
        if name not in PRECISIONS:
            raise ValueError(f"expected precisions of {list(PRECISIONS)}; received {name!r}")
    wanted = asked(model, data, signatures)
    if micro.FOLDER in formats and "step" not in wanted.signatures:
        why = wanted.missing.get("step", "signatures leaves it out")
        raise ValueError(f"the format 'micro' is the signature 'step' alone: {why}")
    if "tflite_fused" in formats and "predict" not in wanted.signatures:
        raise ValueError("the format 'tflite_fused' is the signature 'predict' alone: signatures leaves it out")
    expected = comparing.expected(wanted)
    written = {}
    with filled_when_whole(folder) as temporary:
        for name in formats:
            if name == micro.FOLDER:
                written |= micro.written(wanted, temporary, expected, precisions, tolerances)
                continue
            held = dict(wanted.signatures)
            if name == "tflite_fused":
                held = {"predict": fused_predict(held["predict"])}
            format_ = FORMATS[name]
            path = temporary / format_.file_name
            shape = {"batch": batch, "time": time} if format_.fixed_batch else {"batch": None, "time": None}
            format_.write(held, path, **shape)
            made = {name: (path, "float32", {})}
            if name == "tflite":
                made = _in_precisions(path, precisions, wanted.data)
            for key, (file, precision, of_signatures) in made.items():
                if file.suffix == ".tflite":
                    file.write_bytes(compact(shortened(file.read_bytes())))
                call = format_.open(file)
                received, latency = _run(call, held, wanted.data, shape["batch"])
                own = {signature: expected[signature] for signature in held}
                off = comparing.differences(file.name, received, own, precision, tolerances[precision])
                found = {"differences": off, "latency_ms": latency}
                written[key] = {"path": file, **shape, "precision": precision, "precisions": of_signatures, **found}
        told = manifest(model, wanted, written)
        (temporary / "manifest.json").write_text(json.dumps(told, indent=1) + "\n")
        (temporary / "README.md").write_text(readme(told))
    return Exported(
        {name: folder / one["path"].name for name, one in written.items()},
        {name: one["differences"] for name, one in written.items()},
        wanted.missing,
    )


def _in_precisions(path, precisions, data):
    """Write a TFLite file's other precisions beside it: {format's name: (path, precision, {signature: precision})}."""
    content, made = path.read_bytes(), {}
    for precision in precisions:
        if precision == "float32":
            made["tflite"] = path, precision, {}
            continue
        quantized = quantize(content, precision, data)
        file = path.with_name(f"{path.stem}_{precision}{path.suffix}")
        file.write_bytes(quantized.content)
        made[f"tflite_{precision}"] = file, precision, quantized.precisions
    if "float32" not in precisions:
        path.unlink()
    return made


def _run(call, signatures, data, batch):
    """What a file answers, and the milliseconds of a call."""
    received, latency = {}, {}
    for name, signature in signatures.items():
        received[name] = comparing.run(call, name, signature, data, batch)
        latency[name] = comparing.latency_ms(call, name, signature, data, batch)
    return received, latency
