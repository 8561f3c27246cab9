"""`edge.Runner`: it needs neither TensorFlow nor Keras, and says clearly what it cannot take."""

import copy
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils
from small import arrays, small_model

from keras_lstm_gates import edge, exporting
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.tflite.graphs import operators, read


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model, data = small_model()
    exporting.export(model, folder, data, formats=("tflite",))
    return folder / "model.tflite", model, data


@pytest.fixture(scope="module")
def of_tokens(tmp_path_factory):
    """A model that knows the tokens 0 to 19."""
    folder = tmp_path_factory.mktemp("of_tokens")
    tokens = keras.Input((None,), dtype="int32")
    last = keras.layers.LSTM(3)(keras.layers.Embedding(20, 2)(tokens))
    model = keras.Model(tokens, keras.layers.Dense(2, "softmax", name="classes")(last))
    exporting.export(model, folder, np.arange(20).reshape(4, 5), formats=("tflite",), signatures=("predict", "step"))
    return folder / "model.tflite"


def test_loads_neither_tensorflow_nor_keras_and_runs_the_file(exported, tmp_path):
    path, model, data = exported
    np.save(tmp_path / "x.npy", data)
    code = (
        "import sys, numpy as np, keras_lstm_gates.edge as edge\n"
        f"out = edge.Runner({str(path)!r}).gates(np.load({str(tmp_path / 'x.npy')!r}))\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'tensorflow', 'keras'}))\n"
        f"np.savez({str(tmp_path / 'out.npz')!r}, **out)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    out = arrays(tmp_path / "out.npz")
    assert sorted(out) == ["c", "f", "g", "h", "i", "o", "probabilities"]
    np.testing.assert_allclose(out["probabilities"], model(data), atol=1e-6)


def test_one_sequence_and_a_batch_agree(exported):
    path, _, data = exported
    runner = Runner(path)
    batch = runner.gates(data)
    single = runner.gates(data[1])
    assert batch["f"].shape == (*data.shape[:2], 4)
    for name, values in single.items():
        np.testing.assert_array_equal(values, batch[name][1])


def test_sequences_of_any_length(exported):
    path, model, data = exported
    runner = Runner(path)
    for length in (1, 3, 6, 40):
        x = np.resize(data, (2, length, 3)).astype("float32")
        np.testing.assert_allclose(runner.predict(x)["probabilities"], model(x), atol=1e-6)


def test_signatures_are_told(exported):
    signatures = Runner(exported[0]).signatures
    assert signatures["predict"] == {"inputs": {"sequence": (1, -1, 3)}, "outputs": {"probabilities": (1, 2)}}
    assert sorted(signatures["gates"]["outputs"]) == ["c", "f", "g", "h", "i", "o", "probabilities"]


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (
            np.zeros(3),
            r"expected sequence of shape \(time, features\) .* with any number of time and 3 features; .* \(3,\)",
        ),
        (np.zeros((4, 2)), r"3 features; received shape \(4, 2\)"),
        (np.zeros((0, 3)), r"received shape \(0, 3\)"),
        (np.full((4, 3), np.nan), r"expected finite numbers; received nan at index \(0, 0\)"),
        (np.array([["a"] * 3]), "expected numbers; received an array of dtype <U1"),
        (np.ones((4, 3), complex), "expected numbers; received an array of dtype complex128"),
        (np.ones((4, 3), bool), "expected numbers; received an array of dtype bool"),
        # In float32 it is infinite.
        (np.full((4, 3), 1e300), r"expected finite numbers; received 1e\+300 at index \(0, 0\)"),
    ],
)
def test_bad_input(exported, x, text):
    with pytest.raises(ValueError, match=text):
        Runner(exported[0]).predict(x)


def test_streams_share_a_file_and_not_their_states(exported):
    path, _, data = exported
    runner = Runner(path, threads=2)
    expected = runner.gates(data)

    streams = [runner.stream() for _ in data]
    in_turn = np.stack([[stream.push(x)["h"] for stream, x in zip(streams, step)] for step in data.swapaxes(0, 1)])
    np.testing.assert_allclose(in_turn.swapaxes(0, 1), expected["h"], atol=1e-6)

    def streamed(sequence):
        stream = runner.stream()
        return [stream.push(x)["c"] for x in sequence]

    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_allclose(list(pool.map(streamed, [*data] * 4)), [*expected["c"]] * 4, atol=1e-6)


def test_a_stream_goes_on_from_states(exported):
    path, _, data = exported
    first, second = Runner(path).stream(), Runner(path).stream()
    for x in data[0, :3]:
        first.push(x)
    second.states = first.states
    kept = first.states
    np.testing.assert_array_equal(first.push(data[0, 3])["h"], second.push(data[0, 3])["h"])
    assert not np.array_equal(first.states["state_h"], kept["state_h"])
    second.reset()
    assert not second.states["state_c"].any()
    with pytest.raises(ValueError, match=r"expected states of shapes \{.*\(1, 4\)\}; received \{'state_h': \(1, 5\)\}"):
        second.states = {"state_h": np.zeros((1, 5))}
    with pytest.raises(ValueError, match="expected states of numbers; received 'state_h' of dtype <U1"):
        second.states = {**kept, "state_h": np.full((1, 4), "a")}
    with pytest.raises(ValueError, match=r"expected finite numbers in 'state_c'; received nan at index \(0, 0\)"):
        second.states = {**kept, "state_c": np.full((1, 4), np.nan)}


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros(2), r"expected x of shape \(features,\) or \(samples, features\) with 3 features; .* \(2,\)"),
        ([0.0, np.inf, 0.0], r"expected finite numbers; received inf at index \(1,\)"),
    ],
)
def test_a_bad_step_leaves_the_states(exported, x, text):
    stream = Runner(exported[0]).stream()
    stream.push([1.0, 2.0, 3.0])
    before = stream.states
    with pytest.raises(ValueError, match=text):
        stream.push(x)
    for name, values in stream.states.items():
        np.testing.assert_array_equal(values, before[name])
    with pytest.raises(ValueError, match=r"'step' takes one step and the states; expected stream\(\), then push\(x\)"):
        Runner(exported[0]).run("step", [0.0, 0.0, 0.0])


def test_unknown_signature(exported):
    with pytest.raises(
        ValueError, match=r"expected one of the signatures \['gates', 'predict', 'step'\]; received 'steps'"
    ):
        Runner(exported[0]).run("steps", exported[2])


@pytest.mark.parametrize(
    ("x", "text"),
    [
        ([0, 20], "expected tokens that the model knows; received 0 to 20"),
        ([-1, 0], "expected tokens that the model knows; received -1 to 0"),
        # In int32 it is 1.
        ([2**32 + 1], "expected tokens that the model knows; received 4294967297 to 4294967297"),
        ([0.0, 1.0], "expected token numbers, ints; received an array of dtype float64"),
    ],
)
def test_bad_tokens(of_tokens, x, text):
    runner = Runner(of_tokens)
    with pytest.raises(ValueError, match=text):
        runner.predict(x)
    with pytest.raises(ValueError, match=text.partition(";")[0]):
        runner.stream().push(x[np.argmax(np.abs(x))])
    assert runner.predict([0, 19])["classes"].shape == (2,)


def test_a_missing_signature(exported, tmp_path):
    """A file without `step`, and one whose step lost a state's next value."""
    model = read(exported[0].read_bytes())
    model.signatureDefs = [one for one in model.signatureDefs if one.signatureKey != b"step"]
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(ValueError, match=r"model\.tflite has no signature 'step': it has \['gates', 'predict'\]"):
        Runner(path).stream()
    model = read(exported[0].read_bytes())
    (step,) = (one for one in model.signatureDefs if one.signatureKey == b"step")
    step.outputs = [one for one in step.outputs if one.name != b"c"]
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(ValueError, match=r"does not run: expected the signature 'step' with x and states, each with"):
        Runner(path)
    model.signatureDefs = []
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(ValueError, match=r"has no named signatures; expected a file of keras_lstm_gates\.exporting"):
        Runner(path)


def test_a_manifest_saves_the_trial(exported, tmp_path, monkeypatch):
    content = exported[0].read_bytes()
    folder = exported[0].parent
    tried = []
    monkeypatch.setattr(edge, "_run_in_process", tried.append)
    Runner(folder / "model.tflite")
    assert tried == []
    (tmp_path / "model.tflite").write_bytes(content)
    for manifest in (None, "no JSON", "[]", '{"formats": {"tflite": {"sha256": {"other.tflite": "0"}}}}'):
        if manifest is not None:
            (tmp_path / "manifest.json").write_text(manifest)
        Runner(tmp_path / "model.tflite")
    assert tried == [tmp_path / "model.tflite"] * 4
    shutil.copy(folder / "manifest.json", tmp_path)
    (tmp_path / "model.tflite").write_bytes(content[:-1] + b"\x01")
    text = r"differs from its manifest\.json: expected sha256 [0-9a-f]{64}; received [0-9a-f]{64}$"
    for trial in (True, False):
        with pytest.raises(ValueError, match=text):
            Runner(tmp_path / "model.tflite", trial=trial)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*model\.tflite"):
        Runner(tmp_path / "model.tflite")


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.95])
def test_truncated_file(exported, tmp_path, kept):
    content = exported[0].read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    code = f"from keras_lstm_gates.edge import Runner\ntry: Runner({str(path)!r})\nexcept ValueError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "is not a whole TFLite file" in done.stdout


def test_foreign_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_text("these are not the bytes of a model")
    with pytest.raises(ValueError, match=r"expected b'TFL3' at byte 4; received b'e ar'"):
        Runner(path)


def test_damaged_files_never_end_the_process(exported, tmp_path):
    content = exported[0].read_bytes()
    rng, files = np.random.default_rng(1), [without_a_tensor(content)]
    for _ in range(4):
        damaged = np.frombuffer(content, "uint8").copy()
        damaged[rng.integers(8, len(damaged), 20)] ^= rng.integers(1, 255, 20, "uint8")
        files.append(damaged.tobytes())
    for number, one in enumerate(files):
        (tmp_path / f"{number}.tflite").write_bytes(one)
    code = (
        "import sys; from keras_lstm_gates.edge import Runner\n"
        "for path in sys.argv[1:]:\n"
        "    try: Runner(path)\n"
        "    except ValueError as error: print(error)\n"
        "    else: print(path, 'runs')\n"
    )
    paths = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert told[0].endswith("0.tflite does not run: the interpreter was ended by SIGSEGV")
    assert len(told) == len(files)
    assert all(re.search("runs$|is not a whole TFLite file: .|does not run: .|failed in its", line) for line in told)


def test_a_file_without_end_is_given_up(exported, tmp_path, monkeypatch):
    """Its loop adds 0 to the number of the step."""
    monkeypatch.setattr(edge, "TRIAL_SECONDS", 2)
    model = read(exported[0].read_bytes())
    zero = copy.deepcopy(model.buffers[0])
    zero.data = np.zeros(4, "uint8")
    model.buffers.append(zero)
    for body in loop_bodies(model):
        for name, operator in operators(model, body):
            for tensor in (body.tensors[place] for place in operator.inputs if name == "ADD"):
                data = model.buffers[tensor.buffer].data
                if data is not None and bytes(data) == np.array([1], "int32").tobytes():
                    tensor.buffer = len(model.buffers) - 1
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(ValueError, match=r"model\.tflite does not run: no answer within 2 s"):
        Runner(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of memory is Linux's")
def test_a_trial_has_so_much_memory_and_no_more():
    code = (
        "import numpy as np; from keras_lstm_gates import edge; edge._limit_memory(2**28); np.ones(2**26, 'uint8')\n"
        "try: np.ones(2**29, 'uint8')\n"
        "except MemoryError: print('no more')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "no more\n"


def loop_bodies(model):
    loops = [one for graph in model.subgraphs for name, one in operators(model, graph) if name == "WHILE"]
    return [model.subgraphs[one.builtinOptions.bodySubgraphIndex] for one in loops]


def without_a_tensor(content):
    """The file with -1 where its loop names a tensor that it gives: the interpreter does not look."""
    model = read(content)
    body = loop_bodies(model)[0]
    body.outputs[2] = -1
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
