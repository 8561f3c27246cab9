"""The format "micro": the sources for a microcontroller, and TFLM's answers compared with the model."""

from pathlib import Path
from tempfile import TemporaryDirectory

from keras_lstm_gates.exporting import comparing
from keras_lstm_gates.exporting.formats import write_tflite
from keras_lstm_gates.exporting.micro import microcontroller
from keras_lstm_gates.exporting.tflite.compacting import compact
from keras_lstm_gates.exporting.tflite.graphs import without_negative_indices
from keras_lstm_gates.exporting.tflite.quantizing import quantize

FOLDER = "micro"
PRECISIONS = ("float32", "int8")
"""Those that TFLM runs."""


def written(wanted, folder, expected, precisions, tolerances):
    """Write `folder`/micro, micro_int8, run its step by TFLM along the first sequence, and compare.

    Args:
        wanted: `keras_lstm_gates.exporting.signatures.Asked` with a step.
        folder: `Path`.
        expected: from `keras_lstm_gates.exporting.comparing.expected`.
        precisions: of "float32" and "int8"; others are left out.
        tolerances: {precision: as those of `keras_lstm_gates.exporting.comparing.TOLERANCES`}.

    Returns:
        {"micro", "micro_int8": what `keras_lstm_gates.exporting.describing.manifest` is told of it}.

    Raises:
        ValueError: none of these precisions.
        ModuleNotFoundError, RuntimeError: of `microcontroller.try_out`, `quantizing.quantize`.
        ArithmeticError: of `keras_lstm_gates.exporting.comparing.differences`.
    """
    known = [precision for precision in PRECISIONS if precision in precisions]
    if not known:
        raise ValueError(f"expected precisions of {list(PRECISIONS)} for the format 'micro'; received {precisions}")
    with TemporaryDirectory(dir=folder) as name:
        file = Path(name) / "step.tflite"
        write_tflite({"step": wanted.signatures["step"]}, file, 1, None)
        content = without_negative_indices(file.read_bytes())
    made = {}
    for precision in known:
        path = folder / (FOLDER if precision == "float32" else f"{FOLDER}_{precision}")
        path.mkdir()
        finished = compact(quantize(content, precision, wanted.data).content)
        made[path.name] = {
            "precision": precision,
            **_tried(finished, wanted, path, expected, precision, tolerances[precision]),
        }
    return made


def _tried(content, wanted, path, expected, precision, tolerance):
    trial = microcontroller.write(content, path, wanted.data[0])
    every_step = wanted.signatures["step"].every_step
    received = {name: (values if name in every_step else values[-1])[None] for name, values in trial.outputs.items()}
    first = {
        name: (values[:1], counts if counts is True else counts[:1])
        for name, (values, counts) in expected["step"].items()
    }
    return {
        "path": path,
        "batch": 1,
        "time": 1,
        "differences": comparing.differences(path.name, {"step": received}, {"step": first}, precision, tolerance),
        "latency_ms": {},
        "arena_bytes": trial.arena,
    }
