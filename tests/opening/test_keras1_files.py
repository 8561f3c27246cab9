"""A file as Keras 1 wrote it: other names of arguments, and an array for each gate."""

import json

import h5py
import keras
import numpy as np

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
    kernel, recurrent, bias, *dense = model.get_weights()
    arrays = {}
    for gate, place in {"i": 0, "c": 2, "f": 1, "o": 3}.items():
        for letter, whole in {"W": kernel, "U": recurrent, "b": bias}.items():
            arrays[f"lstm_1_{letter}_{gate}"] = whole[..., 4 * place : 4 * place + 4]
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(configuration())
        file.attrs["keras_version"] = "1.2.2"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"lstm_1", b"dropout_1", b"timedistributed_1"]
        group.attrs["keras_version"] = b"1.2.2"
        group.attrs["backend"] = b"tensorflow"
        named = {"lstm_1": arrays, "dropout_1": {}, "timedistributed_1": {"dense_1_W": dense[0], "dense_1_b": dense[1]}}
        for layer, own in named.items():
            group.create_group(layer).attrs["weight_names"] = [name.encode() for name in own]
            for name, values in own.items():
                group[layer][name] = values
    opened = read(tmp_path / "model.h5")
    assert opened.words == "a Keras 1.2.2 model (HDF5); translated: hard_sigmoid kept as Keras 2's"
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    np.testing.assert_allclose(opened.model(x), model(x), atol=2e-6)
