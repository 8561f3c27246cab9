"""How quickly the page of a trace of 20 sequences, 200 steps and 128 units can be used, in headless Chromium.

    python benchmarks/page.py

Milliseconds, medians of 5 loads, to the second animation frame after each act: then the picture is on the screen.
Chromium and chromedriver are needed: apt-get install chromium chromium-driver.
"""

import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from keras_lstm_gates import report, trace

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browsers import chromium

SAMPLES, STEPS, UNITS, LOADS = 20, 200, 128, 5
ACTS = {
    "first scroll to the curves, which loads the plotting library": "byId('curves').scrollIntoView()",
    "scroll to the heat map": "byId('map').scrollIntoView()",
    "another gate": "show({ gate: 'o' })",
    "another sample": "show({ sample: view.sample + 1 })",
    "another unit": "show({ unit: view.unit + 1 })",
    "another step": "show({ step: view.step + 1 })",
}
# Drawn: no plot near the window waits, each near one has its picture, and two frames have passed.
TIMED = """
const done = arguments[0], began = performance.now();
%s;
const drawn = () => stale.size === 0 || [...stale].every((id) => !near.has(id));
const there = () => drawn() && [...near].every((id) => document.querySelector(`#${id} .main-svg`));
let frames = 0;
const look = () => ++frames >= 3 && there() ? done(performance.now() - began) : requestAnimationFrame(look);
requestAnimationFrame(look);
"""


def main():
    """Print the figures."""
    keras.utils.set_random_seed(0)
    sequence = keras.Input((STEPS, 8))
    model = keras.Model(sequence, keras.layers.LSTM(UNITS, name="lstm")(sequence))
    x = np.random.default_rng(0).normal(size=(SAMPLES, STEPS, 8)).astype("float32")
    milliseconds = {"usable: numbers, controls and the drawing": [], **{name: [] for name in ACTS}}
    with tempfile.TemporaryDirectory() as folder, chromium(1100, 900) as browser:
        path = report(trace(model, x, progress=False), Path(folder) / "page.html")
        print(f"{path.stat().st_size / 1e6:.2f} MB; load average {Path('/proc/loadavg').read_text().split()[0]}")
        for _ in range(LOADS):
            began = time.perf_counter()
            browser.get(f"file://{path}")
            while browser.execute_script("return document.documentElement.dataset.ready") != "yes":
                time.sleep(0.01)
            milliseconds["usable: numbers, controls and the drawing"].append(1000 * (time.perf_counter() - began))
            for name, act in ACTS.items():
                milliseconds[name].append(browser.execute_async_script(TIMED % act))
    for name, values in milliseconds.items():
        print(f"{np.median(values):6.0f} (largest {max(values):.0f})  {name}")


if __name__ == "__main__":
    main()
