"""What a page draws of the input of a trace's model: tokens, or one number a channel and step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_lstm_gates.tracing import channel_names, nodes, sole_input, tokens

MOST_CHANNELS = 16


class ModelInput(NamedTuple):
    """What is drawn of the first samples.

    Attributes:
        values: array (sample, time, channel) of up to 16 channels, or None.
        tokens: lists of str, or None.
        channels: int, how many there are in all, or None.
        names: list of str, of each channel, or None where there are no names of its own.
    """

    values: Any = None
    tokens: Any = None
    channels: Any = None
    names: Any = None


def model_input(tree, limit):
    """The `ModelInput` of the first samples of a trace, `limit` at most."""
    array = sole_input(tree)
    if array is None or array.ndim < 2:
        return ModelInput()
    count = min(limit, array.shape[0])
    if array.ndim > 2 and array.dtype.kind in "iu":
        # Several ids a step, as the characters of a word.
        return ModelInput()
    if tree.attrs.get("vocabulary") is not None:
        return ModelInput(tokens=[tokens(tree, sample) for sample in range(count)])
    if array.ndim == 2 and array.dtype.kind in "iu":
        return ModelInput(tokens=array.values[:count].astype(str).tolist())
    values = array.values[..., None] if array.ndim == 2 else array.values
    # Below `TimeDistributed` each step is a sample of its own.
    steps = {
        tuple(size for dim, size in node["h"].sizes.items() if str(dim).startswith("step"))
        for node in nodes(tree).values()
    }
    (own,) = steps if len(steps) == 1 else [None]
    if own is None or values.shape[1 : 1 + len(own)] != own or values.ndim < len(own) + 3:
        return ModelInput()
    values = values.reshape(-1, *values.shape[1 + len(own) :])[:limit]
    channels, inner = values.shape[-1], values.shape[2:-1]
    names = channel_names(tree, channels) if len(tree.attrs.get("columns", ())) == channels else None
    if inner:
        values = values.mean(axis=tuple(range(2, values.ndim - 1)))
        names = [f"{name}, mean of {' × '.join(map(str, inner))} inner steps" for name in channel_names(tree, channels)]
    return ModelInput(values[..., :MOST_CHANNELS], None, channels, names)


def undrawn_columns(tree):
    """What is said of columns whose values are not drawn."""
    names = ", ".join(map(str, np.atleast_1d(tree.attrs["columns"])))
    return f"{names}; not drawn, as the input is not one number a step of the layers for each"
