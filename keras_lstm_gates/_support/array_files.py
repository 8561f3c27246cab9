"""Files of NumPy's arrays from others: no pickles, no kinds but numbers, no shapes that the file cannot fill."""

import errno
import math
import os
import tokenize
import zipfile
import zlib

import numpy as np

from keras_lstm_gates._support import sizes

_DAMAGES = (ValueError, EOFError, SyntaxError, tokenize.TokenError, TypeError, LookupError, ArithmeticError)
"""What NumPy raises where the start of a file declares no array."""


def read_npy(path):
    """The array of a .npy file.

    Args:
        path: str or `Path`.

    Raises:
        ValueError: "expected x.npy to be a whole .npy file of numbers: ...", before memory is taken for what the file
            does not hold.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/x.npy"
        >>> np.save(path, np.ones((2, 3)))
        >>> read_npy(path).shape
        (2, 3)
    """
    try:
        with open(path, "rb") as file:
            _check_header(file, os.path.getsize(path))
            file.seek(0)
            return np.load(file, allow_pickle=False)
    except _DAMAGES as error:
        raise ValueError(f"expected {path} to be a whole .npy file of numbers: {error}") from None


def read_npz(path, compressed=False):
    """{name: array} of an .npz file as `numpy.savez` writes it, uncompressed.

    Args:
        path: str or `Path`.
        compressed: bool. True: also as `numpy.savez_compressed` writes it, as far as `sizes.check` lets it grow.

    Raises:
        ValueError: "expected x.npz to be a whole .npz file of numbers: ...", as `read_npy`.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/x.npz"
        >>> np.savez(path, a=np.ones((2, 3)), b=0)
        >>> {name: array.shape for name, array in read_npz(path).items()}
        {'a': (2, 3), 'b': ()}
    """
    try:
        with zipfile.ZipFile(path) as members:
            sizes.check(sum(member.file_size for member in members.infolist()), os.path.getsize(path))
            for member in members.infolist():
                stored = member.compress_type == zipfile.ZIP_STORED
                if not stored and not compressed:
                    raise ValueError(f"expected {member.filename!r} uncompressed")
                with members.open(member) as file:
                    _check_header(file, min(member.file_size, member.compress_size) if stored else member.file_size)
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (*_DAMAGES, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError) as error:
        # A declared place before the file's start cannot be looked up.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError(f"expected {path} to be a whole .npz file of numbers: {error}") from None


def write_npz(path, arrays):
    """Write {name: array} as an .npz file, under any names: `numpy.savez` takes some, as `file`, for its own.

    Args:
        path: str or `Path`.
        arrays: {str: array of numbers}.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/x.npz"
        >>> write_npz(path, {"file": np.ones(2), "lstm/h": np.zeros(3)})
        >>> list(read_npz(path))
        ['file', 'lstm/h']
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def _check_header(file, size):
    """Raise a `ValueError` unless the rest of a file of that many bytes fills the array that its start declares."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"expected version 1.0 or 2.0 of the format; received {version}")
    shape, _, dtype = read(file)
    if dtype.kind not in "biufcU":
        raise ValueError(f"expected numbers; received the dtype {dtype}")
    declared, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or declared != held or dtype.itemsize == 0:
        raise ValueError(
            f"expected {declared:,} bytes of an array of shape {shape} and dtype {dtype}; received {held:,}"
        )
