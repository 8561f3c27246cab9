"""The files for a microcontroller: run by TFLM against the equations, and the array compiled."""

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tflm
from reference import lstm

from keras_lstm_gates import edge, exporting, gates
from keras_lstm_gates.exporting.micro import microcontroller
from keras_lstm_gates.exporting.tflite import quantizing

pytest.importorskip("tflite_micro", reason="tflite-micro is not installed: pip install 'keras_lstm_gates[micro]'")

FEATURES, UNITS = 3, 8


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(3)
    shapes = (FEATURES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)
    return [0.5 * rng.normal(size=shape).astype("float32") for shape in shapes]


@pytest.fixture(scope="module")
def sequence():
    return np.random.default_rng(4).normal(size=(30, FEATURES)).astype("float32")


def step_file(weights, folder, calibration=None):
    """A .tflite of the one signature `step`, float32, or int8 with ranges from {input: (steps, ...)}."""
    module = tf.Module()
    module.kept = [tf.Variable(weight) for weight in weights]
    shapes = {"x": FEATURES, "state_h": UNITS, "state_c": UNITS}

    @tf.function(input_signature=[tf.TensorSpec((1, size), tf.float32, name) for name, size in shapes.items()])
    def step(x, state_h, state_c):
        kernel, recurrent, bias = module.kept
        now = gates.step(x @ kernel + state_h @ recurrent + bias, state_c)
        return {name: tf.identity(value) for name, value in now._asdict().items()}

    tf.saved_model.save(module, str(folder), signatures={"step": step})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["step"])
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            ("step", {name: values[at : at + 1] for name, values in calibration.items()})
            for at in range(len(calibration["x"]))
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter.convert()


@pytest.fixture(scope="module")
def content(weights, tmp_path_factory):
    return step_file(weights, tmp_path_factory.mktemp("float32"))


def test_float32_agrees_with_the_equations(content, weights, sequence, tmp_path):
    trial = microcontroller.write(content, tmp_path, sequence)
    expected = lstm(sequence[None], *weights)
    assert sorted(trial.outputs) == sorted("ifgoch")
    for name in "ifgoch":
        np.testing.assert_allclose(trial.outputs[name], expected[name][0], atol=2e-6, err_msg=name)


# The converter's calibration uses it.
@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")
def test_int8_agrees_to_its_steps(weights, sequence, tmp_path):
    run = lstm(sequence[None], *weights)
    before = {f"state_{name}": np.pad(run[name][0], ((1, 0), (0, 0)))[:-1].astype("float32") for name in "hc"}
    small = step_file(weights, tmp_path, {"x": sequence, **before})
    trial = microcontroller.try_out(small, sequence)
    for name in "ifgoch":
        np.testing.assert_allclose(trial.outputs[name], run[name][0], atol=0.1, err_msg=name)
    worst = max(np.abs(trial.outputs[name] - run[name][0]).max() for name in "ifgoch")
    assert worst > 1e-4, "float32 passed for int8"


def test_a_quantized_step_runs_with_floats_in_and_out(content, weights, sequence, tmp_path):
    """What `quantizing` makes of a float32 file: by TFLM as by the interpreter, and `write` takes it."""
    pytest.importorskip("ai_edge_quantizer", reason="pip install 'keras_lstm_gates[quantize]'")
    small = quantizing.quantize(content, "int8", sequence[None]).content
    trial = microcontroller.write(small, tmp_path, sequence)
    (tmp_path / "alone.tflite").write_bytes(small)
    stream = edge.Runner(tmp_path / "alone.tflite").stream()
    steps = [stream.push(x) for x in sequence]
    run = lstm(sequence[None], *weights)
    for name in "ifgoch":
        # Two integer kernels may round a step differently, and the difference goes round with the states.
        np.testing.assert_allclose(trial.outputs[name], [step[name] for step in steps], atol=0.05, err_msg=name)
        np.testing.assert_allclose(trial.outputs[name], run[name][0], atol=0.1, err_msg=name)
    assert max(np.abs(trial.outputs[name] - run[name][0]).max() for name in "ifgoch") > 1e-4, "float32 passed for int8"
    main = (tmp_path / "main.cc").read_text()
    assert "resolver.AddQuantize();" in main
    compiles(tmp_path)


@pytest.mark.parametrize("precision", ["float16", "dynamic_int8"])
def test_a_precision_that_tflm_does_not_know(content, sequence, precision):
    pytest.importorskip("ai_edge_quantizer", reason="pip install 'keras_lstm_gates[quantize]'")
    small = quantizing.quantize(content, precision, sequence[None]).content
    with pytest.raises(RuntimeError, match=r"TFLM cannot run it: .*(DEQUANTIZE|FULLY_CONNECTED).* failed to prepare"):
        microcontroller.try_out(small, sequence)


def test_a_model_of_tokens(tmp_path):
    """Its gather counts negative tokens from the end by an operator that TFLM does not know."""
    tokens = keras.Input((None,), dtype="int32")
    every = keras.layers.LSTM(4, return_sequences=True)(keras.layers.Embedding(20, 3)(tokens))
    model = keras.Model(tokens, keras.layers.Dense(5, "softmax", name="next")(every))
    data = np.arange(20, dtype="int32").reshape(1, 20)
    differences = exporting.export(model, tmp_path / "exported", data, formats=("micro",)).differences["micro"]
    assert sorted(differences["step"]) == sorted([*"ifgoch", "next"])
    assert max(differences["step"].values()) < 1e-6
    folder = tmp_path / "exported" / "micro"
    assert "const int32_t kExample" in (folder / "example.cc").read_text()
    compiles(folder)
    for unknown in (20, -1):
        with pytest.raises(RuntimeError, match="invocation failed"):
            microcontroller.MicroRunner((folder / "step.tflite").read_bytes()).push(np.int32(unknown))


def compiles(folder):
    """g++ takes main.cc without a warning, with the declarations of `tflm`."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed: apt-get install g++")
    tflm.write_headers(folder / "headers")
    options = f"-std=c++17 -fsyntax-only -Wall -Wextra -Werror -I{folder / 'headers'}".split()
    done = subprocess.run([compiler, *options, folder / "main.cc"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_main_is_compiled(content, sequence, tmp_path):
    """And what would not compile is seen."""
    microcontroller.write(content, tmp_path, sequence)
    compiles(tmp_path)
    main = tmp_path / "main.cc"
    main.write_text(main.read_text().replace("resolver.AddTanh();", "resolver.AddTangent();"))
    with pytest.raises(AssertionError, match="AddTangent"):
        compiles(tmp_path)


def test_the_arena_is_the_smallest(content, sequence):
    """One unit less is refused, in a process of its own."""
    arena = microcontroller.try_out(content, sequence[:2]).arena
    code = (
        "import sys; from keras_lstm_gates.exporting.micro.microcontroller import MicroRunner\n"
        "MicroRunner(sys.stdin.buffer.read(), int(sys.argv[1])).push([0.0] * 3)"
    )
    for size, works in ((arena, True), (arena - microcontroller.ARENA_UNIT, False)):
        done = subprocess.run([sys.executable, "-c", code, str(size)], input=content, capture_output=True)
        assert (done.returncode == 0) == works


def test_the_array_is_the_file(content, sequence, tmp_path):
    """g++ compiles the data files without a warning."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed: apt-get install g++")
    trial = microcontroller.write(content, tmp_path, sequence)
    (tmp_path / "print.cc").write_text(
        '#include <cstdio>\n#include "example.h"\n#include "model_data.h"\n'
        "int main() { fwrite(kModel, 1, kModelSize, stdout); fwrite(kExample, 1, sizeof kExample, stdout); }\n"
    )
    sources = [str(tmp_path / name) for name in ("print.cc", "model_data.cc", "example.cc")]
    subprocess.run([compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", *sources, "-o", tmp_path / "a"], check=True)
    printed = subprocess.run([tmp_path / "a"], capture_output=True, check=True).stdout
    assert printed == content + sequence[:16].tobytes()
    main = (tmp_path / "main.cc").read_text()
    assert f"kArenaSize = {trial.arena};" in main
    assert "resolver.AddFullyConnected();" in main
    assert "{kInputStateH, kOutputH, 0}" in main
    assert main.count("{") == main.count("}")


def test_a_file_of_other_signatures(content, sequence, weights, tmp_path):
    module = tf.Module()
    function = tf.function(lambda x: {"y": 2.0 * x}, input_signature=[tf.TensorSpec((1, 3), tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path), signatures={"predict": function})
    other = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=["predict"]).convert()
    with pytest.raises(ValueError, match=r"expected a file whose one signature is 'step'; received \['predict'\]"):
        microcontroller.MicroRunner(other)
    with pytest.raises(RuntimeError, match=r"TFLM cannot run it: .*received \['predict'\]"):
        microcontroller.try_out(other, sequence)


def test_states_are_followed_by_their_outputs():
    assert microcontroller.follower("state_h") == "h"
    assert microcontroller.follower("encoder/lstm/state_c") == "encoder/lstm/c"
