"""Every exported file on every runtime: what works, the largest error, the latency, and why a cell is empty.

    python benchmarks/runtimes.py [--work runs/runtimes] [--again]

Writes benchmarks/runtimes.md. What a run has found stands in the work folder and is not run again: start it again after
an interruption. Each runtime runs in a process of its own, so a crash is a cell of the table. LiteRT.js needs Chromium
and what `examples/browser/build.py` fetches by npm.
"""

import argparse
import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
_COLOURS = re.compile(r"\x1b\[\d*m")
SECONDS = 60
TIME = 24
RUNTIMES = {
    "saved_model": ("tf.saved_model.load",),
    "tflite": (
        "tf.lite.Interpreter", "ai_edge_litert Interpreter", "ai_edge_litert CompiledModel", "tflite-micro",
        "LiteRT.js in Chromium",
    ),
}  # fmt: skip


def models():
    """{name: (make the model, its data (1, time, features) or (1, time))}: every preset of the zoo, and opened ones."""
    import keras

    from keras_lstm_gates import datasets, zoo
    from keras_lstm_gates.models import SequenceClassifier

    rng = np.random.default_rng(0)

    def values(features):
        return rng.normal(size=(1, TIME, features)).astype("float32")

    def forecaster():
        layers = keras.layers
        return keras.Sequential(
            [keras.Input((TIME, 2)), layers.LSTM(16, return_sequences=True), layers.LSTM(8), layers.Dense(3)]
        )

    def tokens():
        layers = keras.layers
        words = keras.Input((TIME,), dtype="int32")
        x = layers.Bidirectional(layers.LSTM(8))(layers.Embedding(20, 6, mask_zero=True)(words))
        return keras.Model(words, layers.Dense(2, "softmax", name="classes")(x))

    def labeller():
        layers = keras.layers
        return keras.Sequential([keras.Input((TIME, 4)), layers.LSTM(16, return_sequences=True), layers.Dense(5)])

    def tested(name):
        inputs = next(iter(datasets.load(zoo.preset(name).recipe).test.unbatch()))[0].numpy()
        return np.resize(inputs, (1, TIME, *inputs.shape[1:]))

    return {
        **{f"{name} (zoo)": (partial(zoo.load, name, gates=False), partial(tested, name)) for name in zoo.list()},
        "classifier (ours)": (lambda: SequenceClassifier(12, 9, units=64, seed=0), lambda: values(12)),
        "stacked forecaster (Keras)": (forecaster, lambda: values(2)),
        "bidirectional classifier of tokens (Keras)": (
            tokens,
            lambda: rng.integers(0, 20, (1, TIME)).astype("int32"),
        ),
        "labeller (Keras)": (labeller, lambda: values(4)),
    }


def main():
    """Export what is not there, run what has not run, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/runtimes"))
    parser.add_argument("--out", type=Path, default=HERE / "runtimes.md")
    parser.add_argument("--again", action="store_true", help="run everything again")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(*options.child)
    rows = []
    for name in models():
        folder = options.work / "".join(letter if letter.isalnum() else "_" for letter in name)
        folder.mkdir(parents=True, exist_ok=True)
        exported = cell(folder / "export.json", ("export", name, folder), options.again)
        if "why" in exported:
            rows.append((name, "all", "all", exported))
            continue
        for kind, signature in exported["signatures"]:
            for runtime in RUNTIMES[kind]:
                key = f"{kind} {signature} {runtime}".replace(".", "_").replace(" ", "_")
                found = cell(folder / f"{key}.json", ("run", runtime, signature, folder), options.again)
                rows.append((name, f"{kind} `{signature}`", runtime, found))
                print(*rows[-1], flush=True)
    options.out.write_text(table(rows))
    return 0


def cell(path, arguments, again):
    """What a child process found: {"error", "milliseconds"} or {"why"}; kept in a file."""
    if path.exists() and not again:
        return json.loads(path.read_text())
    path.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--child", *map(str, (arguments[0], path, *arguments[1:]))]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environment
        )
        if not path.exists():
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            ended = f"ended with {done.returncode}"
            path.write_text(json.dumps({"why": f"{ended}: {lines[-1]}" if lines else ended}))
        found = json.loads(path.read_text())
        if "TFLM" in found.get("why", ""):
            # TFLM tells its reason on stderr only.
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            path.write_text(json.dumps({"why": f"{found['why']}: {' | '.join(said[-2:])}"}))
    except subprocess.TimeoutExpired:
        path.write_text(json.dumps({"why": f"no answer in {SECONDS} s"}))
    return json.loads(path.read_text())


def child(what, path, *arguments):
    """One cell, in this process."""
    try:
        result = export(*arguments) if what == "export" else run(*arguments)
    except Exception as error:
        result = {"why": f"{type(error).__name__}: {' '.join(_COLOURS.sub('', str(error)).split())}"}
    Path(path).write_text(json.dumps(result))
    return 0


def export(name, folder):
    """Export a model and keep its own answers: {"signatures": [(kind, signature), ...]}."""
    import keras

    from keras_lstm_gates import exporting, expose

    make, sequences = models()[name]
    folder, data = Path(folder), sequences()
    keras.utils.set_random_seed(0)
    model = make()
    exporting.export(model, folder, data, time=TIME)
    opened = expose(model)
    outputs = {key: np.asarray(value) for key, value in opened(data).items()}
    single = sum(key.endswith("/f") for key in outputs) == 1
    outputs = {key.rpartition("/")[2] if single and key[-2:-1] == "/" else key: v for key, v in outputs.items()}
    np.savez(folder / "expected.npz", **{key.replace("/", "|"): value for key, value in outputs.items()})
    np.save(folder / "data.npy", data)
    from ai_edge_litert.interpreter import Interpreter

    known = Interpreter(model_path=str(folder / "model.tflite")).get_signature_list()
    return {"signatures": [(kind, one) for kind in RUNTIMES for one in ("predict", "gates", "step") if one in known]}


def run(runtime, signature, folder):
    """Run a signature on a runtime: the largest difference from the model, and the median latency of a call."""
    folder = Path(folder)
    data = np.load(folder / "data.npy")
    call = CALLS[runtime](folder, signature)
    received, milliseconds = stepped(call, data) if signature == "step" else whole(call, data)
    with np.load(folder / "expected.npz") as kept:
        expected = {key.replace("|", "/"): kept[key] for key in kept.files}
    errors = []
    for name, values in received.items():
        wanted = expected[name]
        if signature == "step" and wanted.ndim < 3:
            # An output of the whole sequence: its last step.
            values = values[:, -1]
        errors.append(float(np.abs(np.asarray(values, "float64") - wanted).max()))
    if not np.isfinite(errors).all():
        raise ArithmeticError("it answers NaN")
    return {"error": max(errors), "milliseconds": milliseconds}


def whole(call, data):
    """({output: values}, median milliseconds of a call)."""
    received = call({None: data})
    return received, timed(lambda: call({None: data}))


def stepped(call, data):
    """The same for `step`, called for each time step with the states that the step before gave."""
    states, steps = {}, []
    for at in range(data.shape[1]):
        results = call({"x": data[:, at], **states})
        steps.append(results)
        single = "h" in results
        states = {
            ("state_" if single else f"{name[:-1]}state_") + name[-1]: values
            for name, values in results.items()
            if name in ("h", "c") or name.endswith(("/h", "/c"))
        }
    received = {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}
    return received, timed(lambda: call({"x": data[:, 0], **states}))


def timed(call):
    """Median milliseconds of up to 50 calls in at most a second."""
    call()
    times, end = [], time.perf_counter() + 1.0
    while len(times) < 50 and time.perf_counter() < end:
        started = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - started))
    return float(np.median(times))


def filled(inputs, details):
    """Every input by its name; what is not given is zeros. The one input of a whole sequence has no name here."""
    if None in inputs:
        (name,) = details
        return {name: np.asarray(inputs[None], details[name][1])}
    return {name: np.asarray(inputs.get(name, np.zeros(shape)), kind) for name, (shape, kind) in details.items()}


def saved_model(folder, signature):
    """`tf.saved_model.load`, with this package out of reach."""
    sys.modules["keras_lstm_gates"] = None
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / "saved_model"))
    function = loaded.signatures[signature]
    specs = function.structured_input_signature[1]
    details = {name: ([size or 1 for size in spec.shape], spec.dtype.as_numpy_dtype) for name, spec in specs.items()}

    def call(inputs):
        results = function(**{name: tf.constant(value) for name, value in filled(inputs, details).items()})
        return {name: value.numpy() for name, value in results.items()}

    call.loaded = loaded
    return call


def interpreter(make, folder, signature):
    """An interpreter's signature runner."""
    runner = make(model_path=str(folder / "model.tflite"), num_threads=1).get_signature_runner(signature)
    details = {name: (one["shape"], one["dtype"]) for name, one in runner.get_input_details().items()}
    return lambda inputs: runner(**filled(inputs, details))


def tensorflow_lite(folder, signature):
    """`tf.lite.Interpreter`."""
    import tensorflow as tf

    return interpreter(tf.lite.Interpreter, folder, signature)


def litert(folder, signature):
    """The Interpreter of `ai_edge_litert`."""
    from ai_edge_litert.interpreter import Interpreter

    return interpreter(Interpreter, folder, signature)


def compiled(folder, signature):
    """The CompiledModel of `ai_edge_litert`."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.interpreter import Interpreter

    path = str(folder / "model.tflite")
    runner = Interpreter(model_path=path).get_signature_runner(signature)
    details = {name: (one["shape"], one["dtype"]) for name, one in runner.get_input_details().items()}
    outputs = {name: (one["shape"], one["dtype"]) for name, one in runner.get_output_details().items()}
    model = CompiledModel.from_file(path)
    into = {name: model.create_input_buffer_by_name(signature, name) for name in details}
    out = {name: model.create_output_buffer_by_name(signature, name) for name in outputs}

    def call(inputs):
        for name, value in filled(inputs, details).items():
            into[name].write(np.ascontiguousarray(value))
        model.run_by_name(signature, into, out)
        return {
            name: out[name].read(int(np.prod(shape)), kind).reshape(shape) for name, (shape, kind) in outputs.items()
        }

    return call


def micro(folder, signature):
    """`tflite-micro`: the file's first graph only, so a step in a file of its own."""
    from tflite_micro import runtime

    from keras_lstm_gates.microcontroller import MicroRunner

    path = folder / "micro" / "step.tflite"
    if signature == "step" and path.exists():
        runner = MicroRunner(path.read_bytes())

        def call(inputs):
            return {name: value[None] for name, value in runner.push(inputs["x"][0]).items()}

        return call
    # TFLM runs a file's first graph: find out whether it takes the file at all, in its own words.
    runtime.Interpreter.from_bytes((folder / "model.tflite").read_bytes())
    raise NotImplementedError("it loads the file, but runs its first graph only, and knows no signatures")


def litert_js(folder, signature):
    """LiteRT.js in headless Chromium, driven by selenium."""
    import shutil

    sys.path.insert(0, str(HERE.parent / "examples" / "browser"))
    import build
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise FileNotFoundError("chromium and chromedriver are not installed")
    place = Path(tempfile.mkdtemp())
    library = build.litert_js(Path("runs/browser_npm"))
    (place / "wasm").symlink_to((library / "core" / "wasm").resolve())
    shutil.copy(library / "core" / "dist" / "index.js", place / "core.js")
    shutil.copy(library / "wasm-utils" / "dist" / "index.js", place / "wasm-utils.js")
    shutil.copy(folder / "model.tflite", place)
    (place / "index.html").write_text(PAGE)
    server = build.server(place, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless", "no-sandbox", "disable-gpu", f"user-data-dir={place / 'profile'}"):
        options.add_argument(f"--{argument}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))

    def close():
        atexit.unregister(close)
        browser.quit()
        server.shutdown()
        server.server_close()
        shutil.rmtree(place, ignore_errors=True)

    atexit.register(close)
    browser.set_script_timeout(30)
    browser.get(f"http://localhost:{server.server_port}/")

    def script(code, *arguments):
        answer = browser.execute_async_script(
            f"const done = arguments[arguments.length - 1]; ({code})(...arguments).then(done, "
            "(error) => done({why: String(error.message ?? error)}))", *arguments
        )  # fmt: skip
        if isinstance(answer, dict) and "why" in answer:
            raise RuntimeError(answer["why"])
        return answer

    listed = script(
        "async (signature) => { while (!window.loaded) await new Promise((then) => setTimeout(then, 20));"
        " await window.loaded; return window.details(signature); }",
        signature,
    )
    details = {name: (shape, np.dtype(kind)) for name, shape, kind in listed}

    def call(inputs):
        given = {name: value.ravel().tolist() for name, value in filled(inputs, details).items()}
        results = script("(signature, given) => window.run(signature, given)", signature, given)
        return {name: np.array(values, "float32").reshape(shape) for name, (shape, values) in results.items()}

    call.close = close
    return call


PAGE = """<!doctype html><link rel="icon" href="data:,">
<script type="importmap">{"imports": {"@litertjs/core": "./core.js", "@litertjs/wasm-utils": "./wasm-utils.js"}}</script>
<body><script type="module">
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
let settle; window.loaded = new Promise((...both) => { settle = both; });
let model;
window.details = (signature) => model.signatures[signature].getInputDetails().map((one) => [one.name, [...one.shape], one.dtype]);
window.run = async (signature, given) => {
  const runner = model.signatures[signature];
  const tensors = Object.fromEntries(runner.getInputDetails().map((one) => [one.name,
    new Tensor(one.dtype === "int32" ? Int32Array.from(given[one.name]) : Float32Array.from(given[one.name]), [...one.shape])]));
  const shapes = Object.fromEntries(runner.getOutputDetails().map((one) => [one.name, [...one.shape]]));
  const results = {};
  for (const [name, tensor] of Object.entries(await runner.run(tensors))) {
    results[name] = [shapes[name], [...await tensor.data()]];
    tensor.delete();
  }
  for (const tensor of Object.values(tensors)) tensor.delete();
  return results;
};
try {
  await loadLiteRt("wasm/");
  model = await loadAndCompile(new Uint8Array(await (await fetch("model.tflite")).arrayBuffer()), { accelerator: "wasm" });
  settle[0]();
} catch (error) { settle[1](error); }
</script>
"""  # noqa: E501

CALLS = {
    "tf.saved_model.load": saved_model,
    "tf.lite.Interpreter": tensorflow_lite,
    "ai_edge_litert Interpreter": litert,
    "ai_edge_litert CompiledModel": compiled,
    "tflite-micro": micro,
    "LiteRT.js in Chromium": litert_js,
}


def table(rows):
    """The table as Markdown, the reasons for its empty cells below it."""
    reasons, lines = {}, []
    for model, file, runtime, found in rows:
        if "why" in found:
            note = reasons.setdefault(found["why"], len(reasons) + 1)
            cells = ("no", f"[{note}]", "")
        else:
            cells = ("yes", f"{found['error']:.0e}", f"{found['milliseconds']:.2g}")
        lines.append(f"| {' | '.join((model, file, runtime, *cells))} |")
    notes = [f"{note}. {why[:400]}" for why, note in reasons.items()]
    return "\n".join(
        [
            "# Every exported file on every runtime",
            "",
            f"Written by `python benchmarks/runtimes.py`. One sequence of {TIME} steps, float32. Error: the largest",
            "difference from the Keras model, over all outputs of the signature. Latency: the median of up to 50 calls",
            "on the machine of that run, one thread; in LiteRT.js with the way to the browser and back.",
            "",
            "| model | file and signature | runtime | runs | largest error | ms a call |",
            "|---|---|---|---|---|---|",
            *lines,
            *(["", "Why not, in the runtime's own words:", "", *notes] if notes else []),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
