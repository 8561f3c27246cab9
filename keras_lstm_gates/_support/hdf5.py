"""HDF5 files from others: only what lies in the file itself is read, and no more than it can hold."""

import os

import h5py

from keras_lstm_gates._support import sizes


def check_self_contained(path, file=None):
    """Raise a `ValueError` unless everything in an HDF5 file lies in that file, which can hold it.

    A link to another file is followed on access, with the rights of the reader, also for writing. So is a data set
    whose numbers are stored elsewhere.

    Args:
        path: str or `Path`. It is opened for reading.
        file: an opened binary file to read in its place, or None.

    Raises:
        ValueError: "model.weights.h5 is not a whole HDF5 file: ...", or "model.weights.h5 reaches outside itself:
            '/layers' is a link to 'other.h5'; expected arrays in the file alone"; or arrays that take far more memory
            than the file has bytes.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/links.h5"
        >>> with h5py.File(path, "w") as file:
        ...     file["layers"] = h5py.ExternalLink("other.h5", "/")
        >>> check_self_contained(path)
        Traceback (most recent call last):
        ValueError: ... reaches outside itself: '/layers' is a link to 'other.h5'; expected arrays in the file alone
    """
    try:
        with h5py.File(path if file is None else file, "r") as opened:
            outside, declared = _contents(opened)
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} is not a whole HDF5 file: {error}") from None
    if outside is not None:
        raise ValueError(f"{path} reaches outside itself: {outside}; expected arrays in the file alone")
    try:
        sizes.check(declared, os.path.getsize(path))
    except ValueError as error:
        raise ValueError(f"{path} is not a whole HDF5 file: {error}") from None


def _contents(file):
    """(what in a file lies elsewhere, in words, or None; the bytes in memory of all its data sets)."""
    waiting, seen, declared = [file["/"]], set(), 0
    while waiting:
        group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue  # A group may hold itself.
        seen.add(address)
        for name in group:
            outside = _outside(group, name)
            if outside is not None:
                return f"{group.name.rstrip('/') + '/' + name!r} {outside}", declared
            if isinstance(group[name], h5py.Dataset):
                declared += (group[name].size or 0) * group[name].dtype.itemsize
            elif isinstance(group[name], h5py.Group):
                waiting.append(group[name])
    return None, declared


def _outside(group, name):
    """In words, how a member of a group lies elsewhere, or None."""
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return f"is a link to {link.filename!r}"
    if isinstance(link, h5py.SoftLink):
        return f"is a link to {link.path!r}"
    if isinstance(group[name], h5py.Dataset) and group[name].external:
        return f"keeps its numbers in {group[name].external[0][0]!r}"
    if isinstance(group[name], h5py.Dataset) and group[name].is_virtual:
        return f"is put together from {group[name].virtual_sources()[0].file_name!r}"
    return None
