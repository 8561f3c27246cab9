"""Many interventions as one batch: the samples repeated, one intervention a copy. Ablation and patching stand on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_lstm_gates._support.predicting import predict_on_batch
from keras_lstm_gates._support.progress import reporter
from keras_lstm_gates.gates import Gates
from keras_lstm_gates.interventions import composed, listed, tells_steps_apart
from keras_lstm_gates.opening.graphs import holds, layers_within
from keras_lstm_gates.opening.paths import layer_name
from keras_lstm_gates.steering.models import steer
from keras_lstm_gates.steering.resumable_rows import KeptRows
from keras_lstm_gates.tracing import nodes, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from keras_lstm_gates._support.annotations import Arrays, Progress, StrPath


MOST_BYTES = 2**28
"""Of the scales and shifts of one batch; where they would take more, the batch is smaller."""


def run_each(
    model: keras.Model,
    x: Arrays,
    interventions: Sequence[Mapping[str, Any]],
    measure: Callable[[Any], ArrayLike] | None = None,
    *,
    batch_size: int = 512,
    progress: Progress = False,
    to: StrPath | None = None,
    identity: Any = None,
) -> Any:
    """What a model answers under each of many interventions, each of them on all of the same samples.

    Whoever asks what a unit, a gate or a step is good for acts on it alone and looks at the answer, and then on the
    next: hundreds of runs that differ in a few numbers. An intervention is a scale and a shift that may differ from
    sample to sample, so the samples are repeated, each copy has its own intervention, and all of them run as one batch
    of one model, which is compiled once.

    Args:
        model: built `keras.Model` that `expose` opens, not stateful.
        x: array (sample, ...), or a list or dict of them as the model takes it.
        interventions: list of {"<path>/<gate>": as `steer` takes it}; an empty dict does nothing.
        measure: function of (the model's output for all samples, NumPy) to a number a sample, or None: the outputs
            themselves.
        batch_size: int > 0, sequences that run at a time, fewer where their scales and shifts would take more than
            256 MiB.
        progress: True shows a bar, False shows nothing; a function is called with the number of interventions done.
        to: path of a file to keep the numbers of `measure` in while it runs, or None. A run that was interrupted
            resumes from it; it is left to the caller to delete.
        identity: plain data that determine the numbers; a file of another identity is refused.

    Returns:
        Array (intervention, sample) of what `measure` gives, float64; without it the outputs, each (intervention,
        sample, ...).

    Raises:
        ValueError: what `steer` raises; "expected LSTMs that begin each batch anew; received 'lstm' with
            stateful=True"; LSTMs below a `TimeDistributed`; `to` without `measure`.

    Example:
        >>> from keras_lstm_gates.steering import Set
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm")])
        >>> without = [{"lstm/h": Set(0.0, units=[unit])} for unit in range(4)]
        >>> outputs = run_each(model, np.ones((2, 5, 3)), without)
        >>> outputs.shape, outputs[2, :, 2].tolist()
        ((4, 2, 4), [0.0, 0.0])
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch_size of 1 or more; received {batch_size}")
    if to is not None and measure is None:
        raise ValueError("expected a measure, whose numbers are kept; received to without one")
    x = keras.tree.map_structure(np.asarray, x)
    samples, count = len(keras.tree.flatten(x)[0]), len(interventions)
    if measure is None:
        outputs = [one for _, one in _runs(model, x, interventions, batch_size)]
        return keras.tree.map_structure(lambda *each: np.stack(each), *outputs)
    report = reporter(progress, count, "intervention")
    kept = KeptRows(count, samples, to, identity)
    for place, outputs in _runs(model, x, interventions, batch_size, kept.done):
        row = np.asarray(measure(outputs), np.float64)
        if row.shape != (samples,):
            raise ValueError(f"expected a measure that gives ({samples},), a number a sample; received {row.shape}")
        kept.append(row)
        report(place + 1)
    return kept.rows


def sizes_of(model, x, layers=None):
    """{path: (steps, units)} of every LSTM, each of which may be acted on sample by sample.

    Args:
        model, x: as of `run_each`.
        layers: names of the model's layers to look into, or None for all that hold an LSTM.

    Raises:
        ValueError: what `run_each` says of stateful layers and of `TimeDistributed`; a model without an LSTM.
    """
    for layer in layers_within(model):
        if getattr(layer, "stateful", False):
            raise ValueError(
                f"expected LSTMs that begin each batch anew; received {layer.name!r} with stateful=True: what it "
                "answers depends on the batch before"
            )
    one = keras.tree.map_structure(lambda one: np.asarray(one)[:1], x)
    by_path = lstms(trace(model, one, progress=False, layers=layers))
    if not by_path:
        raise ValueError(f"expected a model with one or more LSTM layers to act on; received {model.name!r} with GRUs")
    for path, node in by_path.items():
        if node["f"].ndim > 3:
            raise ValueError(
                f"cannot act sample by sample on the LSTM {path!r}: below a TimeDistributed each step is a sample of "
                "its own"
            )
    return {path: (node.sizes["time"], node.sizes["unit"]) for path, node in by_path.items()}


def lstms(tree):
    """{path: node} of the LSTMs of a trace, without its GRUs."""
    return {path: node for path, node in nodes(tree).items() if "f" in node}


def _runs(model, x, interventions, batch_size, first=0):
    """(place, outputs of all samples) of each intervention from the `first` on, in order."""
    if first == len(interventions):
        return
    samples = len(keras.tree.flatten(x)[0])
    batch = _Batch(model, x, interventions, samples, batch_size)
    parts, end = [], samples * len(interventions)
    for start in range(first * samples, end, batch.size):
        rows = np.arange(start, min(start + batch.size, end))
        outputs = batch.run(rows)
        # What belongs to one intervention may lie in several batches.
        for place in range(rows[0] // samples, rows[-1] // samples + 1):
            own = rows // samples == place
            parts.append(keras.tree.map_structure(lambda one, own=own: one[own], outputs))
            if rows[-1] >= (place + 1) * samples - 1:
                yield place, keras.tree.map_structure(lambda *several: np.concatenate(several), *parts)
                parts = []


class _Batch:
    """A model of which some rows run at a time, each a sample under an intervention."""

    def __init__(self, model, x, interventions, samples, batch_size):
        self._x, self._interventions, self._samples = x, interventions, samples
        keys = dict.fromkeys(key for one in interventions for key in one)
        names = list(dict.fromkeys(layer_name(key) for key in keys))
        # A name that is no layer's is refused by `steer`.
        holders = {layer.name for layer in model.layers if holds(layer, (keras.layers.LSTM, keras.layers.LSTMCell))}
        sizes = sizes_of(model, x, names if names and holders.issuperset(names) else None)
        # What is the same at all steps needs no row for each.
        rows = max(steps for steps, _ in sizes.values()) if _tell_steps_apart(interventions) else 1
        self._sizes = {key: sizes.get(key.rpartition("/")[0], (1, 1)) for key in keys}
        known = {key: pair for key, pair in self._sizes.items() if key.rpartition("/")[0] in sizes}
        a_sequence = sum(8 * units * min(rows, steps) for steps, units in known.values())
        most = max(1, min(batch_size, MOST_BYTES // max(a_sequence, 1)))
        total = samples * len(interventions)
        self.size = -(-total // -(-total // most))
        self._steered = steer(model, {key: [] for key in keys}, False, steps=rows, samples=self.size)

    def run(self, rows):
        """The outputs of some rows: row `intervention * samples + sample`."""
        for key in self._steered.interventions:
            variables = self._steered.interventions.variables(key)
            pair = [np.full(one.shape, number, "float32") for one, number in zip(variables, (1, 0), strict=True)]
            for place in range(rows[0] // self._samples, rows[-1] // self._samples + 1):
                if key in self._interventions[place]:
                    self._write(pair, key, place, rows)
            for variable, numbers in zip(variables, pair, strict=True):
                variable.assign(numbers)
        filled = np.pad(rows % self._samples, (0, self.size - len(rows)))
        outputs = predict_on_batch(self._steered, keras.tree.map_structure(lambda one: one[filled], self._x))
        return keras.tree.map_structure(lambda one: np.asarray(one)[: len(rows)], outputs)

    def _write(self, pair, key, place, rows):
        own = rows // self._samples == place
        for numbers, values in zip(pair, self._numbers(self._interventions[place], key), strict=True):
            values = values[rows[own] % self._samples] if len(values) > 1 else values
            # A layer's own steps may be fewer than those that are told apart.
            at = slice(None) if values.shape[1] == 1 else slice(values.shape[1])
            numbers[np.flatnonzero(own), at] = values

    def _numbers(self, interventions, key):
        path, _, gate = key.rpartition("/")
        steps, units = self._sizes[key]
        if gate not in Gates._fields:
            return np.ones((1, 1, 1)), np.zeros((1, 1, 1))  # `steer` refuses it by name.
        return composed(listed(interventions[key], gate, path), key, units, steps, self._samples)


def _tell_steps_apart(interventions):
    """Whether any of these does at some steps what it does not do at others."""
    for one in interventions:
        for key, several in one.items():
            path, _, gate = key.rpartition("/")
            if tells_steps_apart({gate: listed(several, gate, path)}):
                return True
    return False
