"""`export`: every file is run and compared with the model before any of them takes its name."""

import json
from pathlib import Path
from typing import NamedTuple

from keras_lstm_gates.exporting import comparing, micro
from keras_lstm_gates.exporting.describing import manifest, readme
from keras_lstm_gates.exporting.formats import FORMATS
from keras_lstm_gates.exporting.fused import fused_predict
from keras_lstm_gates.exporting.signatures import asked
from keras_lstm_gates.files import filled_when_whole


class Exported(NamedTuple):
    """What `export` wrote.

    Attributes:
        files: {format: path}.
        differences: {format: {signature: {output: largest difference from the model}}}.
        missing: {signature that the model cannot have: why, in one sentence}.
    """

    files: dict
    differences: dict
    missing: dict


def export(model, folder, data, formats=("saved_model", "tflite"), signatures=None, batch=1, time=None):
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
    builtin operators only.

    Args:
        model: `keras.Model` that `expose` opens, with one input: floats (batch, time, features), or tokens (batch,
            time), which is where the input is int or is read by an Embedding.
        folder: str or `Path`; gets `saved_model/`, `model.tflite`, `micro/`, `manifest.json` and a README.md, all
            or none.
        data: float (samples, time, features), or int (samples, time), sequences to compare the files with the model
            on.
        formats: of "saved_model", "tflite", "tflite_fused" and "micro". "tflite_fused" is `predict` alone, by TFLite's
            fused LSTM operator: for LSTMs without a mask; the interpreter runs it, LiteRT's CompiledModel and LiteRT.js
            do not; its state lives on between calls until `reset_all_variables()`. "micro" is the C++ sources of
            `step` for a microcontroller (`keras_lstm_gates.microcontroller`; needs `pip install
            'keras_lstm_gates[micro]'`).
        signatures: of "predict", "gates" and "step", or None for all that the model can have.
        batch: int > 0, of the TFLite file.
        time: int > 0, the TFLite file's number of time steps, or None for any.

    Returns:
        `Exported(files, differences, missing)`.

    Raises:
        ValueError: an unknown format or signature, a signature that the model cannot have, a model of several inputs,
            or data that do not fit the model.
        ArithmeticError: "model.tflite differs from the model: gates/c by 0.02, allowed 0.0001". Nothing is kept then.
        ModuleNotFoundError: "micro" without tflite-micro.
        keras_lstm_gates.apart.CrashError: the converter failed, or crashed.
    """
    folder = Path(folder)
    known = [*FORMATS, micro.FOLDER]
    for name in formats:
        if name not in known:
            raise ValueError(f"expected formats of {known}; received {name!r}")
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
                written[name] = micro.written(wanted, temporary, expected)
            else:
                held = wanted.signatures
                if name == "tflite_fused":
                    held = {"predict": fused_predict(held["predict"])}
                written[name] = _written(FORMATS[name], temporary, held, wanted.data, expected, batch, time)
        told = manifest(model, wanted, written)
        (temporary / "manifest.json").write_text(json.dumps(told, indent=1) + "\n")
        (temporary / "README.md").write_text(readme(told))
    return Exported(
        {name: folder / one["path"].name for name, one in written.items()},
        {name: one["differences"] for name, one in written.items()},
        wanted.missing,
    )


def _written(format_, folder, signatures, data, expected, batch, time):
    """Write one format below `folder`, run it, compare and time it: what `manifest` is told of it."""
    path = folder / format_.file_name
    batch, time = (batch, time) if format_.fixed_batch else (None, None)
    format_.write(signatures, path, batch, time)
    call = format_.open(path)
    received, latency = {}, {}
    for name, signature in signatures.items():
        received[name] = comparing.run(call, name, signature, data, batch)
        latency[name] = comparing.latency_ms(call, name, signature, data, batch)
    differences = comparing.differences(format_.file_name, received, {name: expected[name] for name in received})
    return {"path": path, "batch": batch, "time": time, "differences": differences, "latency_ms": latency}
