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


def rows_of(name, preset, some, batches, time, precisions):
    """Yield a row of the table for each precision, of one export."""
    with tempfile.TemporaryDirectory() as folder:
        model = zoo.load(name, gates=False)
        try:
            made = exporting.export(model, Path(folder) / "made", some, ("tflite",), precisions, time=time)
        except ValueError as error:
            yield precisions[-1], time or "any", 0, 0.0, f"refused: {str(error).partition(';')[0]}", 0.0, ""
            return
        told = json.loads((Path(folder) / "made" / "manifest.json").read_text())["formats"]
        for key, file in made.files.items():
            precision = told[key]["precision"]
            figure = training.evaluate(FromFile(file), preset.recipe, batches)[preset.metric]
            worst = max(max(outputs.values()) for outputs in made.differences[key].values())
            of_signatures = {one: value["precision"] for one, value in told[key]["signatures"].items()}
            how = ", ".join(f"{one} {value}" for one, value in of_signatures.items() if value != precision)
            times = told["tflite"]["bytes"] / told[key]["bytes"]
            yield precision, time or "any", told[key]["bytes"], times, f"{preset.metric} {figure:.4f}", worst, how


def main():
    """Print and write the table."""
    rows = []
    for name in zoo.list():
        preset = zoo.preset(name)
        data = datasets.load(preset.recipe)
        batches = data.test.take(-(-SEQUENCES // preset.recipe.batch_size))
        some = np.asarray(next(iter(data.train))[0])[:CALIBRATION]
        # What has a loop is not in whole numbers: int8 is of as many steps as the sequences have.
        for time, precisions in ((None, quantizing.PRECISIONS[:3]), (some.shape[1], ("float32", "int8"))):
            for row in rows_of(name, preset, some, batches, time, precisions):
                rows.append((name, *row))
                print(*rows[-1], flush=True)
    lines = [
        f"| {name} | {precision} | {time} | {size / 1024:.0f} | {times:.2f} | {figure} | {worst:.1e} | {how} |"
        for name, precision, time, size, times, figure, worst, how in rows
    ]
    text = [
        "# The zoo in smaller numbers",
        "",
        "Written by `python benchmarks/quantized.py`: the TFLite files that `export` makes of each preset, over up to",
        f"{SEQUENCES} test sequences; int8 calibrated on {CALIBRATION} training sequences. Largest difference: of any",
        "output or gate of any signature from the model, in the output's units.",
        "",
        "| preset | precision | steps | KiB | times smaller | metric | largest difference | but in other precision |",
        "|---|---|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    (Path(__file__).parent / "quantized.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
