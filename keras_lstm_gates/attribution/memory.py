"""The ledger of a memory: which step wrote how much of a cell state, in closed form from the gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np
import xarray as xr

from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates._support.zarr_stores import check_own
from keras_lstm_gates.tracing import traces

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from keras_lstm_gates._support.annotations import StrPath


BLOCK = 2**22
"""Numbers of a gate that are in memory at once where a ledger is written to a store, or those of one sample."""


def ledger(
    trace: xr.DataTree | keras.Model,
    x: Any = None,
    at: int | None = None,
    *,
    layers: Sequence[str] | None = None,
    to: StrPath | None = None,
) -> xr.DataTree:
    """How much of a cell state was written at each step, for every LSTM, sample and unit.

    With the gates of a trace, the equation c_t = i_t g_t + f_t c_{t-1} unrolls to a sum:

        c_T = sum over t of (f_T f_{T-1} ... f_{t+1}) i_t g_t  +  (f_T ... f_1) c_0

    Args:
        trace: `xarray.DataTree` from `keras_lstm_gates.trace`, in memory or in a store; or a `keras.Model`, which is
            traced on `x`.
        x: what `keras_lstm_gates.trace` takes as data; None with a trace.
        at: int, the step of the input's time whose cell state is accounted for; negative from the end. None: the last
            that each layer reads, which is step 0 of a layer that reads backwards.
        layers: paths of the LSTMs, or None for all.
        to: path of a Zarr store to write, a block of samples after the other, or None to keep all in memory.

    Returns:
        `xarray.DataTree` with the trace's paths. Each node has, in float64, over the steps read up to `at`:
            written (sample, time, unit)    i_t g_t, what the step wrote; 0 at a masked step
            kept (sample, time, unit)       what is left of it in the cell state at `at`
            initial (sample, unit)          what is left of the state before the first step, c_0
            c (sample, unit)                the cell state at `at`
            remainder (sample, unit)        c - initial - sum of kept over time: the rounding of the trace's numbers,
                                            and what acted on c itself, such as an intervention
        and `mask`. Below `TimeDistributed` the steps outside stand after the sample, as in the trace. The sum
        kept + initial + remainder is c to 1e-12. The trace need not hold c_0: f_1 c_0 is c_1 - i_1 g_1, and 0 where
        that is no more than rounding.

    Raises:
        ValueError: "expected at from -7 to 6, a step of 7; received 9"; unknown layers; x beside a trace, or a model
            without x.
        FileExistsError: `to` exists.

    Cost: two arrays as large as one gate in float64; with `to` as many samples at once as make `BLOCK` numbers of a
        gate, one at least.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> memory = ledger(SequenceClassifier(features=3, classes=2, units=4), np.ones((5, 7, 3)))["lstm"]
        >>> bool(abs(memory["kept"].sum("time") + memory["initial"] + memory["remainder"] - memory["c"]).max() < 1e-12)
        True
    """
    tree = _traced(trace, x)
    known = traces.nodes(tree)
    for path in layers or ():
        if path not in known:
            raise ValueError(f"expected layers among {list(known)}; received {path!r}")
    chosen = {path: node for path, node in known.items() if layers is None or path in layers}
    if to is None:
        return _tree({path: of_node(node, at) for path, node in chosen.items()}, tree)
    if Path(to).exists():
        raise FileExistsError(f"expected no file at {to}; it exists")
    with replaced_when_whole(to) as temporary:
        for path, node in chosen.items():
            samples = node.sizes["sample"]
            at_once = max(1, BLOCK * samples // max(1, node["c"].size))
            for start in range(0, samples, at_once):
                block = of_node(node.isel(sample=slice(start, start + at_once)), at)
                append = {"append_dim": "sample"} if start else {}
                block.to_zarr(temporary, group=path, mode="a", consolidated=False, **append)
        _tree({}, tree, list(chosen)).to_zarr(temporary, mode="a", consolidated=False)
        check_own(temporary)
    return traces.load(to)


def reach(memory: xr.Dataset | xr.DataTree, share: float = 0.5) -> xr.DataArray:
    """How far back a memory reaches: the lag, in real steps, within which a share of it was written.

    Args:
        memory: a node of a `ledger`.
        share: float in (0, 1].

    Returns:
        `xarray.DataArray` (sample, unit): the smallest k at which the steps of lag 0 ... k hold that share of the sum
        of |kept| and |initial|. The state before the first step has the number of real steps as its lag. NaN where
        nothing is kept.

    Example:
        >>> memory = xr.Dataset(
        ...     {"kept": (("time", "unit"), [[3.0], [0.5], [0.5]]), "initial": ("unit", [0.0]),
        ...      "mask": ("time", [True, True, True])}, attrs={"reads": "forward"})
        >>> reach(memory).values.tolist(), reach(memory, 0.25).values.tolist()
        ([2.0], [1.0])
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected share in (0, 1]; received {share}")
    memory = _dataset(memory)
    newest_first = memory if memory.attrs["reads"] == "backwards" else memory.isel(time=slice(None, None, -1))
    held = abs(newest_first["kept"]).cumsum("time")
    whole = held.isel(time=-1) + abs(memory["initial"])
    # A share that rounding leaves a hair short is reached.
    before = (held < share * whole * (1 - 1e-12)) & newest_first["mask"]
    return before.sum("time").where(whole > 0).rename("reach").assign_attrs(units="steps", share=share)


def forgotten(memory: xr.Dataset | xr.DataTree) -> xr.DataArray:
    """The share of what was written that is gone: 1 - sum |kept| / sum |written|, over the steps up to `at`.

    Args:
        memory: a node of a `ledger`.

    Returns:
        `xarray.DataArray` (sample, unit), in [0, 1]; NaN where nothing was written.
    """
    memory = _dataset(memory)
    written, kept = (abs(memory[name]).sum("time") for name in ("written", "kept"))
    return (1 - kept / written.where(written > 0)).rename("forgotten")


def wrote(memory: xr.Dataset | xr.DataTree, threshold: float = 0.1) -> xr.DataArray:
    """The steps at which a unit wrote: |i_t g_t| > threshold, which is at most 1.

    Args:
        memory: a node of a `ledger`.
        threshold: float >= 0.

    Returns:
        bool `xarray.DataArray` (sample, time, unit).
    """
    return (abs(_dataset(memory)["written"]) > threshold).rename("wrote").assign_attrs(threshold=threshold)


class Unrolled(NamedTuple):
    """The sum that a cell state is, of arrays (..., time, unit) in the order in which the layer reads.

    written, kept (..., time, unit); initial, c (..., unit).
    """

    written: Any
    kept: Any
    initial: Any
    c: Any


def unrolled(i, f, g, c, mask, dtype=None):
    """The sum at the last of these steps: gates and c (..., time, unit), mask (..., time), in reading order."""
    first = before_the_first(i, g, c, mask, dtype)
    i, f, g, c = (np.asarray(values, np.float64) for values in (i, f, g, c))
    real = np.asarray(mask, bool)[..., None]
    written = np.where(real, i * g, 0.0)
    # What a step leaves of all that was there before it; of the last one's own, everything.
    leaves = np.where(real, f, 1.0)
    after = np.ones_like(leaves)
    after[..., :-1, :] = np.cumprod(leaves[..., :0:-1, :], axis=-2)[..., ::-1, :]
    initial = first * _at_first(mask, after)
    return Unrolled(written, after * written, initial, c[..., -1, :])


def of_node(node, at=None):
    """The ledger of one node of a trace, an `xarray.Dataset`; see `ledger`."""
    steps, backwards = node.sizes["time"], node.attrs.get("reads") == "backwards"
    if at is not None and not -steps <= at < steps:
        raise ValueError(f"expected at from {-steps} to {steps - 1}, a step of {steps}; received {at}")
    at = (0 if backwards else steps - 1) if at is None else at % steps
    node = node.isel(time=slice(at, None) if backwards else slice(at + 1))
    turned = slice(None, None, -1) if backwards else slice(None)
    gates = [node[name].values[..., turned, :] for name in ("i", "f", "g", "c")]
    mask = node["mask"]
    result = unrolled(*gates, mask.values[..., turned], node.attrs.get(traces.COARSE))
    dims = node["c"].dims
    over_units = tuple(dim for dim in dims if dim != "time")
    kept_and_initial = result.kept.sum(axis=-2) + result.initial
    return xr.Dataset(
        {
            "written": (dims, result.written[..., turned, :], {"long_name": "i g, what a step wrote"}),
            "kept": (dims, result.kept[..., turned, :], {"long_name": "what is left of it in c"}),
            "initial": (over_units, result.initial, {"long_name": "what is left of the state before the first step"}),
            "c": (over_units, result.c, {"long_name": "cell state"}),
            "remainder": (over_units, result.c - kept_and_initial, {"long_name": "c less all of these"}),
            "mask": (mask.dims, mask.values),
        },
        coords={dim: node[dim] for dim in dims},
        attrs={**node.attrs, "at": at, "sums_to": "c = sum of kept over time + initial + remainder"},
    )


def before_the_first(i, g, c, mask, dtype=None):
    """f_1 c_0 at the first real step, (..., unit); c itself where no step is real; 0 for what is mere rounding.

    Of numbers that were computed in another dtype than they are kept in, it is the dtype of the computation.
    """
    epsilon = float(ml_dtypes.finfo(dtype or c.dtype).eps)
    i, g, c = (np.asarray(values, np.float64) for values in (i, g, c))
    first = np.asarray(mask, bool).argmax(axis=-1)[..., None, None]
    i, g, c = (np.take_along_axis(values, first, axis=-2)[..., 0, :] for values in (i, g, c))
    carried = c - i * g
    rounding = 8 * epsilon * (abs(c) + abs(i * g))
    return np.where(abs(carried) <= rounding, 0.0, carried)


def _at_first(mask, after):
    """What is left of the state after the first real step, (..., unit)."""
    first = np.asarray(mask, bool).argmax(axis=-1)[..., None, None]
    return np.take_along_axis(after, first, axis=-2)[..., 0, :]


def _traced(trace, x):
    is_tree = isinstance(trace, xr.DataTree)
    if is_tree == (x is not None):
        raise ValueError(
            f"expected a trace alone, or a model and x; received {type(trace).__name__} "
            f"{'and x' if x is not None else 'without x'}"
        )
    return trace if is_tree else traces.trace(trace, x, progress=False)


def _tree(datasets, tree, paths=None):
    result = xr.DataTree.from_dict({"/": xr.Dataset(), **datasets})
    result.attrs = {**tree.attrs, "layers": list(datasets) if paths is None else paths}
    return result


def _dataset(memory):
    return memory.to_dataset() if isinstance(memory, xr.DataTree) else memory
