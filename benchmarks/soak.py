"""Memory, files, threads and processes over a thousand calls of what users call again and again.

    python benchmarks/soak.py [--calls 1000] [--only trace stream] [--out benchmarks/soak.md]

Each kind of call runs in a process of its own. A tenth of the calls fill caches; the slope is that of a line through
the rest. With --only the page keeps its other rows.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARES = {"export": 0.05, "export, keras.Model.export": 0.05, "report": 0.2}
"""Of the calls, for what takes seconds."""


def kinds(folder):
    """{name: function that makes the call, a function of its number}."""
    import keras
    import numpy as np

    from keras_lstm_gates import GatedLSTM, exporting, gradient_chain, reporting, tracing
    from keras_lstm_gates.edge import Runner

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)

    def model(layer):
        sequence = keras.Input((None, 3))
        return keras.Model(sequence, keras.layers.Dense(2)(layer(4, name="lstm")(sequence)))

    def data(samples, steps):
        return rng.normal(size=(samples, steps, 3)).astype("float32")

    def sizes(number):
        return data(1 + number * 7 % 40, 1 + number % 200)

    def trace():
        traced, x = model(keras.layers.LSTM), data(8, 20)
        return lambda number: tracing.trace(traced, x, progress=False)

    def trace_stateful():
        sequence = keras.Input((20, 3), batch_size=8)
        traced = keras.Model(sequence, keras.layers.LSTM(4, stateful=True)(sequence))
        x = data(16, 20)
        return lambda number: tracing.trace(traced, x, progress=False)

    def chain():
        differentiated, x = model(keras.layers.LSTM), data(2, 10)
        return lambda number: gradient_chain(differentiated, x)

    def trace_to():
        traced, x = model(keras.layers.LSTM), data(8, 20)
        return lambda number: tracing.trace(traced, x, progress=False, to=folder / f"{number}.zarr")

    def predict():
        predicts = model(GatedLSTM)
        return lambda number: predicts.predict(sizes(number), verbose=0)

    def stock_predict():
        predicts = model(keras.layers.LSTM)
        return lambda number: predicts.predict(sizes(number), verbose=0)

    def export():
        exported, x = model(GatedLSTM), data(4, 6)
        return lambda number: exporting.export(exported, folder / "exported", x)

    def stock_export():
        exported = model(keras.layers.LSTM)
        return lambda number: exported.export(folder / "stock", verbose=False)

    def report():
        tree = tracing.trace(model(GatedLSTM), data(4, 20), progress=False)
        return lambda number: reporting.report(tree, folder / "report.html")

    def file():
        exporting.export(model(GatedLSTM), folder / "exported", data(4, 6), formats=("tflite",))
        return folder / "exported" / "model.tflite"

    def runner():
        path = file()
        return lambda number: Runner(path).predict(data(1, 5 + number % 50))

    def stream():
        streams = Runner(file())

        def call(number):
            one = streams.stream()
            for x in data(1, 20)[0]:
                one.push(x)

        return call

    return {
        "trace": trace,
        "trace, stateful": trace_stateful,
        "trace(to=…)": trace_to,
        "gradient_chain": chain,
        "predict, 200 lengths": predict,
        "predict, keras.layers.LSTM": stock_predict,
        "export": export,
        "export, keras.Model.export": stock_export,
        "report": report,
        "Runner": runner,
        "stream": stream,
    }


NAMES = (
    "trace",
    "trace, stateful",
    "trace(to=…)",
    "gradient_chain",
    "predict, 200 lengths",
    "predict, keras.layers.LSTM",
    "export",
    "export, keras.Model.export",
    "report",
    "Runner",
    "stream",
)


def taken():
    """[MiB of memory, open files, threads, child processes] of this process."""
    gc.collect()
    own = Path("/proc/self")
    memory = int((own / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20
    children = sum(len((one / "children").read_text().split()) for one in (own / "task").iterdir())
    return [memory, len(list((own / "fd").iterdir())), len(list((own / "task").iterdir())), children]


def child(name, calls):
    """Call, and print what is taken at 21 moments as one line of JSON."""
    import shutil

    with tempfile.TemporaryDirectory() as place:
        call = kinds(Path(place))[name]()
        started, moments = time.monotonic(), []
        steps = max(1, calls // 20)
        for number in range(calls):
            if number % steps == 0:
                moments.append([number, *taken()])
            call(number)
            for store in Path(place).glob("*.zarr"):
                shutil.rmtree(store)
        moments.append([calls, *taken()])
        print(json.dumps([moments, time.monotonic() - started]), flush=True)


def row(name, moments, seconds):
    """A line of the table."""
    import numpy as np

    numbers = np.array(moments)
    calls = numbers[-1, 0]
    settled = numbers[numbers[:, 0] >= calls / 10]
    slope = np.polyfit(settled[:, 0], settled[:, 1], 1)[0] * 1024
    first, last = settled[0], settled[-1]
    cells = [name, f"{calls:.0f}", f"{first[1]:.0f}", f"{last[1]:.0f}", f"{slope:+.1f}"]
    cells += [f"{first[at]:.0f}, {last[at]:.0f}" for at in (2, 3, 4)]
    return f"| {' | '.join(cells)} | {seconds:.0f} |"


def rows_of(page):
    """{name: line} of the rows that a page has."""
    lines = page.read_text().splitlines() if page.exists() else ()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}


def main():
    """Run each kind, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "soak.md")
    options = parser.parse_args()
    lines = [
        "# A thousand calls",
        "",
        "Written by `python benchmarks/soak.py`: what a process takes after a tenth of the calls and at their end, and",
        "the slope of its memory in between. `predict` meets 200 lengths and 40 sizes of a batch again and again.",
        "",
        "| call | calls | MiB then | MiB at the end | KiB a call | files | threads | processes | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    rows = rows_of(options.out)
    for name in options.only:
        calls = max(20, int(options.calls * SHARES.get(name, 1)))
        command = [sys.executable, __file__, "--child", name, str(calls)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        ended = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True, check=True)
        rows[name] = row(name, *json.loads(ended.stdout.splitlines()[-1]))
        print(rows[name], flush=True)
        options.out.write_text("\n".join([*lines, *(rows[name] for name in NAMES if name in rows), ""]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]))
    else:
        main()
