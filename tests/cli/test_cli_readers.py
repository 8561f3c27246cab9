"""The commands open files of every kind: inspect, trace, export; classes of the user's own; weights beside."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lstm_gates import tracing
from keras_lstm_gates.exporting.tflite import graphs

OWN = """
import keras

class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A folder: a model with a class of its own before its LSTM, data, and a module with that class."""
    folder = tmp_path_factory.mktemp("old")

    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    x = keras.Input((5, 3), name="x")
    h = keras.layers.LSTM(4, name="lstm")(Doubled(name="doubled")(x))
    model = keras.Model(x, keras.layers.Dense(2, name="answer")(h))
    model.save(folder / "model.keras")
    data = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    np.save(folder / "data.npy", data)
    (folder / "own_layers.py").write_text(OWN)
    return folder


@pytest.fixture
def no_classes():
    yield
    keras.saving.get_custom_objects().pop("Doubled", None)


def test_a_class_of_the_user_s_own_by_its_file_and_by_its_module(old, command, no_classes, monkeypatch):
    folder = old
    code, _, errors = command("trace", folder / "model.keras", folder / "data.npy", "--out", "a")
    assert code == 1
    assert "'doubled' is a Doubled, a class that is not in Keras, and the LSTM in 'lstm' needs it" in errors
    assert "--import MODULE" in errors
    given = ["--import", folder / "own_layers.py"]
    code, _, errors = command("trace", folder / "model.keras", folder / "data.npy", "--out", "b", *given)
    assert code == 0, errors
    assert list(tracing.nodes(tracing.load("b/gates.zarr"))) == ["lstm"]
    keras.saving.get_custom_objects().pop("Doubled")
    monkeypatch.syspath_prepend(folder)
    formats = ["--format", "tflite", "--format", "saved_model", "--out", "c", "--import", "own_layers"]
    code, _, errors = command("export", folder / "model.keras", folder / "data.npy", *formats)
    assert code == 0, errors
    code, _, errors = command("trace", folder / "model.keras", folder / "data.npy", "--import", "no_such_module")
    assert (code, errors.count("\n")) == (1, 1)
    assert "cannot import 'no_such_module': ModuleNotFoundError" in errors


def test_a_module_in_the_working_folder_is_not_imported(old, command, no_classes, tmp_path):
    (tmp_path / "own_layers_here.py").write_text("open('ran', 'w')")
    code, _, errors = command("inspect", old / "model.keras", "--import", "own_layers_here")
    assert code == 1
    assert "cannot import 'own_layers_here'" in errors
    assert not (tmp_path / "ran").exists()


def test_inspect_tells_what_a_file_is(written, command):
    code, printed, errors = command("inspect", written.folder / "encoder_decoder.h5")
    assert code == 0, errors
    assert "model (HDF5); translated: time_major dropped, hard_sigmoid kept as Keras 2's" in printed
    for said in (
        "input words: float32 ('any', 'any')",
        "input target: float32 ('any', 'any', 5)",
        "0 to 10",
        "recurrent_activation=keras2_hard_sigmoid",
        "gates: encoder, decoder",
    ):
        assert said in printed
    code, printed, _ = command("inspect", written.folder / "bidirectional_states.keras")
    assert "two_ways/forward, two_ways/backward (reads backwards)" in printed
    assert "no signature step and no micro, as two_ways/backward reads time from its end" in printed
    for name in ("convolutional_lstm", "tensorflow_operations", "masks_joined"):
        code, printed, _ = command("inspect", written.folder / f"{name}.h5")
        assert code == 0
        assert "no onnx" not in printed
    code, printed, _ = command("inspect", written.folder / "sentiment_weights.h5")
    assert code == 0
    assert "the weights of a Keras model (HDF5)" in printed
    assert "(4, 20)" in printed
    code, printed, _ = command("inspect", written.folder / "sentiment.json")
    assert "the architecture of a Keras 2." in printed


def test_an_architecture_with_its_weights_is_traced(written, command):
    np.save("x.npy", written.inputs("stock_forecast")[0])
    arguments = [written.folder / "stock_forecast.json", "x.npy", "--out", "trace"]
    code, printed, errors = command("trace", *arguments, "--weights", written.folder / "stock_forecast_weights.h5")
    assert code == 0, errors
    assert "translated: time_major dropped" in printed
    tree = tracing.load("trace/gates.zarr")
    np.testing.assert_allclose(next(iter(tree.data_vars.values())), written.outputs("stock_forecast")[0], atol=2e-6)


def test_a_tflite_file_of_somebody_else(command, tmp_path):
    import tensorflow as tf

    model = keras.Sequential([keras.Input((5, 3), batch_size=1, name="ecg"), keras.layers.LSTM(4, unroll=True)])
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("classify", model.call, [tf.TensorSpec((1, 5, 3), "float32", name="ecg")])
    archive.write_out(tmp_path / "saved", verbose=False)
    (tmp_path / "other.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved")).convert())
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    np.save("x.npy", x)
    code, printed, errors = command("run", "other.tflite", "x.npy", "--out", "answers.npz")
    assert code == 0, errors
    assert "signature serving_default" in " ".join(printed.split())
    with np.load("answers.npz") as answers:
        np.testing.assert_allclose(next(iter(answers.values())), [*model(x[:1]), *model(x[1:])], atol=1e-6)
    code, printed, errors = command("inspect", "other.tflite")
    assert code == 0, errors
    assert "signature classify: {'ecg': (1, 5, 3)}" in printed
    assert "LSTM operators: none" in printed
    # As TensorFlow wrote them before it had signatures.
    graph = graphs.read(Path("other.tflite").read_bytes())
    graph.signatureDefs = []
    Path("old.tflite").write_bytes(graphs.written(graph))
    code, printed, errors = command("run", "old.tflite", "x.npy", "--out", "old.npz")
    assert code == 0, errors
    with np.load("old.npz") as old:
        np.testing.assert_allclose(next(iter(old.values())), [*model(x[:1]), *model(x[1:])], atol=1e-6)
    code, printed, errors = command("inspect", "old.tflite")
    assert code == 0, errors
    assert "(1, 5, 3)} to {'" in printed.partition("signature serving_default: {'")[2]
    code, _, errors = command("trace", "other.tflite", "x.npy")
    assert code == 1
    assert "is a TFLite file: `keras-lstm-gates run` runs it; the gates need the Keras file" in errors
