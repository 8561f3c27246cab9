"""Build and serve the browser demonstration: draw a shape, and watch the gates of an LSTM open and close.

    python examples/browser/build.py [folder]        # trains for about a minute, then serves on localhost
    python examples/browser/build.py [folder] --no-serve

Needs npm, which fetches LiteRT.js once. The folder is a static site: any web server can serve it.
"""

import argparse
import functools
import json
import shutil
import subprocess
import tempfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import strokes

from keras_lstm_gates import export, trace
from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.layers import GatedLSTM

HERE = Path(__file__).parent
FIRST = "star"


def main(arguments=None):
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/browser"), help="of the site")
    parser.add_argument("--port", type=int, default=8017)
    parser.add_argument("--no-serve", action="store_true", help="build only")
    options = parser.parse_args(arguments)
    if not (options.folder / "index.html").exists():
        model = train(progress=True)
        build(model, options.folder)
    if not options.no_serve:
        with server(options.folder, options.port) as serving:
            print(f"open http://localhost:{serving.server_port}/  (Ctrl-C ends it)")
            try:
                serving.serve_forever()
            except KeyboardInterrupt:
                print()


def train(count=6000, epochs=40, units=32, seed=0, progress=False):
    """A labeller of strokes: at every step, the probability of each shape.

    Returns:
        `keras.Model`, (batch, time, 2) unit vectors to "probabilities" (batch, time, shapes).
    """
    keras.utils.set_random_seed(seed)
    x, y, weight = strokes.sequences(count, np.random.default_rng(seed))
    direction = keras.Input((None, 2), name="direction")
    h = GatedLSTM(units, return_sequences=True, return_gates=True, name="lstm")(direction)["output"]
    output = keras.layers.Dense(len(strokes.SHAPES), "softmax", name="probabilities")(h)
    model = keras.Model(direction, output, name="strokes")
    rate = keras.optimizers.schedules.CosineDecay(1e-2, epochs * -(-count // 128))
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "sparse_categorical_crossentropy")
    model.fit(x, y, sample_weight=weight, batch_size=128, epochs=epochs, verbose=2 if progress else 0)
    if progress:
        print(f"right at the end of {_accuracy(model):.1%} of 1000 new strokes")
    return model


def build(model, folder):
    """Write the site: the page, LiteRT.js, the exported file and the page's data.

    Raises:
        FileNotFoundError: npm is not installed.
        subprocess.CalledProcessError: npm could not fetch LiteRT.js.
    """
    library = litert_js(Path(folder).parent / "browser_npm")
    with replaced_when_whole(folder) as site:
        shutil.copytree(HERE / "page", site)
        wasm = site / "litert" / "wasm"
        wasm.mkdir(parents=True)
        shutil.copy(library / "core" / "dist" / "index.js", site / "litert" / "core.js")
        shutil.copy(library / "wasm-utils" / "dist" / "index.js", site / "litert" / "wasm-utils.js")
        # The second is for browsers without relaxed SIMD.
        for name in ("litert_wasm_internal", "litert_wasm_compat_internal"):
            for ending in ("js", "wasm"):
                shutil.copy(library / "core" / "wasm" / f"{name}.{ending}", wasm)
        content = page_data(model)
        _export(model, site)
        (site / "demonstration.json").write_text(json.dumps(content, separators=(",", ":")))


def litert_js(folder):
    """Where npm has put the scope @litertjs; it is fetched when it is not there yet."""
    scope = folder / "node_modules" / "@litertjs"
    if not scope.is_dir():
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is not installed: apt-get install npm, or https://nodejs.org")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True, text=True)
    return scope


def page_data(model):
    """What the page draws from: a recorded stroke of each shape with the model's own guesses, and the units' order."""
    drawn = [_recorded(model, shape) for shape in strokes.SHAPES]
    tree = trace(model, _padded([one["directions"] for one in drawn]), progress=False)["lstm"]
    real = np.arange(tree.sizes["time"]) < np.array([len(one["directions"]) for one in drawn])[:, None]
    f, c = (tree[name].values[real] for name in "fc")
    first = strokes.SHAPES.index(FIRST)
    moves = [np.minimum(1, tree[name].values[first][real[first]].std(axis=0)) for name in "fioch"]
    return {
        "output": "probabilities",
        "step": strokes.STEP,
        "longest": strokes.LONGEST,
        "strokes": drawn,
        "first": first,
        # The longest memory on top; to begin with, the unit whose gates and memory move most.
        "order": np.argsort(-f.mean(axis=0), kind="stable").tolist(),
        "unit": int(np.argmax(np.prod(moves, axis=0))),
        "limits": np.maximum(1, np.abs(c).max(axis=0)).round(3).tolist(),
    }


def server(folder, port):
    """An HTTP server of the folder for this machine only; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Quiet, directory=str(folder)))


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript", ".wasm": "application/wasm"}

    def log_message(self, *arguments):
        pass


def _recorded(model, shape):
    """Of a few strokes within the pad, the most even one of those that the model is surest of in the end."""
    rng = np.random.default_rng(11)
    points = [strokes.stroke(shape, rng) for _ in range(120)]
    points = [one for one in points if 0.35 < np.abs(one - 0.5).max() < 0.45]
    directions = [strokes.steps(one) for one in points]
    guesses = model.predict(_padded(directions), verbose=0)
    ends = [guess[len(way) - 1, strokes.SHAPES.index(shape)] for guess, way in zip(guesses, directions)]
    best = min(
        np.argsort(ends)[-len(ends) // 2 :], key=lambda place: abs(np.log(np.divide(*np.ptp(points[place], axis=0))))
    )
    return {
        "shape": shape,
        "start": points[best][0].round(4).tolist(),
        "directions": directions[best].astype(float).tolist(),
        "expected": guesses[best][: len(directions[best])].astype(float).round(7).tolist(),
    }


def _export(model, folder):
    """The signature `steer_step` alone, of fixed shapes: LiteRT.js takes no time axis of any length."""
    some = _padded([strokes.steps(strokes.stroke(shape, np.random.default_rng(0))) for shape in strokes.SHAPES])
    with tempfile.TemporaryDirectory() as exported:
        files = export(model, exported, some, formats=("tflite",), signatures=("steer_step",)).files
        shutil.copy(files["tflite"], folder / "step.tflite")


def _padded(directions):
    padded = np.zeros((len(directions), strokes.LONGEST, 2), "float32")
    for row, one in zip(padded, directions):
        row[: len(one)] = one
    return padded


def _accuracy(model):
    x, y, weight = strokes.sequences(1000, np.random.default_rng(12345))
    last = (weight > 0).sum(axis=1)
    guesses = model.predict(x, verbose=0)[np.arange(len(x)), last]
    return float((guesses.argmax(axis=-1) == y[:, 0]).mean())


if __name__ == "__main__":
    main()
