"""Every preset's TFLite file as the converter and the quantizer write it, and as it is exported: size, time, answers.

    python benchmarks/compact.py

Writes benchmarks/compact.md; takes about 5 minutes.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from keras_lstm_gates import datasets, zoo
from keras_lstm_gates.exporting.exported_files import Sizes
from keras_lstm_gates.exporting.signatures import request_for
from keras_lstm_gates.exporting.tflite import quantizing
from keras_lstm_gates.exporting.tflite.compacting import compact
from keras_lstm_gates.exporting.tflite.files import converted
from keras_lstm_gates.exporting.tflite.shortening import shortened

CALIBRATION = 32
CALLS = 41


def runners(content):
    """{signature: runner}, by the interpreter with one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    return {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}


def times_faster(before, after, sequence):
    """{signature of whole sequences: median time of a call before / after}, in turns."""
    ratios = {}
    for name in ("predict", "gates"):
        pair = [runners(content)[name] for content in (before, after)]
        ((key, details),) = pair[0].get_input_details().items()
        inputs, times = {key: sequence[None].astype(details["dtype"])}, ([], [])
        for _ in range(CALLS):
            for runner, spent in zip(pair, times, strict=True):
                started = time.perf_counter()
                runner(**inputs)
                spent.append(time.perf_counter() - started)
        ratios[name] = np.median(times[0]) / np.median(times[1])
    return ratios


def same_bits(before, after, data):
    """Whether every output of every signature along the data is the same, bit for bit."""
    expected, received = (quantizing.outputs(content, data) for content in (before, after))
    return all(
        values.tobytes() == received[name][output].tobytes()
        for name, outputs in expected.items()
        for output, values in outputs.items()
    )


def main():
    """Print and write the table."""
    rows = []
    for name in zoo.list():
        data = np.asarray(next(iter(datasets.load(zoo.preset(name).recipe).train))[0])[:CALIBRATION]
        with tempfile.TemporaryDirectory() as folder:
            signatures = request_for(zoo.load(name, gates=False), data).signatures
            whole, _ = converted(signatures, Sizes(1, None), Path(folder))
        for precision in quantizing.PRECISIONS:
            before = quantizing.quantize(whole, precision, data).content
            after = compact(shortened(before))
            if not same_bits(before, after, data[:4]):
                raise ArithmeticError(f"{name} in {precision} gives other answers when it is compact")
            faster = times_faster(before, after, data[0])
            sizes = f"{len(before) / 1000:.1f} | {len(after) / 1000:.1f} | {len(whole) / len(after):.2f}"
            rows.append(f"| {name} | {precision} | {sizes} | {faster['predict']:.2f} | {faster['gates']:.2f} |")
            print(rows[-1], flush=True)
    text = [
        "# Exported files, compact",
        "",
        "Written by `python benchmarks/compact.py`: the TFLite file of each preset as the converter and the quantizer",
        "write it (before), and as it is exported (after), whose answers are the same bit for bit: every output of",
        "every signature along 4 sequences. Times: a call with one sequence of the training data, the interpreter with",
        f"one thread, medians of {CALLS} calls in turns.",
        "",
        "| preset | precision | KB before | KB after | times smaller than float32 before | `predict` times faster "
        "| `gates` times faster |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    (Path(__file__).parent / "compact.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
