"""Exported files on one core: TFLite against ONNX Runtime, Keras's own export, and the time to read the weights.

    pip install -e '.[bench]'
    python benchmarks/bench_edge.py

Writes benchmarks/bench_edge.md. One LSTM of each shape, by one thread; the competitors take turns in one process, and
a figure is the median of their ratios. What Keras exports of an LSTM holds operators that neither interpreter has
(FlexTensorListReserve); the competitor is therefore Keras's export of the same LSTM with `unroll=True`.
"""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper, numpy_helper

from keras_lstm_gates import exporting

SHAPES = ((1, 24, 8, 32), (1, 100, 16, 64), (1, 100, 32, 128), (1, 100, 64, 256), (16, 100, 16, 64))
"""(batch, time, features, units)."""
TURNS = 31
SECONDS = 0.02
"""Of each turn, at least."""


def main():
    """Print and write the table."""
    tables = []
    for every in (True, False):
        rows = [measured(*shape, every) for shape in SHAPES]
        tables.append([*rows, ("geometric mean", *map(mean, list(zip(*rows))[1:]))])
        print(*(" | ".join(row) for row in tables[-1]), sep="\n", flush=True)
    header = [
        "| batch, time, features, units | predict | fused predict / ONNX Runtime | predict / ONNX Runtime "
        "| Keras's own export / predict | Keras's own export / fused predict | gates / predict "
        "| gates / fused predict | step / weight reading | predict.onnx / ONNX Runtime | gates.onnx / predict.onnx |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    text = [
        "# Exported files on one core",
        "",
        "Written by `python benchmarks/bench_edge.py`: one LSTM, one thread, medians of the ratios of "
        f"{TURNS} turns in one process.",
        f"{platform.machine()}, Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}, ONNX Runtime {onnxruntime.__version__}. Weight reading: `np.sum` of as many float32 "
        "numbers as the LSTM has weights. Keras's own export holds operators that neither interpreter has "
        "(FlexTensorListReserve), unless the LSTM is unrolled: that is what stands here.",
        "",
        f"Load of the machine's {os.cpu_count()} cores by all processes while this ran, this one among them: "
        f"{os.getloadavg()[2]:.1f}. How many steps a turn of each loop runs is chosen by a rule "
        "(`keras_lstm_gates/exporting/tflite/loops.py`) and stands in the manifest.",
        "",
        "Every h, `return_sequences=True`:",
        "",
        *header,
        *("| " + " | ".join(row) + " |" for row in tables[0]),
        "",
        "The last h alone, `return_sequences=False`:",
        "",
        *header,
        *("| " + " | ".join(row) + " |" for row in tables[1]),
        "",
    ]
    (Path(__file__).parent / "bench_edge.md").write_text("\n".join(text))


def mean(column):
    """The geometric mean of a column of ratios; none of milliseconds."""
    return "" if column[0].endswith("ms") else f"{statistics.geometric_mean(map(float, column)):.2f}"


def measured(batch, steps, features, units, every):
    """A row of a table, of an LSTM that gives every h or the last."""
    x = np.random.default_rng(0).normal(size=(batch, steps, features)).astype("float32")
    sequence = keras.Input((steps, features), batch_size=batch)
    model = keras.Model(sequence, keras.layers.LSTM(units, name="lstm", return_sequences=every)(sequence))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        formats = ("tflite", "tflite_fused", "onnx")
        files = exporting.export(model, folder / "ours", x, formats, batch=batch, time=steps).files
        unrolled = keras.Model(sequence, keras.layers.LSTM(units, return_sequences=every, unroll=True)(sequence))
        unrolled.set_weights(model.get_weights())
        unrolled.export(folder / "keras.tflite", format="litert", verbose=False)
        calls = {
            "predict": signature(files["tflite"], "predict", x),
            "gates": signature(files["tflite"], "gates", x),
            "step": one_step(files["tflite"], x, units),
            "fused": signature(files["tflite_fused"], "predict", x),
            "keras": exported_by_keras(folder / "keras.tflite", x),
            "onnx": onnx(x, model.get_weights(), every),
            "predict.onnx": onnx_file(files["onnx"] / "predict.onnx", x),
            "gates.onnx": onnx_file(files["onnx"] / "gates.onnx", x),
            "reading": reading(model.count_params()),
        }
        # The same numbers from all, before any is timed.
        answers = [calls["predict"]()["lstm"], calls["fused"]()["lstm"], next(iter(calls["keras"]().values()))]
        of_onnx = calls["onnx"]()[0]
        for answer in (*answers, of_onnx[:, 0].transpose(1, 0, 2) if every else of_onnx[0]):
            np.testing.assert_allclose(answer, model(x), atol=1e-5)
        took = {name: [] for name in calls}
        for _ in range(TURNS):
            for name, call in calls.items():
                took[name].append(seconds(call))

    def ratio(over, under):
        return f"{statistics.median(a / b for a, b in zip(took[over], took[under], strict=True)):.2f}"

    return (
        f"{batch}, {steps}, {features}, {units}",
        f"{1000 * statistics.median(took['predict']):.2f} ms",
        ratio("fused", "onnx"),
        ratio("predict", "onnx"),
        ratio("keras", "predict"),
        ratio("keras", "fused"),
        ratio("gates", "predict"),
        ratio("gates", "fused"),
        ratio("step", "reading"),
        ratio("predict.onnx", "onnx"),
        ratio("gates.onnx", "predict.onnx"),
    )


def seconds(call):
    """The mean of as many calls as a turn has time for."""
    started, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - started < SECONDS:
        call()
        calls += 1
    return (time.perf_counter() - started) / calls


def signature(path, name, x):
    """A call of a file's signature of whole sequences."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner(name)

    def call():
        # The fused operator keeps its state from call to call.
        interpreter.reset_all_variables()
        return runner(sequence=x)

    return call


def one_step(path, x, units):
    """A call of `step` as a device makes it: by its tensors, without the dictionaries of Python."""
    runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner("step")
    zeros = np.zeros((len(x), units), "float32")
    now = np.ascontiguousarray(x[:, 0])
    return lambda: runner(x=now, state_h=zeros, state_c=zeros)


def exported_by_keras(path, x):
    """A call of what Keras itself exports."""
    runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner()
    (name,) = runner.get_input_details()
    return lambda: runner(**{name: x})


def onnx(x, weights, every=True):
    """A call of ONNX Runtime's LSTM with the same weights, for every h or the last."""
    kernel, recurrent, bias = weights
    units = len(recurrent)
    order = np.concatenate([np.arange(units) + units * place for place in (0, 3, 1, 2)])  # i f g o to i o f g
    arrays = {
        "W": kernel.T[None, order],
        "R": recurrent.T[None, order],
        "B": np.concatenate([bias[order], np.zeros_like(bias)])[None],
    }
    shapes = {"X": [None, len(x), x.shape[2]], "Y": [None, 1, len(x), units], "Y_h": [1, len(x), units]}
    output = "Y" if every else "Y_h"
    told = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"] if every else ["", "Y_h"], hidden_size=units)],
        "lstm",
        [told["X"]],
        [told[output]],
        [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    by_time = np.ascontiguousarray(x.transpose(1, 0, 2))
    session = one_thread(model.SerializeToString())
    return lambda: session.run(None, {"X": by_time})


def onnx_file(path, x):
    """A call of an exported ONNX file."""
    session = one_thread(str(path))
    return lambda: session.run(None, {"sequence": x})


def one_thread(model):
    """A session of ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def reading(numbers):
    """Read as many numbers as there are weights."""
    weights = np.ones(numbers, "float32")
    return weights.sum


if __name__ == "__main__":
    main()
