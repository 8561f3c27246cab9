"""What the units of a model do along data: the ranges of what is read of them, and how far their gates open."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lstm_gates._support.predicting import predict_on_batch
from keras_lstm_gates.opening.inputs import batch_of, in_batches, packed
from keras_lstm_gates.shrinking.units import FIXED
from keras_lstm_gates.tracing import trace

BATCH = 256
"""Sequences that run at a time."""
SILENT = 1e-6
"""What a gate or a product of gates stays below that is closed."""
NEARLY = 1e-3
"""The same of one that is as good as closed."""


RIDGE = 1e-3
"""Of the mean variance: what is added to each variance, since data are few and units alike."""


class Evidence(NamedTuple):
    """What was seen along the data.

    Attributes:
        ranges: {id of a kernel: (lowest, highest, mean, mean products)}, (rows,) and (rows, rows) or (0, 0), of what
            each row of it reads.
        writes, shows, moves: (units,), by their numbers: the largest |i * g|, the largest o, and how far apart the
            lowest and the highest h are.
    """

    ranges: dict
    writes: Any
    shows: Any
    moves: Any


def answers(model, arrays):
    """[each output of a model] for {input: array}, NumPy."""
    samples, fixed = len(next(iter(arrays.values()))), batch_of(model) is not None
    starts = [None] if fixed else range(0, samples, BATCH)
    parts = [arrays if at is None else {name: one[at : at + BATCH] for name, one in arrays.items()} for at in starts]
    outputs = []
    for part in parts:
        for batch in in_batches(model, part):
            outputs.append(
                [np.asarray(one) for one in keras.tree.flatten(predict_on_batch(model, packed(model, batch)))]
            )
    return [np.concatenate(each)[:samples] for each in zip(*outputs, strict=True)]


def gathered(plan, arrays):
    """The `Evidence` of a plan's model along {input: array}."""
    follower = plan.follower
    seen = {id(one): one for one in _all_ranges(follower)}.values()
    for one in seen:
        # One that no call has passed yet has no numbers.
        if one.built:
            one.forget()
    answers(plan.followed, arrays)
    count = sum(len(follower.units.of(cell)) for cell in follower.units.cells())
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    total, steps, writes, shows = (np.zeros(count) for _ in range(4))
    products = {id(cell): 0.0 for cell in follower.units.cells()}
    numbers = {
        path: follower.units.of(cell) for cell in follower.units.cells() for path in plan.paths.get(id(cell), ())
    }
    samples = len(next(iter(arrays.values())))
    for at in range(0, samples, BATCH):
        part = {name: one[at : at + BATCH] for name, one in arrays.items()}
        tree = trace(plan.model, part, progress=False, layers=plan.names())
        for path, own in numbers.items():
            i, g, o, h = (tree[path][gate].values.astype(np.float64) for gate in "igoh")
            real = np.broadcast_to(tree[path]["mask"].values, h.shape[:-1]).astype(bool)
            writes[own] = np.maximum(writes[own], np.abs(i * g)[real].max(0, initial=0))
            shows[own] = np.maximum(shows[own], np.abs(o)[real].max(0, initial=0))
            low[own] = np.minimum(low[own], h[real].min(0, initial=np.inf))
            high[own] = np.maximum(high[own], h[real].max(0, initial=-np.inf))
            total[own] += h[real].sum(0)
            steps[own] += real.sum()
            products[id(follower.units.cell_of(own[0]))] += h[real].T @ h[real]
    moves, mean = high - low, total / np.maximum(steps, 1)
    for cell in follower.units.cells():
        _with_starts(follower, cell, plan.paths.get(id(cell), ()), low, high)
    ranges = {}
    for key, reader in follower.readers.items():
        own = reader.units
        ranges[key] = reader.range.seen() if reader.range else (low[own], high[own], mean[own], None)
    for cell in follower.units.cells():
        own, key = follower.units.of(cell), id(cell.recurrent_kernel)
        ranges[key] = (*ranges[key][:3], products[id(cell)] / np.maximum(steps[own[0]], 1))
    return Evidence(ranges, writes, shows, moves)


def _all_ranges(follower):
    yield from (reader.range for reader in follower.readers.values() if reader.range)
    for several in follower.states.values():
        yield from several


def _with_starts(follower, cell, paths, low, high):
    """Count what h is before the first step: zero, or the initial state."""
    own, starts = follower.units.of(cell), follower.states.get(id(cell), ())
    pairs = [one.seen()[:2] for one in starts]
    pairs += [(0.0, 0.0)] if len(starts) < len(paths) or not paths else []
    for least, most in pairs:
        low[own], high[own] = np.minimum(low[own], least), np.maximum(high[own], most)


def silenced(plan, values, evidence, roots, gone=None):
    """The arrays of a model's weights with nothing read of some groups.

    Args:
        plan: `Plan`.
        values: list of arrays, in the order of `plan.model.weights`.
        evidence: `Evidence`.
        roots: of the groups.
        gone: of the groups of which nothing is read any more, where these here say more than one number: what the
            other places of a reader tell of them, by least squares, goes into the rows of those. None: they say one
            number, the middle of the lowest and the highest, which goes into the biases.
    """
    values, leaving = [one.copy() for one in values], sorted(plan.numbers(roots))
    left = sorted(plan.numbers(gone)) if gone else []
    places = {id(variable): place for place, variable in enumerate(plan.model.weights)}
    for key, reader in plan.follower.readers.items():
        own = np.flatnonzero(np.isin(reader.units, leaving))
        if len(own) == 0:
            continue
        low, high, mean, products = evidence.ranges[key]
        constants, kernel = (low + high)[own] / 2, np.moveaxis(values[places[key]], reader.axis, 0)
        removed = kernel[own].astype(np.float64)
        if gone is not None:
            others = np.flatnonzero(~np.isin(reader.units, [*leaving, *left]))
            told = _told(mean, products, own, others, centred=reader.bias is not None)
            kernel[others] += np.tensordot(told.T, removed, 1).astype(kernel.dtype)
            constants = mean[own] - told @ mean[others]
        if reader.bias is not None:
            said = np.tensordot(constants, removed, 1)
            bias = values[places[id(reader.bias)]]
            # Of a GRU that resets after the product, the first row is that of the input.
            bias = bias[0] if bias.ndim == 2 else bias
            bias += said.reshape(-1, said.shape[-1]).sum(0).astype(bias.dtype)
        kernel[own] = 0
    return values


def _told(mean, products, own, others, centred):
    """(own, others), what each of the others says of each of its own, by least squares with a small ridge."""
    if len(products) == 0 or len(others) == 0:
        return np.zeros((len(own), len(others)))
    covariance = products - np.outer(mean, mean) if centred else products
    between = covariance[np.ix_(others, others)]
    ridge = RIDGE * np.trace(between) / len(others) + 1e-12
    return np.linalg.solve(between + ridge * np.eye(len(others)), covariance[np.ix_(others, own)]).T


class Reach:
    """How much of a change of a unit gets through each reader, by the largest weight of its row.

    Args:
        plan: `Plan`.
        values: list of arrays, in the order of `plan.model.weights`.
        gone: set of numbers; what goes to these units counts for nothing.
    """

    def __init__(self, plan, values, gone=()):
        arrays = {id(variable): value for variable, value in zip(plan.model.weights, values, strict=True)}
        self._plan, self._gone, self._rows = plan, sorted(gone), {}
        for key, reader in plan.follower.readers.items():
            kernel = np.abs(np.moveaxis(arrays[key], reader.axis, 0).astype(np.float64))
            kernel = kernel.reshape(len(kernel), -1, kernel.shape[-1])
            to_gone = np.isin(reader.columns, [one for one in self._gone if one != FIXED])
            # A unit's own feedback goes with it.
            own = (reader.columns[None] == reader.units[:, None]) & (reader.columns != FIXED)[None]
            self._rows[key] = np.where(own | to_gone[None], 0, kernel.max(1)).max(1)

    def of(self, root):
        """[(id of a kernel, rows of the group in it, the largest weight of each)]."""
        for key, reader in self._plan.follower.readers.items():
            own = np.flatnonzero(np.isin(reader.units, self._plan.groups[root]))
            if len(own):
                yield key, own, self._rows[key][own]


def is_constant(plan, evidence, reach, root, within):
    """Whether all that is read of a group is one number, up to `within` in what the readers make of it."""
    for key, own, weights in reach.of(root):
        low, high = (one[own] for one in evidence.ranges[key][:2])
        if not np.all((high - low) / 2 * weights <= within):
            return False
        if plan.follower.readers[key].bias is None and np.any(np.abs(low + high) / 2 * weights > within):
            return False
    return True


def reason(plan, evidence, reach, root, within=NEARLY):
    """Why a group is of little use: "never writes", "never shows", "stands still", or "unimportant"."""
    own = plan.groups[root]
    if evidence.writes[own].max() <= within:
        return "never writes"
    if (
        evidence.shows[own].max() <= within
        or max((weights.max() for *_, weights in reach.of(root)), default=0) <= within
    ):
        return "never shows"
    return "stands still" if evidence.moves[own].max() <= within else "unimportant"
