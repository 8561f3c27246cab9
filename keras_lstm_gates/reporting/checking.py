"""What a page cannot show as it is: refused by name, before anything is drawn."""

import numpy as np

from keras_lstm_gates.gates import KINDS, kind_of
from keras_lstm_gates.tracing import nodes, sole_input


def check(tree):
    """Raise a `ValueError` unless a tree holds what `keras_lstm_gates.tracing.trace` puts into one, all of it finite.

    Args:
        tree: `xarray.DataTree`.

    Raises:
        ValueError: "expected finite gates; received nan in 'lstm/f' at (0, 2, 1)", or what is missing, or of which kind
            an attribute is.
    """
    for name in ("layers", "vocabulary"):
        texts = tree.attrs.get(name)
        if texts is not None and not (isinstance(texts, list | tuple) and all(isinstance(one, str) for one in texts)):
            raise ValueError(f"expected a trace whose attribute {name!r} is a list of texts; received {_short(texts)}")
    if not nodes(tree):
        raise ValueError("expected a trace with one or more layers; received one with none")
    for path, node in nodes(tree).items():
        _check_layer(path, node.to_dataset())
    read = sole_input(tree)
    if read is not None:
        if read.dtype.kind not in "biuf":
            raise ValueError(f"expected numbers in {read.name!r}; received the dtype {read.dtype}")
        _check_finite(read.name, read.values)


def _check_layer(path, layer):
    fields = KINDS[kind_of(layer)].fields
    missing = sorted({*fields, "mask"} - set(layer.data_vars))
    if missing:
        raise ValueError(f"expected a trace with all gates and masks; received the layer {path!r} without {missing}")
    dims = layer["h"].dims
    wrong = {name for name in fields if layer[name].dims != dims or not _is_number(layer[name].dtype)}
    if wrong or dims[:1] != ("sample",) or dims[-2:] != ("time", "unit") or 0 in layer["h"].shape:
        name = min(wrong, default=KINDS[kind_of(layer)].memory)
        raise ValueError(
            f"expected gates (sample, ..., time, unit) of numbers in the layer {path!r}; received {name} of "
            f"{layer[name].dims}, {layer[name].shape}, {layer[name].dtype}"
        )
    if layer["mask"].dims != dims[:-1] or layer["mask"].dtype != bool:
        raise ValueError(
            f"expected a mask of bools {dims[:-1]} in the layer {path!r}; received {layer['mask'].dtype} "
            f"{layer['mask'].dims}"
        )
    mask = layer["mask"].values
    if not mask.any():
        raise ValueError(f"expected a trace with real steps; received the layer {path!r} with every step masked")
    for name in fields:
        _check_finite(f"{path}/{name}", np.where(mask[..., None], layer[name].values, 0))


def _is_number(dtype):
    """Also of bfloat16, which NumPy has from elsewhere."""
    return dtype.kind in "iuf" or dtype.name == "bfloat16"


def _check_finite(name, values):
    if not np.isfinite(values).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"expected finite numbers; received {values[place]} in {name!r} at {place}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]} …"
