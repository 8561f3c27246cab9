"""What Keras 2 wrote opens with its numbers: the answers are those of tf-keras, the gates those of the equations."""

import shutil

import keras
import numpy as np
import pytest
from opening.keras2 import MODELS, answers
from opening.tf_keras_models import configuration
from strangers import gates

import keras_lstm_gates
from keras_lstm_gates.opening.readers import operations, read
from keras_lstm_gates.opening.readers.translating import Translation

TOLERANCE = 2e-6


def check(model, written, name):
    for own, expected in zip(answers(model, written.inputs(name)), written.outputs(name), strict=True):
        np.testing.assert_allclose(own, expected, atol=TOLERANCE)


@pytest.mark.parametrize("name", MODELS)
def test_answers_of_every_way_to_write_a_model(name, written):
    for path, weights in written.ways(name):
        check(keras_lstm_gates.load_model(path, weights=weights), written, name)


def test_the_ways_are_many(written):
    ways = [way for name in MODELS for way in written.ways(name)]
    assert len(ways) >= 40
    assert sum(path.is_dir() for path, _ in ways) >= 4
    assert sum(weights is not None and weights.suffix == ".index" for _, weights in ways) >= 4


@pytest.mark.parametrize("name", MODELS)
def test_gates_of_every_model(name, written):
    model = keras_lstm_gates.load_model(written.folder / f"{name}.h5")
    inputs = written.inputs(name)
    inputs = inputs if len(inputs) > 1 else inputs[0]
    known = gates.expected(model, inputs)
    opened = keras_lstm_gates.expose(model)(inputs, training=False)
    # Of the LSTMs: what a GRU shows is held by tests/opening/test_gru.py.
    paths = {key.rpartition("/")[0] for key in opened if key.endswith("/f")}
    assert {gates.path_and_call(path)[0] for path in paths} == set(known)
    for path in paths:
        inner, call = gates.path_and_call(path)
        for gate, expected in known[inner][call][0].items():
            np.testing.assert_allclose(opened[f"{path}/{gate}"], expected, atol=TOLERANCE, err_msg=f"{path}/{gate}")


def test_a_model_of_keras_2_is_saved_and_opened_as_one_of_keras_3(written, tmp_path):
    model = keras_lstm_gates.load_model(written.folder / "encoder_decoder.h5")
    model.save(tmp_path / "new.keras")
    again = read(tmp_path / "new.keras")
    check(again.model, written, "encoder_decoder")
    assert again.words == f"a Keras {keras.__version__} model (.keras)"
    initializer = model.get_layer("encoder").cell.recurrent_initializer
    assert isinstance(initializer, keras.initializers.Orthogonal)


def test_it_is_said_what_a_file_is(written):
    assert read(written.folder / "cudnn.h5").words.endswith(
        "model (HDF5); translated: CuDNNLSTM is LSTM, time_major dropped"
    )
    words = read(written.folder / "encoder_decoder.keras").words
    assert words.startswith("a Keras 2.")
    assert words.endswith("model (.keras); translated: time_major dropped, hard_sigmoid kept as Keras 2's")


def edited(written, name, tmp_path, edit, version):
    """A copy of an HDF5 file with an older configuration."""
    path = tmp_path / f"{name}.h5"
    shutil.copy(written.folder / f"{name}.h5", path)
    tree, write_back = configuration(path)
    edit(tree)
    write_back(version)
    return path


def layers_of(tree):
    """The configurations of all layers in one, at any depth."""
    if isinstance(tree, dict):
        if "class_name" in tree and isinstance(tree.get("config"), dict):
            yield tree
        for one in tree.values():
            yield from layers_of(one)
    elif isinstance(tree, list):
        for one in tree:
            yield from layers_of(one)


def to_keras_2_2(tree):
    """As Keras 2.0 to 2.3 wrote it: no modules, the list of layers alone, Model, no new arguments."""
    for layer in layers_of(tree):
        layer.pop("module", None)
        layer.pop("registered_name", None)
        config = layer["config"]
        for new in ("time_major", "ragged", "build_input_shape", "optional"):
            config.pop(new, None)
        if layer["class_name"] == "GlorotUniform":
            layer.update(
                class_name="VarianceScaling",
                config={"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
            )
        if layer["class_name"] == "Functional":
            layer["class_name"] = "Model"
        if layer["class_name"] == "BatchNormalization":
            config["axis"] = config["axis"][0]
        if layer["class_name"] == "GRU" and not config["reset_after"]:
            del config["reset_after"]
        if layer["class_name"] == "LSTM":
            config["implementation"] = 1
    if tree["class_name"] == "Sequential":
        first, second = tree["config"]["layers"][:2]
        second["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
        if second["class_name"] == "Embedding":
            second["config"]["dtype"] = "int32"
        tree["config"] = tree["config"]["layers"][1:]


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("attention", "relu_regularized")])
def test_files_of_keras_2_0_to_2_3(name, written, tmp_path):
    path = edited(written, name, tmp_path, to_keras_2_2, "2.2.4")
    opened = read(path)
    check(opened.model, written, name)
    assert opened.words.startswith("a Keras 2.2.4 model (HDF5)")


def test_modules_and_policies_of_tensorflow(written, tmp_path):
    def edit(tree):
        for layer in layers_of(tree):
            if "dtype" in layer["config"] and layer["class_name"] != "InputLayer":
                layer["config"]["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}
            if "module" in layer:
                layer["module"] = "tensorflow.keras.layers"

    check(read(edited(written, "tagger", tmp_path, edit, "2.4.0")).model, written, "tagger")


def test_operations_that_no_row_takes_are_refused_by_name(written, tmp_path):
    def edit(tree):
        next(one for one in layers_of(tree) if one["config"].get("function") == "concat")["config"]["function"] = (
            "random.normal"
        )

    with pytest.raises(ValueError, match=r"'tf\.concat' is 'random.normal' of TensorFlow, which is not translated"):
        read(edited(written, "tensorflow_operations", tmp_path, edit, "2.15.0"))
    assert operations.refusal("compat.v1.transpose", [{"perm": [1, 0], "conjugate": False, "name": "t"}]) is None
    reason = operations.refusal("compat.v1.transpose", [{"conjugate": True}])
    assert reason == "is 'compat.v1.transpose' of TensorFlow with conjugate=True, which is not translated"
    lost = "is 'einsum' of TensorFlow, whose other operands Keras 2 did not write down"
    assert operations.refusal("einsum", [{}]) == lost


def node(name, operation, inputs, constants=(), attributes=()):
    """A TensorFlowOpLayer as Keras 2.2 and 2.3 wrote it."""
    own = {"name": name, "op": operation, "input": [], "attr": dict(attributes)}
    return {
        "class_name": "TensorFlowOpLayer",
        "name": f"tf_op_layer_{name}",
        "config": {"name": name, "node_def": own, "constants": dict(constants)},
        "inbound_nodes": [[[one, 0, 0, {}] for one in inputs]],
    }


def test_operations_of_keras_2_3(tmp_path):
    start = {"batch_input_shape": [None, 4, 3], "dtype": "float32", "name": "x"}
    masks = {f"{name}_mask": {"i": number} for name, number in (("begin", "5"), ("end", "5"), ("shrink_axis", "2"))}
    layers = [
        {"class_name": "InputLayer", "name": "x", "config": start, "inbound_nodes": []},
        node("sub", "Sub", ["x"], {"0": 1.0}),
        node("concat", "ConcatV2", ["tf_op_layer_sub", "x"], {"2": -1}, {"N": {"i": "2"}}),
        node("mean", "Mean", ["tf_op_layer_concat"], {"1": 1}, {"keep_dims": {"b": True}}),
        node("squeeze", "Squeeze", ["tf_op_layer_mean"], attributes={"squeeze_dims": {"list": {"i": ["1"]}}}),
        node("last", "StridedSlice", ["x"], {"1": [0, -1, 0], "2": [0, 0, 0], "3": [1, 1, 1]}, masks),
        node("split", "Split", ["x"], {"0": 2}, {"num_split": {"i": "3"}}),
        node("products", "BatchMatMulV2", ["x", "x"], attributes={"adj_x": {"b": False}, "adj_y": {"b": True}}),
        node("turned", "Transpose", ["tf_op_layer_products"], {"1": [0, 2, 1]}),
        node("whole", "Cast", ["x"], attributes={"DstT": {"type": "DT_INT32"}}),
    ]
    ends = [["tf_op_layer_squeeze", 0, 0], ["tf_op_layer_last", 0, 0], ["tf_op_layer_split", 0, 1]]
    ends += [["tf_op_layer_turned", 0, 0], ["tf_op_layer_whole", 0, 0]]
    graph = {"name": "model", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": ends}
    config = Translation("2.3.0").model({"class_name": "Model", "config": graph})
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    received = keras.saving.deserialize_keras_object(config)(x)
    joined = np.concatenate([1.0 - x, x], axis=-1)
    expected = [joined.mean(1), x[:, -1], x[..., 1:2], x @ x.swapaxes(1, 2), x.astype("int32")]
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    layers[1]["config"]["node_def"]["op"] = "RandomUniform"
    translation = Translation("2.3.0")
    translation.model({"class_name": "Model", "config": graph})
    assert translation.unknown == {
        "tf_op_layer_sub": "is the operation 'RandomUniform' of TensorFlow, which is not translated"
    }
