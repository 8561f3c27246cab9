"""What the model of a trace read: its input, the tokens and the names of the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates.tracing.traces import node

if TYPE_CHECKING:
    import xarray as xr


def sole_input(tree: xr.DataTree) -> xr.DataArray | None:
    """The input of a trace's model, an `xarray.DataArray` (sample, ...); None where it has several."""
    names = [name for name in tree.dataset.coords if name.startswith("input")]
    return tree.dataset[names[0]] if len(names) == 1 else None


def input_of(tree: xr.DataTree, sample: int, layer: str | None = None) -> np.ndarray | None:
    """What a layer's sample was made of: the values of the sole input, (time, ...), of ids (time,).

    Args:
        tree: `xarray.DataTree` from `trace`.
        sample: int, as `flat` counts them: each step of a `TimeDistributed` is a sample of its own.
        layer: str, a path of the trace; None takes its first.

    Returns:
        array, or None where the model has several inputs, or none of the axes of the layer's `TimeDistributed`.
    """
    inputs = sole_input(tree)
    if inputs is None:
        return None
    steps = [size for dim, size in node(tree, layer)["h"].sizes.items() if str(dim).startswith("step")]
    if list(inputs.shape[1 : 1 + len(steps)]) != steps:
        return None
    return inputs[np.unravel_index(sample, (inputs.shape[0], *steps))].values


def tokens(tree: xr.DataTree, sample: int, layer: str | None = None) -> list[str] | None:
    """The tokens of a sample's steps, a list of str, or None where the trace has no vocabulary.

    The input is ids (sample, time), or one-hot (sample, time, feature) with a feature a token; `sample` and `layer` are
    those of `input_of`.
    """
    vocabulary = tree.attrs.get("vocabulary")
    values = None if vocabulary is None else input_of(tree, sample, layer)
    if vocabulary is None or values is None:
        return None
    ids = values if values.ndim == 1 else values.argmax(axis=-1)
    return [vocabulary[int(token)] if 0 <= int(token) < len(vocabulary) else f"#{int(token)}" for token in ids]


def channel_names(tree: xr.DataTree, channels: int) -> list[str]:
    """The names of an input's channels: the trace's `columns` where they are as many, else "channel 0", ..."""
    names = list(map(str, np.atleast_1d(tree.attrs.get("columns", []))))
    return names if len(names) == channels else [f"channel {number}" for number in range(channels)]
