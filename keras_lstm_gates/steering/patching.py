"""`patch`: what part of the difference between two runs each gate and state carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.interventions import Replace
from keras_lstm_gates.steering.ablations import chosen
from keras_lstm_gates.steering.batches import lstms, run_each, sizes_of
from keras_lstm_gates.steering.measures import hash_of, mean_and_spread
from keras_lstm_gates.steering.resumable_rows import finished, unfinished
from keras_lstm_gates.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import keras
    from numpy.typing import ArrayLike

    from keras_lstm_gates._support.annotations import Arrays, Progress, StrPath


AXES = ("time", "unit")


def patch(
    model: keras.Model,
    clean: Arrays,
    corrupted: Arrays,
    metric: int | tuple[int, ...] | Callable[[Any], ArrayLike] | None = None,
    over: Sequence[str] = ("unit", "time"),
    gates: Sequence[str] = Gates._fields,
    *,
    layers: Sequence[str] | None = None,
    batch_size: int = 512,
    progress: Progress = True,
    store: StrPath | None = None,
) -> xr.DataTree:
    """What part of the difference between two runs each gate and state carries, at each unit and step.

    Take two inputs that differ in one thing, as the marked value of a sum or the word that decides, so that the model
    answers differently. Somewhere between the inputs and the answer that one thing is on its way, in certain units at
    certain steps. To find it, the corrupted input is run with one number taken from the clean run: where the clean
    answer comes back, what made the difference passed there. Ablation asks what is needed at all; patching asks what
    tells these two apart, and everything that they have in common cancels out. It is sufficient there, which is not
    to say necessary: what is on its way in several places is found in each of them, so the parts sum to no 1.

    Each number is patched within the recurrence: all that follows feels it, and a patched c or h carries on.

    Args:
        model: built `keras.Model` that `expose` opens, not stateful.
        clean, corrupted: arrays (sample, ...), pairs of inputs of one shape and with the same real steps.
        metric: which number of the answer: an index into the output, an int or a tuple of them, one an axis; a function
            of the model's output to a number a sample; None of an output of one number.
        over: which axes are told apart, of "unit" and "time": ("time",) patches all units of a step at once, () the
            whole gate.
        gates: gates and states to patch, each alone: any of i, f, g, o, c, h.
        layers: names of the model's layers to patch in, or None for all that hold an LSTM.
        batch_size: as in `run_each`: every patch is a copy of the samples, and they run as one batch.
        progress: True shows a bar, False shows nothing; a function is called with the number of patches done.
        store: path of a Zarr store to write the result to, as in `ablate`.

    Returns:
        `xarray.DataTree`. The root: `clean` and `corrupted` (sample), the metric of both runs. A node for each LSTM, by
        its path:
            restored    (gate, time, unit), without the axes that are not told apart: 1 restores the clean answer, 0
                        does nothing; below 0 it leads away, above 1 beyond. Of several pairs it is the mean, weighted
                        by the square of their difference: pairs that answer alike tell nothing
            low, high   alike, between which 95 of 100 draws of the pairs lie (bootstrap); NaN of one pair
            patched     (gate, time, unit, sample), the metric of every patched run
        Steps are those of the input.

    Raises:
        ValueError: "expected two runs whose answers differ; received 0.5 of both"; "expected pairs with the same real
            steps"; "expected over among ('time', 'unit'); received ('step',)"; what `run_each` raises.
        FileExistsError: `store` exists.

    Cost: gates * steps * units * samples sequences where both axes are told apart.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> model = SequenceClassifier(features=3, classes=2, units=4)
        >>> clean = np.random.default_rng(0).normal(size=(2, 5, 3))
        >>> result = patch(model, clean, clean[::-1], metric=1, over=("time",), gates="ch", progress=False)
        >>> result["lstm"]["restored"].dims, result["lstm"]["restored"].shape
        (('gate', 'time'), (2, 5))
    """
    over, gates = _axes(over), _gates(gates)
    sizes = chosen(sizes_of(model, clean), layers)
    source, other = (trace(model, x, progress=False, layers=layers) for x in (clean, corrupted))
    _check_pairs(source, other)
    measure = _measure(model, metric)
    values = {path: {gate: Replace(node[gate].values) for gate in gates} for path, node in lstms(source).items()}
    interventions, shapes = [], {}
    for path, size in sizes.items():
        shapes[path] = {axis: count for axis, count in zip(AXES, size, strict=True) if axis in over}
        interventions += [
            {f"{path}/{gate}": _at(values[path][gate], dict(zip(shapes[path], place, strict=True)))}
            for gate in gates
            for place in np.ndindex(*shapes[path].values())
        ]
    identity = {
        **{name: source.attrs[name] for name in ("model_sha256", "weights_sha256")},
        "data_sha256": hash_of([clean, corrupted]),
        "metric": getattr(metric, "__name__", str(metric)),
        "over": list(over), "gates": list(gates), "layers": list(sizes),
    }  # fmt: skip
    first = run_each(model, clean, [{}], measure, batch_size=batch_size)[0]
    rows = run_each(
        model, corrupted, [{}, *interventions], measure,
        batch_size=batch_size, progress=progress, to=unfinished(store), identity=identity,
    )  # fmt: skip
    tree = xr.DataTree.from_dict({"/": _root(first, rows[0]), **_nodes(first, rows, shapes, gates)})
    tree.attrs = {**identity, "model": model.name}
    return finished(tree, store)


def patch_steps(
    model: keras.Model,
    clean: Arrays,
    corrupted: Arrays,
    metric: int | tuple[int, ...] | Callable[[Any], ArrayLike] | None = None,
    gates: Sequence[str] = Gates._fields,
    **options: Any,
) -> xr.DataTree:
    """When does what makes the difference pass each gate: `patch` with all units of a step at once."""
    return patch(model, clean, corrupted, metric, ("time",), gates, **options)


def patch_units(
    model: keras.Model,
    clean: Arrays,
    corrupted: Arrays,
    metric: int | tuple[int, ...] | Callable[[Any], ArrayLike] | None = None,
    gates: Sequence[str] = Gates._fields,
    **options: Any,
) -> xr.DataTree:
    """Which units carry what makes the difference: `patch` with all steps of a unit at once."""
    return patch(model, clean, corrupted, metric, ("unit",), gates, **options)


def patch_gates(
    model: keras.Model,
    clean: Arrays,
    corrupted: Arrays,
    metric: int | tuple[int, ...] | Callable[[Any], ArrayLike] | None = None,
    gates: Sequence[str] = Gates._fields,
    **options: Any,
) -> xr.DataTree:
    """Which gate or state carries what makes the difference: `patch` with each of them as a whole."""
    return patch(model, clean, corrupted, metric, (), gates, **options)


def _axes(over):
    names = (over,) if isinstance(over, str) else tuple(over)
    if not set(names) <= set(AXES):
        raise ValueError(f"expected over among {AXES}; received {names}")
    return tuple(axis for axis in AXES if axis in names)


def _gates(gates):
    if not gates or not set(gates) <= set(Gates._fields):
        raise ValueError(f"expected gates among {Gates._fields}; received {gates!r}")
    return tuple(gate for gate in Gates._fields if gate in gates)


def _check_pairs(source, other):
    for path, node in lstms(source).items():
        own, its = node["mask"].values, lstms(other)[path]["mask"].values
        if own.shape != its.shape:
            raise ValueError(f"expected pairs of one shape; received {own.shape} and {its.shape} of (sample, time)")
        if (own != its).any():
            sample = int(np.argwhere((own != its).any(axis=1))[0, 0])
            raise ValueError(
                f"expected pairs with the same real steps, since a masked step takes nothing; received "
                f"{own[sample].sum()} and {its[sample].sum()} of sample {sample}"
            )


def _measure(model, metric):
    if callable(metric):
        return metric
    index = () if metric is None else metric if isinstance(metric, tuple) else (metric,)

    def at_index(outputs):
        if not isinstance(outputs, np.ndarray):
            raise ValueError("expected a model with one output, or a function for a metric; received several outputs")
        axes = outputs.shape[1:]
        place = (0,) * len(axes) if metric is None and all(size == 1 for size in axes) else index
        whole = all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in place)
        if len(place) != len(axes) or not whole or any(not -n <= one < n for one, n in zip(place, axes, strict=True)):
            raise ValueError(
                f"expected metric, {len(axes)} indices into the output of shape (sample, {', '.join(map(str, axes))}), "
                f"or a function; received {metric!r}"
            )
        return outputs[(slice(None), *place)]

    return at_index


def _at(whole, place):
    """A replacement at one place alone; its values are shared."""
    return Replace(whole.shift, units=_only(place.get("unit")), steps=_only(place.get("time")))


def _only(place):
    return None if place is None else [place]


def _root(clean, corrupted):
    if not (clean != corrupted).any():
        raise ValueError(f"expected two runs whose answers differ; received {clean[0]:.4g} of both")
    return xr.Dataset(
        {"clean": ("sample", clean), "corrupted": ("sample", corrupted)}, coords={"sample": np.arange(len(clean))}
    )


def _nodes(clean, rows, shapes, gates):
    corrupted, patched, done, below = rows[0], rows[1:], 0, {}
    difference = clean - corrupted
    part = np.divide(patched - corrupted, difference, out=np.zeros_like(patched), where=difference != 0)
    # The mean of the parts with these weights is the least-squares slope of what is restored by what there is to.
    numbers = mean_and_spread(part, difference**2)
    for path, sizes in shapes.items():
        shape = (len(gates), *sizes.values())
        own = slice(done, done + int(np.prod(shape)))
        done = own.stop
        dims = ("gate", *sizes)
        below[path] = xr.Dataset(
            {
                **{
                    name: (dims, values[own].reshape(shape))
                    for name, values in zip(("restored", "low", "high"), numbers, strict=True)
                },
                "patched": ((*dims, "sample"), patched[own].reshape(*shape, -1)),
            },
            coords={"gate": list(gates), **{axis: np.arange(size) for axis, size in sizes.items()}},
            attrs={"layer": path},
        )
    return below
