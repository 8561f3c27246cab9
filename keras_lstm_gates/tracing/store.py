"""A trace that is written block by block and resumes after a kill."""

import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import zarr

from keras_lstm_gates._support import locks
from keras_lstm_gates._support.files import clean, remove, write_json
from keras_lstm_gates._support.zarr_stores import check_own

BLOCK = 64
"""Samples in a block, which is also a chunk of the store: the most that is in memory, or lost by a kill."""


class StoreWriter:
    """Writes blocks of samples to `<path>.partial`, and renames it to `path` when it is finished.

    A thread writes a block while the next is computed. Every block is written before progress.json counts it, so that
    after a kill the last whole block is known; anything beyond it is cut off and written again.

    Use it in a `with` statement, which finishes the block that is being written, also after an error, and lets no other
    process write the same store.

    Args:
        path: str or `Path` of the Zarr store.
        identity: plain data that determine the numbers; a partial store of another identity is refused.
        tree: function of (part, start) to an `xarray.DataTree`, where a part has `arrays` and `samples`.

    Attributes:
        done: number of samples that the partial store held already.
        received: number of samples written or waiting to be written.

    Raises:
        FileExistsError: "expected no file at gates.zarr; it exists".
        BlockingIOError: "expected no other process to write gates.zarr; one has been writing it for 5 s".
        ValueError: the partial store is of another model, data size or version.
    """

    def __init__(self, path, identity, tree):
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + ".partial")
        if self.partial.is_symlink():
            raise ValueError(f"expected {self.partial} to be a folder of a trace that was interrupted; it is a link")
        self._store, self._progress = self.partial / "store", self.partial / "progress.json"
        self._identity, self._tree, self._waiting = json.loads(json.dumps(identity)), tree, []
        self._writing, self._arrays = None, None
        with contextlib.ExitStack() as stack:
            if self.partial.exists() or not self.path.exists():
                stack.enter_context(self._alone())
            if self.path.exists():
                raise FileExistsError(f"expected no file at {path}; it exists")
            self.done = self._resume() if self._progress.exists() else 0
            self._handed_over = self.received = self.done
            self._writer = stack.enter_context(ThreadPoolExecutor(1))
            self._open = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._open.close()

    @contextlib.contextmanager
    def _alone(self):
        """Hold the partial store; it goes where nobody can resume it."""
        try:
            with locks.alone(self.partial, self.path):
                try:
                    yield
                finally:
                    if self.path.exists() or not self._progress.exists():
                        for path in self.partial.iterdir():
                            if path.name != locks.LOCK:
                                remove(path)
        finally:
            with contextlib.suppress(OSError):
                self.partial.rmdir()

    def append(self, part):
        """Take some samples; the last block may still be on its way to disk when this returns."""
        self._waiting.append(part)
        self.received += part.samples
        while self.received - self._handed_over >= BLOCK:
            self._hand_over(BLOCK)

    def finish(self):
        """Write the remaining samples, rename the store to `path` and return it."""
        if self.received > self._handed_over:
            self._hand_over(self.received - self._handed_over)
        self._wait()
        for zarr_array in _arrays_of_samples(self._store).values():
            zarr_array.resize((self.received, *zarr_array.shape[1:]))
        os.replace(self._store, self.path)
        return self.path

    def _hand_over(self, samples):
        block = self._take(samples)
        self._wait()
        self._writing = self._writer.submit(self._write, block, self._handed_over)
        self._handed_over += samples

    def _wait(self):
        """Wait until the current block is on disk; raises the writer's error, if any."""
        if self._writing is not None:
            self._writing.result()

    def _write(self, block, start):
        end = start + block.samples
        if start == 0:
            self._create(block)
        else:
            self._arrays = self._arrays or _arrays_of_samples(self._store)
            by_name = {f"{path}/{name}".strip("/"): array for (_, path, name), array in block.arrays.items()}
            for name, zarr_array in self._arrays.items():
                if zarr_array.shape[0] < end:
                    # Twice as long each time: a resize costs more than a block. `finish` cuts the end off.
                    zarr_array.resize((2 * end, *zarr_array.shape[1:]))
                array = by_name[name] if name in by_name else np.arange(start, end)  # the coordinate `sample`
                gate = "/" in name and not name.endswith("/mask")
                zarr_array[start:end] = _fitted(array, zarr_array.shape[1:], name, gate)
        write_json(self._progress, {"samples": end, "identity": self._identity}, indent=None)

    def _create(self, block):
        # No tree for later blocks: its nodes refer to each other, so they would stay in memory until Python's cycle
        # collector runs.
        tree = self._tree(block, 0)
        # Gates hardly compress: the last bits of every number are noise.
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
        parts, count = [], 0
        while count < samples:
            part = self._waiting.pop(0)
            missing = samples - count
            if part.samples > missing:
                self._waiting.insert(0, part.rows(missing))
                part = part.rows(0, missing)
            parts.append(part)
            count += part.samples
        first = parts[0]
        for part in parts[1:]:
            for key, array in part.arrays.items():
                if array.shape[1:] != first.arrays[key].shape[1:]:
                    part.arrays[key] = _fitted(array, first.arrays[key].shape[1:], key[-1], gate=key[0] == "gate")
        if len(parts) == 1:
            return first
        return type(first)({key: np.concatenate([part.arrays[key] for part in parts]) for key in first.arrays})

    def _resume(self):
        clean(self.partial)
        check_own(self.partial)
        for path in self._store.rglob("*.partial"):
            if path.is_file():
                path.unlink()  # Zarr's own temporary files.
        progress = json.loads(self._progress.read_text())
        for name, value in self._identity.items():
            if progress["identity"].get(name) != value:
                raise ValueError(
                    f"expected to resume {self.partial}, a trace of {name}={progress['identity'].get(name)}; "
                    f"received {name}={value}. Delete that folder to start again"
                )
        for zarr_array in _arrays_of_samples(self._store).values():
            zarr_array.resize((progress["samples"], *zarr_array.shape[1:]))
        return progress["samples"]


def _every_chunk_is_written():
    # Otherwise Zarr compares each chunk with its fill value, which takes as long as writing it.
    return zarr.config.set({"array.write_empty_chunks": True})


def _arrays_of_samples(store):
    """The arrays of a store whose first dimension is the sample, by their path."""
    with _every_chunk_is_written():
        members = dict(zarr.open_group(store, mode="r+").members(max_depth=None))
    return {
        path: zarr_array
        for path, zarr_array in members.items()
        if isinstance(zarr_array, zarr.Array) and (zarr_array.metadata.dimension_names or (None,))[0] == "sample"
    }


def _fitted(array, sizes, name, gate):
    """A block of shorter sequences, padded to `sizes` as `trace` pads: gates repeat, the rest is 0."""
    array = np.asarray(array)
    if any(size > most for size, most in zip(array.shape[1:], sizes, strict=True)):
        raise ValueError(
            f"expected no batch longer than the first, {name} of {tuple(sizes)} a sample; received {array.shape[1:]}. "
            "Pad the batches to one length, with padded_batch(padded_shapes=...) in a tf.data.Dataset"
        )
    missing = [(0, 0), *((0, most - size) for size, most in zip(array.shape[1:], sizes, strict=True))]
    return np.pad(array, missing, "edge" if gate else "constant")
