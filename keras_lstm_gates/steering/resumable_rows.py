"""Rows of numbers that are kept in a file now and then, so that a run that is interrupted resumes."""

import json
import time
from pathlib import Path

import numpy as np

from keras_lstm_gates._support.array_files import read_npz
from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates._support.zarr_stores import check_own

SECONDS = 5.0
"""Between two writings of the file: the most that a kill costs."""


class KeptRows:
    """An array (count, width) that is filled row by row.

    Args:
        count, width: int.
        path: of an .npz file, or None to keep the rows in memory alone.
        identity: plain data that determine the rows.

    Attributes:
        rows: (count, width), float64.
        done: how many rows there are, at the start those of the file.

    Raises:
        ValueError: "expected to resume x.npz, of weights_sha256=...; received weights_sha256=.... Delete it to start
            again".
    """

    def __init__(self, count, width, path=None, identity=None):
        self.rows, self.done = np.full((count, width), np.nan), 0
        self._path = None if path is None else Path(path)
        self._identity = json.loads(json.dumps({**(identity or {}), "shape": [count, width]}))
        self._written = time.monotonic()
        if self._path is not None and self._path.exists():
            self._resume()

    def append(self, row):
        self.rows[self.done] = row
        self.done += 1
        last = self.done == len(self.rows)
        if self._path is not None and (last or time.monotonic() - self._written >= SECONDS):
            # A file that is open keeps its name; to a path, NumPy would add .npz.
            with replaced_when_whole(self._path) as temporary, temporary.open("wb") as file:
                np.savez(file, rows=self.rows[: self.done], identity=json.dumps(self._identity))
            self._written = time.monotonic()

    def _resume(self):
        arrays = read_npz(self._path)
        kept = json.loads(str(arrays["identity"])) if set(arrays) == {"rows", "identity"} else {}
        for name, value in self._identity.items():
            if kept.get(name) != value:
                raise ValueError(
                    f"expected to resume {self._path}, of {name}={kept.get(name)}; received {name}={value}. "
                    "Delete it to start again"
                )
        rows = arrays["rows"]
        if rows.ndim != 2 or rows.shape[1:] != self.rows.shape[1:] or len(rows) > len(self.rows):
            raise ValueError(f"expected {self._path} to hold rows of {self.rows.shape[1:]}; received {rows.shape}")
        self.done = len(rows)
        self.rows[: self.done] = rows


def unfinished(store):
    """The path of the rows of a result that is to be stored, or None.

    Raises:
        FileExistsError: "expected no file at x.zarr; it exists".
    """
    if store is None:
        return None
    if Path(store).exists():
        raise FileExistsError(f"expected no file at {store}; it exists")
    return Path(store).with_name(f"{Path(store).name}.partial.npz")


def finished(result, store):
    """A dataset or a tree, written as a Zarr store; the rows that it was made of are deleted."""
    if store is not None:
        # Version 2 of the format, the only one that specifies texts.
        with replaced_when_whole(store) as temporary:
            result.to_zarr(temporary, consolidated=False, zarr_format=2)
            check_own(temporary)
        unfinished_rows = Path(store).with_name(f"{Path(store).name}.partial.npz")
        unfinished_rows.unlink(missing_ok=True)
    return result
