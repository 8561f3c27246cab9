"""What a file or folder is, by its content; nothing in it is run."""

import functools
import json
import re
import zipfile
from pathlib import Path

import h5py

from keras_lstm_gates._support.hdf5 import check_heaps

HEAD_BYTES = 4096
TEXT_BYTES = 2**28
"""A longer text is no architecture."""

HDF5_START = b"\x89HDF\r\n\x1a\n"
ZIP_START = b"PK\x03\x04"


class Content:
    """A file or folder, looked at as far as is needed to tell its format.

    Args:
        path: str or `Path`.

    Raises:
        FileNotFoundError: "no such file: model.h5".
    """

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"no such file: {self.path}")
        self.is_folder = self.path.is_dir()

    @functools.cached_property
    def head(self):
        """The first bytes; of a folder none."""
        if self.is_folder:
            return b""
        with open(self.path, "rb") as file:
            return file.read(HEAD_BYTES)

    @functools.cached_property
    def size(self):
        return 0 if self.is_folder else self.path.stat().st_size

    @functools.cached_property
    def names(self):
        """The names in a folder or a zip archive; of anything else none."""
        if self.is_folder:
            return sorted(path.name for path in self.path.iterdir())
        if not self.head.startswith(ZIP_START):
            return []
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.namelist()
        except (ValueError, RuntimeError, NotImplementedError, EOFError, OSError, zipfile.BadZipFile):
            return []

    @functools.cached_property
    def hdf5(self):
        """(attributes, names) of an HDF5 file's root; None of anything else and of one that cannot be read."""
        if not self.head.startswith(HDF5_START):
            return None
        try:
            check_heaps(self.path)
            with h5py.File(self.path, "r") as file:
                return set(file.attrs), set(file)
        except (OSError, RuntimeError, KeyError, ValueError):
            return None

    @functools.cached_property
    def text(self):
        """The text of a file that is one, else ""."""
        if self.is_folder or self.size > TEXT_BYTES or b"\0" in self.head:
            return ""
        try:
            return self.path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            return ""

    @functools.cached_property
    def tree(self):
        """What a JSON text says; None of anything else. A text that is JSON twice over is read twice."""
        if not self.text.lstrip().startswith(("{", "[", '"')):
            return None
        try:
            tree = json.loads(self.text)
            return json.loads(tree) if isinstance(tree, str) else tree
        except (ValueError, RecursionError):
            return None

    def holds(self, *names):
        return set(names) <= set(self.names)

    def begins(self, *starts):
        return self.head.startswith(starts)

    def described(self):
        """A content that nobody knows, in the words of an error."""
        if self.is_folder:
            return f"a folder of {_some(self.names)}"
        if self.names:
            return f"a zip archive of {_some(self.names)}"
        if not self.size:
            return "an empty file"
        return f"{self.size} bytes that begin with {self.head[:16]!r}"


def is_architecture(tree):
    """Whether a tree is the configuration of a Keras model, as `to_json` writes it."""
    return isinstance(tree, dict) and isinstance(tree.get("class_name"), str) and "config" in tree


def looks_like_yaml(text):
    """Whether a text is what `to_yaml` wrote."""
    return all(re.search(rf"^{key}:", text, re.MULTILINE) for key in ("class_name", "config"))


def _some(names):
    shown = ", ".join(names[:4]) or "nothing"
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
