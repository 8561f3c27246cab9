"""`ablate`: how much worse a model does without each unit, each gate or each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.interventions import Mean, Set
from keras_lstm_gates.opening.paths import outermost
from keras_lstm_gates.steering.batches import lstms, run_each, sizes_of
from keras_lstm_gates.steering.measures import Metric, hash_of, mean_and_spread
from keras_lstm_gates.steering.resumable_rows import finished, unfinished
from keras_lstm_gates.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from keras_lstm_gates._support.annotations import Arrays, LossLike, Progress, StrPath


WHAT = {"units": ("c", "h"), "gates": ("i", "f", "g", "o"), "steps": ("i", "g")}
"""What may be ablated, and which gates and states are acted on for it."""


def ablate(
    model: keras.Model,
    x: Arrays,
    y: Any,
    metric: LossLike = None,
    what: str = "units",
    to: str | float = "mean",
    *,
    layers: Sequence[str] | None = None,
    batch_size: int = 512,
    progress: Progress = True,
    store: StrPath | None = None,
) -> xr.Dataset:
    """How much worse the metric gets without each unit, each gate or each step.

    A unit whose gates look remarkable may be one that nothing reads, and a dull one may carry the answer. What a part
    is good for shows where it is taken away and nothing else is: then the difference is what it did, within the
    recurrence, with all that followed from it. It is no share of the whole: two units that carry the same thing can
    each be spared, and the numbers of all parts do not sum to anything.

    Taken away is what tells samples and steps apart: by default each number is set to its mean over all samples and
    real steps, which keeps the rest of the model in the range that it knows; `to=0` sets it to zero, a stronger
    intervention that also takes away what is always the same.

        "units"   c and h of one unit, at all steps
        "gates"   one of i, f, g, o of a whole layer, at all steps
        "steps"   i and g of a whole layer at one step: what this step writes. f and o still read it

    Args:
        model: built `keras.Model` that `expose` opens, not stateful.
        x, y: arrays (sample, ...), as `model.fit` takes them.
        metric: the name of a Keras loss or a `keras.losses.Loss`; "accuracy"; a function of (y, predictions) to a
            number a sample, where lower is better; None: the loss of the compiled model. Of a number a step the real
            steps count.
        what: "units", "gates" or "steps".
        to: "mean" or 0.
        layers: names of the model's layers to ablate in, or None for all that hold an LSTM.
        batch_size: as in `run_each`: every ablation is a copy of the samples, and they run as one batch.
        progress: True shows a bar, False shows nothing; a function is called with the number of ablations done.
        store: path of a Zarr store to write the result to. One that was interrupted resumes where it stopped when
            called again with the same arguments. `keras_lstm_gates.tracing.load` reads it.

    Returns:
        `xarray.Dataset` over `part`, named such as "lstm[3]", and `sample`:
            worse          (part) mean over the samples of how much worse the metric is without the part: above 0, the
                           part helps
            low, high      (part) between which 95 of 100 draws of the samples lie (bootstrap); NaN of one sample
            metric         (part, sample) without the part
            intact         (sample) with all of them
        and the coordinates `layer` and `unit`, `gate` or `step` (part). Steps are those of the input.

    Raises:
        ValueError: "expected what among ['units', 'gates', 'steps']; received 'unit'"; "expected to='mean' or 0;
            received 1"; what `run_each` raises.
        FileExistsError: `store` exists.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> model = SequenceClassifier(features=3, classes=2, units=4)
        >>> x, y = np.random.default_rng(0).normal(size=(8, 5, 3)), np.arange(8) % 2
        >>> result = ablate(model, x, y, "sparse_categorical_crossentropy", progress=False)
        >>> result["worse"].shape, result["part"].values[0].item()
        ((4,), 'lstm[0]')
    """
    if what not in WHAT:
        raise ValueError(f"expected what among {list(WHAT)}; received {what!r}")
    if to != "mean" and (to != 0 or isinstance(to, bool)):
        raise ValueError(f"expected to='mean' or 0; received {to!r}")
    sizes = chosen(sizes_of(model, x), layers)
    tree = trace(model, x, progress=False, layers=layers)
    mask = next(iter(lstms(tree).values()))["mask"].values
    measure = Metric(model, metric, y, mask)
    if len(y) != len(mask):
        raise ValueError(f"expected targets of {len(mask)} samples; received {len(y)}")
    parts = [one for path, (steps, units) in sizes.items() for one in _parts(path, steps, units, what)]
    numbers = {(path, gate): _set(tree, path, gate, to) for path in sizes for gate in Gates._fields}
    interventions = [
        {f"{path}/{gate}": _at(numbers[path, gate], what, place) for gate in gates} for _, path, place, gates in parts
    ]
    identity = {
        **{name: tree.attrs[name] for name in ("model_sha256", "weights_sha256")},
        "data_sha256": hash_of([x, y]),
        "metric": measure.name, "what": what, "to": to, "layers": list(sizes),
    }  # fmt: skip
    rows = run_each(
        model, x, [{}, *interventions], measure,
        batch_size=batch_size, progress=progress, to=unfinished(store), identity=identity,
    )  # fmt: skip
    intact, without = rows[0], rows[1:]
    worse = (intact - without) if measure.higher_is_better else (without - intact)
    mean, low, high = mean_and_spread(worse)
    result = xr.Dataset(
        {
            "worse": ("part", mean, {"long_name": f"how much worse {measure.name} is without"}),
            "low": ("part", low),
            "high": ("part", high),
            "metric": (("part", "sample"), without),
            "intact": ("sample", intact),
        },
        coords={
            "part": [name for name, *_ in parts],
            "layer": ("part", [path for _, path, *_ in parts]),
            what.removesuffix("s"): ("part", [place for _, _, place, _ in parts]),
            "sample": np.arange(len(intact)),
        },
        attrs={
            **{name: value for name, value in identity.items() if name != "layers"},
            "model": model.name,
            "to": str(to),
            "layers": list(sizes),
            "higher_is_better": int(measure.higher_is_better),
        },
    )
    return finished(result, store)


def chosen(sizes, layers):
    """Of {path: ...} those below some of the model's layers; all where `layers` is None.

    Raises:
        ValueError: "expected layers of ['lstm'], which hold an LSTM; received 'dense'".
    """
    names = [layers] if isinstance(layers, str) else layers
    known = list(dict.fromkeys(map(outermost, sizes)))
    for name in names or ():
        if name not in known:
            raise ValueError(f"expected layers of {known}, which hold an LSTM; received {name!r}")
    return {path: size for path, size in sizes.items() if names is None or outermost(path) in names}


def _parts(path, steps, units, what):
    """(name, path, place, gates that are acted on) of each part of a layer."""
    if what == "gates":
        return [(f"{path}/{gate}", path, gate, (gate,)) for gate in WHAT["gates"]]
    places, mark = (range(units), "") if what == "units" else (range(steps), "step ")
    return [(f"{path}[{mark}{place}]", path, place, WHAT[what]) for place in places]


def _set(tree, path, gate, to):
    """Function of chosen places to the intervention that takes a gate away there."""
    if to == 0:
        return lambda **places: Set(0.0, **places)
    mean = Mean(tree).of(path, gate)
    return lambda **places: type(mean)(mean.shift, **places)


def _at(intervention, what, place):
    return intervention(**({} if what == "gates" else {what: [place]}))
