"""HDF5 files from others: only what lies in the file itself is read, and no more than it can hold."""

import contextlib
import mmap
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
    check_heaps(path, file)
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


def check_heaps(path, file=None):
    """Raise a `ValueError` where the HDF5 library would search a heap of texts without end.

    It does in a heap whose free space has the size 0, as in a file that was partly overwritten with zeros.

    Args:
        path, file: as those of `check_self_contained`.
    """
    with contextlib.ExitStack() as opened:
        if file is not None:
            content = file.getvalue()
        elif os.path.getsize(path):
            stream = opened.enter_context(open(path, "rb"))
            content = opened.enter_context(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        else:
            content = b""
        place = content.find(_HEAP)
        while place >= 0:
            end = place + int.from_bytes(content[place + 8 : place + 16], "little")
            if _is_endless(content, place + 16, min(end, len(content))):
                raise ValueError(f"{path} is not a whole HDF5 file: a heap of texts is damaged")
            place = content.find(_HEAP, place + len(_HEAP))


_HEAP = b"GCOL\x01\0\0\0"


def _is_endless(content, place, end):
    """Whether the objects of a heap, (number, ..., size, bytes) each, end in free space, number 0, of no size."""
    while place + 16 <= end:
        number, size = (int.from_bytes(content[at : at + n], "little") for at, n in ((place, 2), (place + 8, 8)))
        if number == 0:
            return size == 0
        place += 16 + (size + 7) // 8 * 8
    return False


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
