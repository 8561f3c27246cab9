"""Statistics of a trace: how open the gates are, how long the memory lasts, what the units follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from keras_lstm_gates.gates import KINDS, kind_of
from keras_lstm_gates.tracing.traces import nodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CLOSED, OPEN = 0.1, 0.9
ALWAYS = 0.99
"""The share of steps above which a unit's gate is called always open or always closed."""


MEANINGS = {
    "mean": "mean over the real steps",
    "spread": "standard deviation over the real steps",
    "quantiles": "quantiles over the real steps",
    "left_saturated": "share of steps below 0.1, of g and the candidate by magnitude",
    "right_saturated": "share of steps above 0.9, of g and the candidate by magnitude",
    "always_open": "whether more than 0.99 of the steps are right-saturated",
    "always_closed": "whether more than 0.99 of the steps are left-saturated",
    "half_life": "steps until half of the memory is left",
    "time_constant": "steps until 1/e of the memory is left",
    "g_bias": "mean of g / root of mean of g^2: 1 writes only up, -1 only down, 0 as much up as down",
    "candidate_bias": "mean of the candidate / root of its mean square: 1 only up, -1 only down, 0 as much up as down",
    "effective_memory": "steps until half of the layer's memory is left, in the mean over its units",
    "g_zero_mean": "whether the mean of all g is less than 0.05 from 0",
    "candidate_zero_mean": "whether the mean of all candidates is less than 0.05 from 0",
    "steps": "how many real steps there are",
    "correlation": "Pearson's, of a state with a label over the real steps",
    "gate": "a gate or a state",
    "saturating": "a gate that has ends at which it saturates",
    "quantile": "of 0 to 1",
    "unit": "of the layer, from 0",
    "label": "a property of each step",
    "state": "what the layer remembers or says",
}
"""What each name of the statistics means: the attribute `long_name`."""


def statistics(tree: xr.DataTree, labels: Mapping[str, ArrayLike] | None = None) -> xr.DataTree:
    """Statistics of every unit of every LSTM and GRU of a trace, over its real steps.

    Masked steps do not count. With f~ = exp(mean ln f), the geometric mean of a unit's forget gate over all real
    steps: c_t holds f_t f_{t-1} ... of c_0, so it is ln f, not f, that averages over time.

        half-life       ln(1/2) / ln f~    steps until half is left; inf at f~ = 1, 0 at f~ = 0
        time constant   -1 / ln f~         steps until 1/e is left; inf at f~ = 1, 0 at f~ = 0
        effective memory of the layer      the lag k at which the mean of f~^k over its units is 1/2

    Args:
        tree: `xarray.DataTree` from `trace`. One gate of one layer is held in memory at a time; for a large store pass
            `tree.isel(sample=slice(0, 1000))`.
        labels: None, or {name: numbers (sample, time)}, a property of each step, such as "inside quotes" as 0 and 1.

    Returns:
        `xarray.DataTree` with the trace's paths; the attribute `long_name` of each variable says what it is. Over
        `unit`, and over the other dimensions in parentheses:
            mean, spread (gate)             mean and standard deviation
            quantiles (quantile, gate)      at 0.05, 0.25, 0.5, 0.75, 0.95
            left_saturated (gate i f g o)   share of steps below 0.1; for g of |g|
            right_saturated (gate i f g o)  share of steps above 0.9; for g of |g|
            always_open, always_closed      bool, more than 0.99 of the steps right- or left-saturated
            half_life, time_constant        in steps
            g_bias                          mean of g / root of mean of g^2, in [-1, 1]; 0: writes up as much as down
            correlation (label, state)      Pearson's, of c and h with each label; NaN where one of them is constant
        and, of the layer: effective_memory in steps; steps, the number of real steps; g_zero_mean, bool, whether the
        mean of all g is less than 0.05 from 0.

        Of a GRU the gates are z, r, candidate and h, and those that saturate z, r and candidate, the last by its
        magnitude; z keeps the memory h as f keeps c, so half_life, time_constant and effective_memory are those of z;
        candidate_bias and candidate_zero_mean stand for those of g; the state is h alone.

    Raises:
        ValueError: "expected labels 'quotes' of shape (5, 7), (sample, time); received (5, 6)", or no real step.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> from keras_lstm_gates.tracing import trace
        >>> tree = trace(SequenceClassifier(features=3, classes=2, units=4), np.ones((5, 7, 3)), progress=False)
        >>> numbers = statistics(tree)["lstm"]
        >>> numbers["mean"].sel(gate="f").shape, int(numbers["steps"])
        ((4,), 35)

    Source: saturation: Karpathy, Johnson & Li 2015, Visualizing and understanding recurrent networks, section 4.2.
    Time constant: Mahto, Vo, Turek & Huth 2021, Multi-timescale representation learning in LSTM language models,
    equation 3; Tallec & Ollivier 2018, Can recurrent neural networks warp time?
    """
    return xr.DataTree.from_dict({path: of_layer(node, labels) for path, node in nodes(tree).items()})


def of_layer(
    node: xr.DataTree, labels: Mapping[str, ArrayLike] | None = None, quantiles: Sequence[float] = QUANTILES
) -> xr.Dataset:
    """The statistics of one node of a trace, an `xarray.Dataset`; see `statistics`. Quantiles take most of the time."""
    mask = node["mask"].values
    steps = int(mask.sum())
    if steps == 0:
        layer = f"the layer {node.path!r}" if isinstance(node, xr.DataTree) else "a layer"
        raise ValueError(f"expected a trace with real steps; received {layer} with every step masked")
    kind = KINDS[kind_of(node)]
    names, saturating = list(kind.fields), list(kind.saturating)
    means, spreads, at_quantiles, left, right = [], [], [], [], []
    for name in names:
        values = node[name].values[mask].astype("float64")
        means.append(values.mean(axis=0))
        spreads.append(values.std(axis=0))
        at_quantiles.append(np.quantile(values, quantiles, axis=0))
        if name in saturating:
            size = np.abs(values)
            left.append((size < CLOSED).mean(axis=0))
            right.append((size > OPEN).mean(axis=0))
        if name == kind.memory:
            mean_f = _geometric_mean(values)
        if name == kind.modulation:
            power = np.sqrt((values**2).mean(axis=0))
            bias = np.divide(values.mean(axis=0), power, out=np.zeros_like(power), where=power > 0)
            centre = abs(values.mean())
    left, right = np.array(left), np.array(right)
    dataset = xr.Dataset(
        {
            "mean": (("gate", "unit"), np.array(means)),
            "spread": (("gate", "unit"), np.array(spreads)),
            "quantiles": (("quantile", "gate", "unit"), np.stack(at_quantiles, axis=1)),
            "left_saturated": (("saturating", "unit"), left),
            "right_saturated": (("saturating", "unit"), right),
            "always_open": (("saturating", "unit"), right > ALWAYS),
            "always_closed": (("saturating", "unit"), left > ALWAYS),
            "half_life": ("unit", half_life(mean_f), {"units": "steps"}),
            "time_constant": ("unit", time_constant(mean_f), {"units": "steps"}),
            f"{kind.modulation}_bias": ("unit", bias),
            "effective_memory": ((), effective_memory(mean_f), {"units": "steps"}),
            f"{kind.modulation}_zero_mean": ((), bool(centre < 0.05)),
            "steps": ((), steps),
        },
        coords={"gate": names, "saturating": saturating, "quantile": list(quantiles), "unit": np.arange(len(mean_f))},
    )
    dataset = dataset.assign(_correlations(node, kind.states, mask, labels)) if labels else dataset
    for name, variable in dataset.variables.items():
        variable.attrs["long_name"] = MEANINGS[str(name)]
    return dataset


def half_life(f):
    """ln(1/2) / ln f: the steps after which a forget gate that stays at f leaves half of the cell state.

    Example:
        >>> half_life(np.array([0.0, 0.5, 0.9, 1.0])).round(2).tolist()
        [0.0, 1.0, 6.58, inf]
    """
    return time_constant(f) * np.log(2.0)


def time_constant(f):
    """-1 / ln f: the steps after which a forget gate that stays at f leaves 1/e of the cell state.

    Example:
        >>> time_constant(np.array([0.0, np.exp(-0.25), 1.0])).tolist()
        [0.0, 4.0, inf]
    """
    f = np.asarray(f, "float64")
    with np.errstate(divide="ignore"):
        return np.where(f >= 1, np.inf, np.where(f <= 0, 0.0, -1.0 / np.log(np.where(f < 1, f, 0.5))))


def effective_memory(f):
    """The lag k, in steps, at which the mean of f^k over the units is 1/2; inf where it never falls to that.

    An f above 1, which only a gate with an activation such as relu has, counts as 1.

    Example:
        >>> effective_memory(np.array([0.5, 0.5])), effective_memory(np.array([1.0, 0.0]))
        (1.0, inf)
    """
    f = np.minimum(np.asarray(f, "float64"), 1.0)
    if (f >= 1).mean() >= 0.5:
        return np.inf
    low, high = 0.0, 1.0
    while (f**high).mean() > 0.5:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (f**middle).mean() > 0.5 else (low, middle)
    return round((low + high) / 2, 9)


def _geometric_mean(f):
    """exp(mean ln f) of every unit; 0 where any f is 0. f is (steps, units)."""
    with np.errstate(divide="ignore"):
        return np.exp(np.log(np.clip(f, 0, None)).mean(axis=0))


def _correlations(node, states, mask, labels):
    rows = []
    for name, label in labels.items():
        label = np.asarray(label, "float64")
        if label.shape != mask.shape:
            raise ValueError(f"expected labels {name!r} of shape {mask.shape}, (sample, time); received {label.shape}")
        rows.append([_pearson(node[state].values[mask].astype("float64"), label[mask]) for state in states])
    return {
        "correlation": xr.DataArray(
            np.array(rows), dims=("label", "state", "unit"), coords={"label": list(labels), "state": list(states)}
        )
    }


def _pearson(values, label):
    values, label = values - values.mean(axis=0), label - label.mean()
    power = np.sqrt((values**2).sum(axis=0) * (label**2).sum())
    return np.divide(label @ values, power, out=np.full(values.shape[1], np.nan), where=power > 0)
