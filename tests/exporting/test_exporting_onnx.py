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
from keras_lstm_gates.opening.walker import walk

HELD = (
    "addition",
    "bidirectional_states_to_decoder",
    "hierarchy_over_time",
    "imdb_bidirectional",
    "masked_tagger",
    "mixed_cells_backwards",
    "nested_models",
    "own_layer_and_branches",
    "sensor_anomaly_autoencoder",
    "stacked_cells",
    "text_generation",
    "video_of_frames",
    "weather_forecasting",
)


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


@pytest.mark.filterwarnings("ignore:Layer .* .of type Functional. was passed an input with a mask")
@pytest.mark.parametrize("name", HELD)
def test_models_as_people_build_them(name, tmp_path):
    keras.utils.set_random_seed(0)
    model, data, _ = getattr(architectures, name)()
    assert max(exported(model, data, tmp_path).differences["onnx"]["gates"].values()) < 1e-6


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
        layers.Conv1D(4, 2, padding="same", dilation_rate=3),
        layers.SeparableConv1D(4, 3, padding="same", dilation_rate=2),
        layers.TimeDistributed(layers.LayerNormalization(axis=1)),
        layers.TimeDistributed(layers.UnitNormalization(axis=1)),
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


def _under_masks():
    """{name: what reads an LSTM's sequence s and the words e before it, both masked}."""

    def part(*more):
        return keras.Sequential([keras.Input((None, 4)), GatedLSTM(3, return_sequences=True), *more])

    return {
        "attention": lambda s, e: layers.Attention()([s, e]),
        "causal attention": lambda s, e: layers.Attention(use_scale=True)([s, e], use_causal_mask=True),
        "additive": lambda s, e: layers.AdditiveAttention()([s, e]),
        "heads": lambda s, e: layers.MultiHeadAttention(2, 3)(s, e),
        "heads that are zeroed": lambda s, e: layers.MultiHeadAttention(2, 3, dropout=0.1)(s, e),
        "causal heads": lambda s, e: layers.MultiHeadAttention(2, 3)(s, s, use_causal_mask=True),
        "a model": lambda s, e: part(GatedLSTM(2))(s),
        "the mask behind a model": lambda s, e: layers.GlobalAveragePooling1D()(layers.Dropout(0.1)(part()(s))),
        "GRUs": lambda s, e: [layers.GRU(4)(e), layers.GRU(3, return_sequences=True, return_state=True)(e)],
        "a GRU backwards": lambda s, e: layers.GRU(3, go_backwards=True, reset_after=False)(s),
        "plain": lambda s, e: layers.SimpleRNN(4, return_sequences=True)(e),
        "both ways": lambda s, e: layers.Bidirectional(layers.GRU(3, return_sequences=True))(e),
        "joined masks": lambda s, e: GatedLSTM(3)(layers.Concatenate()([s, e])),
        "added masks": lambda s, e: layers.GRU(3)(layers.Add()([s, e])),
    }


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize("name", _under_masks())
def test_under_masks(name, rng):
    """Keras hands masks on where no graph shows them."""
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    e = layers.Embedding(11, 4, mask_zero=True)(tokens)
    s = GatedLSTM(4, return_sequences=True)(e)
    model = keras.Model(tokens, _under_masks()[name](s, e))
    data = rng.integers(1, 11, (4, 6))
    # The end, the start, and a gap.
    data[0, 3:] = data[1, :2] = data[2, 2] = 0
    if "model" not in name:
        # An average of no step is no number.
        data[3] = 0
    check_graph(model, data, rng)


def _operations(x):
    ops = keras.ops
    scores = ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))), axis=1)
    parts = [x[:, ::-1][:, :2], x[:, None], x[..., -1], ops.split(x, 3, axis=-1)[1], ops.stack([x, -x], 2)]
    numbers = [ops.abs(x) ** 2, ops.tanh(x) / 3, ops.clip(x, -0.1, 0.3), ops.where(x > 0, x, 0.5), ops.gelu(x)]
    along = [ops.max(x, axis=1), ops.std(x, axis=1), ops.cumsum(x, axis=1), ops.argmax(x, axis=-1)]
    return [scores, *parts, *numbers, *along, ops.tile(x, (1, 1, 2)), ops.cast(x, "int32"), ops.zeros_like(x)]


def _alone():
    """{name: what reads a series}."""
    images = layers.Reshape((6, 3, 1, 1))
    frames = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.BatchNormalization()])
    rectified = [layers.ReLU(max_value=0.5), layers.LeakyReLU(0.1), layers.PReLU(), layers.ELU(0.5)]
    pools = layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D, layers.Flatten
    channels_first = [one(data_format="channels_first") for one in pools]
    options = {"activation": "relu", "recurrent_activation": "hard_sigmoid"}
    return {
        "GRU from a state": lambda x: layers.GRU(3, **options)(x, initial_state=layers.Dense(3)(x[:, 0])),
        "cell of a GRU": lambda x: layers.RNN(layers.GRUCell(3))(x),
        "GRUs both ways": lambda x: layers.Bidirectional(layers.GRU(3, return_state=True), "sum")(x),
        "images": lambda x: layers.ConvLSTM2D(2, 2, padding="same", return_sequences=True)(images(x)),
        "images backwards": lambda x: layers.ConvLSTM2D(3, (2, 1), go_backwards=True, **options)(images(x)),
        "frames by a model": lambda x: layers.TimeDistributed(frames)(x),
        "rectified": lambda x: [one(x) for one in rectified],
        "separable": lambda x: layers.SeparableConv1D(4, 3, padding="same", depth_multiplier=2)(x),
        "padding": lambda x: layers.UnitNormalization()(layers.ZeroPadding1D((1, 2))(x)),
        "channels first": lambda x: [one(x) for one in channels_first],
        "operations": _operations,
    }


@pytest.mark.parametrize("name", _alone())
def test_layers_and_operations(name, rng):
    inputs = keras.Input((6, 3), name="series")
    check_graph(keras.Model(inputs, _alone()[name](inputs)), rng.normal(size=(4, 6, 3)).astype("float32"), rng)


def check_graph(model, data, rng):
    """Write a model as it is and run it: the graph alone, without the files and comparisons of an export."""
    model.set_weights([np.abs(one + 0.3 * rng.normal(size=one.shape)) for one in model.get_weights()])
    writer, (tensor,) = onnx_files._ToONNX(), model.inputs
    writer.take({tensor.name: tensor}, model.inputs)
    outputs = walk(model, writer, inputs=model.inputs).outputs
    named = {f"output {place}": (writer.value(one), one) for place, one in enumerate(outputs.values())}
    session = onnxruntime.InferenceSession(writer.graph.model({tensor.name: tensor}, named, "predict"))
    received = session.run(None, {tensor.name: data.astype(tensor.dtype)})
    for one, expected in zip(received, keras.tree.flatten(model(data)), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-5)
