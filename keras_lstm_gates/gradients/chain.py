"""`gradient_chain` and `compare`: why a model's gradient survives or vanishes, term by term."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import xarray as xr

from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates._support.zarr_stores import check_own
from keras_lstm_gates.gradients.contributions import contributions
from keras_lstm_gates.gradients.linearized_lstm import LinearizedLSTM
from keras_lstm_gates.gradients.linearized_rnns import LinearizedGRU, LinearizedSimpleRNN
from keras_lstm_gates.gradients.products import profiles
from keras_lstm_gates.gradients.recording import record
from keras_lstm_gates.gradients.terms import LANCZOS_ERROR, frobenius, largest_singular_value, spectral
from keras_lstm_gates.gradients.verdicts import profile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keras_lstm_gates._support.annotations import Arrays, StrPath


EXACT_UP_TO = 10**8
"""Samples * time * units**3 up to which norms="auto" computes every norm of a layer exactly: about 8 s on one core."""


def gradient_chain(
    model: keras.Model,
    x: Arrays,
    y: Any = None,
    loss: Any = None,
    layer: str | None = None,
    full: bool = False,
    norms: str = "auto",
    probes: int = 32,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> xr.DataTree | xr.Dataset:
    """The gradient's way back through every recurrent layer of a model, for each sequence and step.

    Of an LSTM, with R_k the recurrent kernel of gate k, columns by the unit it feeds:

        dc_t/dc_{t-1} =   diag(c_{t-1} f_t') R_fᵀ diag(o_{t-1} tanh'(c_{t-1}))    through the forget gate,     "f"
                        + diag(g_t i_t')     R_iᵀ diag(o_{t-1} tanh'(c_{t-1}))    through the input gate,      "i"
                        + diag(i_t g_t')     R_gᵀ diag(o_{t-1} tanh'(c_{t-1}))    through the modulation gate, "g"
                        + diag(f_t)                                               direct,                      "direct"

    where k_t' is the slope of gate k's activation at z_t. Entries are [unit, unit_from]. Of a plain RNN, "recurrent"
    is dh_t/dh_{t-1} = diag(1 - h_t²) Rᵀ; of a GRU, "z", "r", "candidate" and "direct". All in float64, whatever
    the model computes in; dropout is off.

    Args:
        model: built Functional or Sequential `keras.Model` with `LSTM`, `GatedLSTM`, `GRU` or `SimpleRNN` layers,
            alone, nested, in `Bidirectional` or `TimeDistributed`, or `keras.layers.RNN` of their cells.
        x: the model's input: array (sample, time, ...), or a list or dict of them. Masks of any pattern are honoured.
        y: targets, or None: then only what needs no loss E is computed.
        loss: as for `keras.Model.compile`; None takes the compiled one. E is its value without regularizers.
        layer: str, the path of one layer to return, or None for all.
        full: bool. True: also every matrix, (sample, time, unit, unit_from) for each term.
        norms: "exact"; "estimated": spectral norms of the terms by Lanczos and norms of the products by random
            probes, so that no product of two U × U matrices is made; "auto": exact where samples × time × U³ of the
            layer is at most 1e8, some seconds.
        probes: int > 0, random vectors of the estimate.
        seed: int, of the estimate.
        progress: function of the share done, from 0 to 1; or None.

    Returns:
        `xarray.DataTree`, one node a call of a layer, by its path as in `keras_lstm_gates.expose` and `trace`; with
        `layer`, that node's `xarray.Dataset`. Time runs as the layer read it; below `TimeDistributed` each step of a
        sequence is a sample of its own, sequence by sequence. Variables:
            mask                 (sample, time), True = a real step; at others the Jacobian is the identity
            spectral, frobenius  (term, sample, time), norms of each term and of their sum, "sum"
            mean_diagonal        (term, sample, time)
            product_frobenius, product_spectral  (path, sample, lag), see `gradients.products.profiles`
            with y, those of `gradients.contributions.contributions`
            with full, jacobian (term, sample, time, unit, unit_from) and, of an LSTM, state_jacobian
            (sample, time, state, state_from), d(h_t, c_t)/d(h_{t-1}, c_{t-1}), h first
        The attributes `spectral_error` and `product_error` bound the relative error of an estimated norm (0: exact):
        spectral norms lie below by at most that with a probability of 0.9998 for 512 units; products' norms lie
        within three standard deviations of the worst case, a product of rank one.

    Raises:
        ValueError: "expected a model with one or more LSTM, GatedLSTM, GRU or SimpleRNN layers; received ...", and
            for an unknown layer, a missing loss, an input that is not finite, or a layer that calls a recurrent one
            outside any graph: "cannot follow the layer 'mine': ...".

    Cost: "exact" takes time × U³; "estimated" takes time × U² × (probes + 240).

    Example:
        >>> inputs = keras.Input((10, 3))
        >>> model = keras.Model(inputs, keras.layers.LSTM(4, name="lstm")(inputs))
        >>> node = gradient_chain(model, np.ones((2, 10, 3)), layer="lstm")
        >>> node["spectral"].sizes["time"], node["term"].values.tolist()
        (10, ['f', 'i', 'g', 'direct', 'sum'])
        >>> bool(node["mean_diagonal"].sel(term="direct").min() > 0.5)  # Keras starts with a forget bias of 1
        True

    Source: Hochreiter & Schmidhuber 1997, Long short-term memory, appendix A; Pascanu, Mikolov & Bengio 2013, On the
    difficulty of training recurrent neural networks, for products of Jacobians.
    """
    if norms not in ("auto", "exact", "estimated"):
        raise ValueError(f"norms must be 'auto', 'exact' or 'estimated'; received norms={norms!r}")
    if isinstance(probes, bool) or not isinstance(probes, int) or probes <= 0:
        raise ValueError(f"probes must be a positive int; received probes={probes!r}")
    calls, energy = record(model, x, y, loss, layer=layer)
    nodes = {}
    for number, call in enumerate(calls):
        exact = norms == "exact" or (norms == "auto" and call.mask.size * call.layer.cell.units**3 <= EXACT_UP_TO)
        of_call = _within(progress, number, len(calls))
        nodes[call.name] = _node(call, full, None if exact else probes, seed, of_call)
        nodes[call.name].attrs["model"] = model.name
        if energy is not None:
            nodes[call.name].attrs["E"] = energy
    if layer is not None:
        return nodes[layer]
    tree = xr.DataTree.from_dict({f"/{name}": node for name, node in nodes.items()}, name=model.name)
    tree.attrs = {"model": model.name}
    return tree


def compare(
    models: Sequence[keras.Model] | dict[str, keras.Model],
    x: Arrays,
    y: Any = None,
    loss: Any = None,
    progress: Callable[[float], object] | None = None,
    **options: Any,
) -> xr.DataTree:
    """`gradient_chain` of several models on the same sequences.

    Args:
        models: list of `keras.Model` with names that differ, or a dict of them by the names to show.
        x, y, loss: see `gradient_chain`.
        progress: function of the share done, from 0 to 1; or None.
        **options: of `gradient_chain`: norms, probes, seed, full.

    Returns:
        `xarray.DataTree`: one node a model, below it one a layer. `keras_lstm_gates.gradients.verdict` and
        `keras_lstm_gates.plots.gradient_chain` read it.

    Raises:
        ValueError: "expected models whose names differ; received ['rnn', 'rnn']".

    Example:
        >>> def model(kind):
        ...     inputs = keras.Input((10, 3))
        ...     return keras.Model(inputs, kind(4)(inputs), name=kind.__name__)
        >>> tree = compare([model(keras.layers.LSTM), model(keras.layers.SimpleRNN)], np.ones((2, 10, 3)))
        >>> list(tree.children)
        ['LSTM', 'SimpleRNN']
    """
    if not isinstance(models, dict):
        names = [model.name for model in models]
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"expected models whose names differ; received {names}")
        models = dict(zip(names, models, strict=True))
    trees = {
        name: gradient_chain(model, x, y, loss, progress=_within(progress, number, len(models)), **options)
        for number, (name, model) in enumerate(models.items())
    }
    for name, tree in trees.items():
        for node in tree.subtree:
            node.attrs["model"] = name
    return xr.DataTree(name="models", children=trees)


def lag_gains(
    model: keras.Model, x: Arrays, probes: int = 32, seed: int = 0, watched: Any = None
) -> dict[str, np.ndarray]:
    """The gain of each layer's gradient over the lags, and nothing else: cheap enough for every epoch.

    Args:
        model, x, probes, seed: see `gradient_chain`.
        watched: what `gradients.recording.watch(model)` returned, where a model is measured often; None walks it anew.

    Returns:
        dict of float64 arrays (lag,) by the layer's name: the Frobenius norm of the product along all routes, relative
        to lag 0, the median over the samples; estimated by random probes.

    Example:
        >>> model = keras.Sequential([keras.Input((12, 1)), keras.layers.LSTM(4, name="lstm")])
        >>> lag_gains(model, np.zeros((2, 12, 1)))["lstm"].shape
        (13,)
    """
    calls, _ = record(model, x, watched=watched)
    return {call.name: profile(profiles(steps_of(call), probes, seed, ("full",))[0]["full"]) for call in calls}


def save(tree: xr.DataTree, path: StrPath) -> None:
    """Write a tree as a Zarr store, whole or not at all; `keras_lstm_gates.tracing.load` reads it."""
    with replaced_when_whole(path) as temporary:
        # Zarr format 3 has no settled encoding for strings as coordinates.
        tree.to_zarr(temporary, consolidated=False, zarr_format=2)
        check_own(temporary)


def steps_of(call):
    """The linearized steps of one recorded call: `LinearizedLSTM`, `LinearizedGRU` or `LinearizedSimpleRNN`."""
    cell = call.layer.cell
    if isinstance(cell, keras.layers.LSTMCell):
        return LinearizedLSTM(call)
    return LinearizedGRU(call) if isinstance(cell, keras.layers.GRUCell) else LinearizedSimpleRNN(call)


def _within(progress, number, parts):
    """The progress of one of some parts, as progress of the whole."""
    return None if progress is None else lambda share: progress((number + share) / parts)


def _node(call, full, probes, seed, progress=None):
    steps = steps_of(call)
    terms = steps.terms()
    # The norms of each term and of their sum take about as long as the products.
    of_terms, of_products = _within(progress, 0, 2), _within(progress, 1, 2)
    sums = {**{name: [term] for name, term in terms.items()}, "sum": list(terms.values())}
    by_term = ("term", "sample", "time")
    node = xr.Dataset(
        {
            "mask": (("sample", "time"), call.mask, {"long_name": "True = a real step"}),
            "frobenius": (by_term, np.stack([frobenius(parts) for parts in sums.values()])),
            "mean_diagonal": (
                by_term,
                np.stack([sum(part.diagonal() for part in parts).mean(axis=-1) for parts in sums.values()]),
            ),
            "spectral": (by_term, _each_spectral(list(sums.values()), probes, seed, of_terms)),
        },
        coords={"term": list(sums)},
    )
    node["frobenius"].attrs["long_name"] = "Frobenius norm"
    node["spectral"].attrs["long_name"] = "spectral norm"
    products = profiles(steps, probes, seed, progress=of_products)
    for name, by_path in zip(("product_frobenius", "product_spectral"), products, strict=True):
        if by_path:
            values = xr.DataArray(
                np.stack(list(by_path.values())), {"path": list(by_path)}, dims=("path", "sample", "lag")
            )
            node[name] = values.reindex(path=list(steps.paths))
    if call.output_gradients is not None:
        node = node.merge(contributions(steps, call.output_gradients, full))
    if full:
        node["jacobian"] = (
            (*by_term, "unit", "unit_from"),
            np.stack([sum(part.matrices(slice(None)) for part in parts) for parts in sums.values()]),
        )
        if len(steps.states) == 2:
            node["state_jacobian"] = (("sample", "time", "state", "state_from"), _state_jacobians(steps))
    node.attrs = {
        "layer": call.name,
        "kind": type(call.layer).__name__,
        "norms": "exact" if probes is None else "estimated",
        "spectral_error": 0.0 if probes is None else LANCZOS_ERROR,
        "product_error": 0.0 if probes is None else 3 / np.sqrt(2 * probes),
    }
    return node


def _each_spectral(sums, probes, seed, progress):
    norms = []
    for number, parts in enumerate(sums):
        norms.append(_spectral(parts, probes, seed))
        if progress is not None:
            progress((number + 1) / len(sums))
    return np.stack(norms)


def _spectral(terms, probes, seed):
    if len(terms) == 1 and len(terms[0].factors) == 1:
        return np.abs(terms[0].factors[0]).max(axis=-1)
    if probes is not None:
        return spectral(terms, seed=seed)
    time = terms[-1].factors[0].shape[1]
    # A step at a time: all matrices at once may not fit in memory.
    return np.stack([largest_singular_value(sum(term.matrices(t) for term in terms)) for t in range(time)], axis=-1)


def _state_jacobians(steps):
    samples, time, units = steps.h_before.shape
    rows = np.repeat(np.eye(2 * units)[:, None], samples, axis=1)
    jacobians = np.empty((samples, time, 2 * units, 2 * units))
    for t in range(time):
        before, _, _ = steps.back(t, (rows[..., :units], rows[..., units:]))
        jacobians[:, t] = np.moveaxis(np.concatenate(before, axis=-1), 0, 1)
    return jacobians
