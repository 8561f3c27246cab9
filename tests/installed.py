"""What an installed wheel does in an environment without extras: `make package` runs it there, out of the checkout."""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def extras_are_named(model, x, folder):
    """Every feature of an extra says which to install."""
    import keras_lstm_gates
    from keras_lstm_gates.datasets import load
    from keras_lstm_gates.opening import from_torch
    from keras_lstm_gates.recipes import Recipe

    (folder / "table.parquet").write_bytes(b"PAR1")
    (folder / "model.pt").write_bytes(b"PK")
    (folder / "model.yaml").write_text("class_name: Sequential\nconfig:\n  layers: []\n")
    model.save_weights(folder / "model.weights.h5")
    wishes = {
        "report": lambda: keras_lstm_gates.report(
            keras_lstm_gates.trace(model, x, progress=False), folder / "page.html"
        ),
        "onnx": lambda: keras_lstm_gates.export(model, folder / "onnx", x, formats=("onnx",)),
        "quantize": lambda: keras_lstm_gates.export(model, folder / "small", x, precisions=("float16",)),
        "micro": lambda: keras_lstm_gates.export(model, folder / "micro", x, formats=("micro",)),
        "torch": lambda: from_torch(folder / "model.pt"),
        "keras2": lambda: keras_lstm_gates.load_model(folder / "model.yaml", weights=folder / "model.weights.h5"),
        "data": lambda: load(Recipe(dataset="japanese_vowels")),
        "parquet": lambda: load(Recipe(dataset=str(folder / "table.parquet"), task="forecasting", target="y")),
    }
    # Some come today with what others need.
    there = {extra for extra, module in {"keras2": "yaml", "parquet": "pyarrow"}.items() if find_spec(module)}
    for extra, wish in wishes.items():
        if extra in there:
            print(f"the extra {extra} is there")
            continue
        said = ""
        try:
            wish()
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        print(f"without the extra {extra}: {said}")
        if f"keras_lstm_gates[{extra}]" not in said:
            raise AssertionError(f"expected an error that names the extra {extra}; received {said!r}")


def main():
    # What this machine has prepared already needs no extra.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TFDS_DATA_DIR"] = folder
        tried()
    print("the installed wheel works")


def tried():
    import keras
    import numpy as np

    import keras_lstm_gates
    from keras_lstm_gates import edge, zoo
    from keras_lstm_gates.steering import Set, steer

    assert Path(sys.prefix) in Path(keras_lstm_gates.__file__).parents, keras_lstm_gates.__file__
    for command in ([sys.executable, "-m", "keras_lstm_gates"], [Path(sys.prefix) / "bin" / "keras-lstm-gates"]):
        done = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True)
        assert done.stdout.strip() == f"keras-lstm-gates {keras_lstm_gates.__version__}"
    assert len(zoo.list()) == 6
    assert {"i", "f"} <= {
        name.rpartition("/")[2] for name in zoo.load("japanese_vowels")(np.ones((1, 9, 12), "float32"))
    }

    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    assert keras_lstm_gates.trace(model, x, progress=False)["lstm"]["f"].shape == (2, 7, 4)
    assert not steer(model, {"lstm/f": Set(0.0)}).predict(x, verbose=0)["lstm/f"].any()
    with tempfile.TemporaryDirectory() as folder:
        exported = keras_lstm_gates.export(model, Path(folder) / "out", x)
        runner = edge.Runner(exported.files["tflite"])
        assert runner.gates(x[0])["f"].shape == (7, 4)
        extras_are_named(model, x, Path(folder))


if __name__ == "__main__":
    main()
