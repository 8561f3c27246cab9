"""The times of a table on the steps of a trace."""


def with_times(tree, windows):
    """A trace whose samples are windows of a table, with what the table says of them.

    Args:
        tree: `xarray.DataTree` of `tracing.trace` on `windows.inputs`.
        windows: `TableWindows`.

    Returns:
        A copy with the coordinates `when` (sample, time), the time or row of each step, `origin` (sample), the last of
        them, where the table has groups `group` (sample), and `feature`, the names of the columns.
    """
    places = windows.places
    if windows.key == "time":
        places = places.astype("datetime64[us]")
    tree = tree.copy()
    for node in tree.subtree:
        dataset = node.to_dataset(inherit=False)
        if "feature" in dataset.sizes:
            dataset = dataset.assign_coords(feature=[*windows.columns])
        if {"sample", "time"} <= set(dataset.dims) and dataset.sizes["time"] == places.shape[1]:
            dataset = dataset.assign_coords(when=(("sample", "time"), places))
        if "sample" in dataset.dims:
            dataset = dataset.assign_coords(origin=("sample", places[:, -1]))
            if windows.groups is not None:
                dataset = dataset.assign_coords(group=("sample", windows.groups.astype(str)))
        node.dataset = dataset
    return tree
