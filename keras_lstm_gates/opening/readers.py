"""Open a saved Keras model in which classes of this package stand."""

import io
import zipfile
import zlib
from pathlib import Path

import keras

# So that Keras knows their classes.
import keras_lstm_gates.initializers
import keras_lstm_gates.layers.bidirectional
import keras_lstm_gates.losses
import keras_lstm_gates.opening.opened_layers  # noqa: F401
from keras_lstm_gates._support import sizes
from keras_lstm_gates._support.hdf5 import check_self_contained


def load_model(path):
    """A saved model, as `keras.models.load_model` opens it once every class of this package is imported.

    Args:
        path: str or `Path`, of a .keras file.

    Returns:
        `keras.Model`.

    Raises:
        FileNotFoundError: "no such file: model.keras".
        ValueError: "model.keras is not a whole .keras file: ...", or a class of yours that Keras does not know: import
            the module that registers it first.

    Example:
        >>> from keras_lstm_gates.zoo.registry import home
        >>> load_model(home("shakespeare_plays") / "model.keras").loss.name
        'summed_cross_entropy'
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is not a whole .keras file: expected a zip archive; "
            f"received {path.stat().st_size} bytes that are none"
        )
    _check_members(path)
    try:
        return keras.models.load_model(path)
    except TypeError as error:
        # Keras's, for a class that is not registered, between the configurations of what holds it and of itself.
        reason = str(error).rpartition("Exception encountered: ")[2].partition(" Full object config")[0]
        raise ValueError(f"cannot open {path}: {reason}") from error


def _check_members(path):
    """Raise a `ValueError` where an archive unpacks to far more than it holds, or its weights lie elsewhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes.check(sum(member.file_size for member in archive.infolist()), path.stat().st_size)
            weights = "model.weights.h5"
            content = archive.read(weights) if weights in archive.namelist() else None
    except (ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a whole .keras file: {error}") from None
    if content is not None:
        check_self_contained(path, io.BytesIO(content))
