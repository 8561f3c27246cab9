"""A file as Keras 1 wrote it: other names of arguments, and an array for each gate."""

import json

import h5py
import keras
import numpy as np
import pytest

from keras_lstm_gates.activations import keras2_hard_sigmoid
from keras_lstm_gates.opening.readers import read

LSTM = {"output_dim": 4, "init": "glorot_uniform", "inner_init": "orthogonal", "forget_bias_init": "one"}
LSTM |= {"activation": "tanh", "inner_activation": "hard_sigmoid", "W_regularizer": None, "U_regularizer": None}
LSTM |= {"b_regularizer": None, "dropout_W": 0.0, "dropout_U": 0.0, "return_sequences": True, "go_backwards": False}
LSTM |= {"stateful": False, "unroll": False, "consume_less": "cpu", "input_dim": 3, "input_length": 5}
DENSE = {"output_dim": 2, "init": "glorot_uniform", "activation": "linear", "bias": True, "input_dim": None}
DENSE |= {"W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None}


def configuration():
    lstm = {**LSTM, "name": "lstm_1", "batch_input_shape": [None, 5, 3], "input_dtype": "float32", "trainable": True}
    dropped = {"name": "dropout_1", "p": 0.2, "trainable": True}
    dense = {"class_name": "Dense", "config": {**DENSE, "name": "dense_1", "trainable": True}}
    last = {"name": "timedistributed_1", "layer": dense, "trainable": True}
    kinds = {"LSTM": lstm, "Dropout": dropped, "TimeDistributed": last}
    return {"class_name": "Sequential", "config": [{"class_name": name, "config": one} for name, one in kinds.items()]}


def test_a_character_model_of_keras_1(tmp_path):
    lstm_layer = keras.layers.LSTM(4, recurrent_activation=keras2_hard_sigmoid, return_sequences=True)
    model = keras.Sequential([keras.Input((5, 3)), lstm_layer, keras.layers.Dense(2)])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weights.shape) for weights in model.get_weights()])
    *_, dense_kernel, dense_bias = model.get_weights()
    arrays = {f"lstm_1_{key}": values for key, values in gates_apart(lstm_layer).items()}
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(configuration())
        file.attrs["keras_version"] = "1.2.2"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"lstm_1", b"dropout_1", b"timedistributed_1"]
        group.attrs["keras_version"] = b"1.2.2"
        group.attrs["backend"] = b"tensorflow"
        named = {
            "lstm_1": arrays,
            "dropout_1": {},
            "timedistributed_1": {"dense_1_W": dense_kernel, "dense_1_b": dense_bias},
        }
        for layer, own in named.items():
            group.create_group(layer).attrs["weight_names"] = [name.encode() for name in own]
            for name, values in own.items():
                group[layer][name] = values
    opened = read(tmp_path / "model.h5")
    assert opened.words == "a Keras 1.2.2 model (HDF5); translated: hard_sigmoid kept as Keras 2's"
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    np.testing.assert_allclose(opened.model(x), model(x), atol=2e-6)


def test_a_sequential_of_branches_of_keras_1(tmp_path):
    """A question and an image, each by its own Sequential, and a Merge of their ends: one graph."""
    words, image = keras.Input((5,), name="embedding_1_input"), keras.Input((6,), name="dense_1_input")
    lstm_layer = keras.layers.LSTM(4, recurrent_activation=keras2_hard_sigmoid, name="lstm_1")
    left = lstm_layer(keras.layers.Embedding(9, 3, name="embedding_1")(words))
    right = keras.layers.Dense(4, "tanh", name="dense_1")(image)
    model = keras.Model([words, image], keras.layers.Dense(2, name="dense_2")(keras.layers.Multiply()([left, right])))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weights.shape) for weights in model.get_weights()])

    def dense(name, **more):
        return {"class_name": "Dense", "config": {**DENSE, "name": name, **more}}

    embedding = {"name": "embedding_1", "input_dim": 9, "output_dim": 3, "init": "uniform", "input_length": 5}
    embedding |= {"batch_input_shape": [None, 5], "input_dtype": "int32", "mask_zero": False}
    lstm = {**LSTM, "name": "lstm_1", "return_sequences": False}
    question = [{"class_name": "Embedding", "config": embedding}, {"class_name": "LSTM", "config": lstm}]
    picture = [dense("dense_1", output_dim=4, activation="tanh", batch_input_shape=[None, 6], input_dtype="float32")]
    branches = [{"class_name": "Sequential", "config": one} for one in (question, picture)]
    merge = {"name": "merge_1", "mode": "mul", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1}
    tree = {"class_name": "Sequential", "keras_version": "1.2.2"}
    tree["config"] = [{"class_name": "Merge", "config": {**merge, "layers": branches}}, dense("dense_2")]
    (tmp_path / "model.json").write_text(json.dumps(tree))
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        # Keras 1 lists the layers of all branches as the model's own.
        layers = [one for one in model.layers if one.weights]
        layers.sort(key=lambda one: ["embedding_1", "lstm_1", "dense_1", "dense_2"].index(one.name))
        file.attrs["layer_names"] = [one.name.encode() for one in layers]
        for layer in layers:
            arrays = gates_apart(layer) if layer is lstm_layer else dict(enumerate(layer.get_weights()))
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [f"{layer.name}_{key}".encode() for key in arrays]
            for key, values in arrays.items():
                group[f"{layer.name}_{key}"] = values
    opened = read(tmp_path / "model.json", weights=tmp_path / "weights.h5")
    assert "the Merge of its branches is a graph" in opened.words
    data = [rng.integers(0, 9, (2, 5)), rng.normal(size=(2, 6)).astype("float32")]
    np.testing.assert_allclose(opened.model(data), model(data), atol=2e-6)
    tree["config"][0]["config"]["mode"] = "cos"
    (tmp_path / "model.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="the layer 'merge_1' is a Merge with the mode 'cos', which is not translated"):
        read(tmp_path / "model.json", weights=tmp_path / "weights.h5")


def gates_apart(layer):
    """{name: array} of an LSTM as Keras 1 keeps it: an array for each gate."""
    kernel, recurrent, bias = layer.get_weights()
    arrays = {}
    for gate, place in {"i": 0, "c": 2, "f": 1, "o": 3}.items():
        for letter, whole in {"W": kernel, "U": recurrent, "b": bias}.items():
            arrays[f"{letter}_{gate}"] = whole[..., layer.units * place : layer.units * (place + 1)]
    return arrays
