"""Times GatedLSTM against what people use today, in one run, in turn, so that a busy machine slows all alike.

    python benchmarks/bench_layer.py [--quick] [--shapes 32,100,16,64 ...] [--repeats 15] [--output folder]

Competitors: GatedLSTM with and without gates; keras.layers.LSTM as it comes and inside jit_compile=True;
keras.layers.RNN over a plain Python cell that returns its gates; torch.nn.LSTM; ONNX Runtime's LSTM (forward only).
All use the same number of threads. Measures: forward, training step (loss on the output; weights' gradients),
training step with a loss on the gates too, fit (one epoch), first (first training step of a process, with its tracing
and compilation), memory (peak added by training steps, megabytes, a process each).

Each time is a median over repeats; in each repeat every competitor runs once, in turn. Ratios are taken between
medians. Written: bench_layer.json and bench_layer.png.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import contextlib

import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
OURS, GATES, KERAS, JIT, CELL, TORCH, ONNX = (
    "GatedLSTM",
    "GatedLSTM gates",
    "keras LSTM",
    "keras LSTM jit",
    "RNN(cell) gates",
    "torch LSTM",
    "onnxruntime",
)
COMPETITORS = (GATES, OURS, KERAS, JIT, CELL, TORCH, ONNX)
MEASURES = ("forward", "train", "train_gates", "fit", "first", "memory")
SHAPES = ("32,100,16,64", "1,100,16,64", "64,128,64,256", "1,256,128,512", "32,29,12,64,mask", "16,None,32,128")
PAUSE = 0.02  # seconds between two timings: the threads of OpenMP and ONNX Runtime spin on after their work


class Case:
    """One shape: its batches (one, or one a length when time is None), weights of no matter, and masks."""

    def __init__(self, shape, lengths=12, seed=0):
        self.name = shape
        words = shape.split(",")
        self.masked = words[-1] == "mask"
        batch, steps, features, units = words[:4]
        self.batch, self.features, self.units = int(batch), int(features), int(units)
        self.steps = None if steps == "None" else int(steps)
        random = np.random.default_rng(seed)
        all_steps = [self.steps] if self.steps else random.permutation(np.linspace(20, 200, lengths).astype(int))
        self.x = [random.normal(size=(self.batch, int(n), self.features)).astype("float32") for n in all_steps]
        self.weights = [random.normal(size=(self.batch, int(n), self.units)).astype("float32") for n in all_steps]
        self.lengths = random.integers(7, self.steps + 1, self.batch) if self.masked else None
        self.mask = np.arange(self.steps) < self.lengths[:, None] if self.masked else None


def keras_layer(name, units):
    import keras

    from keras_lstm_gates.layers import GatedLSTM

    if name == OURS:
        return GatedLSTM(units, return_sequences=True)
    if name == GATES:
        return GatedLSTM(units, return_sequences=True, return_gates=True)
    if name == KERAS:
        return keras.layers.LSTM(units, return_sequences=True)
    if name == JIT:
        return keras.layers.LSTM(units, return_sequences=True, use_cudnn=False)
    return keras.layers.RNN(plain_cell(units), return_sequences=True)


def plain_cell(units):
    """What people write today to see the gates: a cell whose output is all six values."""
    import keras
    from keras import ops

    class PlainCell(keras.layers.Layer):
        state_size = [units, units]
        output_size = 6 * units

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 4 * units), initializer="glorot_uniform")
            self.recurrent = self.add_weight(shape=(units, 4 * units), initializer="orthogonal")
            self.bias = self.add_weight(shape=(4 * units,), initializer="zeros")

        def call(self, x, states, training=False):
            h, c = states
            i, f, g, o = ops.split(ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent) + self.bias, 4, axis=1)
            i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
            c = f * c + i * g
            h = o * ops.tanh(c)
            return ops.concatenate([h, i, f, g, o, c], axis=1), [h, c]

        def get_initial_state(self, batch_size=None):
            return [ops.zeros((batch_size, units)) for _ in range(2)]

    return PlainCell()


def output_and_gates(name, result, units):
    """(output, sum of squares that touches every gate or None) of a layer's result."""
    from keras import ops

    if name == GATES:
        return result["output"], [result[k] for k in "ifgoc"]
    if name == CELL:
        return result[..., :units], ops.split(result[..., units:], 5, axis=-1)
    return result, None


def keras_runs(name, case):
    """measure -> a function that runs it once, for a TensorFlow competitor."""
    import tensorflow as tf

    layer = keras_layer(name, case.units)
    layer.build((None, case.steps, case.features))
    mask = None if case.mask is None else tf.constant(case.mask)
    batches = [(tf.constant(x), tf.constant(w)) for x, w in zip(case.x, case.weights)]
    signature = [tf.TensorSpec([case.batch, case.steps, n]) for n in (case.features, case.units)]
    compiled = {"jit_compile": True} if name == JIT else {"input_signature": signature}

    def call(x, training=False):
        return layer(x, training=training) if mask is None else layer(x, mask=mask, training=training)

    @tf.function(autograph=False, **compiled)
    def forward(x, weight):
        return call(x)

    def training_step(gates_too):
        @tf.function(autograph=False, **compiled)
        def step(x, weight):
            with tf.GradientTape() as tape:
                output, gates = output_and_gates(name, call(x, training=True), case.units)
                loss = tf.reduce_sum(output * weight)
                if gates_too:
                    loss += sum(tf.reduce_sum(gate * weight) for gate in gates)
            return tape.gradient(loss, [v.value for v in layer.trainable_variables])

        return step

    def over_batches(step):
        def run():
            for x, weight in batches:
                out = step(x, weight)
            tf.nest.flatten(out)[-1].numpy()

        return run

    runs = {"forward": over_batches(forward), "train": over_batches(training_step(False))}
    if name in (GATES, CELL):
        runs["train_gates"] = over_batches(training_step(True))
    fit = []  # made when first asked for

    def run_fit():
        if not fit:
            fit.append(fit_run(name, case))
        fit[0]()

    runs["fit"] = run_fit
    return runs


def fit_run(name, case, epoch_batches=10):
    """One epoch of `fit` of a small model, Adam; for time=None one batch of each of 100 lengths."""
    import keras
    import tensorflow as tf

    inputs = keras.Input((case.steps, case.features))
    hidden = keras.layers.Masking()(inputs) if case.masked else inputs
    output = output_and_gates(name, keras_layer(name, case.units)(hidden), case.units)[0]
    model = keras.Model(inputs, keras.layers.Dense(1)(output))
    model.compile(keras.optimizers.Adam(), "mse", jit_compile=True if name == JIT else "auto")
    if case.steps is None:
        many = Case(case.name, lengths=100)
        arrays = [(x, x[..., :1]) for x in many.x]
    else:
        x = case.x[0] * (1 if case.mask is None else case.mask[..., None])
        arrays = [(x, x[..., :1])] * epoch_batches
    shapes = tuple(tf.TensorSpec([case.batch, case.steps, n]) for n in (case.features, 1))
    data = tf.data.Dataset.from_generator(lambda: iter(arrays), output_signature=shapes)
    data = data.apply(tf.data.experimental.assert_cardinality(len(arrays)))
    # tf.data's autotuner wakes up 10, 20, 40 ... ms after one another, and the end of an epoch may wait for it: epochs
    # would take 1.27, 2.55 or 5.11 s, whatever the layer.
    options = tf.data.Options()
    options.autotune.enabled = False
    data = data.with_options(options)
    return lambda: model.fit(data, epochs=1, verbose=0)


def torch_runs(case):
    import torch

    torch.set_num_threads(CORES)
    lstm = torch.nn.LSTM(case.features, case.units, batch_first=True)
    batches = [(torch.tensor(x), torch.tensor(w)) for x, w in zip(case.x, case.weights)]

    def call(x):
        if case.lengths is None:
            return lstm(x)[0]
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(case.lengths), batch_first=True, enforce_sorted=False
        )
        return torch.nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=case.steps)[0]

    def forward():
        with torch.no_grad():
            for x, _ in batches:
                call(x)

    def train():
        for x, weight in batches:
            lstm.zero_grad()
            (call(x) * weight).sum().backward()

    dense = torch.nn.Linear(case.units, 1)
    optimizer = torch.optim.Adam([*lstm.parameters(), *dense.parameters()])
    epoch = batches * 10 if case.steps else [(torch.tensor(x), None) for x in Case(case.name, lengths=100).x]

    def fit():
        for x, _ in epoch:
            optimizer.zero_grad()
            ((dense(call(x)) - x[..., :1]) ** 2).mean().backward()
            optimizer.step()

    return {"forward": forward, "train": train, "fit": fit}


def onnx_runs(case):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = {
        "W": random.normal(size=(1, 4 * case.units, case.features)),
        "R": random.normal(size=(1, 4 * case.units, case.units)) * 0.1,
        "B": np.zeros((1, 8 * case.units)),
    }
    names = ["X", "W", "R", "B"] + (["lengths"] if case.masked else [])
    node = helper.make_node("LSTM", names, ["Y"], hidden_size=case.units)
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, case.batch, case.features])]
    if case.masked:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [case.batch]))
    graph = helper.make_graph(
        [node],
        "lstm",
        inputs,
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1, case.batch, case.units])],
        [numpy_helper.from_array(value.astype("float32"), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = [{"X": np.ascontiguousarray(x.transpose(1, 0, 2))} for x in case.x]
    if case.masked:
        feeds = [{**feed, "lengths": case.lengths.astype("int32")} for feed in feeds]

    def forward():
        for feed in feeds:
            session.run(None, feed)

    return {"forward": forward}


def runs_of(name, case):
    if name == TORCH:
        return torch_runs(case)
    if name == ONNX:
        return onnx_runs(case)
    return keras_runs(name, case)


def in_turn(functions, repeats):
    """name -> median milliseconds; every repeat runs each function once."""
    for function in functions.values():
        function()
        function()
    times = {name: [] for name in functions}
    random = np.random.default_rng(0)
    for _ in range(repeats):
        # In a random order: whoever runs before leaves its mark (caches, threads that spin on), and not always on one.
        for name in random.permutation(list(functions)):
            function = functions[name]
            time.sleep(PAUSE)
            begin = time.perf_counter()
            function()
            times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def peak_megabytes():
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: there a new process starts from the peak of the process that started it.
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def child(name, shape):
    """In a process of its own: time of the first training step, and the memory that training steps add."""
    case = Case(shape)
    if name != TORCH:
        import keras
        import tensorflow as tf

        # What any first use of TensorFlow costs is not the layer's.
        tf.function(lambda v: v @ v, jit_compile=True)(tf.ones([2, 2]))
        keras.layers.Dense(1)(np.ones((1, 1)))
    else:
        import torch

        torch.ones(2, 2) @ torch.ones(2, 2)
    before = peak_megabytes()
    begin = time.perf_counter()
    runs = runs_of(name, case)
    runs["train"]()
    first = 1e3 * (time.perf_counter() - begin)
    for _ in range(5):
        runs["train"]()
    print(json.dumps({"first": first, "memory": peak_megabytes() - before}))


def in_processes(names, shape, repeats):
    results = {}
    for name in names:
        answers = []
        for _ in range(repeats):
            command = [sys.executable, __file__, "--child", name, "--shapes", shape]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            answers.append(json.loads(done.stdout.strip().splitlines()[-1]))
        results[name] = {key: statistics.median(a[key] for a in answers) for key in answers[0]}
    return results


def available():
    names = []
    for name in COMPETITORS:
        package = {TORCH: "torch", ONNX: "onnxruntime"}.get(name, "tensorflow")
        try:
            __import__(package)
            names.append(name)
        except ImportError:
            print(f"{name} is left out: {package} is not installed")
    return names


def geometric_mean(values):
    values = list(values)
    return float(np.exp(np.mean(np.log(values)))) if values else None


def ratios(medians):
    """measure -> competitor -> {shape: its time / the time of GatedLSTM with gates, geometric mean}."""
    table = {}
    for measure in MEASURES:
        for name in COMPETITORS:
            per_shape = {
                shape: results[measure][name] / results[measure][GATES]
                for shape, results in medians.items()
                if name in results.get(measure, {}) and results[measure].get(GATES)
            }
            if per_shape and name != GATES:
                table.setdefault(measure, {})[name] = {
                    **per_shape,
                    "geometric mean": geometric_mean(per_shape.values()),
                }
    return table


def print_tables(medians, table):
    for measure in MEASURES:
        names = [n for n in COMPETITORS if any(n in r.get(measure, {}) for r in medians.values())]
        if not names:
            continue
        unit = "MB" if measure == "memory" else "ms"
        print(f"\n{measure} ({unit}; in brackets: times as much as {GATES})")
        print(f"{'shape':>18} " + " ".join(f"{n:>18}" for n in names))
        for shape, results in medians.items():
            cells = []
            for name in names:
                value, ratio = results.get(measure, {}).get(name), table.get(measure, {}).get(name, {}).get(shape)
                cells.append("-" if value is None else f"{value:.4g}" + ("" if ratio is None else f" ({ratio:.2f})"))
            print(f"{shape:>18} " + " ".join(f"{c:>18}" for c in cells))
        means = [table.get(measure, {}).get(n, {}).get("geometric mean") for n in names]
        print(f"{'geometric mean':>18} " + " ".join(f"{'' if m is None else f'({m:.2f})':>18}" for m in means))


def draw(table, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    measures = [m for m in MEASURES if m in table]
    figure, axes = plt.subplots(
        len(measures), 1, figsize=(11, 2.6 * len(measures)), squeeze=False, layout="constrained"
    )
    for axis, measure in zip(axes[:, 0], measures):
        names = list(table[measure])
        shapes = list(dict.fromkeys(s for n in names for s in table[measure][n]))
        for k, name in enumerate(names):
            at = [s for s in shapes if s in table[measure][name]]
            axis.bar(
                [shapes.index(s) + (k - (len(names) - 1) / 2) * 0.8 / len(names) for s in at],
                [table[measure][name][s] for s in at],
                0.8 / len(names),
                bottom=0,
                label=name,
            )
        axis.axhline(1, color="black", linewidth=1)
        axis.set_yscale("log")
        axis.set_xticks(range(len(shapes)), [s.replace(",", " ") for s in shapes])
        axis.set_title(
            f"{measure}: times as much as GatedLSTM with gates (above the line: GatedLSTM needs less)", fontsize=10
        )
        axis.legend(fontsize=8, ncols=len(names), loc="upper right")
        axis.margins(y=0.3)
    axes[-1, 0].set_xlabel("batch, time, features, units")
    figure.savefig(path, dpi=120)


def versions():
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("tensorflow", "keras", "numpy", "torch", "onnxruntime"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def machine():
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    return {"processor": model, "cores": CORES, "system": platform.platform(), "load": os.getloadavg()}


def write(folder, medians, repeats):
    report = {
        "machine": machine(),
        "versions": versions(),
        "repeats": repeats,
        "units": {m: "megabytes" if m == "memory" else "milliseconds" for m in MEASURES},
        "medians": medians,
        f"ratios to {GATES}": ratios(medians),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench_layer.json").write_text(json.dumps(report, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small shapes, 5 repeats, no fit, no processes")
    parser.add_argument("--shapes", nargs="+", default=None, help=f"of batch,time,features,units; default {SHAPES}")
    parser.add_argument("--repeats", type=int, default=None, help="default 15")
    parser.add_argument("--measures", nargs="+", default=None, choices=MEASURES)
    parser.add_argument("--competitors", nargs="+", default=None, choices=COMPETITORS)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the JSON and the figure")
    parser.add_argument("--child", choices=COMPETITORS, help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child, options.shapes[0])

    shapes = options.shapes or (SHAPES[:2] if options.quick else SHAPES)
    repeats = options.repeats or (5 if options.quick else 15)
    measures = options.measures or (MEASURES[:3] if options.quick else MEASURES)
    names = options.competitors or available()
    if options.alone:
        return print(json.dumps(medians_of(shapes[0], names, measures, repeats)))
    medians = {}
    for shape in shapes:
        # A process for each shape: what an earlier one leaves behind (threads, memory, programs) slows some, not all.
        command = [sys.executable, __file__, "--alone", "--shapes", shape, "--repeats", str(repeats)]
        command += ["--measures", *measures, "--competitors", *names]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        medians[shape] = json.loads(done.stdout.strip().splitlines()[-1])
        write(options.output, medians, repeats)  # after each shape: an interrupted run keeps what it has

    table = ratios(medians)
    print_tables(medians, table)
    draw(table, options.output / "bench_layer.png")
    print(f"\nWritten: {options.output / 'bench_layer.json'}, {options.output / 'bench_layer.png'}")


def medians_of(shape, names, measures, repeats):
    """measure -> competitor -> median, of one shape."""
    case, medians = Case(shape), {}
    runs = {name: runs_of(name, case) for name in names}
    for measure in measures:
        functions = {name: r[measure] for name, r in runs.items() if measure in r}
        if functions:
            # An epoch takes seconds: fewer repeats of it do.
            count = max(3, repeats // 3) if measure == "fit" else repeats
            if measure == "fit" and case.steps is None:
                # XLA would compile the whole model for each of the 100 lengths: minutes.
                functions.pop(JIT, None)
            print(f"{shape} {measure} ...", file=sys.stderr, flush=True)
            medians[measure] = in_turn(functions, count)
    if {"first", "memory"} & set(measures):
        print(f"{shape} first, memory ...", file=sys.stderr, flush=True)
        answers = in_processes([n for n in names if n != ONNX], shape, 1)
        for measure in {"first", "memory"} & set(measures):
            medians[measure] = {name: a[measure] for name, a in answers.items()}
    return medians


if __name__ == "__main__":
    main()
