"""Run sequences through a model and keep every gate of every step, as labelled arrays."""

import importlib.metadata

import keras
import numpy as np
import xarray as xr

from keras_lstm_gates.exposing import open_graph
from keras_lstm_gates.files import replaced_when_whole
from keras_lstm_gates.gates import DESCRIPTIONS


def trace(model, data, batch_size=32, progress=None):
    """The gates of every `GatedLSTM` layer of a model, for every sequence, step and unit.

    Args:
        model: `keras.Model` that `expose` opens, with one input.
        data: array (sample, time, feature), or a `tf.data.Dataset` of batches x or (x, y), each x (batch, time,
            feature). Batches may differ in length.
        batch_size: int > 0, for arrays; a dataset brings its own batches.
        progress: None, or a function called with the number of samples done after each batch.

    Returns:
        `xarray.DataTree`. The root holds `input` (sample, input_time, feature), the model's own outputs and, where
        the data bring one number a sample, `target` (sample). Each layer is a node with i, f, g, o, c, h (sample,
        time, unit) and `mask` (sample, time), True = a real step. Steps beyond a sequence's end repeat its last real
        step and are masked.

    Raises:
        ValueError: what `expose` raises, an input of another rank or feature size, or an input that is not finite.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> tree = trace(SequenceClassifier(features=3, classes=2, units=4), np.ones((5, 7, 3), "float32"))
        >>> tree["lstm"]["f"].dims, tree["lstm"]["f"].shape
        (('sample', 'time', 'unit'), (5, 7, 4))
    """
    opened = open_graph(model)
    masks = {layer: mask for layer, mask in opened.masks.items() if mask is not None}
    watched = keras.Model(
        opened.inputs,
        {
            "outputs": opened.outputs,
            "gates": {layer: gates._asdict() for layer, gates in opened.gates.items()},
            "masks": masks,
        },
    )
    results, inputs, targets = [], [], []
    done = 0
    for x, y in _batches(data, batch_size):
        check_sequences(x, model.inputs[0].shape)
        results.append(keras.tree.map_structure(np.asarray, watched(x, training=False)))
        inputs.append(x)
        targets.append(y)
        done += len(x)
        if progress is not None:
            progress(done)
    if not results:
        raise ValueError("expected one or more sequences; received no data")
    whole = keras.tree.map_structure(lambda *parts: _joined(parts), *results)
    root = xr.Dataset({"input": (("sample", "input_time", "feature"), _joined(inputs))})
    for name, values in whole["outputs"].items():
        root[name] = (("sample", *(f"{name}_axis_{axis}" for axis in range(1, values.ndim))), values)
    if all(y is not None and np.ndim(y) == 1 for y in targets):
        root["target"] = ("sample", np.concatenate(targets))
    nodes = {layer: _node(layer, gates, whole["masks"].get(layer)) for layer, gates in whole["gates"].items()}
    tree = xr.DataTree.from_dict({"/": root, **nodes})
    tree.attrs = {
        "model": model.name,
        **{f"{package}_version": importlib.metadata.version(package) for package in ("keras_lstm_gates", "keras")},
    }
    return tree


def save(tree, path):
    """Write a trace as a Zarr store; it appears under `path` when it is whole."""
    with replaced_when_whole(path) as temporary:
        tree.to_zarr(temporary, consolidated=False)


def load(path):
    """Read a trace that `save` wrote; the arrays are read when they are used."""
    return xr.open_datatree(path, engine="zarr", consolidated=False)


def check_sequences(x, shape):
    """Raise a `ValueError` unless x is finite and fits the model's input shape (batch, time, features)."""
    x = np.asarray(x)
    fits = x.ndim == len(shape) and all(want in (None, size) for want, size in zip(shape, x.shape, strict=False))
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"expected sequences of shape (samples, time, features) = ({wanted}); received {x.shape}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"expected finite numbers; received {x[place]} at index {place}")


def _batches(data, batch_size):
    if hasattr(data, "as_numpy_iterator"):
        for batch in data.as_numpy_iterator():
            yield batch[:2] if isinstance(batch, tuple) else (batch, None)
    else:
        data = np.asarray(data)
        for start in range(0, len(data), batch_size):
            yield data[start : start + batch_size], None


def _joined(parts):
    """Join batches along the sample axis; along time, the last step of a shorter batch is repeated."""
    if parts[0].ndim < 2:
        return np.concatenate(parts)
    longest = max(part.shape[1] for part in parts)
    # A mask or an input is filled with zeros: no step; a gate repeats its last real step.
    fill = "constant" if parts[0].dtype == bool else "edge"
    padded = [
        np.pad(part, [(0, 0), (0, longest - part.shape[1])] + [(0, 0)] * (part.ndim - 2), mode=fill) for part in parts
    ]
    return np.concatenate(padded)


def _node(layer, gates, mask):
    dims = ("sample", "time", "unit")
    variables = {
        name: (dims, values, {"long_name": DESCRIPTIONS[name], "units": "1"}) for name, values in gates.items()
    }
    sizes = dict(zip(dims, gates["h"].shape, strict=True))
    mask = np.ones(gates["h"].shape[:2], bool) if mask is None else mask
    return xr.Dataset(
        {**variables, "mask": (dims[:2], mask, {"long_name": "True = a real step"})},
        coords={dim: np.arange(size) for dim, size in sizes.items()},
        attrs={"layer": layer},
    )
