"""Weights files (.weights.h5) that move between `keras.layers.LSTM` and `GatedLSTM`.

Keras addresses a layer in such a file by its class: `layers/lstm/cell/vars/0`, `layers/gated_lstm/cell/vars/0`. The
arrays are the same; only the names differ.
"""

import re
import shutil
import tempfile
from pathlib import Path

import h5py

from keras_lstm_gates._support.hdf5 import check_self_contained

_RECURRENT = re.compile(r"(gated_)?(lstm|lstm_cell)(_\d+)?")


def load_weights(model, path):
    """`model.load_weights` for a file that a model with `keras.layers.LSTM` or one with `GatedLSTM` wrote.

    Args:
        model: built `keras.Model`, like the one that wrote the file but for LSTM being GatedLSTM or the other way round
            (or neither).
        path: str or `Path` of a .weights.h5 file. It is not changed.

    Raises:
        FileNotFoundError: "no such file: ...".
        ValueError: the file is damaged or reaches into other files; or the LSTMs of a part of the model are of both
            kinds where the file has them under other names: which is which cannot be told.

    Example:
        >>> import keras, os, tempfile
        >>> from keras_lstm_gates.layers import GatedLSTM
        >>> stock = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4)])
        >>> ours = keras.Sequential([keras.Input((None, 3)), GatedLSTM(4)])
        >>> path = os.path.join(tempfile.mkdtemp(), "stock.weights.h5")
        >>> stock.save_weights(path)
        >>> load_weights(ours, path)
        >>> bool((ours.get_weights()[0] == stock.get_weights()[0]).all())
        True
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    check_self_contained(path)
    with tempfile.TemporaryDirectory() as folder:
        of_model = Path(folder) / "model.weights.h5"
        model.save_weights(of_model)
        renamed = Path(folder) / "renamed.weights.h5"
        shutil.copyfile(path, renamed)
        with h5py.File(of_model) as expected, h5py.File(renamed, "a") as file:
            _rename(expected, file)
        model.load_weights(renamed)


def _rename(expected, file):
    """Give the recurrent layers in a group of `file` the names that `expected` has for them, and go down."""
    for old, new in _renames(expected, file).items():
        file.move(old, f"renamed {new}")
    for name in list(file):
        if name.startswith("renamed "):
            file.move(name, name.removeprefix("renamed "))
    for name in file:
        if name in expected and isinstance(file[name], h5py.Group):
            _rename(expected[name], file[name])


def _renames(expected, file):
    """{name in file: name in expected} of the LSTM layers, and of the LSTM cells, in one group."""
    renames = {}
    for kind in ("lstm", "lstm_cell"):
        new, old = (_of_kind(group, kind) for group in (expected, file))
        if new == old or len(new) != len(old):
            continue
        for names in (new, old):
            if len({name.startswith("gated_") for name in names}) > 1:
                raise ValueError(
                    f"expected the LSTMs of {expected.name!r} to be all of one kind; received {sorted(names)} for "
                    f"{sorted(old)} in the file"
                )
        renames.update(zip(old, new, strict=True))
    return renames


def _of_kind(group, kind):
    """The names of a group's LSTM layers or cells in the order in which Keras numbered them."""
    matches = [match for name in group if (match := _RECURRENT.fullmatch(name)) and match[2] == kind]
    return [match[0] for match in sorted(matches, key=lambda match: int((match[3] or "_0")[1:]))]
