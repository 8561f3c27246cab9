"""Every preset of the zoo in smaller numbers: how much smaller its TFLite file is, and what its metric is then.

    python benchmarks/quantized.py

Writes benchmarks/quantized.md. The metric is over up to 400 test sequences, and the same ones for every precision.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from keras_lstm_gates import datasets, exporting, training, zoo
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.tflite import quantizing

SEQUENCES = 400
CALIBRATION = 32


class FromFile:
    """A file's `predict`, called as `training.evaluate` calls a model."""

    def __init__(self, path):
        self._runner = Runner(path, trial=False)

    def __call__(self, x, training=False):
        (output,) = self._runner.predict(np.asarray(x)).values()
        return output


def main():
    """Print and write the table."""
    rows = []
    for name in zoo.list():
        preset = zoo.preset(name)
        data = datasets.load(preset.recipe)
        batches = data.test.take(-(-SEQUENCES // preset.recipe.batch_size))
        some = np.asarray(next(iter(data.train))[0])[:CALIBRATION]
        with tempfile.TemporaryDirectory() as folder:
            made = exporting.export(
                zoo.load(name, gates=False), Path(folder) / "made", some, ("tflite",), quantizing.PRECISIONS
            )
            told = json.loads((Path(folder) / "made" / "manifest.json").read_text())["formats"]
            for key, file in made.files.items():
                precision = told[key]["precision"]
                figure = training.evaluate(FromFile(file), preset.recipe, batches)[preset.metric]
                worst = max(max(outputs.values()) for outputs in made.differences[key].values())
                of_signatures = {one: value["precision"] for one, value in told[key]["signatures"].items()}
                how = ", ".join(f"{one} {value}" for one, value in of_signatures.items() if value != precision)
                times = told["tflite"]["bytes"] / told[key]["bytes"]
                rows.append((name, precision, told[key]["bytes"], times, f"{preset.metric} {figure:.4f}", worst, how))
                print(*rows[-1], flush=True)
    lines = [
        f"| {name} | {precision} | {size / 1024:.0f} | {times:.2f} | {figure} | {worst:.1e} | {how} |"
        for name, precision, size, times, figure, worst, how in rows
    ]
    text = [
        "# The zoo in smaller numbers",
        "",
        "Written by `python benchmarks/quantized.py`: the TFLite files that `export` makes of each preset, over up to",
        f"{SEQUENCES} test sequences; int8 calibrated on {CALIBRATION} training sequences. Largest difference: of any",
        "output or gate of any signature from the model, in the output's units.",
        "",
        "| preset | precision | KiB | times smaller | metric | largest difference | but in other precision |",
        "|---|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    (Path(__file__).parent / "quantized.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
