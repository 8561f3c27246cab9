"""Zarr stores from others: only what this package writes is read, from the store's own folder."""

import json
import math
import os
import re
from pathlib import Path

from keras_lstm_gates._support import sizes

_NUMBERS = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)")
_NUMBERS_OF_FORMAT_2 = re.compile(r"[<>|]?(b1|[iu][1248]|f[248]|U[0-9]{1,6})")
_CODECS = (["bytes"], ["bytes", "zstd"])
_COMPRESSORS = ("blosc", "zstd")


def check_own(path):
    """Raise a `ValueError` unless a store is one that this package may have written.

    A store is a folder of small descriptions beside its numbers, each of which may name a codec, another place, or an
    array of any size. Nothing is read but the descriptions.

    Args:
        path: str or `Path`.

    Raises:
        FileNotFoundError: "no such store: gates.zarr".
        ValueError: "gates.zarr is no store that this package writes: expected files and folders; received the link
            lstm/f", or the codecs, the dtype, the size that were received.

    Example:
        >>> import tempfile, zarr
        >>> path = tempfile.mkdtemp()
        >>> _ = zarr.create_array(path, name="f", shape=(10**6, 10**6), chunks=(64, 64), dtype="float32")
        >>> check_own(path)
        Traceback (most recent call last):
        ValueError: ...: expected arrays of up to 1,073,741,824 bytes; received 4,000,...,... declared and ... stored
    """
    if not Path(path).is_dir():
        raise FileNotFoundError(f"no such store: {path}")
    declared = stored = 0
    for file in _files(path, path):
        stored += file.stat().st_size
        if file.name in ("zarr.json", ".zarray", ".zgroup", ".zattrs"):
            try:
                declared += _declared_bytes(file)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                said = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else error
                raise _foreign(path, f"{os.path.relpath(file, path)}: {said}") from None
    try:
        sizes.check(declared, stored)
    except ValueError as error:
        raise _foreign(path, error) from None


def _foreign(path, why):
    return ValueError(f"{path} is no store that this package writes: {why}")


def _files(folder, store):
    """The files below a folder; a `ValueError` for what is neither a file nor a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, store)
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
            else:
                kind = "link" if entry.is_symlink() else "special file"
                place = os.path.relpath(entry.path, store)
                raise _foreign(store, f"expected files and folders; received the {kind} {place!r}")


def _declared_bytes(file):
    """How much memory the array of a description takes, 0 for a group; a `ValueError` for a foreign one."""
    content = json.loads(file.read_text(encoding="utf-8"))
    if file.name == ".zattrs":
        return 0
    expected = 3 if file.name == "zarr.json" else 2
    if content["zarr_format"] != expected:
        raise ValueError(f"expected Zarr's format {expected}; received {content['zarr_format']!r}")
    if file.name == ".zgroup" or content.get("node_type") == "group":
        return 0
    chunks, size = _of_format_2(content) if expected == 2 else _of_format_3(content)
    shape = content["shape"]
    if len(shape) != len(chunks) or any(type(one) is not int or one < 0 for one in (*shape, *chunks)) or 0 in chunks:
        raise ValueError(f"expected a shape in chunks of its rank; received {shape!r} in {chunks!r}")
    # Whole chunks are taken into memory, also at the end.
    return size * math.prod(math.ceil(one / chunk) * chunk for one, chunk in zip(shape, chunks, strict=True))


def _of_format_3(content):
    """(the chunks of an array, bytes a number)."""
    if content["node_type"] != "array":
        raise ValueError(f"expected an array or a group; received {content['node_type']!r}")
    if content.get("storage_transformers") or content["chunk_key_encoding"]["name"] != "default":
        raise ValueError("expected chunks in files of their own; received another storage")
    codecs = [codec["name"] for codec in content["codecs"]]
    if codecs not in _CODECS:
        raise ValueError(f"expected the codecs {' or '.join(map(str, _CODECS))}; received {codecs}")
    grid, kind = content["chunk_grid"], content["data_type"]
    if grid["name"] != "regular":
        raise ValueError(f"expected a regular grid of chunks; received {grid['name']!r}")
    if isinstance(kind, dict) and kind["name"] == "fixed_length_utf32":
        return grid["configuration"]["chunk_shape"], int(kind["configuration"]["length_bytes"])
    if not isinstance(kind, str) or not _NUMBERS.fullmatch(kind):
        raise ValueError(f"expected numbers, bools or short texts; received the data type {kind!r}")
    return grid["configuration"]["chunk_shape"], math.ceil(int(re.sub(r"\D", "", kind) or 8) / 8)


def _of_format_2(content):
    """(the chunks of an array, bytes a number)."""
    kind, compressor = content["dtype"], content["compressor"]
    if content["filters"]:
        raise ValueError(f"expected no filters; received {content['filters']!r}")
    if compressor is not None and compressor["id"] not in _COMPRESSORS:
        raise ValueError(f"expected a compressor of {list(_COMPRESSORS)}; received {compressor['id']!r}")
    if not isinstance(kind, str) or not _NUMBERS_OF_FORMAT_2.fullmatch(kind):
        raise ValueError(f"expected numbers, bools or short texts; received the dtype {kind!r}")
    return content["chunks"], int(re.sub(r"\D", "", kind)) * (4 if "U" in kind else 1)
