"""The exported files against the model, the equations, and a process without this package."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import lstm
from small import arrays, small_model

from keras_lstm_gates import exporting, expose
from keras_lstm_gates._support import child_process
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.models import CharacterLanguageModel, SequenceLabeller


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model, data = small_model()
    folder = tmp_path_factory.mktemp("exported")
    return exporting.export(model, folder, data), model, data


def test_folder(exported):
    folder = exported[0].files["tflite"].parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "edge.py",
        "manifest.json",
        "model.tflite",
        "saved_model",
    ]


def test_the_microcontroller_sources_answer_as_the_model(tmp_path):
    pytest.importorskip("tflite_micro")
    model = SequenceLabeller(features=3, classes=2, units=4, seed=0)
    data = np.random.default_rng(0).normal(size=(2, 6, 3))
    written = exporting.export(model, tmp_path, data, formats=("micro",))
    assert 0 < max(written.differences["micro"]["step"].values()) < 1e-6
    assert {"main.cc", "model_data.cc", "step.tflite"} <= {path.name for path in written.files["micro"].iterdir()}


def test_gates_of_the_tflite_file_obey_the_equations(exported):
    written, model, data = exported
    received = Runner(written.files["tflite"]).gates(data)
    normalized = (data - 0.1) / np.sqrt(2.0)
    expected = lstm(normalized, *model.get_layer("lstm").get_weights(), mask=np.any(data != 0, axis=-1))
    for name in "ifgoch":
        np.testing.assert_allclose(received[name], expected[name], atol=2e-6, err_msg=name)


def test_differences_are_told_for_every_named_output(exported):
    for differences in exported[0].differences.values():
        assert sorted(differences) == ["gates", "predict", "step"]
        assert (
            sorted(differences["gates"])
            == sorted(differences["step"])
            == ["c", "f", "g", "h", "i", "o", "probabilities"]
        )
        assert 0 <= max(max(outputs.values()) for outputs in differences.values()) < 1e-5


def test_tflite_has_builtin_operators_only(exported, capfd):
    tf.lite.experimental.Analyzer.analyze(model_path=str(exported[0].files["tflite"]))
    operators = set(re.findall(r"Op#\d+ (\w+)\(", capfd.readouterr().out))
    assert {"WHILE", "FULLY_CONNECTED"} <= operators
    assert not {name for name in operators if name.startswith(("Flex", "CUSTOM"))}


def test_saved_model_answers_by_name_without_this_package(exported, tmp_path):
    written, model, data = exported
    np.save(tmp_path / "x.npy", data[:, :4])
    code = (
        "import sys; sys.modules['keras_lstm_gates'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"signatures = tf.saved_model.load({str(written.files['saved_model'])!r}).signatures\n"
        f"x = tf.constant(np.load({str(tmp_path / 'x.npy')!r}))\n"
        "gates = signatures['gates'](sequence=x)\n"
        "assert sorted(gates) == ['c', 'f', 'g', 'h', 'i', 'o', 'probabilities'], sorted(gates)\n"
        "predicted = signatures['predict'](sequence=x)['probabilities']\n"
        f"np.savez({str(tmp_path / 'out.npz')!r}, **gates, predicted=predicted)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    out = arrays(tmp_path / "out.npz")
    np.testing.assert_allclose(out["predicted"], model(data[:, :4]), atol=1e-6)
    np.testing.assert_array_equal(out["predicted"], out["probabilities"])
    assert out["f"].shape == (5, 4, 4)


def test_fixed_time_and_a_batch(tmp_path):
    """Five samples in batches of two: the last one is filled up, and cut."""
    model, data = small_model()
    written = exporting.export(model, tmp_path, data, formats=("tflite",), batch=2, time=6)
    runner = Runner(written.files["tflite"])
    assert runner.signatures["gates"]["inputs"] == {"sequence": (2, 6, 3)}
    np.testing.assert_allclose(runner.predict(data)["probabilities"], model(data), atol=1e-6)
    np.testing.assert_allclose(runner.predict(data[1])["probabilities"], model(data[1:2])[0], atol=1e-6)
    assert runner.stream().push(data[:2, 0])["f"].shape == (2, 4)


def test_the_manifest_tells_what_the_files_are(exported):
    written = exported[0]
    folder = written.files["tflite"].parent
    told = json.loads((folder / "manifest.json").read_text())
    assert told["signatures"]["step"]["inputs"]["state_c"] == {
        "shape": [None, 4],
        "dtype": "float32",
        "meaning": "cell state of the step before, zeros at first",
    }
    assert told["signatures"]["gates"]["outputs"]["f"]["shape"] == [None, None, 4]
    assert told["signatures"]["step"]["states"] == {"state_h": "h", "state_c": "c"}
    for of_format in told["formats"].values():
        for path, digest in of_format["sha256"].items():
            assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest
    step = told["formats"]["tflite"]["signatures"]["step"]
    assert step["lstm"] == "builtin"
    assert {"FULLY_CONNECTED", "TANH"} <= set(step["operators"])
    assert not {"WHILE", "CUSTOM"} & {name.split()[0] for name in step["operators"]}
    assert "WHILE" in told["formats"]["tflite"]["signatures"]["gates"]["operators"]
    assert step["largest_error"] == written.differences["tflite"]["step"]
    assert step["latency_ms"] > 0
    text = (folder / "README.md").read_text()
    assert "| input | `state_c` | (any, 4) float32 | cell state of the step before, zeros at first |" in text
    assert "runner.stream()" in text


def test_a_converter_that_fails_is_one_error(tmp_path, monkeypatch):
    model, data = small_model()
    call = child_process.call
    monkeypatch.setattr(child_process, "call", lambda function, **arguments: call("os:abort"))
    with pytest.raises(child_process.CrashError, match="ended its process with SIGABRT"):
        exporting.export(model, tmp_path / "out", data, formats=("tflite",))
    assert not (tmp_path / "out").exists()


def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    model, data = small_model()
    (tmp_path / "model.tflite").write_text("an earlier run's file")
    monkeypatch.setitem(exporting.TOLERANCES, "float32", -1.0)
    with pytest.raises(
        ArithmeticError, match=r"model\.tflite differs from the model: predict/probabilities by .*allowed"
    ):
        exporting.export(model, tmp_path, data, formats=("tflite",))
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]
    assert (tmp_path / "model.tflite").read_text() == "an earlier run's file"


def test_outputs_in_large_units_are_compared_by_their_size(tmp_path):
    sequence = keras.Input((None, 2))
    scaled = keras.layers.Rescaling(3e6)(keras.layers.LSTM(4)(sequence))
    data = np.random.default_rng(0).normal(size=(3, 7, 2))
    written = exporting.export(keras.Model(sequence, scaled), tmp_path, data, formats=("tflite",))
    (difference,) = written.differences["tflite"]["predict"].values()
    assert 1e-4 < difference < 30


def test_the_fused_operator(tmp_path, rng):
    """Two LSTMs, each one operator, and each sequence from a new state; what it cannot hold is told."""
    lstm = keras.layers.LSTM
    model = keras.Sequential([keras.Input((None, 3)), lstm(5, return_sequences=True), lstm(4)])
    data = rng.normal(size=(3, 9, 3)).astype("float32")
    written = exporting.export(model, tmp_path, data, formats=("tflite_fused",), signatures=("predict",))
    (received,) = Runner(written.files["tflite_fused"]).predict(data).values()
    np.testing.assert_allclose(received, model(data), atol=1e-6)
    told = json.loads((tmp_path / "manifest.json").read_text())["formats"]["tflite_fused"]["signatures"]["predict"]
    assert told["lstm"] == "fused"
    assert told["operators"]["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 2
    masked, data = small_model()
    with pytest.raises(ValueError, match="'tflite_fused' cannot hold the layer 'lstm': it has a mask"):
        exporting.export(masked, tmp_path / "out", data, formats=("tflite_fused",), signatures=("predict",))
    assert not (tmp_path / "out").exists()
    opened = expose(keras.Sequential([keras.Input((None, 3)), lstm(5, name="lstm")]))
    with pytest.raises(ValueError, match="'tflite_fused' cannot hold the layer 'lstm': the model's outputs hold its g"):
        exporting.export(opened, tmp_path / "out", data, formats=("tflite_fused",))


def test_the_fused_operator_of_a_large_cell_state(tmp_path):
    """The converter's own would cut c off at 10."""
    lstm = keras.layers.LSTM(2, name="lstm", return_sequences=True)
    model = keras.Sequential([keras.Input((None, 1)), lstm])
    # Everything is kept and written: c counts up to 25, then down to 5; columns i, f, g, o.
    lstm.set_weights([np.repeat([[0.0, 0, 9, 0]], 2, axis=1), np.zeros((2, 8)), np.repeat([20.0, 20, 0, 0], 2)])
    data = np.repeat([1.0, -1.0], [25, 20]).reshape(1, 45, 1)
    np.testing.assert_allclose(expose(model)(data)["lstm/c"].numpy()[0, [24, -1], 1], [25, 5], rtol=1e-3)
    written = exporting.export(model, tmp_path, data, formats=("tflite_fused",), signatures=("predict",))
    assert written.differences["tflite_fused"]["predict"]["lstm"] < 1e-6


def test_a_model_whose_outputs_are_its_gates(tmp_path):
    """`predict` then answers with them, as `zoo.load` does."""
    model, data = small_model()
    written = exporting.export(expose(model), tmp_path, data, signatures=("predict",))
    received = Runner(written.files["tflite"]).predict(data)
    assert sorted(received) == [*(f"lstm/{name}" for name in "cfghio"), "probabilities"]


def test_unknown_format(tmp_path):
    model, data = small_model()
    known = r"\['saved_model', 'tflite', 'tflite_fused', 'onnx', 'micro'\]"
    with pytest.raises(ValueError, match=rf"expected formats of {known}; received 'keras'"):
        exporting.export(model, tmp_path, data, formats=("keras",))


def _token_models():
    """Models of tokens and how many ids they know: ours, and Keras's with an Embedding that declares float tokens."""
    yield SequenceLabeller(vocabulary=9, classes=3, units=4, embedding=5, bidirectional=True, seed=0), "probabilities"
    yield CharacterLanguageModel(vocabulary=9, units=4, embedding=5, layers=2, seed=0), "probabilities"
    yield (
        keras.Sequential(
            [
                keras.Input((None,)),
                keras.layers.Embedding(9, 5, mask_zero=True),
                keras.layers.LSTM(4, name="lstm"),
                keras.layers.Dense(2, name="score"),
            ]
        ),
        "score",
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("number", range(3))
def test_models_of_tokens(tmp_path, number):
    model, output = list(_token_models())[number]
    tokens = np.random.default_rng(2).integers(1, 9, (4, 7))
    tokens[1, 4:] = 0
    written = exporting.export(model, tmp_path, tokens)
    runner = Runner(written.files["tflite"])
    assert runner.signatures["gates"]["inputs"] == {"tokens": (1, -1)}
    for length in (7, 3):
        received = runner.gates(tokens[:, :length])
        opened = expose(model)(tokens[:, :length])
        single = "f" in received
        for name in received:
            wanted = opened[name if not single or name == output else f"lstm/{name}"]
            np.testing.assert_allclose(received[name], wanted, atol=2e-6, err_msg=name)
    np.testing.assert_array_equal(runner.predict(tokens[2])[output], runner.predict(tokens)[output][2])
    with pytest.raises(ValueError, match="expected token numbers, ints; received an array of dtype float64"):
        runner.predict(tokens / 2)
    for unknown in (9, -1):
        with pytest.raises(ValueError, match=rf"expected tokens that the model knows; received {unknown} to {unknown}"):
            runner.predict(np.full(5, unknown))


def test_data_that_are_no_tokens(tmp_path):
    model, _ = next(_token_models())
    with pytest.raises(ValueError, match="expected token numbers, ints; received an array of dtype float32"):
        exporting.export(model, tmp_path, np.ones((2, 7), "float32"))


def two_inputs():
    """Sequences of any length, and a vector, which is called as an LSTM's state."""
    series, state = keras.Input((None, 3), name="series"), keras.Input((4,), name="h")
    x = keras.layers.LSTM(4, name="lstm")(series, initial_state=[state, state])
    return keras.Model([series, state], keras.layers.Dense(2, name="score")(x))


def test_a_model_of_two_inputs(tmp_path, rng):
    """Each by its name, in every format and precision; there is no `step`."""
    from keras_lstm_gates.exporting.onnx.files import open_onnx
    from keras_lstm_gates.exporting.saved_model import open_saved_model

    model = two_inputs()
    data = [rng.normal(size=shape).astype("float32") for shape in ((3, 7, 3), (3, 4))]
    # The extra `quantize` is not in every environment of tests/matrix.
    precisions = ("float32", "dynamic_int8") if importlib.util.find_spec("ai_edge_quantizer") else ("float32",)
    formats = ("saved_model", "tflite", "onnx")
    written = exporting.export(model, tmp_path, data, formats, precisions)
    assert written.missing == {"step": "the model has 2 inputs, ['series', 'h'], and a stream is of one"}
    inputs = {"series": rng.normal(size=(5, 4, 3)).astype("float32"), "h": rng.normal(size=(5, 4)).astype("float32")}
    expected = expose(model)(list(inputs.values()))
    runner = Runner(written.files["tflite"])
    for call in (open_saved_model(written.files["saved_model"]), open_onnx(written.files["onnx"]), runner.run):
        received = call("gates", inputs)
        # The short names would be an input's.
        assert sorted(received) == sorted(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(received[name], values, atol=1e-6, err_msg=name)
    alone = runner.predict({name: values[0] for name, values in inputs.items()})
    np.testing.assert_allclose(alone["score"], expected["score"][0], atol=1e-6)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["compared_on"] == {"samples": 3, "steps": 7}
    assert manifest["signatures"]["predict"]["inputs"] == {
        "series": {"shape": [None, None, 3], "dtype": "float32", "meaning": "the model's input"},
        "h": {"shape": [None, 4], "dtype": "float32", "meaning": "the model's input"},
    }
    readme = (tmp_path / "README.md").read_text()
    for line in ("runner.predict({'series': series, 'h': h})", "signatures['gates'](**{'series': series, 'h': h})"):
        assert line in readme
    for given, text in (
        (inputs["series"], r"expected {input name: array} of \['h', 'series'\]; received \[\]"),
        ({"series": inputs["series"]}, r"expected {input name: array} of \['h', 'series'\]; received \['series'\]"),
        ({**inputs, "h": inputs["h"][:2]}, "expected as many samples of every input; received"),
        ({**inputs, "h": inputs["h"][0]}, "expected as many samples of every input; received"),
    ):
        with pytest.raises(ValueError, match=text):
            runner.predict(given)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (np.ones((2, 5, 3)), r"expected a list of data for the 2 inputs \['series', 'h'\]; received a ndarray"),
        ([np.ones((2, 5, 3))], r"expected a list of data for the 2 inputs \['series', 'h'\]; received 1"),
        ({"series": np.ones((2, 5, 3))}, r"expected data for the inputs \['series', 'h'\]; received \['series'\]"),
        (
            [np.ones((2, 5, 3)), np.ones((3, 4))],
            "expected as many samples of every input; received {'series': 2, 'h': 3}",
        ),
        ([np.ones((2, 5, 3)), np.ones((2, 5))], r"expected sequences of shape .*any, 4\); received \(2, 5\)"),
    ],
)
def test_data_that_are_not_of_two_inputs(data, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        exporting.export(two_inputs(), tmp_path / "out", data)
    assert not (tmp_path / "out").exists()


def test_two_inputs_of_different_lengths_and_a_step_that_is_required(tmp_path, rng):
    left, right = keras.Input((None, 3), name="left"), keras.Input((None, 3), name="right")
    shared = keras.layers.LSTM(4, name="shared")
    model = keras.Model(
        {"right": right, "left": left}, keras.layers.Subtract(name="parted")([shared(left), shared(right)])
    )
    data = {name: rng.normal(size=(3, steps, 3)).astype("float32") for name, steps in (("right", 9), ("left", 4))}
    with pytest.raises(ValueError, match="cannot have the signature 'step': the model has 2 inputs"):
        exporting.export(model, tmp_path / "out", data, signatures=("step",))
    written = exporting.export(model, tmp_path, data, ("onnx", "tflite"))
    assert max(written.differences["onnx"]["gates"].values()) < 1e-6
    np.testing.assert_allclose(Runner(written.files["tflite"]).predict(data)["parted"], model(data), atol=1e-6)
    of_steps = exporting.drift(model, written.files["tflite"], data)["largest_difference"].sel(output="shared@2/c")
    assert of_steps.sizes["time"] == 9
    assert float(of_steps.max()) < 1e-6


def test_data_of_another_shape(tmp_path):
    model, data = small_model()
    with pytest.raises(ValueError, match=r"\(samples, time, features\) = \(any, any, 3\); received \(5, 6, 2\)"):
        exporting.export(model, tmp_path, data[..., :2])


def test_a_folder_is_verified_as_it_was_written(exported, tmp_path):
    folder = shutil.copytree(exported[0].files["tflite"].parent, tmp_path / "out")
    assert exporting.verified(folder) == folder


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda folder: (folder / "README.md").write_text("x"), "README.md must have the sha256"),
        (lambda folder: (folder / "saved_model" / "more.txt").write_text("x"), "received 'saved_model/more.txt' bes"),
        (lambda folder: (folder / "saved_model" / "fingerprint.pb").unlink(), "fingerprint.pb of .* it is missing"),
        (lambda folder: (folder / "link").symlink_to("README.md"), "received 'link', a link"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "is none of an export: KeyError: 'sha256'"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 10**5), "is none of an export: RecursionError"),
        (
            lambda folder: (folder / "manifest.json").write_text('{"sha256": {"/etc/passwd": "0"}, "formats": {}}'),
            "expected a file of manifest.json with a name that stays in its folder",
        ),
        (lambda folder: (folder / "manifest.json").unlink(), "there is no manifest.json"),
    ],
)
def test_a_folder_that_was_changed_is_refused(exported, tmp_path, damage, text):
    folder = shutil.copytree(exported[0].files["tflite"].parent, tmp_path / "out")
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=text):
        exporting.verified(folder)


def test_a_format_that_cannot_hold_a_model_leaves_the_others(command, tmp_path, rng):
    sequence = keras.Input((6, 3))
    model = keras.Model(
        sequence, keras.layers.LSTM(2, name="lstm")(keras.layers.UpSampling1D(2, name="longer")(sequence))
    )
    x = rng.normal(size=(2, 6, 3)).astype("float32")
    exported = exporting.export(model, tmp_path / "out", x, ("onnx", "tflite"))
    reason = "the format 'onnx' cannot hold the layer 'longer': it is a UpSampling1D"
    assert exported.missing["onnx"].startswith(reason)
    assert [*exported.files] == ["tflite"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "README.md", "edge.py", "manifest.json", "model.tflite"
    }  # fmt: skip
    assert "onnx" not in json.loads((tmp_path / "out" / "manifest.json").read_text())["formats"]
    with pytest.raises(ValueError, match=reason):
        exporting.export(model, tmp_path / "alone", x, ("onnx",))
    assert not (tmp_path / "alone").exists()
    model.save(tmp_path / "model.keras")
    np.save("x.npy", x)
    arguments = ("model.keras", "x.npy", "--format", "onnx", "--format", "tflite", "--out", "made")
    code, printed, _ = command("export", *arguments)
    assert code == 1
    assert f"no format onnx: {reason}" in " ".join(printed.split())
    assert Path("made/model.tflite").is_file()
