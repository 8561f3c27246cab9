"""A trace that is written block by block, and that goes on after a kill."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import zarr

from keras_lstm_gates._support.files import write_json

BLOCK = 64
"""Samples a block, which is also a chunk of the store: what is lost at most by a kill, and held in memory."""


class Stream:
    """Writes blocks of samples to `<path>.partial`, and renames it to `path` when it is finished.

    A thread writes a block while the next is computed. Every block is written before progress.json counts it, so that
    after a kill the last whole block is known; what was written beyond it is cut off and written again.

    Use it in a `with`: the block that is being written is then finished, also after an error.

    Args:
        path: of the Zarr store.
        identity: plain data that decide the numbers; a partial store of another identity is refused.
        tree: function of (part, start) to an `xarray.DataTree`, where a part has `arrays` and `samples`.

    Attributes:
        done: samples that were there already.
        seen: samples written or waiting to be.

    Raises:
        FileExistsError: "expected no file at gates.zarr; it exists".
        ValueError: the partial store is of another model, data size or version.
    """

    def __init__(self, path, identity, tree):
        self.path = Path(path)
        if self.path.exists():
            raise FileExistsError(f"expected no file at {path}; it exists")
        self.partial = self.path.with_name(self.path.name + ".partial")
        self._store, self._progress = self.partial / "store", self.partial / "progress.json"
        self._identity, self._tree, self._waiting = json.loads(json.dumps(identity)), tree, []
        self.done = self._resume() if self._progress.exists() else 0
        self._taken = self.seen = self.done
        if self.done == 0:
            shutil.rmtree(self.partial, ignore_errors=True)
        self._writer, self._writing, self._arrays = ThreadPoolExecutor(1), None, None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._writer.shutdown()

    def append(self, part):
        """Take some samples; of whole blocks the last is still being written when this returns."""
        self._waiting.append(part)
        self.seen += part.samples
        while self.seen - self._taken >= BLOCK:
            self._hand_over(BLOCK)

    def finish(self):
        """Write what waits, give the store its name and return that."""
        if self.seen > self._taken:
            self._hand_over(self.seen - self._taken)
        self._wait()
        for stored in _arrays_of_samples(self._store).values():
            stored.resize((self.seen, *stored.shape[1:]))
        os.replace(self._store, self.path)
        shutil.rmtree(self.partial)
        return self.path

    def _hand_over(self, samples):
        block = self._take(samples)
        self._wait()
        self._writing = self._writer.submit(self._write, block, self._taken)
        self._taken += samples

    def _wait(self):
        """Until the block that is being written is on the disk; raises what went wrong there."""
        if self._writing is not None:
            self._writing.result()

    def _write(self, block, start):
        end = start + block.samples
        if start == 0:
            self._create(block)
        else:
            self._arrays = self._arrays or _arrays_of_samples(self._store)
            named = {f"{path}/{name}".strip("/"): array for (_, path, name), array in block.arrays.items()}
            for name, stored in self._arrays.items():
                if stored.shape[0] < end:
                    # Twice as long each time: a resize costs more than a block. `finish` cuts the end off.
                    stored.resize((2 * end, *stored.shape[1:]))
                array = named[name] if name in named else np.arange(start, end)  # the coordinate `sample`
                stored[start:end] = _fitted(array, stored.shape[1:], name.rpartition("/")[2])
        write_json(self._progress, {"samples": end, "identity": self._identity}, indent=None)

    def _create(self, block):
        # No tree for the blocks that follow: its nodes know each other, and would stay in memory until Python looks
        # for such cycles.
        tree = self._tree(block, 0)
        # Gates hardly compress: noise in the last bits of every number.
        encoding = {
            node.path: {
                name: {"chunks": (BLOCK, *array.shape[1:]), "compressors": None}
                for name, array in node.to_dataset(inherit=False).variables.items()
                if array.dims[0] == "sample"
            }
            for node in tree.subtree
        }
        with _every_chunk_is_written():
            tree.to_zarr(self._store, mode="w", consolidated=False, encoding=encoding)

    def _take(self, samples):
        """The first `samples` waiting samples as one part."""
        taken, count = [], 0
        while count < samples:
            part = self._waiting.pop(0)
            need = samples - count
            if part.samples > need:
                self._waiting.insert(0, part.rows(need))
                part = part.rows(0, need)
            taken.append(part)
            count += part.samples
        first = taken[0]
        for part in taken[1:]:
            for key, array in part.arrays.items():
                if array.shape[1:] != first.arrays[key].shape[1:]:
                    part.arrays[key] = _fitted(array, first.arrays[key].shape[1:], key[-1])
        if len(taken) == 1:
            return first
        return type(first)({key: np.concatenate([part.arrays[key] for part in taken]) for key in first.arrays})

    def _resume(self):
        written = json.loads(self._progress.read_text())
        for name, value in self._identity.items():
            if written["identity"].get(name) != value:
                raise ValueError(
                    f"expected to go on with {self.partial}, a trace of {name}={written['identity'].get(name)}; "
                    f"received {name}={value}. Delete that folder to begin again"
                )
        for stored in _arrays_of_samples(self._store).values():
            stored.resize((written["samples"], *stored.shape[1:]))
        return written["samples"]


def _every_chunk_is_written():
    # Else Zarr compares each chunk with its fill value, which takes as long as to write it.
    return zarr.config.set({"array.write_empty_chunks": True})


def _arrays_of_samples(store):
    """The arrays of a store whose first dimension is the sample, by their path."""
    with _every_chunk_is_written():
        members = dict(zarr.open_group(store, mode="r+").members(max_depth=None))
    return {
        path: stored
        for path, stored in members.items()
        if isinstance(stored, zarr.Array) and (stored.metadata.dimension_names or (None,))[0] == "sample"
    }


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
