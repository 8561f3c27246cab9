"""A trace that is written block by block, and that goes on after a kill."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import zarr

from keras_lstm_gates.files import replaced_when_whole

BLOCK = 64
"""Samples a block, which is also a chunk of the store: what is lost at most by a kill, and held in memory."""


class Stream:
    """Writes blocks of samples to `<path>.partial`, and renames it to `path` when it is finished.

    Every block is written before progress.json counts it, so that after a kill the last whole block is known; what
    was written beyond it is cut off and written again.

    Args:
        path: of the Zarr store.
        identity: plain data that decide the numbers; a partial store of another identity is refused.
        tree: function of (part, start) to an `xarray.DataTree`, where a part has `arrays` and `samples`.

    Attributes:
        done: samples that were there already.
        seen: samples written or waiting to be.

    Raises:
        ImportError: zarr is older than 3, as on Python 3.10.
        FileExistsError: "expected no file at gates.zarr; it exists".
        ValueError: the partial store is of another model, data size or version.
    """

    def __init__(self, path, identity, tree):
        if int(zarr.__version__.partition(".")[0]) < 3:
            raise ImportError(
                f"a trace to a store needs zarr 3, which needs Python 3.11 or newer; received zarr {zarr.__version__}"
            )
        self.path = Path(path)
        if self.path.exists():
            raise FileExistsError(f"expected no file at {path}; it exists")
        self.partial = self.path.with_name(self.path.name + ".partial")
        self._store, self._progress = self.partial / "store", self.partial / "progress.json"
        self._identity, self._tree, self._waiting = json.loads(json.dumps(identity)), tree, []
        self.done = self._resume() if self._progress.exists() else 0
        self._written = self.seen = self.done
        if self.done == 0:
            shutil.rmtree(self.partial, ignore_errors=True)

    def append(self, part):
        """Take some samples; whole blocks are written at once."""
        self._waiting.append(part)
        self.seen += part.samples
        while self.seen - self._written >= BLOCK:
            self._write(BLOCK)

    def finish(self):
        """Write what waits, give the store its name and return that."""
        if self.seen > self._written:
            self._write(self.seen - self._written)
        os.replace(self._store, self.path)
        shutil.rmtree(self.partial)
        return self.path

    def _write(self, samples):
        taken = self._take(samples)
        block = self._tree(taken, self._written)
        if self._written == 0:
            # Gates hardly compress: noise in the last bits of every number.
            encoding = {
                node.path: {
                    name: {"chunks": (BLOCK, *array.shape[1:]), "compressors": None}
                    for name, array in _of_samples(node)
                }
                for node in block.subtree
            }
            block.to_zarr(self._store, mode="w", consolidated=False, encoding=encoding)
        else:
            root = zarr.open_group(self._store, mode="r+")
            for node in block.subtree:
                for name, array in _of_samples(node):
                    stored = root[f"{node.path}/{name}".strip("/")]
                    stored.resize((self._written + samples, *stored.shape[1:]))
                    stored[self._written :] = _fitted(array, stored.shape[1:], name)
        self._written += samples
        with replaced_when_whole(self._progress) as temporary:
            temporary.write_text(json.dumps({"samples": self._written, "identity": self._identity}))

    def _take(self, samples):
        """The first `samples` waiting samples as one part."""
        taken, count = [], 0
        while count < samples:
            part = self._waiting.pop(0)
            need = samples - count
            if part.samples > need:
                self._waiting.insert(0, part.rows(need))
                part = type(part)({key: array[:need] for key, array in part.arrays.items()})
            taken.append(part)
            count += part.samples
        first = taken[0]
        for part in taken[1:]:
            for key, array in part.arrays.items():
                if array.shape[1:] != first.arrays[key].shape[1:]:
                    part.arrays[key] = _fitted(array, first.arrays[key].shape[1:], key[-1])
        return type(first)({key: np.concatenate([part.arrays[key] for part in taken]) for key in first.arrays})

    def _resume(self):
        written = json.loads(self._progress.read_text())
        for name, value in self._identity.items():
            if written["identity"].get(name) != value:
                raise ValueError(
                    f"expected to go on with {self.partial}, a trace of {name}={written['identity'].get(name)}; "
                    f"received {name}={value}. Delete that folder to begin again"
                )
        root = zarr.open_group(self._store, mode="r+")
        for _, stored in root.members(max_depth=None):
            if isinstance(stored, zarr.Array) and (stored.metadata.dimension_names or (None,))[0] == "sample":
                stored.resize((written["samples"], *stored.shape[1:]))
        return written["samples"]


def _of_samples(node):
    return [
        (name, array) for name, array in node.to_dataset(inherit=False).variables.items() if array.dims[0] == "sample"
    ]


def _fitted(array, sizes, name):
    """A block of shorter sequences, filled up to `sizes` as `trace` fills: gates repeat, the rest is 0."""
    array = np.asarray(array)
    if any(size > most for size, most in zip(array.shape[1:], sizes, strict=True)):
        raise ValueError(
            f"expected no batch longer than the first, {name} of {tuple(sizes)} a sample; received {array.shape[1:]}. "
            "Pad the batches to one length, with padded_batch(padded_shapes=...) in a tf.data.Dataset"
        )
    missing = [(0, 0), *((0, most - size) for size, most in zip(array.shape[1:], sizes, strict=True))]
    return np.pad(array, missing, "edge" if name in "ifgoch" else "constant")
