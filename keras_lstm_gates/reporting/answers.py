"""What a trace's model answered, beside the targets, as the page tells it."""

import numpy as np

from keras_lstm_gates.tracing import nodes

MOST_NUMBERS = 4
"""The most numbers of one answer that the page shows."""
MOST_STEPS = 40_000
"""The most answers that a page holds; beyond, those of each step are left out."""


def answers(tree, samples):
    """The answers of a trace's first samples, for the page.

    An output whose rows are probabilities is told by its most probable class and, beside integer targets, by the
    cross-entropy -ln p(target); so is one number from 0 to 1 beside targets of 0 and 1, p of class 1. Any other is told
    by its numbers, and beside targets of its shape by the mean absolute error. A loss of the model's own making is not
    known to a trace.

    Args:
        tree: `xarray.DataTree` of `keras_lstm_gates.tracing.trace`.
        samples: int, how many of its samples the page shows.

    Returns:
        A list of dicts, one an output: `name`, `steps` (True: one answer at each step of the LSTMs), `best`,
        `probability` and `of_target` (sample, step) of classes, or `numbers` (sample, step, at most 4) and `error`
        (sample, step); `target` (sample, step); each None where there is nothing to tell, a row a sample where not
        `steps`.
    """
    root, times = tree.dataset, {node.sizes["time"] for node in nodes(tree).values()}
    target = next((root[name].values[:samples] for name in root if root[name].attrs.get("role") == "target"), None)
    found = []
    for name in root:
        values = root[name].values
        if root[name].attrs.get("role") != "output" or values.dtype.kind not in "fiu" or not 2 <= values.ndim <= 3:
            continue
        values = values[:samples].astype("float64")
        if values.ndim == 3 and times and values.shape[1] not in times:
            # Of a forecast with quantiles, all that follows the sequence at once.
            if _are_probabilities(values):
                continue
            values = values.reshape(len(values), -1)
        values = _with_the_other_class(values, target)
        told = _of_classes(values, target) if _are_probabilities(values) else _of_numbers(values, target)
        if told["answers"] <= MOST_STEPS:
            found.append({"name": str(name), **told})
    return found


def _are_probabilities(values):
    sums = values.sum(axis=-1)
    return values.shape[-1] > 1 and bool((values >= 0).all()) and bool(np.abs(sums - 1).max(initial=0) < 1e-3)


def _with_the_other_class(values, target):
    """One number from 0 to 1 beside targets of 0 and 1 as the probabilities of both; other values as they are."""
    if target is None or values.shape[-1] != 1 or _axes(target.shape) != _axes(values.shape):
        return values
    fits = np.isin(target, (0, 1)).all() and ((values >= 0) & (values <= 1)).all()
    return np.concatenate([1 - values, values], axis=-1) if fits else values


def _of_classes(values, target):
    """(sample, class) or (sample, step, class)."""
    leading = values.shape[:-1]
    fits = target is not None and _are_whole(target) and _axes(target.shape) == _axes(leading)
    numbers = target.reshape(leading).astype(int) if fits else None
    if numbers is None or numbers.min(initial=0) < 0 or numbers.max(initial=0) >= values.shape[-1]:
        numbers = of_target = None
    else:
        of_target = _rows(np.take_along_axis(values, numbers[..., None], axis=-1)[..., 0])
    return {
        "answers": int(np.prod(leading)),
        "steps": values.ndim == 3,
        "best": _rows(values.argmax(axis=-1)),
        "probability": _rows(values.max(axis=-1)),
        "of_target": of_target,
        "target": None if numbers is None else _rows(numbers),
    }


def _of_numbers(values, target):
    """(sample, number) or (sample, step, number); a target of as many numbers stands beside it."""
    fits = target is not None and _axes(target.shape) == _axes(values.shape)
    beside = target.reshape(values.shape).astype("float64") if fits else None
    return {
        "answers": int(np.prod(values.shape[:-1])) * min(MOST_NUMBERS, values.shape[-1]),
        "steps": values.ndim == 3,
        "count": values.shape[-1],
        "numbers": _rows(values[..., :MOST_NUMBERS]),
        "error": None if beside is None else _rows(np.abs(values - beside).mean(axis=-1)),
        "target": None if beside is None else _rows(beside[..., :MOST_NUMBERS]),
    }


def _are_whole(values):
    return values.dtype.kind in "iub" or bool((values % 1 == 0).all())


def _axes(shape):
    """A shape without the axes of one: labels (sample, 1) are those of (sample,)."""
    return [shape[0], *(size for size in shape[1:] if size != 1)]


def _rows(values):
    """Nested lists, numbers to five digits; what is not finite is None."""
    if values.dtype.kind in "iu":
        return values.tolist()
    return [_rows(one) if values.ndim > 1 else _rounded(one) for one in values]


def _rounded(value):
    return float(f"{value:.5g}") if np.isfinite(value) else None
