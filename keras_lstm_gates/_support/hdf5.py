"""HDF5 files from others: only data in the file itself are read."""

import h5py


def check_self_contained(path):
    """Raise a `ValueError` unless an HDF5 file refers to nothing outside itself.

    A link to another file is followed on access, with the rights of the reader, also for writing. So is a data set
    whose numbers are stored elsewhere.

    Args:
        path: str or `Path`. It is opened for reading.

    Raises:
        ValueError: "model.weights.h5 is not a whole HDF5 file: ...", or "model.weights.h5 reaches outside itself:
            '/layers' is a link to 'other.h5'; expected arrays in the file alone".

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
        with h5py.File(path, "r") as file:
            outside = next(_outside(file), None)
    except OSError as error:
        raise ValueError(f"{path} is not a whole HDF5 file: {error}") from None
    if outside is not None:
        raise ValueError(f"{path} reaches outside itself: {outside}; expected arrays in the file alone")


def _outside(group):
    """Yield a description of everything in a group, and below it, that is stored elsewhere."""
    for name in group:
        link = group.get(name, getlink=True)
        place = f"{group.name.rstrip('/')}/{name}"
        if isinstance(link, h5py.ExternalLink):
            yield f"{place!r} is a link to {link.filename!r}"
        elif isinstance(link, h5py.SoftLink):
            yield f"{place!r} is a link to {link.path!r}"
        elif isinstance(group[name], h5py.Dataset):
            if group[name].external:
                yield f"{place!r} keeps its numbers in {group[name].external[0][0]!r}"
            elif group[name].is_virtual:
                yield f"{place!r} is put together from {group[name].virtual_sources()[0].file_name!r}"
        elif isinstance(group[name], h5py.Group):
            yield from _outside(group[name])
