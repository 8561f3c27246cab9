"""The signatures `steer` and `steer_step`, and steered models in ONNX: files act on gates as `steer` does."""

import contextlib
import json
import re

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers

from keras_lstm_gates import GatedLSTM, export
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.onnx.files import open_onnx
from keras_lstm_gates.steering import Scale, Set, Shift, steer

STRICT = {"float32": 1e-5}
SIGNATURES = ("gates", "step", "steer")


def sequences(samples=3, steps=6):
    x = np.random.default_rng(0).normal(size=(samples, steps, 3)).astype("float32")
    x[1, steps - 2 :] = x[2, 1] = 0
    return x


def neutral(session):
    """{input: array} of every scale and shift, of an ONNX file that takes any batch."""
    return {
        one.name: np.full((1, 1, one.shape[-1]), one.name.endswith("/scale"), "float32")
        for one in session.get_inputs()
        if one.name.endswith(("/scale", "/shift"))
    }


@pytest.fixture(scope="module")
def stacked():
    """Two layers under a mask, of any number of steps."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, 3))
    first = layers.LSTM(4, name="first", return_sequences=True)(layers.Masking()(inputs))
    second = layers.LSTM(2, name="second", return_sequences=True)(first)
    return keras.Model(inputs, layers.Dense(2, name="dense")(second), name="stacked")


@pytest.fixture(scope="module")
def exported(stacked, tmp_path_factory):
    """Compared with Keras's steered model, at other numbers of every gate, unit and step, before it was kept."""
    folder = tmp_path_factory.mktemp("exported") / "files"
    return export(stacked, folder, sequences(), ("tflite", "onnx"), signatures=SIGNATURES, tolerances=STRICT)


@pytest.fixture(scope="module")
def runner(exported):
    return Runner(exported.files["tflite"], trial=False)


@pytest.mark.full
def test_a_stream_that_can_be_steered_comes_with_both(exported):
    assert exported.missing == {}
    for name in ("tflite", "onnx"):
        assert set(exported.differences[name]) == {"gates", "step", "steer", "steer_step"}


def test_where_nothing_acts_the_answers_are_those_of_gates(exported, runner):
    call, x = open_onnx(exported.files["onnx"]), sequences()
    numbers = neutral(onnxruntime.InferenceSession(str(exported.files["onnx"] / "steer.onnx")))
    assert len(numbers) == 2 * 6 * 2
    expected, received = call("gates", {"sequence": x}), call("steer", {"sequence": x, **numbers})
    assert received.keys() == expected.keys()
    for output, values in expected.items():
        # Here `gates` has the operator LSTM, and `steer` a loop.
        np.testing.assert_allclose(received[output], values, 0, 1e-6, err_msg=output)
    for output, values in runner.gates(x).items():
        np.testing.assert_array_equal(runner.steer(x, {})[output], values, err_msg=output)


def test_a_device_steers_as_keras_does(stacked, runner):
    steered = steer(
        stacked, {"first/f": Set(0.3, units=[1, 3], steps=slice(2, 4)), "second/c": [Scale(0.5), Shift(0.2)]}
    )
    scale, shift = np.ones((6, 4)), np.zeros((6, 4))
    scale[2:4, [1, 3]], shift[2:4, [1, 3]] = 0, 0.3
    received = runner.steer(sequences(), {"first/f": (scale, shift), "second/c": (0.5, [0.2, 0.2])})
    expected = steered.predict(sequences(), verbose=0)
    for name, values in expected.items():
        np.testing.assert_allclose(received[name], values, 0, 1e-5, err_msg=name)
    alone = runner.steer(sequences()[0], {"first/f": (scale, shift), "second/c": (0.5, 0.2)})
    np.testing.assert_array_equal(alone["dense"], received["dense"][0])


def test_a_stream_is_steered_at_its_steps(runner):
    scale, shift = np.ones((6, 2)), np.zeros((6, 2))
    scale[3], shift[3] = 0, [0.5, -0.5]
    expected = runner.steer(sequences()[0], {"second/h": (scale, shift)})
    stream = runner.stream()
    for step, x in enumerate(sequences()[0]):
        received = stream.push(x, {"second/h": (0, [0.5, -0.5])} if step == 3 else None)
        for name in ("dense", "first/c", "second/f", "second/h"):
            np.testing.assert_allclose(received[name], expected[name][step], 0, 1e-6, err_msg=name)
    assert expected["second/h"][3].tolist() == [0.5, -0.5]


@pytest.mark.parametrize(
    ("interventions", "text"),
    [
        ({"third/f": (0, 1)}, r"expected interventions on gates of \['first/c', .*'second/o'\]; received 'third/f'"),
        ({"f": (0, 1)}, "expected interventions on gates of .*; received 'f'"),
        ({"first/z": (0, 1)}, "expected interventions on gates of .*; received 'first/z'"),
        ({"first/f": 0.5}, r"expected \(scale, shift\) for 'first/f'; received 0.5"),
        ({"first/f": (np.ones(3), 0)}, r"'first/f/scale' as a number, or to broadcast to \(any, 4\); .*\(3,\)"),
        ({"first/f": (1, "a")}, "'first/f/shift' as a number, .*; received .*<U1"),
        ({"first/f": (1, np.inf)}, "expected finite numbers in 'first/f/shift'; received inf"),
        ({"first/f": (np.ones((5, 4)), 0)}, "expected as many steps as each LSTM reads, or 1; received .*scale': 5"),
    ],
)
def test_what_a_device_cannot_act_on_is_one_error(runner, interventions, text):
    with pytest.raises(ValueError, match=text):
        runner.steer(sequences()[0], interventions)


def test_a_file_without_the_signature_says_so(stacked, tmp_path):
    path = export(stacked, tmp_path / "files", sequences(), ("tflite",), signatures=("step",)).files["tflite"]
    with pytest.raises(ValueError, match=r"expected one of the signatures \['step'\]; received 'steer'"):
        Runner(path, trial=False).steer(sequences()[0], {})
    with pytest.raises(ValueError, match=r"expected one of the signatures \['step'\]; received 'steer_step'"):
        Runner(path, trial=False).stream().push(sequences()[0, 0], {"first/f": (0, 1)})


def test_samples_of_an_onnx_file_are_steered_each_by_itself(stacked, exported):
    session = onnxruntime.InferenceSession(str(exported.files["onnx"] / "steer.onnx"))
    x, shift = sequences(3, 9), np.array([[[0.1]], [[0.5]], [[0.9]]], "float32") * np.ones(4, "float32")
    numbers = {**neutral(session), "first/i/scale": np.zeros((1, 1, 4), "float32"), "first/i/shift": shift}
    names = [one.name for one in session.get_outputs()]
    received = dict(zip(names, session.run(names, {"sequence": x, **numbers}), strict=True))
    steered = steer(stacked, {"first/i": (0.0, shift)}, samples=3)
    for name, values in steered.predict(x, verbose=0).items():
        np.testing.assert_allclose(received[name], values, 0, 1e-5, err_msg=name)


def test_the_folder_tells_how_it_is_steered(exported):
    folder = exported.files["tflite"].parent
    one = json.loads((folder / "manifest.json").read_text())["signatures"]["steer"]["inputs"]["first/f/scale"]
    assert one == {
        "shape": [None, None, 4],
        "dtype": "float32",
        "meaning": "scale of the forget gate of the layer first, 1 where nothing acts",
    }
    text = (folder / "README.md").read_text()
    assert "    runner.steer(sequence, {'first/i': (0.0, 1.0)})    # scale and shift\n" in text
    assert "    stream.push(x, {'first/i': (0.0, 1.0)})\n" in text


def told(folder, heading, **known):
    """What the lines of the folder's README below a heading leave behind when they are run."""
    (part,) = re.findall(rf"## {heading}\n\n(.*?)(?:\n\n|\Z)", (folder / "README.md").read_text(), re.DOTALL)
    with contextlib.chdir(folder):
        exec("\n".join(line.removeprefix("    ") for line in part.splitlines()), known)
    return known


def test_what_the_folder_tells_runs(exported):
    folder = exported.files["onnx"].parent
    after = told(folder, "With ONNX Runtime", np=np, onnxruntime=onnxruntime, sequence=sequences())
    assert len(after["numbers"]) == 24


@pytest.fixture(scope="module")
def several():
    """Both directions, an encoder and its decoder; beside them `TimeDistributed`, which ONNX does not have."""
    keras.utils.set_random_seed(4)
    x, windows = keras.Input((6, 3), name="x"), keras.Input((2, 4, 3), name="windows")
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(layers.Masking()(x))
    end, *states = layers.LSTM(3, return_state=True, name="encoder")(both)
    answer = layers.LSTM(3, return_sequences=True, name="decoder")(layers.RepeatVector(2)(end), initial_state=states)
    each = layers.TimeDistributed(layers.LSTM(3, name="word"), name="words")(windows)
    plain = keras.Model(x, {"answer": answer}, name="plain")
    return plain, keras.Model([x, windows], {"answer": layers.Add(name="answer")([answer, each])}, name="all")


def test_directions_encoders_decoders_and_each_step(several, tmp_path):
    _, model = several
    windows = np.random.default_rng(1).normal(size=(3, 2, 4, 3)).astype("float32")
    data = {"x": sequences(), "windows": windows}
    formats, signatures = ("saved_model", "tflite"), ("gates", "steer")
    made = export(model, tmp_path / "files", data, formats, signatures=signatures, tolerances=STRICT)
    wanted = {"both/backward/f": Set(0.2, steps=[0]), "decoder/g": Scale(-1.0), "words/word/o": Set(1.0, units=[1])}
    expected = steer(model, wanted).predict([sequences(), windows], verbose=0)
    scale, shift = np.ones((6, 1)), np.zeros((6, 1))
    scale[0], shift[0] = 0, 0.2
    numbers = {"both/backward/f": (scale, shift), "decoder/g": (-1, 0), "words/word/o": ([1, 0, 1], [0, 1, 0])}
    received = Runner(made.files["tflite"], trial=False).steer(data, numbers)
    for name, values in expected.items():
        np.testing.assert_allclose(received[name], values, 0, 1e-5, err_msg=name)
    after = told(made.files["saved_model"].parent, "On a server", tf=tf, **data)
    plain, neutral = (after["signatures"][name] for name in ("gates", "steer"))
    for name, values in plain(**data).items():
        np.testing.assert_array_equal(neutral(**data, **after["numbers"])[name], values, err_msg=name)
    export(model, tmp_path / "onnx", data, ("onnx",), signatures=("steer",), tolerances=STRICT)


def test_steered_models_in_onnx(several, stacked, tmp_path):
    """Frozen into the file: at some steps, of masked layers, both directions, and from states of an encoder."""
    plain, _ = several
    wanted = {"both/backward/f": Set(0.2, steps=[0]), "both/forward/c": Scale(0.5), "decoder/g": Scale(-1.0)}
    for number, (model, interventions) in enumerate(
        ((plain, wanted), (stacked, {"first/f": Set(0.3, units=[1], steps=slice(2, 4)), "second/h": Scale(0.5)}))
    ):
        steered = steer(model, interventions)
        made = export(steered, tmp_path / str(number), sequences(), ("onnx",), tolerances=STRICT)
        assert set(made.differences["onnx"]) >= {"predict", "gates"}
    # As many steps as were not known when it was steered.
    x = sequences(4, 9)
    received = open_onnx(made.files["onnx"])("gates", {"sequence": x})
    for name, values in steered.predict(x, verbose=0).items():
        np.testing.assert_allclose(received[name], values, 0, 1e-5, err_msg=name)
    export(plain, tmp_path / "steer", sequences(), ("onnx",), signatures=("steer",), tolerances=STRICT)


def test_layers_that_are_steered_in_onnx(tmp_path):
    keras.utils.set_random_seed(5)
    inputs = keras.Input((None, 3))
    masked = layers.Masking()(inputs)
    states = [layers.Dense(4)(layers.GlobalAveragePooling1D()(inputs)) for _ in "hc"]
    own = GatedLSTM(
        4, name="own", go_backwards=True, return_state=True, interventions={"f": [Set(0.5, steps=[1]), Shift(0.1)]}
    )
    one = GatedLSTM(3, name="one", activation="relu", interventions={"h": Scale(0.5)})(inputs)
    outputs = [*own(masked, initial_state=states), one]
    made = export(keras.Model(inputs, outputs), tmp_path / "files", sequences(), ("onnx",), tolerances=STRICT)
    assert set(made.differences["onnx"]) == {"predict", "gates"}


def test_what_is_steered_already_cannot_be_steered_by_the_file(stacked, tmp_path):
    steered = steer(stacked, {"first/f": Set(0.5)})
    with pytest.raises(
        ValueError, match="signature 'steer': expected gates that nothing acts on yet; received 'first/f'"
    ):
        export(steered, tmp_path / "files", sequences(), ("onnx",), signatures=("steer",))


def test_a_batch_of_another_size_than_its_interventions(stacked):
    steered = steer(stacked, {"first/f": Set(0.5, samples=[0])}, samples=4)
    text = "interventions that differ between samples expected batches of 4; received one of {}"
    for samples, size, received in ((7, 4, 3), (3, 32, 3), (6, 2, 2)):
        with pytest.raises(ValueError, match=text.format(received)):
            steered.predict(sequences(samples), batch_size=size, verbose=0)
    gates = steered.predict(sequences(8), batch_size=4, verbose=0)["first/f"]
    assert (gates == 0.5).all(axis=(1, 2)).tolist() == [True, False, False, False] * 2


def test_some_steps_of_a_model_of_any_number_within_one_of_a_known(stacked):
    inputs = keras.Input((6, 3))
    outer = keras.Model(inputs, layers.Dense(1, name="end")(stacked(inputs)))
    steered = steer(outer, {"stacked/first/f": Set(0.5, steps=[2])})
    closed = steered.predict(sequences()[:1], verbose=0)["stacked/first/f"][0] == 0.5
    assert closed.all(axis=1).tolist() == [False, False, True, False, False, False]
