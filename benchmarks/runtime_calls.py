"""A signature of an exported file on each runtime, as a function of {input: array} to {output: array}.

The functions of `CALLS` take the file's path and the signature. A function that they return may have `close`.
"""

import atexit
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


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


def saved_model(path, signature):
    """`tf.saved_model.load`, with this package out of reach."""
    sys.modules["keras_lstm_gates"] = None
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    function = loaded.signatures[signature]
    specs = function.structured_input_signature[1]
    # A spec's own name is the signature's; its key has no slash.
    details = {spec.name: ([size or 1 for size in spec.shape], spec.dtype.as_numpy_dtype) for spec in specs.values()}

    def call(inputs):
        results = function(**{name: tf.constant(value) for name, value in filled(inputs, details).items()})
        return {name: value.numpy() for name, value in results.items()}

    call.loaded = loaded
    return call


def interpreter(make, path, signature):
    """An interpreter's signature runner."""
    runner = make(model_path=str(path), num_threads=1).get_signature_runner(signature)
    details = {name: (one["shape"], one["dtype"]) for name, one in runner.get_input_details().items()}
    return lambda inputs: runner(**filled(inputs, details))


def tensorflow_lite(path, signature):
    """`tf.lite.Interpreter`."""
    import tensorflow as tf

    return interpreter(tf.lite.Interpreter, path, signature)


def litert(path, signature):
    """The Interpreter of `ai_edge_litert`."""
    from ai_edge_litert.interpreter import Interpreter

    return interpreter(Interpreter, path, signature)


def compiled(path, signature):
    """The CompiledModel of `ai_edge_litert`."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.interpreter import Interpreter

    path = str(path)
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


def micro(path, signature):
    """`tflite-micro`: it runs a file's first graph, and knows no signatures."""
    from ai_edge_litert.interpreter import Interpreter
    from tflite_micro import runtime

    from keras_lstm_gates.exporting.micro.microcontroller import MicroRunner

    content = path.read_bytes()
    known = Interpreter(model_content=content)
    if known.get_signature_list().keys() == {"step"}:
        runner = MicroRunner(content)

        def step(inputs):
            return {name: value[None] for name, value in runner.push(inputs["x"][0]).items()}

        return step
    # Whether it takes the file at all, in its own words.
    taken = runtime.Interpreter.from_bytes(content)
    if len(known.get_signature_list()) > 1:
        raise NotImplementedError("it loads the file, but runs its first graph only, and knows no signatures")
    places = [one["index"] for one in known.get_output_details()]
    outputs = known.get_signature_runner(signature).get_output_details()

    def call(inputs):
        taken.reset()
        taken.set_input(inputs[None], 0)
        taken.invoke()
        return {name: taken.get_output(places.index(one["index"])).copy() for name, one in outputs.items()}

    return call


def litert_js(path, signature):
    """LiteRT.js in headless Chromium, driven by selenium."""
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
    shutil.copy(path, place / "model.tflite")
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


def onnx(path, signature):
    """ONNX Runtime; the path is that of the folder."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path / f"{signature}.onnx"), options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": "float32", "tensor(int32)": "int32"}
    # A free axis, which has a name, is one sample: only states are filled in, and they have no other.
    details = {
        one.name: ([size if isinstance(size, int) else 1 for size in one.shape], kinds[one.type])
        for one in session.get_inputs()
    }
    names = [one.name for one in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, filled(inputs, details)), strict=True))


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
    "ONNX Runtime": onnx,
}
