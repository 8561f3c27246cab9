"""The ledger of a memory carried on to the answer: how much each step contributes through what was kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import xarray as xr

from keras_lstm_gates.attribution.memory import before_the_first
from keras_lstm_gates.attribution.watched import WatchedModel
from keras_lstm_gates.tracing import traces

if TYPE_CHECKING:
    import keras

    from keras_lstm_gates._support.annotations import Arrays


AFFINE = ("telescoping", "proportional")
BENT = ("integrated_gradients",)

SOURCES = {
    "telescoping": "Murdoch & Szlam 2017, Automatic rule extraction from long short term memory networks, equation 11",
    "proportional": "h = o tanh(c) divided as kept is of c",
    "integrated_gradients": "Sundararajan, Taly & Yan 2017, on c, divided as kept is of c",
}

POINTS = 64


def answer_ledger(
    model: keras.Model,
    x: Arrays,
    target: int | tuple[int, ...] | str | None = None,
    *,
    output: str | None = None,
    batch_size: int = 32,
) -> xr.DataTree:
    """How much each step contributes to an answer through the memory of the last LSTMs.

    The answer, before a softmax or sigmoid of the last layer, is read from h_t = o_t tanh(c_t) of the LSTMs that feed
    no other, and c_t is the sum of what was kept of every step. Where the read-out is affine in h, as a Dense layer, a
    mean over time or a concatenation is,

        answer = sum over t of W_t (o_t tanh(c_t)) + b

    each W_t o_t tanh(c_t) is divided among the steps k <= t, two ways:
        telescoping     W_t o_t (tanh(kept_1 + ... + kept_k) - tanh(kept_1 + ... + kept_{k-1})), oldest first
        proportional    W_t o_t tanh(c_t) kept_k / c_t
    For any other read-out, the integrated gradients on c from 0 are divided as kept is of c.

    Args:
        model: built Functional or Sequential `keras.Model` with LSTMs.
        x, target, output: as in `attribute`.
        batch_size: int > 0.

    Returns:
        `xarray.DataTree`. The root: `answer` (sample); `bias` (sample), the answer where those LSTMs say 0: the
        read-out's bias, and all that passes them by; `remainder` (sample), answer - bias - the sum of everything
        below, in float64. A node for each of those LSTMs, by its path:
            contribution (rule, sample, time, unit)   of what was written at each step
            initial (rule, sample, unit)              of the state before the first step
        Attributes of the root: sources, affine (bool), before, target, output.

    Raises:
        ValueError: what `attribute` raises; LSTMs within a `TimeDistributed`.

    Cost: one gradient; in NumPy steps^2 * units a sample where the read-out reads every step.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> account = answer_ledger(SequenceClassifier(features=3, classes=2, units=4), np.ones((5, 7, 3)), target=1)
        >>> account["lstm"]["contribution"].dims, account.attrs["affine"]
        (('rule', 'sample', 'time', 'unit'), True)
    """
    watched = WatchedModel(model, output)
    if not watched.memories:
        raise ValueError(f"expected a model with one or more LSTM layers; received {model.name!r} with none")
    if watched.acted_on:
        raise ValueError(
            f"expected LSTMs whose c and h come from their gates; received interventions on them at "
            f"{sorted(watched.acted_on)}. Take `attribute`"
        )
    numbers = watched.numbers(x)
    tree = traces.trace(model, watched.packed(numbers), batch_size, progress=False)
    nodes, samples = traces.nodes(tree), tree.sizes["sample"]
    rows = [slice(start, min(start + batch_size, samples)) for start in range(0, samples, batch_size)]
    batches = [_Batch(watched, {name: one[row] for name, one in numbers.items()}, target) for row in rows]
    affine, paths = all(one.affine for one in batches), batches[0].last
    rules = AFFINE if affine else BENT
    shares = {path: [] for path in paths}
    for batch, row in zip(batches, rows, strict=True):
        memories = {path: _Memory(nodes[path].isel(sample=row), watched.activations[path]) for path in paths}
        slopes = batch.slopes() if affine else batch.along_c(memories)
        for path, memory in memories.items():
            of_h, of_c = batch.by_step(path, slopes, memory)
            shares[path].append(_divided(memory, of_h, of_c, rules))
    joined = {path: [np.concatenate(one, axis=1) for one in zip(*parts, strict=True)] for path, parts in shares.items()}
    answer, bias = (np.concatenate([getattr(one, name) for one in batches]) for name in ("answer", "bias"))
    total = sum(contribution.sum(axis=(2, 3)) + initial.sum(axis=2) for contribution, initial in joined.values())
    root = xr.Dataset(
        {
            "answer": ("sample", answer),
            "bias": ("sample", bias),
            "remainder": (("rule", "sample"), answer - bias - total),
        },
        coords={"rule": list(rules), "sample": np.arange(samples)},
        attrs={
            "affine": affine,
            "sources": [SOURCES[rule] for rule in rules],
            "sums_to": "answer = bias + sum of contribution and initial of every LSTM + remainder",
            "target": str(target),
            "output": str(watched.output),
            "before": watched.before or "",
            "layers": paths,
        },
    )
    below = {path: _dataset(nodes[path], list(rules), *arrays) for path, arrays in joined.items()}
    return xr.DataTree.from_dict({"/": root, **below})


class _Memory:
    """The gates of one LSTM for a batch, in float64 and in the order in which the layer reads."""

    def __init__(self, node, activation):
        self.backwards = node.attrs["reads"] == "backwards"
        turned = slice(None, None, -1) if self.backwards else slice(None)
        self.mask = node["mask"].values[:, turned]
        gates = {name: node[name].values[:, turned] for name in ("i", "f", "g", "o", "c")}
        computed_in = node.attrs.get(traces.COARSE)
        first = before_the_first(gates["i"], gates["g"], gates["c"], self.mask, computed_in)
        i, f, g, self.o, self.c = (np.asarray(one, np.float64) for one in gates.values())
        real = self.mask[..., None]
        self.written, self.leaves = np.where(real, i * g, 0.0), np.where(real, f, 1.0)
        # Of f_1 c_0, which the first real step leaves.
        self.initial, self.first = first, self.mask.argmax(axis=-1)
        self.activation = activation

    def activated(self, c):
        return np.asarray(self.activation(tf.convert_to_tensor(c)), np.float64)

    def steps(self):
        """(step, what is kept of every step (sample, time, unit), of the initial state (sample, unit)), in order."""
        kept, initial = np.zeros_like(self.written), np.array(self.initial)
        for step in range(kept.shape[1]):
            leaves = self.leaves[:, step]
            kept[:, :step] *= leaves[:, None]
            kept[:, step] = self.written[:, step]
            initial = np.where((step <= self.first)[:, None], initial, initial * leaves)
            yield step, kept, initial


class _Batch:
    """How the answer of some samples is read from the LSTMs that feed no other.

    Attributes:
        last: their paths.
        answer, bias: (sample,), the answer, and where those LSTMs say 0.
        affine: bool, whether their slopes say all.
    """

    def __init__(self, watched, numbers, target):
        self._watched = watched
        self._tensors = {name: tf.convert_to_tensor(one) for name, one in numbers.items()}
        outputs = watched.outputs(self._tensors)
        # All that is moved from here on stands behind the LSTMs: their steps run once.
        self._answered = watched.answered()
        self._place = watched.places(np.asarray(outputs), target)
        self._memories = watched.reached()
        values = {path: [point.value for _, point in points] for path, points in self._memories.items()}
        self.last = self._feeding_no_other(values)
        self._values = {
            point: value
            for path in self.last
            for (_, point), value in zip(self._memories[path], values[path], strict=True)
        }
        answer, self._slopes = self._sloped({point: tf.zeros_like(one) for point, one in self._values.items()})
        bias = self._answers({point: -one for point, one in self._values.items()})
        self.affine = self._is_affine(answer, bias)
        self.answer, self.bias = (np.asarray(one, np.float64) for one in (answer, bias))

    def slopes(self):
        """{point: d answer / d what it hands on}."""
        return self._slopes

    def along_c(self, memories):
        """{point: the integrated gradients on c from 0, by Gauss-Legendre points}."""
        nodes, weights = np.polynomial.legendre.leggauss(POINTS)
        sums = dict.fromkeys(self._values, 0.0)
        for share, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            cells, shifts = {}, {}
            with tf.GradientTape() as tape:
                for path, memory in memories.items():
                    for kind, point in self._memories[path]:
                        value = self._values[point]
                        c, o, said = memory_at(memory, value)
                        cells[point] = tf.cast(share * c, value.dtype)
                        tape.watch(cells[point])
                        h = tf.cast(o, value.dtype) * memory.activation(cells[point]) if kind == "h" else cells[point]
                        shifts[point] = h * tf.cast(said, value.dtype) - value
                result = self._answers(shifts)
            slopes = tape.gradient(result, cells, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            for path, memory in memories.items():
                for _, point in self._memories[path]:
                    c, _, _ = memory_at(memory, self._values[point])
                    sums[point] = sums[point] + weight * np.asarray(slopes[point], np.float64) * c
        return sums

    def by_step(self, path, slopes, memory):
        """The numbers of a path's points that read h, and c, each (sample, time, unit) in reading order."""
        parts = {"h": np.zeros_like(memory.written), "c": np.zeros_like(memory.written)}
        for kind, point in self._memories[path]:
            said = memory_at(memory, self._values[point])[2]
            number = np.asarray(slopes[point], np.float64) * said
            if number.ndim == 2:
                parts[kind][:, -1] += number
            else:
                parts[kind] += number
        return parts["h"], parts["c"]

    def _answers(self, shifts):
        outputs = self._watched.outputs(self._tensors, shifts, answered=self._answered)
        return self._watched.answer(outputs, self._place)

    def _sloped(self, shifts):
        with tf.GradientTape() as tape:
            tape.watch(list(shifts.values()))
            result = self._answers(shifts)
        slopes = tape.gradient(result, list(shifts.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return result, dict(zip(shifts, slopes, strict=True))

    def _feeding_no_other(self, values):
        last = [*values] if len(values) == 1 else self._last_of_several(values)
        for path in last:
            if any(len(value) != len(self._place) for value in values[path]):
                raise ValueError(f"cannot account for the LSTM {path!r}: it stands below a TimeDistributed")
        return last

    def _last_of_several(self, values):
        shifts = {path: [tf.zeros_like(one) for one in of_path] for path, of_path in values.items()}
        by_point = {
            point: shift
            for path, points in self._memories.items()
            for (_, point), shift in zip(points, shifts[path], strict=True)
        }
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(shifts)
            self._watched.outputs(self._tensors, by_point)
            # Squares, so that nothing cancels out.
            sums = {
                path: sum(tf.reduce_sum(tf.cast(point.value, "float32") ** 2) for _, point in points)
                for path, points in self._memories.items()
            }
        feeding = set()
        for path, total in sums.items():
            others = {other: shift for other, shift in shifts.items() if other != path}
            slopes = tape.gradient(total, others, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            feeding |= {other for other, slope in slopes.items() if any(np.any(one) for one in slope)}
        return [path for path in self._memories if path not in feeding]

    def _is_affine(self, answer, bias):
        """Whether the answer is what its slopes say, at moves as large as the memory and at none of it."""
        rng = np.random.default_rng(0)
        values = self._values
        moves = [{point: tf.cast(rng.normal(size=one.shape), one.dtype) for point, one in values.items()} for _ in "12"]
        results = [bias, *(self._answers(move) for move in moves)]
        moves = [{point: -one for point, one in values.items()}, *moves]
        for move, result in zip(moves, results, strict=True):
            steps = [_per_sample(self._slopes[point] * one) for point, one in move.items()]
            change, size = sum(one.sum(axis=1) for one in steps), sum(abs(one).sum(axis=1) for one in steps)
            missed = abs(np.asarray(result - answer, np.float64) - change)
            if np.any(missed > 1e-4 * (size + abs(np.asarray(answer))) + 1e-6):
                return False
        return True


def memory_at(memory, value):
    """c, o and whether anything is said, of the steps that a point hands on: all, or the last that is read."""
    value = np.asarray(value)
    if value.ndim == 2:
        return memory.c[:, -1], memory.o[:, -1], 1.0
    # A masked step of a Bidirectional says 0; elsewhere it repeats the last real one.
    said = memory.mask | np.any(value != 0, axis=-1)
    return memory.c, memory.o, said[..., None].astype(np.float64)


def _divided(memory, of_h, of_c, rules):
    """Contributions (rule, sample, time, unit) and of the initial state (rule, sample, unit).

    Args:
        of_h, of_c: (sample, time, unit): the slopes by h and c, or of "integrated_gradients" the shares of c.
    """
    contribution = np.zeros((len(rules), *memory.written.shape))
    initial = np.zeros((len(rules), *memory.initial.shape))
    for step, kept, first in memory.steps():
        by_h, by_c = of_h[:, step], of_c[:, step]
        if not (by_h.any() or by_c.any()):
            continue
        kept = kept[:, : step + 1]
        c = first + kept.sum(axis=1)
        for place, rule in enumerate(rules):
            if rule == "telescoping":
                reached = first[:, None] + np.cumsum(kept, axis=1)
                said = memory.activated(np.concatenate([np.zeros_like(c)[:, None], first[:, None], reached], axis=1))
                parts = np.diff(said, axis=1) * (memory.o[:, step] * by_h)[:, None]
                contribution[place][:, : step + 1] += parts[:, 1:] + kept * by_c[:, None]
                initial[place] += parts[:, 0] + first * by_c
                continue
            safe = np.where(abs(c) < 1e-8, 1e-8, c)
            if rule == "proportional":
                said = (memory.activated(safe) - memory.activated(np.zeros_like(safe))) / safe
                ratio = memory.o[:, step] * said * by_h + by_c
            else:
                ratio = (by_h + by_c) / safe
            contribution[place][:, : step + 1] += kept * ratio[:, None]
            initial[place] += first * ratio
    if memory.backwards:
        contribution = contribution[:, :, ::-1]
    return contribution, initial


def _dataset(node, rules, contribution, initial):
    return xr.Dataset(
        {
            "contribution": (("rule", "sample", "time", "unit"), contribution),
            "initial": (("rule", "sample", "unit"), initial),
            "mask": (("sample", "time"), node["mask"].values),
        },
        coords={"rule": rules, "time": node["time"].values, "unit": node["unit"].values},
        attrs={"layer": node.attrs["layer"], "reads": node.attrs["reads"]},
    )


def _per_sample(values):
    values = np.asarray(values, np.float64)
    return values.reshape(len(values), -1)
