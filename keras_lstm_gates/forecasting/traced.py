"""The times of a table on the steps of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates.datasets import tables

if TYPE_CHECKING:
    import xarray as xr

    from keras_lstm_gates.forecasting.windows import TableWindows


def with_times(tree: xr.DataTree, windows: TableWindows) -> xr.DataTree:
    """A trace whose samples are windows of a table, with what the table says of them.

    Args:
        tree: `xarray.DataTree` of `tracing.trace` on `windows.inputs`.
        windows: `TableWindows`.

    Returns:
        A copy with the coordinates `when` (sample, time), the time or row of each step, and `origin` (sample), the last
        of them. The attribute `columns` names the features; where the table has groups, `groups` names them, and the
        coordinate `group` (sample) is their number there.
    """
    places = windows.places
    if windows.key == "time":
        places = places.astype("datetime64[us]")
    tree = tree.copy()
    tree.attrs["columns"] = [*windows.columns]
    names = [] if windows.groups is None else [*map(str, dict.fromkeys(windows.frame[tables.GROUP]))]
    if names:
        tree.attrs["groups"] = names
    for node in tree.subtree:
        dataset = node.to_dataset(inherit=False)
        if {"sample", "time"} <= set(dataset.dims) and dataset.sizes["time"] == places.shape[1]:
            dataset = dataset.assign_coords(when=(("sample", "time"), places))
        if "sample" in dataset.dims:
            dataset = dataset.assign_coords(origin=("sample", places[:, -1]))
            if names:
                numbers = [names.index(str(name)) for name in windows.groups]
                dataset = dataset.assign_coords(group=("sample", np.array(numbers)))
        node.dataset = dataset
    return tree
