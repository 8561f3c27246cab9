"""The format "micro": the sources for a microcontroller, and TFLM's answers compared with the model."""

from pathlib import Path
from tempfile import TemporaryDirectory

from keras_lstm_gates import microcontroller
from keras_lstm_gates.exporting import comparing
from keras_lstm_gates.exporting.formats import write_tflite
from keras_lstm_gates.tflite_graphs import without_negative_indices

FOLDER = "micro"


def written(wanted, folder, expected):
    """Write `folder`/micro, run its step by TFLM along the first sequence, and compare.

    Returns:
        What `keras_lstm_gates.exporting.describing.manifest` is told of it.

    Raises:
        ModuleNotFoundError, RuntimeError: of `keras_lstm_gates.microcontroller.try_out`.
        ArithmeticError: of `keras_lstm_gates.exporting.comparing.differences`.
    """
    only_step = {"step": wanted.signatures["step"]}
    path = folder / FOLDER
    path.mkdir()
    with TemporaryDirectory(dir=folder) as name:
        file = Path(name) / "step.tflite"
        write_tflite(only_step, file, 1, None)
        content = without_negative_indices(file.read_bytes())
    trial = microcontroller.write(content, path, wanted.data[0])
    received = {
        name: (values if name in only_step["step"].every_step else values[-1])[None]
        for name, values in trial.outputs.items()
    }
    first = {
        name: (values[:1], counts if counts is True else counts[:1])
        for name, (values, counts) in expected["step"].items()
    }
    return {
        "path": path,
        "batch": 1,
        "time": 1,
        "differences": comparing.differences(
            FOLDER, {"step": received}, {"step": first}, comparing.TOLERANCES["float32"]
        ),
        "latency_ms": {},
        "arena_bytes": trial.arena,
    }
