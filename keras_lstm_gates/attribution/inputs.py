"""Which inputs an answer comes from: the methods over inputs, each with what it should sum to and what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import xarray as xr

from keras_lstm_gates._support.progress import reporter
from keras_lstm_gates.attribution.contextual import decomposed
from keras_lstm_gates.attribution.watched import WatchedModel
from keras_lstm_gates.opening.inputs import ModelInput, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_lstm_gates._support.annotations import Arrays, Progress


MOST_STEPS = 1024


def attribute(
    model: keras.Model,
    x: Arrays,
    target: int | tuple[int, ...] | str | None = None,
    method: str = "integrated_gradients",
    *,
    baseline: str | Arrays = "zero",
    output: str | None = None,
    tolerance: float = 1e-3,
    span: int = 1,
    steps: slice | Sequence[int] | None = None,
    batch_size: int = 256,
    progress: Progress = False,
) -> xr.Dataset:
    """How much each step and feature of the input contributes to one number that a model answers.

    The number is taken before a softmax or sigmoid of the last layer: it is there that contributions add up.

    Args:
        model: built Functional or Sequential `keras.Model`.
        x: array, or a list or dict of them by input, (sample, time, feature), (sample, feature), or of token ids
            (sample, time), which an Embedding layer of the model itself reads.
        target: int or tuple of int, the index of the number in each sample's output: a class, (horizon, quantile),
            (step, class); "largest", each sample's own class; None where the output is one number.
        method: a key of `METHODS`.
            "integrated_gradients": the gradient, averaged along the line from the baseline to x, times x - baseline.
                Gauss-Legendre points are doubled until the sum holds to `tolerance`, 1,024 at the most.
            "gradient_input": the gradient at x times x - baseline; a first-order estimate, which sums to nothing.
            "occlusion": the answer less the answer with `span` steps set to the baseline, of each feature alone; of
                token ids all of an embedding at once. Sums to nothing.
            "contextual_decomposition": the part of the answer that `steps`, a span of them, make through the gates,
                by LSTMs, Bidirectional, Dense and what is linear; the rest is made by the other steps.
        baseline: "zero"; "mean", over the real steps of all samples; or an array that broadcasts to a sample of x, for
            several inputs a dict. Of token ids: of their embeddings.
        output: the name of one of several outputs.
        tolerance: float > 0, of "integrated_gradients": |remainder| <= tolerance * |answer - at_baseline|.
        span: int > 0, of "occlusion": steps that are occluded together, each ends up with their mean.
        steps: slice or list of int, of "contextual_decomposition".
        batch_size: int > 0, samples or points that are run at once.
        progress: as in `keras_lstm_gates.trace`.

    Returns:
        `xarray.Dataset`: `contribution` for one input, `contribution_<name>` for several, over the input's axes
        (sample, time, feature), of token ids (sample, time), of several inputs (sample, time_<name>, ...); of
        "contextual_decomposition" (sample) alone. `answer` (sample); `at_baseline`, the answer at the baseline, or the
        part of the other steps; `remainder` = answer - at_baseline - the sum of all contributions. Masked steps
        contribute 0. Attributes: method, target, output, before (the activation that is left out), sums_to, source.

    Raises:
        ValueError: "expected method among [...]; received 'shap'"; a target or data that do not fit; token ids that no
            Embedding reads; a layer that contextual decomposition does not know, by its name.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> model = SequenceClassifier(features=3, classes=2, units=4)
        >>> result = attribute(model, np.ones((5, 7, 3), "float32"), target=1)
        >>> result["contribution"].dims
        ('sample', 'time', 'feature')

    Source: integrated gradients: Sundararajan, Taly & Yan 2017, Axiomatic attribution for deep networks, equation 1.
    Occlusion: Zeiler & Fergus 2014, Visualizing and understanding convolutional networks, section 4.2. Contextual
    decomposition: Murdoch, Liu & Yu 2018, Beyond word importance, section 3.
    """
    if method not in METHODS:
        raise ValueError(f"expected method among {list(METHODS)}; received {method!r}")
    if method == "contextual_decomposition":
        return _described(decomposed(model, x, target, steps, output), method)
    if steps is not None:
        raise ValueError(f"expected steps with method='contextual_decomposition' alone; received method={method!r}")
    question = _Question(WatchedModel(model, output), x, target, baseline, batch_size)
    arrays, remainder_goal = METHODS[method].run(question, tolerance=tolerance, span=span, progress=progress)
    total = sum(array.reshape(question.samples, -1).sum(axis=1) for array in arrays.values())
    variables = {
        ("contribution" if len(arrays) == 1 else f"contribution_{name}"): (question.dims(name), array)
        for name, array in arrays.items()
    }
    result = xr.Dataset(
        {
            **variables,
            "answer": ("sample", question.answers),
            "at_baseline": ("sample", question.at_baseline),
            "remainder": ("sample", question.answers - question.at_baseline - total),
        },
        attrs={
            "target": str(target),
            "output": str(question.watched.output),
            "before": question.watched.before or "",
            **remainder_goal,
        },
    )
    return _described(result, method)


class _Question:
    """The data, the baseline and the answer's place: what a method needs to run the model at other points."""

    def __init__(self, watched, x, target, baseline, batch_size):
        self.watched, self.batch_size = watched, batch_size
        self.numbers = watched.numbers(x)
        for name, one in watched.inputs.items():
            check({name: ModelInput(name, tuple(one.shape), one.dtype, None)}, self.numbers)
            samples = len(self.numbers[name])
            if one.shape[0] not in (None, samples):
                raise ValueError(f"expected {one.shape[0]} samples, as the model fixes its batch; received {samples}")
        sizes = {len(array) for array in self.numbers.values()}
        if len(sizes) != 1 or 0 in sizes:
            raise ValueError(f"expected inputs with the same number of samples, one or more; received {sorted(sizes)}")
        (self.samples,) = sizes
        self._points = {name: _points(watched, name) for name in watched.inputs}
        parts = [self._clean(rows) for rows in _rows(self.samples, batch_size)]
        outputs, values, real, masks = zip(*parts, strict=True)
        outputs = np.concatenate(outputs)
        self.place = watched.places(outputs, target)
        self.answers = _picked(outputs, self.place)
        self.values = {key: np.concatenate([value[key] for value in values]) for key in values[0]}
        self._masks = [np.concatenate(one) for one in zip(*masks, strict=True)]
        self.real = {key: np.concatenate([one[key] for one in real]) for key in real[0]}
        self.baselines = {key: self._baseline(key, baseline) for key in self.values}
        moves = {key: self.baselines[key] - value for key, value in self.values.items()}
        self.at_baseline = np.concatenate(
            [
                self.run(rows, {key: move[rows] for key, move in moves.items()})
                for rows in _rows(self.samples, batch_size)
            ]
        )

    def dims(self, name):
        """The dimensions of an input's contributions; of several inputs each has its own, but for the sample."""
        axes = self.numbers[name].ndim
        inner = ("feature",) if axes == 2 and not self._points[name] else ("time", "feature")
        inner = (*inner, *(f"axis_{axis}" for axis in range(3, axes)))[: axes - 1]
        return ("sample", *(inner if len(self.numbers) == 1 else [f"{dim}_{name}" for dim in inner]))

    def by_input(self, moved):
        """{input: contributions} from {(input, number of a point or None): contributions}, embeddings summed up."""
        result = {}
        for (name, number), array in moved.items():
            result[name] = result.get(name, 0.0) + (array if number is None else array.sum(axis=-1))
        return result

    def run(self, rows, moves, gradient=False):
        """The answers of some samples whose values are moved; with `gradient` their slopes by the moves too.

        Args:
            rows: int array, the samples, in any order and number.
            moves: {key of `values`: array, (len(rows), ...)}.
        """
        moves = {key: tf.convert_to_tensor(move.astype("float32")) for key, move in moves.items()}
        masks = [tf.convert_to_tensor(mask[rows]) for mask in self._masks]

        def answers():
            outputs = self.watched.outputs(self._moved(rows, moves), self._shifts(moves), masks)
            return self.watched.answer(outputs, self.place[rows])

        if not gradient:
            return answers().numpy().astype("float64")
        with tf.GradientTape() as tape:
            tape.watch(moves)
            result = answers()
        slopes = tape.gradient(result, moves, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return {key: slope.numpy().astype("float64") for key, slope in slopes.items()}

    def _clean(self, rows):
        outputs = self.watched.outputs({name: tf.convert_to_tensor(one[rows]) for name, one in self.numbers.items()})
        masks = [np.asarray(mask) for mask in self.watched.masks()]
        values, real = {}, {}
        for name, points in self._points.items():
            if not points:
                values[name, None] = np.asarray(self.numbers[name][rows], "float64")
                real[name, None] = self._real_steps(values[name, None], masks)
            for number, point in enumerate(points):
                values[name, number] = np.asarray(point.value, "float64")
                mask = point.mask
                shape = values[name, number].shape
                real[name, number] = np.ones(shape) if mask is None else np.asarray(mask, "float64")[..., None]
                real[name, number] = np.broadcast_to(real[name, number], shape)
        return np.asarray(outputs), values, real, masks

    def _real_steps(self, values, masks):
        real = np.ones(values.shape)
        for mask in masks if len(self.numbers) == 1 and values.ndim == 3 else ():
            if mask.shape == values.shape[:2]:
                real = real * mask[..., None]
        return real

    def _baseline(self, key, baseline):
        name, _ = key
        value = self.values[key]
        if isinstance(baseline, str) and baseline == "zero":
            return np.zeros_like(value)
        if isinstance(baseline, str) and baseline == "mean":
            axes = tuple(range(value.ndim - 1))
            real = self.real[key]
            return np.broadcast_to((value * real).sum(axis=axes) / np.maximum(real.sum(axis=axes), 1), value.shape)
        given = baseline.get(name) if isinstance(baseline, dict) else baseline
        try:
            return np.broadcast_to(np.asarray(given, "float64"), value.shape)
        except (TypeError, ValueError):
            raise ValueError(
                f"expected baseline 'zero', 'mean' or an array that broadcasts to {value.shape[1:]}, of the input "
                f"{name!r}; received {given!r}"
            ) from None

    def _moved(self, rows, moves):
        numbers = {}
        for name, one in self.numbers.items():
            numbers[name] = tf.convert_to_tensor(one[rows])
            if (name, None) in moves:
                numbers[name] = tf.cast(numbers[name], "float32") + moves[name, None]
        return numbers

    def _shifts(self, moves):
        return {
            point: moves[name, number]
            for name, points in self._points.items()
            for number, point in enumerate(points)
            if (name, number) in moves
        }


def _integrated_gradients(question, tolerance, progress, **_):
    ways = {key: question.values[key] - question.baselines[key] for key in question.values}
    shares = {key: np.zeros_like(way) for key, way in ways.items()}
    goal = question.answers - question.at_baseline
    left, points = np.arange(question.samples), 8
    report = reporter(progress, question.samples, "sample")
    used = np.zeros(question.samples, int)
    while len(left) and points <= MOST_STEPS:
        nodes, weights = np.polynomial.legendre.leggauss(points)
        nodes, weights = (nodes + 1) / 2, weights / 2
        sums = {key: np.zeros((len(left), *way.shape[1:])) for key, way in ways.items()}
        pairs = [(place, number) for place in range(len(left)) for number in range(points)]
        for start in range(0, len(pairs), question.batch_size):
            place, number = np.array(pairs[start : start + question.batch_size]).T
            rows = left[place]
            moves = {key: (_column(nodes[number], way.ndim) - 1) * way[rows] for key, way in ways.items()}
            slopes = question.run(rows, moves, gradient=True)
            for key, slope in slopes.items():
                np.add.at(sums[key], place, _column(weights[number], slope.ndim) * slope)
        for key, way in ways.items():
            shares[key][left] = sums[key] * way[left]
        used[left] = points
        total = sum(share[left].reshape(len(left), -1).sum(axis=1) for share in shares.values())
        # What float32 cannot tell apart is no remainder.
        allowed = tolerance * abs(goal[left]) + 1e-6 * (1 + abs(question.answers[left]))
        left = left[abs(goal[left] - total) > allowed]
        report(question.samples - len(left))
        points *= 2
    return question.by_input(shares), {"points": used.tolist()}


def _gradient_input(question, **_):
    parts = [
        question.run(rows, {key: np.zeros_like(value[rows]) for key, value in question.values.items()}, gradient=True)
        for rows in _rows(question.samples, question.batch_size)
    ]
    shares = {
        key: np.concatenate([part[key] for part in parts]) * (question.values[key] - question.baselines[key])
        for key in question.values
    }
    return question.by_input(shares), {}


def _occlusion(question, span, progress, **_):
    if not isinstance(span, int) or span < 1:
        raise ValueError(f"expected span to be an int > 0; received {span!r}")
    shares = {key: np.zeros_like(value) for key, value in question.values.items()}
    jobs = [job for key in question.values for job in _windows(question, key, span)]
    report = reporter(progress, len(jobs), "part")
    counts = {key: np.zeros_like(value) for key, value in question.values.items()}
    for start in range(0, len(jobs), question.batch_size):
        batch = jobs[start : start + question.batch_size]
        rows = np.array([row for _, row, _ in batch])
        moves = {key: np.zeros((len(batch), *value.shape[1:])) for key, value in question.values.items()}
        for place, (key, row, window) in enumerate(batch):
            moves[key][place][window] = (question.baselines[key][row] - question.values[key][row])[window]
        effects = question.answers[rows] - question.run(rows, moves)
        for effect, (key, row, window) in zip(effects, batch, strict=True):
            # An embedding's numbers share what they do together.
            share = effect if key[1] is None else effect / question.values[key].shape[-1]
            shares[key][row][window] += share / span
            counts[key][row][window] += 1 / span
        report(min(start + len(batch), len(jobs)))
    return question.by_input({key: share / np.maximum(counts[key], 1e-12) for key, share in shares.items()}), {}


def _windows(question, key, span):
    """(key, sample, index of what is occluded together) of every run."""
    value = question.values[key]
    for row in range(question.samples):
        if value.ndim == 2:
            yield from ((key, row, (slice(one, one + 1),)) for one in range(value.shape[1]))
            continue
        steps = value.shape[1]
        for step in range(max(1, steps - span + 1)):
            window = slice(step, step + span)
            if key[1] is None:
                yield from ((key, row, (window, ..., one)) for one in range(value.shape[-1]))
            else:
                yield key, row, (window,)


class Method(NamedTuple):
    """A way to divide an answer among the inputs.

    Attributes:
        run: function of (question, tolerance, span, progress) to {input: contributions} and attributes.
        sums_to: str, what the contributions should sum to.
        source: str.
    """

    run: Any
    sums_to: str
    source: str


METHODS = {
    "integrated_gradients": Method(
        _integrated_gradients, "answer - at_baseline, but for the remainder", "Sundararajan, Taly & Yan 2017"
    ),
    "gradient_input": Method(_gradient_input, "nothing: a first-order estimate", "Simonyan, Vedaldi & Zisserman 2014"),
    "occlusion": Method(_occlusion, "nothing: each part is taken away from the whole", "Zeiler & Fergus 2014"),
    "contextual_decomposition": Method(
        None, "answer = contribution + at_baseline, the rest of the steps", "Murdoch, Liu & Yu 2018"
    ),
}
"""The methods of `attribute`: {name: `Method`}."""


def _points(watched, name):
    one = watched.inputs[name]
    if keras.backend.is_float_dtype(one.dtype) and not watched.embeddings[name]:
        return []
    if not watched.embeddings[name]:
        raise ValueError(
            f"expected the input {name!r} to be of floats, or to go to an Embedding layer of the model itself; "
            f"received {one.dtype} that none reads"
        )
    return watched.embeddings[name]


def _described(result, method):
    result.attrs.update(method=method, sums_to=METHODS[method].sums_to, source=METHODS[method].source)
    return result


def _rows(samples, batch_size):
    return [np.arange(start, min(start + batch_size, samples)) for start in range(0, samples, batch_size)]


def _picked(outputs, place):
    return outputs[(np.arange(len(outputs)), *place.T)].astype("float64")


def _column(values, axes):
    return values.reshape(-1, *[1] * (axes - 1))
