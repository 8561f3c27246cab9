"""Sizes that a model fixes stay fixed in every file, and a file that mistakes samples for steps is never kept."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from reference import lstm as reference

from keras_lstm_gates import exporting
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting import comparing, saved_model
from keras_lstm_gates.exporting.exported_files import Sizes
from keras_lstm_gates.exporting.onnx.files import open_onnx
from keras_lstm_gates.exporting.saved_model import open_saved_model
from keras_lstm_gates.exporting.signatures import request_for

FORMATS = ("saved_model", "tflite", "onnx")


def build(*parts, shape=(5, 2), batch=None):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(batch_shape=(batch, *shape)), *parts])


def each_step(**options):
    return layers.LSTM(4, return_sequences=True, **options), layers.TimeDistributed(layers.Dense(1), name="each")


def answers(written, data, batch=None):
    """{format: what `predict` gives}, each call of that batch, or of all."""
    opened = {"saved_model": open_saved_model, "onnx": open_onnx, "tflite": lambda path: Runner(path).call}
    received = {}
    for name, path in written.files.items():
        call, size = opened[name](path), 1 if batch is None and name == "tflite" else batch or len(data)
        parts = [call("predict", {"sequence": data[at : at + size]}) for at in range(0, len(data), size)]
        received[name] = np.concatenate([next(iter(part.values())) for part in parts])
    return received


def input_shapes(written):
    """{format: shape of the input of `predict`}, None for a free axis."""
    import onnx

    of_saved_model = tf.saved_model.load(str(written.files["saved_model"])).signatures["predict"]
    (spec,) = of_saved_model.structured_input_signature[1].values()
    of_tflite = Runner(written.files["tflite"]).signatures["predict"]["inputs"]["sequence"]
    (edge,) = onnx.load(written.files["onnx"] / "predict.onnx").graph.input
    return {
        "saved_model": tuple(spec.shape),
        "tflite": tuple(None if size == -1 else size for size in of_tflite),
        "onnx": tuple(one.dim_value or None for one in edge.type.tensor_type.shape.dim),
    }


@pytest.mark.parametrize(
    ("parts", "samples"),
    [
        (each_step, 5),
        (lambda: each_step(unroll=True), 3),
        (lambda: (layers.LSTM(4, return_sequences=True), layers.Flatten(), layers.Dense(1)), 7),
    ],
)
def test_a_fixed_time_stays_fixed(parts, samples, tmp_path, rng):
    """As many samples as steps, fewer and more; then another number of samples than that of the export."""
    model = build(*parts())
    data = rng.normal(size=(samples, 5, 2)).astype("float32")
    written = exporting.export(model, tmp_path, data, FORMATS, signatures=("predict", "gates"))
    assert input_shapes(written) == {"saved_model": (None, 5, 2), "tflite": (1, 5, 2), "onnx": (None, 5, 2)}
    others = rng.normal(size=(6, 5, 2)).astype("float32")
    expected = np.asarray(model(others))
    for name, received in answers(written, others).items():
        np.testing.assert_allclose(received, expected, atol=1e-6, err_msg=name)
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert {name: (one["batch"], one["time"]) for name, one in told["formats"].items()} == {
        "saved_model": (None, 5),
        "tflite": (1, 5),
        "onnx": (None, 5),
    }


@pytest.mark.parametrize("time", [5, None])
def test_a_fixed_batch_stays_fixed_where_no_other_is_wanted(time, tmp_path, rng):
    model = build(*each_step(), shape=(time, 2), batch=3)
    data = rng.normal(size=(4, 5, 2)).astype("float32")
    expected = np.asarray(model(data[:3]))
    written = exporting.export(model, tmp_path / "own", data, FORMATS, signatures=("predict",))
    assert input_shapes(written) == dict.fromkeys(FORMATS, (3, time, 2))
    for name, received in answers(written, data[:3], batch=3).items():
        np.testing.assert_allclose(received, expected, atol=1e-6, err_msg=name)
    written = exporting.export(model, tmp_path / "one", data, FORMATS, signatures=("predict",), batch=1)
    assert input_shapes(written) == dict.fromkeys(FORMATS, (1, time, 2))
    for name, received in answers(written, data[:3], batch=1).items():
        np.testing.assert_allclose(received, expected, atol=1e-6, err_msg=name)


def test_another_time_than_the_model_s(tmp_path, rng):
    model = build(layers.LSTM(4))
    with pytest.raises(ValueError, match=r"expected time=5, the model's own number of steps; received time=7"):
        exporting.export(model, tmp_path / "out", rng.normal(size=(3, 5, 2)), time=7)
    assert not (tmp_path / "out").exists()


def test_the_fused_operator_and_the_microcontroller_of_a_fixed_time(tmp_path, rng):
    pytest.importorskip("tflite_micro", reason="pip install 'keras_lstm_gates[micro]'")
    model = build(*each_step())
    data = rng.normal(size=(5, 5, 2)).astype("float32")
    written = exporting.export(model, tmp_path, data, ("tflite_fused", "micro"))
    runner = Runner(written.files["tflite_fused"])
    assert runner.signatures["predict"]["inputs"] == {"sequence": (1, 5, 2)}
    np.testing.assert_allclose(runner.predict(data)["each"], model(data), atol=1e-6)
    assert max(written.differences["micro"]["step"].values()) < 1e-6


@pytest.mark.parametrize("sequences", [True, False])
def test_one_time_step(sequences, tmp_path, rng):
    """The popular reshape(n, 1, features): `step` has no time axis in any format, and goes on from its states."""
    model = build(layers.LSTM(4, return_sequences=sequences, name="lstm"), shape=(1, 6))
    data = rng.normal(size=(3, 1, 6)).astype("float32")
    written = exporting.export(model, tmp_path, data, FORMATS)
    assert written.missing == {}
    steps = rng.normal(size=(1, 4, 6)).astype("float32")
    expected = reference(steps, *model.get_layer("lstm").get_weights())
    stream = Runner(written.files["tflite"]).stream()
    received = [stream.push(x) for x in steps[0]]
    for name in "ifgoch":
        np.testing.assert_allclose([step[name] for step in received], expected[name][0], atol=2e-6, err_msg=name)
    states = dict.fromkeys(("state_h", "state_c"), np.zeros((1, 4), "float32"))
    for open_, name in ((open_saved_model, "saved_model"), (open_onnx, "onnx")):
        outputs = open_(written.files[name])("step", {"x": steps[:, 0], **states})
        assert {key: value.shape for key, value in outputs.items()} == dict.fromkeys([*"ifgoch", "lstm"], (1, 4))


def test_one_time_step_whose_axis_ends(tmp_path, rng):
    parts = layers.LSTM(4, return_sequences=True), layers.Flatten(), layers.Dense(2, name="scores")
    model = build(*parts, shape=(1, 6))
    data = rng.normal(size=(3, 1, 6)).astype("float32")
    stream = Runner(exporting.export(model, tmp_path, data, ("tflite",)).files["tflite"]).stream()
    np.testing.assert_allclose(stream.push(data[0, 0])["scores"], model(data)[0], atol=1e-6)


def test_one_time_step_and_no_other_number(tmp_path, rng):
    x = keras.Input((1, 6))
    (only,) = keras.ops.unstack(layers.LSTM(4, return_sequences=True)(x), axis=1)
    model = keras.Model(x, layers.Dense(2)(only))
    written = exporting.export(model, tmp_path, rng.normal(size=(3, 1, 6)), ("saved_model",))
    assert written.missing == {"step": "the layer 'unstack', a Unstack, reads one step and no other number"}
    assert sorted(written.differences["saved_model"]) == ["gates", "predict"]


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_samples_are_never_as_many_as_steps(steps):
    """In a call of a file of any batch, whatever the data."""
    model = build(layers.LSTM(4, name="lstm"), shape=(None, 2))
    data = np.zeros((steps, steps, 2), "float32")
    wanted = request_for(model, data, ("predict",))
    lengths = set()
    for reference_ in comparing.References(wanted).of(Sizes(None, None)):
        shapes = []

        def call(name, inputs, shapes=shapes):
            shapes.append(inputs["sequence"].shape)
            return {"lstm": np.zeros((len(inputs["sequence"]), 4))}

        received = comparing.run(call, "predict", wanted.signatures["predict"], reference_.data)
        assert len(received["lstm"]) == len(reference_.data["sequence"])
        assert all(samples != length for samples, length, _ in shapes)
        lengths |= {length for _, length, _ in shapes}
    assert len(lengths) == 2


def test_a_file_that_takes_samples_for_steps_is_not_kept(tmp_path, monkeypatch, rng):
    """It answers every sample with that of the step of its number: right where both are as many."""
    model = build(layers.LSTM(4, return_sequences=True, name="lstm"), shape=(None, 2))
    open_ = saved_model.open_saved_model

    def wrong(path):
        call = open_(path)

        def turned(name, inputs):
            outputs = call(name, inputs)
            samples = len(next(iter(inputs.values())))
            return {key: value[:, :samples] if value.ndim == 3 else value for key, value in outputs.items()}

        return turned

    monkeypatch.setattr(saved_model, "open_saved_model", wrong)
    with pytest.raises(ArithmeticError, match="saved_model differs from the model: expected predict/lstm of shape"):
        exporting.export(model, tmp_path / "out", rng.normal(size=(4, 4, 2)), ("saved_model",))
    assert not (tmp_path / "out").exists()
