"""Files of every kind: what they are is told from their content, and what cannot be opened is one line."""

import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from opening.keras2 import MODELS, answers

import keras_lstm_gates
from keras_lstm_gates.layers import GatedLSTM
from keras_lstm_gates.opening import open_graph
from keras_lstm_gates.opening.readers import newer as news
from keras_lstm_gates.opening.readers import read
from keras_lstm_gates.opening.readers.facts import facts
from keras_lstm_gates.opening.readers.operations import TensorFlowOperation

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import hostile_models

HOSTILE = 100

SAID = {
    "pointer.h5": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS.*git lfs pull"),
    "cut.keras": (b"PK\x03\x04" + bytes(50), "not a whole zip archive: it is cut off or damaged"),
    "cut.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "not a whole HDF5 file: it is cut off or damaged"),
    "empty.h5": (b"", "an empty file: fetch it again"),
    "page.h5": (b"<!DOCTYPE html><html>", "a web page, not the file itself"),
    "model.pkl": (pickle.dumps({"a": 1}), "a pickle: opening it would run code"),
    "model.json": (b'{"modelTopology": {}}', "a TensorFlow.js model: tensorflowjs_converter"),
    "tree.json": (b'{"a": 1}', "not a whole model file: expected what Keras saves"),
    "file.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "a TFLite file: .*the gates need the Keras file"),
    "file.onnx": (b"\x08\x08\x12\x07pytorch", "an ONNX file: the gates need"),
    "x.npy": (b"\x93NUMPY\x01\0", "a NumPy array"),
    "model.h5.gz": (b"\x1f\x8b\x08", "a compressed file: unpack it first"),
    "saved_model.pb": (b"\x08\x01", "a part of a SavedModel: give the folder"),
    "text.yaml": (
        b"class_name: Sequential\nconfig:\n  layers: [!!python/object/apply:os.system [ls]]\n",
        "damaged YAML",
    ),
}


def refused(pattern, path, **given):
    with pytest.raises(ValueError, match=pattern) as error:
        keras_lstm_gates.load_model(path, **given)
    assert len(str(error.value).splitlines()) == 1
    assert "safe_mode" not in str(error.value)


@pytest.mark.parametrize("name", SAID)
def test_what_is_no_model_is_said(name, tmp_path):
    content, said = SAID[name]
    (tmp_path / name).write_bytes(content)
    refused(f"{name} is {said}|cannot open .*{name}: is {said}", tmp_path / name)


def test_archives_and_folders_of_something_else(tmp_path):
    for name, members in {
        "torch.pt": ["a/data.pkl"],
        "arrays.npz": ["x.npy"],
        "office.docx": ["word/x.xml", "y"],
    }.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in members:
                archive.writestr(member, "x")
    refused("a PyTorch file: keras_lstm_gates.opening.from_torch", tmp_path / "torch.pt")
    refused("a NumPy archive", tmp_path / "arrays.npz")
    refused("received a zip archive of word/x.xml, y", tmp_path / "office.docx")
    refused("received a folder of arrays.npz, office.docx", tmp_path)
    with h5py.File(tmp_path / "matlab.h5", "w") as file:
        file["x"] = np.zeros(3)
    refused("an HDF5 file without a Keras model", tmp_path / "matlab.h5")
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "saved_model.pb").write_bytes(b"")
    refused("a SavedModel without the configuration of a Keras model", tmp_path / "exported")


def small(activation="tanh", tail=(), **given):
    return keras.Sequential(
        [keras.Input((5, 3)), keras.layers.LSTM(4, activation, name="lstm", **given), *tail], name="small"
    )


def test_keras_3_in_hdf5(tmp_path):
    model = small(tail=[keras.layers.Dense(2)], recurrent_activation="hard_sigmoid", stateful=False)
    model.compile("adam", "mse")
    model.save(tmp_path / "model.h5")
    opened = read(tmp_path / "model.h5")
    assert opened.words == f"a Keras {keras.__version__} model (HDF5)"
    x = np.ones((2, 5, 3), "float32")
    np.testing.assert_array_equal(opened.model(x), model(x))
    assert not opened.model.compiled


@keras.saving.register_keras_serializable("elsewhere")
def own_loss(expected, received):
    return keras.ops.mean(expected - received)


def test_a_loss_that_is_not_known_leaves_the_model_uncompiled(tmp_path, monkeypatch):
    model = small()
    model.compile("sgd", own_loss)
    model.save(tmp_path / "model.keras")
    monkeypatch.delitem(keras.saving.get_custom_objects(), "elsewhere>own_loss")
    with pytest.warns(UserWarning, match=r"opened .*model.keras without compiling it: .*own_loss"):
        opened = keras_lstm_gates.load_model(tmp_path / "model.keras")
    assert not opened.compiled
    np.testing.assert_array_equal(opened.get_weights()[0], model.get_weights()[0])
    compiled = keras_lstm_gates.load_model(tmp_path / "model.keras", custom_objects={"own_loss": own_loss})
    assert compiled.loss is own_loss


@keras.saving.register_keras_serializable("elsewhere")
class Scaled(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale


def crf(first=False):
    """A tagger with a layer of somebody's own at its end, or at its beginning."""
    x = keras.Input((5, 3), name="x")
    h = Scaled(name="crf")(x) if first else x
    h = keras.layers.LSTM(4, return_sequences=True, name="lstm")(h)
    h = keras.layers.Dense(2, name="emissions")(h)
    model = keras.Model(x, keras.layers.Dense(2, name="after")(h if first else Scaled(name="crf")(h)))
    model.set_weights([weights + 0.1 for weights in model.get_weights()])
    return model


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_an_unknown_class_behind_the_last_lstm(ending, tmp_path, monkeypatch):
    model, path = crf(), tmp_path / f"model.{ending}"
    model.save(path)
    crf(first=True).save(tmp_path / f"first.{ending}")
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    monkeypatch.delitem(keras.saving.get_custom_objects(), "elsewhere>Scaled")
    said = "the layer 'crf' is a Scaled, a class that is not in Keras. Left out: 'crf', 'after'; .* of 'emissions'"
    with pytest.warns(UserWarning, match=f"opened up to its last LSTM: {said}"):
        part = keras_lstm_gates.load_model(path)
    np.testing.assert_array_equal(part(x), keras.Model(model.input, model.get_layer("emissions").output)(x))
    whole = keras_lstm_gates.load_model(path, custom_objects={"Scaled": Scaled})
    np.testing.assert_array_equal(whole(x), model(x))
    refused(
        "the layer 'crf' is a Scaled.*and the LSTM in 'lstm' needs it. Give its class", tmp_path / f"first.{ending}"
    )


def test_python_code_is_left_out_or_refused_and_never_run(tmp_path):
    ran = tmp_path / "ran"
    path = str(ran)
    model = small(tail=[keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1], name="code")])
    ran.unlink(missing_ok=True)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        with pytest.warns(
            UserWarning, match="'code' is a Lambda, Python code in the file, which is not run. Left out: 'code'"
        ):
            assert keras_lstm_gates.load_model(tmp_path / name).layers[-1].name == "lstm"
    assert not ran.exists()


def test_weights_go_into_a_model_built_in_python(written):
    x, (expected,) = written.inputs("stock_forecast"), written.outputs("stock_forecast")
    for kind in (keras.layers.LSTM, GatedLSTM):
        model = keras.Sequential([keras.Input((6, 2)), kind(5, return_sequences=True), kind(4), keras.layers.Dense(1)])
        for name in ("stock_forecast_weights.h5", "stock_forecast.h5", "stock_forecast.keras"):
            model.set_weights([0 * weights for weights in model.get_weights()])
            keras_lstm_gates.load_weights(model, written.folder / name)
            np.testing.assert_allclose(answers(model, x)[0], expected, atol=2e-6, err_msg=name)
    fused = keras.Sequential([keras.Input((5, 3)), GatedLSTM(4, return_sequences=True)])
    keras_lstm_gates.load_weights(fused, written.folder / "cudnn_weights.h5")
    np.testing.assert_allclose(answers(fused, written.inputs("cudnn"))[0], written.outputs("cudnn")[0], atol=2e-6)
    tree = keras.Sequential([keras.Input((2, 3)), keras.layers.LSTM(4, return_sequences=True), keras.layers.LSTM(3)])
    keras_lstm_gates.load_weights(tree, written.folder / "slashes_checkpoint")
    assert not np.array_equal(tree.get_weights()[0], np.zeros((3, 16)))
    np.testing.assert_allclose(answers(tree, written.inputs("slashes"))[0], written.outputs("slashes")[0], atol=2e-6)


def lstm(units, **given):
    return keras.layers.LSTM(units, **given)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ([lstm(4)], "expected arrays of 2 layers, .*; received 3: "),
        ([keras.layers.Dense(4), lstm(1)], "expected 2 arrays for the layer 'dense.*'; received 3: "),
        ([lstm(3), keras.layers.Dense(1)], r"expected an array of shape \(5, 12\) for .*; received \(5, 16\)"),
        ([lstm(4), keras.layers.LayerNormalization()], r"expected an array of shape \(4,\) for .*gamma"),
    ],
)
def test_weights_that_are_not_those_of_the_model(last, said, written):
    model = keras.Sequential([keras.Input((6, 2)), lstm(5, return_sequences=True), *last])
    before = model.get_weights()
    with pytest.raises(ValueError, match=said):
        keras_lstm_gates.load_weights(model, written.folder / "stock_forecast_weights.h5")
    for one, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, now)


def test_an_array_under_another_name_is_refused(tmp_path):
    """Where the shape would fit: gamma and beta in the other order."""
    model = keras.Sequential([keras.Input((None, 4)), keras.layers.BatchNormalization(name="normal")])
    path = tmp_path / "weights.h5"
    names = [f"normal/{name}:0" for name in ("beta", "gamma", "moving_mean", "moving_variance")]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["normal"]
        for name in names:
            file[f"normal/{name}"] = np.ones(4, "float32")
        file["normal"].attrs["weight_names"] = names
    with pytest.raises(ValueError, match="expected 'gamma' of 'normal'; received 'normal/beta:0'"):
        keras_lstm_gates.load_weights(model, path)


def test_an_architecture_or_weights_alone_say_what_is_missing(written):
    refused("the architecture of a Keras model .JSON., without weights: load_model", written.folder / "sentiment.json")
    refused("the weights of a Keras model .HDF5.: .*load_weights", written.folder / "sentiment_weights.h5")
    refused("the weights of a Keras model .*load_weights", written.folder / "encoder_decoder.weights.h5")
    refused("a checkpoint of TensorFlow: .*load_weights", written.folder / "encoder_decoder_checkpoint.index")
    refused("has no weights", written.folder / "sentiment.json", weights=written.folder / "sentiment.json")


def test_yaml(written, tmp_path):
    import json

    import yaml

    tree = json.loads((written.folder / "tagger.json").read_text())
    tree["config"]["layers"][0]["config"]["batch_input_shape"] = (None, None)
    (tmp_path / "tagger.yaml").write_text(yaml.dump(tree))
    assert "!!python/tuple" in (tmp_path / "tagger.yaml").read_text()
    model = keras_lstm_gates.load_model(tmp_path / "tagger.yaml", weights=written.folder / "tagger_weights.h5")
    np.testing.assert_allclose(answers(model, written.inputs("tagger"))[0], written.outputs("tagger")[0], atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_file_tells_what_its_model_has(name, written):
    """Without building it; and the paths are those by which the gates are named."""
    path = written.folder / f"{name}.h5"
    found, model = facts(path), keras_lstm_gates.load_model(path)
    opened = open_graph(model)
    assert set(found.lstms) == set(opened.gates)
    assert set(found.backwards) == opened.backwards
    assert found.inputs == {one.name: (one.shape, one.dtype) for one in model.inputs}
    own = {layer.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)}
    # Keras 2 counted TensorFlow's operations among the layers.
    own |= {one.name for one in getattr(model, "operations", ()) if isinstance(one, TensorFlowOperation)}
    assert {path for path, *_ in found.layers if "/" not in path} == own


@pytest.fixture(scope="module")
def hostile(written, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    small(tail=[keras.layers.Dense(2)]).save(folder / "keras3.h5")
    small(tail=[keras.layers.Dense(2)]).save(folder / "keras3.keras")
    names = (
        "encoder_decoder.h5",
        "tagger.keras",
        "cudnn.h5",
        "nested_twice.keras",
        "stacked_cells.h5",
        "sentiment.json",
    )
    originals = [*(written.folder / name for name in names), folder / "keras3.h5", folder / "keras3.keras"]
    return hostile_models.through(originals, range(HOSTILE), folder)


def test_a_hostile_file_opens_or_is_refused_by_one_line_and_runs_nothing(hostile):
    assert [one["number"] for one in hostile] == list(range(HOSTILE))
    assert [one for one in hostile if one["ended"] not in ("opens", "refused")] == []
    assert len({one["change"] for one in hostile}) >= 8
    assert sum(one["ended"] == "refused" for one in hostile) > HOSTILE / 2


def test_code_that_runs_would_be_told(tmp_path):
    """So the test above can fail."""
    ran = tmp_path / "ran"
    small().save(tmp_path / "model.keras")
    code = "import sys, hostile_models; open(sys.argv[1], 'w'); hostile_models._open_all(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, ran],
        input=f"{tmp_path / 'model.keras'}\n",
        capture_output=True,
        text=True,
        cwd=Path(hostile_models.__file__).parent,
    )
    assert '["ran code", ""]' in done.stdout, done.stderr[-500:]


def test_a_model_of_a_newer_keras_opens_where_its_news_ask_for_nothing(tmp_path, monkeypatch):
    """With its weights, its loss and the state of its optimizer; not where an argument asks for something."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    model.fit(x, x[:, 0, :1], epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")

    def newer(value):
        with zipfile.ZipFile(tmp_path / "model.keras") as old, zipfile.ZipFile(tmp_path / "newer.keras", "w") as new:
            for name in old.namelist():
                text = old.read(name)
                if name == "config.json":
                    text = re.sub(rb'"(GlorotUniform|Dense)", "config": \{', rb'\g<0>"of_tomorrow": %b, ' % value, text)
                    assert text.count(b"of_tomorrow") > 2
                new.writestr(name, text)
        return tmp_path / "newer.keras"

    with pytest.raises(ValueError, match="of_tomorrow"):
        keras_lstm_gates.load_model(newer(b"null"))
    monkeypatch.setitem(news.AS_BEFORE, "of_tomorrow", None)
    opened, words = read(newer(b"null"))
    assert words.endswith("translated: arguments of a newer Keras, which ask for nothing")
    np.testing.assert_array_equal(opened.predict(x, verbose=0), model.predict(x, verbose=0))
    assert opened.loss == "mse"
    for ours, theirs in zip(opened.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="of_tomorrow"):
        keras_lstm_gates.load_model(newer(b"true"))
