"""A weights file of `keras.layers.LSTM` loads into `GatedLSTM` and the other way round."""

import h5py
import keras
import numpy as np
import pytest

from keras_lstm_gates.layers import GatedLSTM, GatedLSTMCell
from keras_lstm_gates.layers.weights_files import load_weights


def model(layer, cell, layers=2):
    """Stacked (more than ten, so that names sort wrongly as text), bidirectional, and over cells; with a Dense."""
    parts = [layer(2, return_sequences=True) for _ in range(layers)]
    parts.append(keras.layers.Bidirectional(layer(3, return_sequences=True)))
    parts.append(keras.layers.RNN([cell(2), cell(4)]))
    return keras.Sequential([keras.Input((None, 3)), *parts, keras.layers.Dense(2)])


@pytest.mark.parametrize("layers", [1, 12])
def test_both_ways(tmp_path, layers):
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    stock = model(keras.layers.LSTM, keras.layers.LSTMCell, layers)
    stock.save_weights(tmp_path / "stock.weights.h5")
    ours = model(GatedLSTM, GatedLSTMCell, layers)
    load_weights(ours, tmp_path / "stock.weights.h5")
    np.testing.assert_allclose(ours(x), stock(x), atol=1e-6)
    ours.set_weights([weight + 0.1 for weight in ours.get_weights()])
    ours.save_weights(tmp_path / "ours.weights.h5")
    before = (tmp_path / "ours.weights.h5").read_bytes()
    load_weights(stock, tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(ours(x), stock(x), atol=1e-6)
    assert (tmp_path / "ours.weights.h5").read_bytes() == before
    load_weights(ours, tmp_path / "ours.weights.h5")


def test_a_mix_cannot_be_told(tmp_path):
    stock = keras.Sequential([keras.Input((None, 3)), *(keras.layers.LSTM(3, return_sequences=True) for _ in "ab")])
    stock.save_weights(tmp_path / "stock.weights.h5")
    mixed = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(3, return_sequences=True), GatedLSTM(3)])
    with pytest.raises(ValueError, match=r"expected the LSTMs of '/layers' to be all of one kind; received"):
        load_weights(mixed, tmp_path / "stock.weights.h5")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none\.weights\.h5"):
        load_weights(keras.Sequential([keras.Input((None, 3)), GatedLSTM(3)]), tmp_path / "none.weights.h5")


def _linked(kind, folder):
    """A weights file that reaches into `other.h5`, and that file."""
    other, path = folder / "other.h5", folder / "linked.weights.h5"
    with h5py.File(other, "w") as file:
        file["lstm/cell/vars/0"] = np.zeros((3, 16), "float32")
    (folder / "raw").write_bytes(bytes(3 * 16 * 4))
    with h5py.File(path, "w") as file:
        group = file.create_group("layers")
        if kind == "external link":
            group["lstm"] = h5py.ExternalLink(str(other), "/lstm")
        elif kind == "soft link":
            group["lstm"] = h5py.SoftLink("/elsewhere")
        elif kind == "external storage":
            group.create_dataset("lstm/cell/vars/0", (3, 16), "float32", external=[(str(folder / "raw"), 0, 192)])
        else:
            layout = h5py.VirtualLayout((3, 16), "float32")
            layout[:] = h5py.VirtualSource(str(other), "lstm/cell/vars/0", shape=(3, 16))
            group.create_virtual_dataset("lstm/cell/vars/0", layout)
    return path, other


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual data set"])
def test_a_file_that_reaches_into_others_is_refused_and_no_file_is_changed(kind, tmp_path):
    path, other = _linked(kind, tmp_path)
    before = {file: file.read_bytes() for file in (path, other, tmp_path / "raw")}
    model = keras.Sequential([keras.Input((None, 3)), GatedLSTM(4)])
    with pytest.raises(ValueError, match=r"reaches outside itself: '/layers/lstm.*expected arrays in the file alone"):
        load_weights(model, path)
    assert {file: file.read_bytes() for file in before} == before


def test_a_damaged_file_is_one_line(tmp_path):
    path = tmp_path / "damaged.weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match="is not a whole HDF5 file"):
        load_weights(keras.Sequential([keras.Input((None, 3)), GatedLSTM(4)]), path)
