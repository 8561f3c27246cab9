"""Every preset of the zoo in smaller numbers: how much smaller its TFLite file is, and what its metric is then.

    python benchmarks/quantized.py

Writes benchmarks/quantized.md. The metric is over up to 400 test sequences, and the same ones for every precision.
"""

import tempfile
from pathlib import Path

import numpy as np

from keras_lstm_gates import datasets, quantizing, training, zoo
from keras_lstm_gates.edge import Runner

SEQUENCES = 400
CALIBRATION = 32


class FromFile:
    """A file's `predict`, called as `training.evaluate` calls a model."""

    def __init__(self, path):
        self._runner = Runner(path, trial=False)

    def __call__(self, x, training=False):
        (output,) = self._runner.predict(np.asarray(x)).values()
        return output


def largest_difference(content, other, data):
    """Of any output or gate of any signature of two files."""
    expected, received = (quantizing.outputs(one, data) for one in (content, other))
    return max(
        float(np.abs(received[signature][name] - values).max())
        for signature, outputs in expected.items()
        for name, values in outputs.items()
    )


def main():
    """Print and write the table."""
    rows = []
    for name in zoo.list():
        preset = zoo.preset(name)
        data = datasets.load(preset.recipe)
        batches = data.test.take(-(-SEQUENCES // preset.recipe.batch_size))
        some = np.asarray(next(iter(data.train))[0])[:CALIBRATION]
        content = (zoo.registry.home(name) / "model.tflite").read_bytes()
        for precision in quantizing.PRECISIONS:
            made = quantizing.quantize(content, precision, some)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.tflite"
                path.write_bytes(made.content)
                figure = training.evaluate(FromFile(path), preset.recipe, batches)[preset.metric]
            worst = largest_difference(content, made.content, some)
            how = ", ".join(f"{key} {value}" for key, value in made.precisions.items() if value != precision)
            rows.append(
                (name, precision, len(content) / len(made.content), f"{preset.metric} {figure:.4f}", worst, how)
            )
            print(*rows[-1], flush=True)
    lines = [
        f"| {name} | {precision} | {times:.2f} | {figure} | {worst:.1e} | {how} |"
        for name, precision, times, figure, worst, how in rows
    ]
    text = [
        "# The zoo in smaller numbers",
        "",
        f"Written by `python benchmarks/quantized.py`: the TFLite file of each preset, over up to {SEQUENCES} test",
        f"sequences; int8 calibrated on {CALIBRATION} training sequences. Largest difference: of any output or gate of",
        "any signature from the float32 file, in the output's units.",
        "",
        "| preset | precision | times smaller | metric | largest difference | but in other precision |",
        "|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    (Path(__file__).parent / "quantized.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
