"""The format "micro": the sources of `step` for a microcontroller, run by TFLM."""

from keras_lstm_gates.exporting.exported_files import ExportedFile, Sizes
from keras_lstm_gates.exporting.micro import microcontroller
from keras_lstm_gates.exporting.tflite.compacting import compact
from keras_lstm_gates.exporting.tflite.files import converted
from keras_lstm_gates.exporting.tflite.graphs import without_negative_indices
from keras_lstm_gates.exporting.tflite.operators import operators
from keras_lstm_gates.exporting.tflite.quantizing import quantize

FOLDER = "micro"
PRECISIONS = ("float32", "int8")
"""Those that TFLM runs."""


def write(signatures, folder, sizes, precisions, data):
    """Write `folder`/micro, micro_int8, of one sequence at a time: [`ExportedFile`].

    Raises:
        ModuleNotFoundError, RuntimeError: of `microcontroller.try_out`, `quantizing.quantize`.
        ValueError: "the format 'micro' cannot hold this model: TFLM cannot run it: ...".
    """
    content, _ = converted(signatures, Sizes(1, None), folder)
    content = without_negative_indices(content)
    files = []
    for precision in precisions:
        path = folder / (FOLDER if precision == "float32" else f"{FOLDER}_{precision}")
        path.mkdir()
        finished = compact(quantize(content, precision, data).content)
        try:
            trial = microcontroller.write(finished, path, *(sequences[0] for sequences in data.values()))
        except RuntimeError as error:
            raise ValueError(f"the format 'micro' cannot hold this model: {error}") from None
        files.append(
            ExportedFile(
                path.name,
                path,
                Sizes(1, 1),
                _run(trial),
                precision=precision,
                operators=operators(finished),
                facts={"arena_bytes": trial.arena},
            )
        )
    return files


def usage(manifest, inputs):
    """Lines of the README."""
    arenas = {one["path"]: one["arena_bytes"] for one in manifest["formats"].values() if "arena_bytes" in one}
    return [
        "## On a microcontroller",
        "",
        *(f"`{path}/main.cc` is a sample; the arena needs {arena} bytes." for path, arena in arenas.items()),
        "",
    ]


def _run(trial):
    """What TFLM answered along the first sequence."""

    def run(name, signature, data):
        steps = signature.every_step
        return {key: (values if key in steps else values[-1])[None] for key, values in trial.outputs.items()}

    return run
