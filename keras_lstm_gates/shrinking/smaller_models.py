"""`shrink`: a trained model with LSTMs in it -> an ordinary Keras model with fewer units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd

from keras_lstm_gates.opening.inputs import batch_of, by_name, check, inputs_of, packed
from keras_lstm_gates.shrinking.evidence import BATCH, answers
from keras_lstm_gates.shrinking.plans import plan_of
from keras_lstm_gates.shrinking.removals import Removals, components
from keras_lstm_gates.shrinking.results import Shrunk, weight_of
from keras_lstm_gates.shrinking.scores import Scores
from keras_lstm_gates.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keras_lstm_gates._support.annotations import Arrays, LossLike


def shrink(
    model: keras.Model,
    data: Arrays,
    y: Any = None,
    *,
    keep: float | Mapping[str, int] | None = None,
    tolerance: float | None = None,
    metric: LossLike = None,
    layers: Sequence[str] | None = None,
    fine_tune: int = 0,
    batch_size: int = 32,
    learning_rate: float | None = None,
    validation_data: tuple[Any, Any] | None = None,
    samples: int = 256,
    export: bool = False,
    seed: int = 0,
    progress: bool | Callable[[str], object] = True,
) -> Shrunk:
    """The same model with fewer units in its LSTMs.

    A trained LSTM has units that say nothing: some never write (i * g stays 0), some never show (o stays 0, or nothing
    reads them), some stand still. Where all that is read of a unit along the data is one number, that number goes into
    the biases of what reads it and the unit goes: every output along the data stays what it was, to 1e-6. With `keep`
    or `tolerance` the units that matter least follow, measured as by `keras_lstm_gates.steering.ablate`, LSTM by LSTM,
    a quarter of it at a time; what the others tell of them, by least squares along `samples` sequences, goes into the
    weights and biases of what reads them.

    A unit that holds one number other than 0 is read as 0 by its own layer at the first step, and so goes exactly only
    where its layer does not read it. What is constant along the data need not be so on other data.

    The LSTMs are `keras.layers.LSTM`, `GatedLSTM`, or `RNN` over one such cell, alone, stacked, in nested models, in
    `Bidirectional`, whose directions lose as many units each, with merge_mode "sum", "mul" or "ave" the same ones.
    Layers that share a unit, as an encoder and a decoder that starts from its states, lose it together. What comes
    after is known, and reads units one by one: Dense, LSTM, GRU, SimpleRNN, Conv1D, BatchNormalization,
    Concatenate, Add and its like, Flatten, Reshape, pooling over time, dropout, activations. An LSTM whose units go
    into something else keeps its size, and `refused` says why.

    Args:
        model: built Functional or Sequential `keras.Model`, not stateful; `keras_lstm_gates.load_model` opens files.
        data: array (sample, ...), or a list or dict of them as the model takes it.
        y: targets as `model.fit` takes them; None: what counts is how far the outputs are from what they were.
        keep: float in (0, 1], the share of the units of each LSTM to keep, rounded up; or {path: int}, how many of some
            LSTMs by their paths of `expose`. LSTMs that keep a common size follow.
        tolerance: float >= 0, how much worse the model may be, in units of what is measured. Each LSTM in its turn may
            use its share.
        metric: as in `steering.ablate`; None: the loss of the compiled model. Without `y` nothing may be named, and
            the mean distance of the outputs from what they were is measured, in units of their own mean distance from
            their mean: 0.01 is a hundredth of their spread.
        layers: names of the model's layers that may lose units, or None for all.
        fine_tune: int >= 0, epochs of `model.fit` with the smaller model, by the loss that the model is compiled with
            and a fresh optimizer of its kind.
        batch_size: int > 0, for it.
        learning_rate: float, for it; None: that of the model's optimizer.
        validation_data: (x, y), what `tolerance` and the figures are about; None: the data.
        samples: int > 0, of the data, drawn by `seed`: those that importance and least squares are measured on.
        export: bool. True: bytes and milliseconds of both models' TFLite files too, which takes two exports.
        seed: int.
        progress: True prints a line a round, False nothing; a function is called with each line.

    Returns:
        `Shrunk(model, removed, kept, sizes, curve, refused)`. The given model is as it was.

    Raises:
        ValueError: a model that has no graph, is stateful or cannot be made again from its configuration; one in which
            no LSTM can lose units: "expected an LSTM that can lose units in 'm'; received 'lstm': its units go into
            'attention', a Attention, which is read as a whole"; `keep` or `tolerance` out of range; `fine_tune` without
            targets or a compiled model; what `trace`, `run_each` and `export` raise.
        ArithmeticError: the smaller model says something else than the one whose units are silenced.

    Cost: a copy of the model; a trace of the data; with `keep` or `tolerance`, a round for each quarter of an LSTM's
    units: one run of `samples` sequences for each unit, and of the validation data.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> model = SequenceClassifier(features=3, classes=2, units=4)
        >>> x = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")
        >>> shrunk = shrink(model, x, keep=0.5, progress=False)
        >>> shrunk.model.get_layer("lstm").units, shrunk.sizes["units"].tolist()
        (2, [4, 2])
    """
    tell = progress if callable(progress) else print if progress else lambda line: None
    _check(model, y, keep, tolerance, metric, fine_tune)
    plan = plan_of(model, layers)
    targets = _targets(plan, keep)
    inputs = inputs_of(model)
    arrays = _arrays(inputs, data)
    judged, judged_y = (
        (arrays, y) if validation_data is None else (_arrays(inputs, validation_data[0]), validation_data[1])
    )
    weights = {"before": weight_of(model, arrays) if export else {}}
    reference = answers(plan.followed, arrays)
    _check_copy(model, arrays, reference)
    importance = Scores(plan.model, metric, y, _mask(plan, arrays, y), reference)
    scores = importance
    if validation_data is not None:
        scores = Scores(plan.model, metric, judged_y, _mask(plan, judged, judged_y), answers(plan.followed, judged))
    count = len(next(iter(arrays.values())))
    rows = np.sort(np.random.default_rng(seed).permutation(count)[:samples])
    removals = Removals(plan, arrays, scores, judged, rows, importance)
    removals.remove_constant(reference)
    tell(f"constant: {len(removals.gone)} removed, {_units(plan, removals)} units left")
    _by_importance(plan, removals, targets, tolerance, tell)
    smaller = plan.smaller(removals.values, removals.gone)
    _check_smaller(plan, smaller, arrays)
    if fine_tune:
        _fine_tune(smaller, packed(model, arrays), y, fine_tune, batch_size, learning_rate, tell)
    weights["after"] = weight_of(smaller, arrays) if export else {}
    return _result(plan, removals, scores, smaller, scores.mean(answers(smaller, judged)), weights)


def _check(model, y, keep, tolerance, metric, fine_tune):
    if isinstance(keep, (int, float)) and (isinstance(keep, bool) or not 0 < keep <= 1):
        raise ValueError(f"expected keep in (0, 1], a share, or {{path: number of units}}; received {keep!r}")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"expected a tolerance of 0 or more; received {tolerance!r}")
    if y is None and metric is not None:
        raise ValueError(f"expected targets y for the metric {metric!r}; received none")
    if fine_tune < 0:
        raise ValueError(f"expected fine_tune as a number of epochs, 0 or more; received {fine_tune!r}")
    if fine_tune and (y is None or not model.compiled):
        received = "no targets" if y is None else "a model that is not compiled"
        raise ValueError(f"expected targets y and a compiled model to fine-tune; received {received}")


def _arrays(inputs, data):
    arrays = by_name(inputs, data)
    check(inputs, arrays)
    if len(next(iter(arrays.values()))) == 0:
        raise ValueError("expected one or more sequences; received none")
    return arrays


def _check_copy(model, arrays, reference):
    """The copy says what the model says: all that it is has come from its configuration and its weights."""
    for before, now in zip(answers(model, arrays), reference, strict=True):
        if not np.allclose(now, before, rtol=1e-5, atol=1e-5):
            raise ValueError(
                f"cannot shrink the model {model.name!r}, which is not made again from its configuration: its copy "
                "gives other outputs"
            )


def _targets(plan, keep):
    """{id of a cell: how many units it keeps}; None where nothing is said of any."""
    if keep is None:
        return None
    counts = {id(cell): len(plan.follower.units.of(cell)) for cell in plan.cells}
    if not isinstance(keep, dict):
        return {cell: max(1, int(np.ceil(keep * count - 1e-9))) for cell, count in counts.items()}
    free = {path: id(cell) for cell in plan.cells for path in plan.paths[id(cell)]}
    targets = {}
    for path, number in keep.items():
        if path in plan.refused:
            raise ValueError(f"expected keep of LSTMs that can lose units; received {path!r}: {plan.refused[path]}")
        if path not in free:
            raise ValueError(f"expected keep of the LSTMs {[*free]}; received {path!r}")
        count = counts[free[path]]
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 1 <= number <= count:
            raise ValueError(f"expected keep of 1 to {count} units of {path!r}; received {number!r}")
        targets[free[path]] = int(number)
    return targets


def _mask(plan, arrays, y):
    """bool (sample, time), the real steps of the first LSTM; none where no targets are measured."""
    samples = len(next(iter(arrays.values())))
    if y is None:
        return np.ones((samples, 1), bool)
    if len(keras.tree.flatten(y)[0]) != samples:
        raise ValueError(f"expected targets of {samples} samples; received {len(keras.tree.flatten(y)[0])}")
    path, parts = plan.path(plan.cells[0]), []
    for at in range(0, samples, BATCH):
        part = {name: one[at : at + BATCH] for name, one in arrays.items()}
        parts.append(trace(plan.model, part, progress=False, layers=plan.names())[path]["mask"].values)
    return np.concatenate(parts)


def _by_importance(plan, removals, targets, tolerance, tell):
    if targets is None and tolerance is None:
        return
    several = components(plan)
    for place, roots in enumerate(several):
        cells = {id(cell): cell for root in roots for cell, _ in plan.members(root)}
        if targets is not None and not cells.keys() & targets.keys():
            continue
        share = None if tolerance is None else tolerance * (place + 1) / len(several)
        names = ", ".join(map(plan.path, cells.values()))
        removals.remove_unimportant(
            roots,
            targets or {},
            share,
            lambda curve, names=names: tell(f"{names}: {curve[0]} units left, {curve[2]:.5g}"),
        )


def _units(plan, removals):
    return sum(plan.left(removals.gone).values())


def _check_smaller(plan, smaller, arrays):
    """The smaller model says what the whole one says that reads nothing of the units that went."""
    for now, before in zip(answers(smaller, arrays), answers(plan.followed, arrays), strict=True):
        # Half precision rounds sums of another length otherwise.
        least = 1e-2 if "16" in str(smaller.compute_dtype) or now.dtype.itemsize < 4 else 1e-5
        far = np.abs(now.astype(np.float64) - before) / np.maximum(1, np.abs(before))
        if not far.max(initial=0) <= least:
            raise ArithmeticError(
                f"the smaller {smaller.name!r} differs from the one whose units are silenced by {far.max():.1e}, "
                f"allowed {least:.0e}"
            )


def _fine_tune(model, x, y, epochs, batch_size, learning_rate, tell):
    if learning_rate is not None:
        config = model.get_compile_config()
        config["optimizer"]["config"]["learning_rate"] = learning_rate
        model.compile_from_config(config)
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tell(f"epoch {epoch + 1} of {epochs}: loss {logs['loss']:.5g}")
    )
    model.fit(x, y, batch_size=batch_of(model) or batch_size, epochs=epochs, verbose=0, callbacks=[told])


def _result(plan, removals, scores, smaller, now, weights):
    rows, units = [], plan.follower.units
    for root, removal in removals.gone.items():
        rows += [(plan.path(cell), unit, *removal) for cell, unit in plan.members(root)]
    gone = plan.numbers(removals.gone)
    kept = {
        path: [place for place, number in enumerate(units.of(cell).tolist()) if number not in gone]
        for cell in units.cells()
        for path in plan.paths.get(id(cell), ())
    }
    names = ["units", "parameters", scores.name]
    first, last = removals.curve[0], (*removals.curve[-1][:2], now)
    sizes = {
        when: dict(zip(names[:2], row[:2], strict=True)) | weights[when] | {scores.name: row[2]}
        for when, row in (("before", first), ("after", last))
    }
    return Shrunk(
        smaller,
        pd.DataFrame(rows, columns=["layer", "unit", "why", "exact", "worse"]),
        kept,
        pd.DataFrame.from_dict(sizes, orient="index").astype({"units": int, "parameters": int}),
        pd.DataFrame(removals.curve, columns=names),
        plan.refused,
    )
