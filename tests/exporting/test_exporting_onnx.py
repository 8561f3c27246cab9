"""ONNX files against the model and the equations, run by ONNX Runtime."""

import sys

import architectures
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers
from reference import lstm
from small import small_model

from keras_lstm_gates import GatedLSTM, exporting, zoo
from keras_lstm_gates.exporting.onnx import files as onnx_files

HELD = (
    "addition",
    "bidirectional_states_to_decoder",
    "imdb_bidirectional",
    "masked_tagger",
    "own_layer_and_branches",
    "sensor_anomaly_autoencoder",
    "stacked_cells",
    "text_generation",
    "video_of_frames",
    "weather_forecasting",
)
NOT_HELD = {
    "hierarchy_over_time": r"'words': it is a EachStep; expected one of Activation, .*, GatedLSTM",
    "mixed_cells_backwards": "'deep_1': it is a RNN",
    "nested_models": "'encoder': it is a model of its own, called with a mask",
}


def exported(model, data, folder, **options):
    return exporting.export(model, folder, data, formats=("onnx",), **options)


def test_gates_obey_the_equations_at_any_batch_and_time(tmp_path):
    """Masked, with a gap; compared on 5 sequences of 6 steps, run on 2 of 9."""
    model, data = small_model()
    written = exported(model, data, tmp_path)
    data = np.random.default_rng(5).normal(size=(2, 9, 3)).astype("float32")
    data[0, [0, 3, 8]] = 0
    received = onnx_files.open_onnx(written.files["onnx"])("gates", {"sequence": data})
    weights = model.get_layer("lstm").get_weights()
    expected = lstm((data - 0.1) / np.sqrt(2.0), *weights, mask=np.any(data != 0, axis=-1))
    for name in "ifgoch":
        np.testing.assert_allclose(received[name], expected[name], atol=2e-6, err_msg=name)


def test_files(tmp_path):
    model, data = small_model()
    written = exported(model, data, tmp_path)
    files = {path.name: onnx.load(path) for path in written.files["onnx"].iterdir()}
    assert sorted(files) == ["gates.onnx", "predict.onnx", "step.onnx"]
    for name, file in files.items():
        onnx.checker.check_model(file, full_check=True)
        operators = [node.op_type for node in file.graph.node]
        # One step needs no loop; the gates' own equations are its operators.
        assert operators.count("LSTM") == (0 if name == "step.onnx" else 1)
        assert operators.count("Scan") == (1 if name == "gates.onnx" else 0)
    assert [one.name for one in files["step.onnx"].graph.input] == ["x", "state_h", "state_c"]
    assert {one.name for one in files["gates.onnx"].graph.output} == {"probabilities", *"ifgoch"}
    # What `predict` does not answer with, it does not hold.
    assert {"Scan", "MatMul"} - {node.op_type for node in files["predict.onnx"].graph.node} == {"Scan"}
    # The weights of the LSTM stand once in a file, though operator and gates both need them.
    weights = [one for one in files["gates.onnx"].graph.initializer if list(one.dims) == [1, 16, 4]]
    assert len(weights) == 1


@pytest.mark.parametrize("name", HELD)
def test_models_as_people_build_them(name, tmp_path):
    keras.utils.set_random_seed(0)
    model, data, _ = getattr(architectures, name)()
    assert max(exported(model, data, tmp_path).differences["onnx"]["gates"].values()) < 1e-6


@pytest.mark.filterwarnings("ignore:Layer .* .of type Functional. was passed an input with a mask")
@pytest.mark.parametrize("name", NOT_HELD)
def test_what_onnx_does_not_have_is_named(name, tmp_path):
    model, data, _ = getattr(architectures, name)()
    with pytest.raises(ValueError, match="the format 'onnx' cannot hold the layer " + NOT_HELD[name]):
        exported(model, data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_preset_of_the_zoo(tmp_path):
    rng = np.random.default_rng(0)
    for name in zoo.list():
        model = zoo.load(name)
        shape = (2, model.inputs[0].shape[1] or 30, *model.inputs[0].shape[2:])
        data = rng.integers(1, 14, size=shape) if len(shape) == 2 else rng.normal(size=shape)
        data[0, -5:] = 0
        written = exported(model, data, tmp_path / name)
        # `zoo.load` gives the gates too: `predict` answers with them.
        assert written.differences["onnx"].keys() >= {"predict", "gates"}


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"activation": "elu", "recurrent_activation": "softsign", "use_bias": False},
        {"activation": "softplus", "recurrent_activation": "sigmoid", "go_backwards": True},
        {"activation": "linear", "recurrent_activation": "sigmoid"},
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_options(options, masked, tmp_path, rng):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((None, 3))
    x = layers.Masking()(x) if masked else x
    first, h, c = GatedLSTM(5, return_sequences=True, return_state=True, name="first", **options)(x)
    second = layers.LSTM(5, name="second", **options)(layers.Dense(4)(x), initial_state=[h, c])
    outputs = [layers.LayerNormalization()(first), layers.Subtract()([second, h]), c]
    data = rng.normal(size=(4, 6, 3)).astype("float32")
    # From the start, a gap, the end, and a sequence without any real step.
    data[0, :2] = data[1, 3] = data[2, 4:] = data[3] = 0
    # Gates without a bound grow: of an output larger than 1, the tolerance is a share of its size.
    exported(keras.Model(inputs, outputs), data, tmp_path, tolerances={"float32": 1e-5})


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv1D(4, 3, strides=2, padding="same"),
        layers.Conv1D(4, 2, dilation_rate=3, padding="causal", activation="relu", use_bias=False),
        layers.Conv1D(4, 2, groups=2, dilation_rate=2),
        layers.MaxPooling1D(3, strides=2, padding="same"),
        layers.AveragePooling1D(3, strides=2, padding="same"),
        layers.AveragePooling1D(2),
        layers.BatchNormalization(scale=False, epsilon=0.1),
        layers.BatchNormalization(center=False),
        layers.Softmax(axis=1),
        layers.Permute((2, 1)),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_of_several_steps(layer, tmp_path, rng):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 4))
    model = keras.Model(inputs, layers.LSTM(3)(layer(inputs)))
    for variable in layer.variables:
        # Also what BatchNormalization has seen.
        variable.assign(rng.uniform(0.5, 1.5, size=variable.shape))
    data = rng.normal(size=(4, 9, 4)).astype("float32")
    assert max(exported(model, data, tmp_path).differences["onnx"]["gates"].values()) < 1e-6


@pytest.mark.parametrize("normalize", [False, True])
def test_a_product_of_two_encoders(normalize, tmp_path, rng):
    """Of different lengths, one of them free."""
    left, right = keras.Input((None, 3), name="left"), keras.Input((7, 3), name="right")
    shared = layers.LSTM(4)
    model = keras.Model([left, right], layers.Dot(1, normalize=normalize)([shared(left), shared(right)]))
    data = [rng.normal(size=(3, steps, 3)).astype("float32") for steps in (5, 7)]
    assert max(exported(model, data, tmp_path).differences["onnx"]["predict"].values()) < 1e-6


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.LSTM(4, activation="gelu"), "its activation is 'gelu'; expected one of .*'elu', 'hard_sigmoid'"),
        (layers.LSTM(4, recurrent_activation="softmax"), "its activation is 'softmax'; expected one of"),
        (layers.Conv1DTranspose(4, 2), "it is a Conv1DTranspose; expected one of"),
        (layers.BatchNormalization(axis=1), "it normalizes the axis 1; expected the last"),
        (layers.Softmax(axis=(1, 2)), "its axes are \\(1, 2\\); expected one"),
    ],
)
def test_layers_that_are_refused(layer, message, tmp_path):
    model = keras.Sequential([keras.Input((6, 3)), layer, layers.Reshape((-1, 2)), layers.LSTM(2)])
    with pytest.raises(ValueError, match=rf"the format 'onnx' cannot hold the layer '{layer.name}': {message}"):
        exported(model, np.ones((2, 6, 3)), tmp_path, signatures=("predict",))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_package(package, tmp_path, monkeypatch):
    model, data = small_model()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{package} .*pip install 'keras_lstm_gates\[onnx\]'"):
        exported(model, data, tmp_path)


def test_the_manifest_tells_the_operators(tmp_path):
    model, data = small_model()
    exported(model, data, tmp_path)
    told = (tmp_path / "README.md").read_text()
    assert "onnxruntime.InferenceSession('onnx/gates.onnx').run(None, {'sequence': sequence})" in told
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx/gates.onnx"))
    assert len(session.run(None, {"sequence": data})) == 7


def _attending():
    """{name: what stands above an LSTM of every step}."""
    return {
        "attention": lambda x, y: layers.Attention(use_scale=True)([x, y]),
        "attention with a key": lambda x, y: layers.Attention()([x, y, x + y]),
        "additive": lambda x, y: layers.AdditiveAttention()([x, y]),
        "scores": lambda x, y: layers.AdditiveAttention(use_scale=False)([x, y], return_attention_scores=True)[1],
        "sequences": lambda x, y: layers.Dot((2, 2))([x, y]),
        "sequences over time": lambda x, y: layers.Dot((1, 1), normalize=True)([x, y]),
        "sequence and vector": lambda x, y: layers.Dot((2, 1))([x, y[:, -1]]),
        "vector and sequence": lambda x, y: layers.Dot((1, 2))([x[:, 0], y]),
        "normalized": lambda x, y: layers.LayerNormalization(axis=[1, 2])(x + y),
    }


@pytest.mark.parametrize("name", _attending())
def test_attention_and_products(name, tmp_path, rng):
    tokens = keras.Input((5,), dtype="int32")
    x = layers.LSTM(4, return_sequences=True, name="lstm")(layers.Embedding(7, 3)(tokens))
    y = layers.Dense(4)(x)
    model = keras.Model(tokens, layers.Identity(name="seen")(_attending()[name](x, y)))
    model.set_weights([rng.normal(size=one.shape) for one in model.get_weights()])
    data = rng.integers(0, 7, size=(3, 5))
    written = exported(model, data, tmp_path, signatures=("predict",))
    session = onnxruntime.InferenceSession(written.files["onnx"] / "predict.onnx")
    (received,) = session.run(None, {"tokens": data.astype("int32")})
    np.testing.assert_allclose(received, model(data), atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [layers.Attention(), layers.AdditiveAttention(), lambda pair: layers.MultiHeadAttention(2, 3, name="heads")(*pair)],
    ids=["attention", "additive", "heads"],
)
def test_attention_under_a_mask_is_refused(layer, tmp_path):
    """Keras hands the mask on where no graph shows it: the file would read the padding."""
    tokens = keras.Input((5,), dtype="int32")
    x = layers.LSTM(4, return_sequences=True)(layers.Embedding(7, 3, mask_zero=True)(tokens))
    model = keras.Model(tokens, layer([x, x]))
    with pytest.raises(ValueError, match=r"the format 'onnx' cannot hold the layer '.*': it has a mask"):
        # Nothing in the data is masked, so that the comparison would not tell.
        exported(model, np.ones((2, 5), int), tmp_path, signatures=("predict",))
