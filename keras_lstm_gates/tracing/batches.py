"""The batches of a trace's data: arrays that are cut, or batches as a data set gives them."""

import keras
import numpy as np

from keras_lstm_gates.opening.inputs import by_name, check


def batches(data, batch_size, inputs, targets=None):
    """The batches of arrays or of a data set.

    Args:
        data: as `keras_lstm_gates.tracing.trace` takes it.
        batch_size: int > 0, for arrays.
        inputs: what `keras_lstm_gates.opening.inputs.inputs_of` gives.
        targets: array (sample, ...) beside arrays, or None.

    Returns:
        An iterator of (start, {input: array}, y or None), and the number of samples where it is known, else None.

    Raises:
        ValueError: what `keras_lstm_gates.opening.inputs.check` raises; of arrays before the first batch.
    """
    if targets is not None and not isinstance(data, (list, tuple, dict)) and not hasattr(data, "__array__"):
        raise ValueError(f"expected arrays beside targets, or batches (x, y) without; received {type(data).__name__}")
    if hasattr(data, "as_numpy_iterator"):
        return _counted(inputs, map(_split, data.as_numpy_iterator())), None
    if isinstance(data, keras.utils.PyDataset):
        return _counted(inputs, (_split(data[place]) for place in range(len(data)))), None
    if not isinstance(data, (list, tuple, dict, np.ndarray)) and not hasattr(data, "__array__"):
        if hasattr(data, "__iter__"):
            return _counted(inputs, map(_split, data)), None
        raise ValueError(f"expected arrays, a tf.data.Dataset or a generator of batches; received {data!r}")
    arrays = by_name(inputs, data)
    check(inputs, arrays)
    total = samples_of(arrays)
    if targets is not None and np.shape(targets)[:1] != (total,):
        raise ValueError(f"expected targets of {total} samples; received shape {np.shape(targets)}")
    y = None if targets is None else np.asarray(targets)

    def cut(start):
        rows = slice(start, start + batch_size)
        return start, {name: one[rows] for name, one in arrays.items()}, None if y is None else y[rows]

    return map(cut, range(0, total, batch_size)), total


def samples_of(arrays):
    """How many samples {input: array} has."""
    return len(next(iter(arrays.values())))


def _split(batch):
    return batch[:2] if isinstance(batch, tuple) and len(batch) > 1 else (batch, None)


def _counted(inputs, pairs):
    start = 0
    for x, y in pairs:
        arrays = by_name(inputs, x)
        check(inputs, arrays)
        yield start, arrays, y
        start += samples_of(arrays)
