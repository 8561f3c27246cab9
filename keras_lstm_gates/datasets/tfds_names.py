"""TFDS's data sets: their names, and their preparation by one process."""

import contextlib
import re
import socket
import sys
import urllib.request
from pathlib import Path

import tensorflow_datasets as tfds

from keras_lstm_gates._support import locks
from keras_lstm_gates._support.files import part_of_path


def checked(name):
    """The name itself, where TFDS finds the folder of its prepared data below its own.

    Args:
        name: str, such as "japanese_vowels" or "glue/cola:2.0.0".

    Raises:
        ValueError: as `part_of_path`: "expected a data set with a name that stays in its folder, ...".

    Example:
        >>> checked("glue/cola:2.0.0")
        'glue/cola:2.0.0'
        >>> checked("../downloads/glue")
        Traceback (most recent call last):
        ValueError: expected a data set with a name that stays in its folder, ...; received '..'
    """
    for part in re.split("[/:]", name):
        part_of_path(part, "a data set")
    return name


def _needs_downloads(builder):
    """Whether a data set is one of TFDS's own, not `tfds.testing.mock_data`, and no download of any is kept."""
    kept = Path(builder.data_dir_root) / "downloads"
    is_own = type(builder).__module__.startswith("tensorflow_datasets.")
    is_mock = builder.download_and_prepare.__module__.startswith("tensorflow_datasets.testing.")
    return is_own and not is_mock and not any(kept.rglob("*.INFO"))


def _offline():
    """Whether the host of TFDS has no address here; TFDS would try ten times."""
    if urllib.request.getproxies():
        return False
    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError:
        return True
    return False


def prepared(name):
    """The TFDS builder of a data set, whose files are prepared; other processes that need them wait meanwhile.

    Args:
        name: str, as `checked`.

    Raises:
        OSError: "expected a network to fetch the data set 'ag_news_subset'; ...", at once; a full disk, a
            folder that may not be written to.
    """
    builder = tfds.builder(checked(name))
    if not builder.is_prepared() and _needs_downloads(builder) and _offline():
        raise OSError(f"expected a network to fetch the data set {name!r}, which is not prepared; found none")
    if builder.is_prepared() or "://" in str(builder.data_dir):
        builder.download_and_prepare()
        return builder
    folder = Path(builder.data_dir)
    held = folder.parent / f".{folder.name}.unfinished"
    try:
        with locks.alone(held, folder, patience=-1):
            # Another process may have prepared it meanwhile, which a builder notices when it is made.
            builder = tfds.builder(name)
            # What TFDS tells of it is no result of whoever asks for the data.
            with contextlib.redirect_stdout(sys.stderr):
                builder.download_and_prepare()
    except RuntimeError as error:
        # What TFDS makes of all errors of TensorFlow's files, such as a full disk.
        raise OSError(f"cannot prepare {name} in {folder}: {' '.join(str(error).split())}") from error
    finally:
        with contextlib.suppress(OSError):
            held.rmdir()
    return builder


def units(builder, names=None):
    """{"units": {name: unit}} of those of some columns whose unit a data set tells; {} where it tells none.

    Args:
        builder: of `prepared`.
        names: of str; None: all that a step holds, in their order.
    """
    known = getattr(builder, "UNITS", {})
    told = {name: known[name] for name in (known if names is None else names) if name in known}
    return {"units": told} if told else {}
