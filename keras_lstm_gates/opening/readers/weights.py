"""The weights in a file into a model that was built in Python, whichever Keras wrote the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lstm_gates.layers import weights_files
from keras_lstm_gates.opening.readers.filling import fill
from keras_lstm_gates.opening.readers.leaves import leaves, snake_case
from keras_lstm_gates.opening.readers.models import in_one_line, stored_weights
from keras_lstm_gates.opening.readers.stored import Listed, Nested

if TYPE_CHECKING:
    import keras

    from keras_lstm_gates._support.annotations import StrPath


def load_weights(model: keras.Model, path: StrPath) -> None:
    """`model.load_weights` for a file that any Keras wrote: with LSTM, `GatedLSTM` or CuDNNLSTM in it.

    Args:
        model: built `keras.Model`, like the one that wrote the file but for LSTM being GatedLSTM or the other way round
            (or neither).
        path: str or `Path`: of weights (.weights.h5, .h5, the .index of a TensorFlow checkpoint) or of a whole model.
            It is not changed.

    Layers go by their names where these are the file's, else in their order, as in Keras 2; an array whose name or
    shape is not that of the variable is refused.

    Raises:
        FileNotFoundError: "no such file: ...".
        ValueError: the file is damaged or reaches into other files, or its arrays are not those of the model; or, of
            what Keras 3 wrote, the LSTMs of a part of the model are of both kinds where the file has them under
            other names: which is which cannot be told.

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
    path = Path(str(path) + ".index") if not Path(path).exists() and Path(f"{path}.index").exists() else Path(path)
    with in_one_line(path):
        with stored_weights(path) as (stored, _):
            by_keras_3 = isinstance(stored, Nested) and stored.names_layers and path.suffix != ".keras"
            if not by_keras_3:
                fill(model, stored, _names(model, stored))
        if by_keras_3:
            weights_files.load_weights(model, path)


def _names(model, stored):
    """{layer of the model: layer of the file}."""
    own = list(dict.fromkeys(leaf.steps[0].name for leaf in leaves(model)))
    if not isinstance(stored, Listed) or set(own) == set(stored.layers):
        return {name: name for name in own}
    if len(own) != len(stored.layers):
        raise ValueError(
            f"expected arrays of {len(own)} layers, {own}; received {len(stored.layers)}: {list(stored.layers)}"
        )
    names = dict(zip(own, stored.layers, strict=True))
    kinds = {name: snake_case(type(model.get_layer(name)).__name__).removeprefix("gated_") for name in own}
    for name, of_file in names.items():
        given = not re.fullmatch(rf"(gated_)?{kinds[name]}(_\d+)?", name)
        if given and name != of_file and name in stored.layers:
            raise ValueError(f"expected the layers in the model's order, {own}; received {list(stored.layers)}")
    return names
