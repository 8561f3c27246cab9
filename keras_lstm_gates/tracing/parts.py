"""What a trace is made of while it grows: arrays of some samples, collected and joined."""

import itertools

import numpy as np


class Part:
    """Arrays of some samples by (kind, path, name): kinds are input, output, gate, mask and target."""

    def __init__(self, arrays):
        self.arrays = arrays
        self.samples = len(next(iter(arrays.values())))

    def rows(self, start, end=None):
        return Part({key: array[start:end] for key, array in self.arrays.items()})


class Collector:
    """Parts joined along the samples; where their number is known, each is copied into place at once."""

    def __init__(self, total):
        self._total, self._parts, self._arrays = total, [], {}
        self.samples = 0

    def append(self, part):
        end = self.samples + part.samples
        if self._total is None:
            self._parts.append(part)
        else:
            for key, array in part.arrays.items():
                if key not in self._arrays:
                    self._arrays[key] = np.empty((self._total, *array.shape[1:]), array.dtype)
                self._arrays[key][self.samples : end] = array
        self.samples = end

    def joined(self):
        if self.samples == 0:
            raise ValueError("expected one or more sequences; received no data")
        return Part(self._arrays) if self._arrays else _concatenated(self._parts)


def _concatenated(parts):
    common = set.intersection(*(set(part.arrays) for part in parts))
    return Part(
        {key: _joined([part.arrays[key] for part in parts], key[0]) for key in parts[0].arrays if key in common}
    )


def _joined(arrays, kind):
    """Join batches along the sample axis; along the others, smaller batches are padded."""
    if len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    largest = [max(sizes) for sizes in itertools.zip_longest(*(array.shape[1:] for array in arrays))]
    # A gate repeats its last real step; inputs, masks and outputs are unknown there: zeros.
    fill = "edge" if kind == "gate" else "constant"
    padded = [
        np.pad(array, [(0, 0), *((0, most - size) for most, size in zip(largest, array.shape[1:], strict=True))], fill)
        for array in arrays
    ]
    return np.concatenate(padded)
