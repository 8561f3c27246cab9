"""`GateMonitor`: the statistics of the gates at every epoch of a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_lstm_gates._support.epoch_monitor import EpochMonitor
from keras_lstm_gates._support.predicting import predict_on_batch
from keras_lstm_gates.opening.exposing import open_graph
from keras_lstm_gates.opening.graphs import Names, layers_within
from keras_lstm_gates.opening.inputs import batch_of, by_name, check, inputs_of, packed
from keras_lstm_gates.tracing.gate_statistics import ALWAYS, CLOSED, OPEN, QUANTILES, effective_memory, half_life

if TYPE_CHECKING:
    from keras_lstm_gates._support.annotations import Arrays, StrPath


_BINS = 400


class GateMonitor(EpochMonitor):
    """Record the statistics of the gates at every epoch: a line of JSON per layer, and curves in TensorBoard.

    The model is opened once and shares its weights with the opened one. Each epoch costs one prediction, whose
    statistics are summed in the same compiled graph, and one record in TensorBoard. Where that would take more than
    `budget` of the time since the training began, the epoch is skipped.

    Args:
        data: array of sequences to measure on, or a list or dict of them where the model has several inputs; 32 to
            256 are enough, preferably less than a twentieth of the training data.
        folder: str or `Path`. Gets gates.jsonl, and tensorboard/ with one curve per number.
        budget: float in (0, 1], the largest share of the training's time, or None to measure every epoch at any
            cost; compiling, before the training, is free.

    Attributes:
        seconds: float, time spent on the measurements of the last training.

    Files:
        gates.jsonl: a line per epoch and layer: epoch, layer, effective_memory, half_life (median over units, steps),
        and for each of i, f, g, o, over all units and real steps: mean, spread, the quantiles q5, q25, q50, q75 and
        q95 (to 0.005), and the shares left_saturated, right_saturated (of steps), always_open, always_closed (of
        units). An infinite number of steps is written as null.

    Raises:
        ValueError: what `expose` raises, or data that do not fit, at the beginning of the training; "expected a budget
            in (0, 1] or None; received 2".

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm")])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 5, 3), "float32")
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = model.fit(x, np.zeros((8, 4)), epochs=2, verbose=0, callbacks=[GateMonitor(x, folder, budget=None)])
        >>> first = json.loads((folder / "gates.jsonl").read_text().splitlines()[0])
        >>> first["epoch"], first["layer"], sorted(first["f"])[:3]
        (0, 'lstm', ['always_closed', 'always_open', 'left_saturated'])
    """

    def __init__(self, data: Arrays, folder: StrPath, budget: float | None = 0.05) -> None:
        super().__init__(budget, Path(folder) / "tensorboard")
        self.data, self.folder = data, Path(folder)
        self._summed: Any = None
        self._arrays: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the model and compile."""
        opened = open_graph(self.model)
        self._arrays = self._checked()
        names = Names(keras.Model(opened.inputs, keras.tree.flatten([opened.gates, opened.masks])))
        sums = {
            path: _Sums(name=names.new(f"sums_{place}"))(gates._asdict(), opened.masks[path])
            for place, (path, gates) in enumerate(opened.gates.items())
        }
        self._summed = keras.Model(opened.inputs, sums)
        # XLA cannot compile the histograms.
        self._summed.jit_compile = False
        self._layer_statistics()  # compiles
        self.folder.mkdir(parents=True, exist_ok=True)
        self.begin(self._layer_statistics)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure after an epoch, where the budget allows it."""
        self.measure_within_budget(epoch)

    def measure(self, step: int) -> dict[str, float]:
        layers = self._layer_statistics()
        with (self.folder / "gates.jsonl").open("a") as lines:
            for layer, numbers in layers.items():
                lines.write(json.dumps({"epoch": step, "layer": layer, **numbers}) + "\n")
        return {f"{layer}/{name}": value for layer, numbers in layers.items() for name, value in _flat(numbers)}

    def _checked(self):
        inputs, batch = inputs_of(self.model), batch_of(self.model)
        arrays = by_name(inputs, self.data)
        check(inputs, arrays)
        samples = len(next(iter(arrays.values())))
        if batch not in (None, samples):
            raise ValueError(f"expected {batch} sequences, the batch that the model fixes; received {samples}")
        return packed(self.model, arrays)

    def _layer_statistics(self):
        for layer in layers_within(self._summed):
            if getattr(layer, "stateful", False):
                layer.reset_state()
        return {path: _numbers(path, sums) for path, sums in predict_on_batch(self._summed, self._arrays).items()}


class _Sums(keras.layers.Layer):
    """Sums of a layer's gates over all real steps: means by unit, and a histogram per gate."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None

    def call(self, gates, real):
        steps, axes = ops.sum(ops.cast(real, "float32")), tuple(range(len(real.shape)))
        real = ops.expand_dims(real, -1)

        def mean(values):
            return ops.sum(ops.where(real, ops.cast(values, "float32"), 0.0), axis=axes) / steps

        sums = {"steps": steps, "log f": mean(ops.log(ops.cast(gates["f"], "float32")))}
        for name in "ifgo":
            values = ops.cast(gates[name], "float32")
            size = ops.abs(values)
            # Masked steps have a bin of their own, the last.
            bins = ops.cast(ops.clip((values + 1) * (_BINS / 2), 0, _BINS - 1), "int32")
            sums[name] = {
                "mean": mean(values),
                "square": mean(values * values),
                "left": mean(size < CLOSED),
                "right": mean(size > OPEN),
                "histogram": ops.bincount(ops.reshape(ops.where(real, bins, _BINS), (-1,)), minlength=_BINS + 1),
            }
        return sums


def _numbers(path, sums):
    if sums["steps"] == 0:
        raise ValueError(f"expected sequences with real steps; the layer {path!r} received only masked ones")
    mean_f = np.exp(sums["log f"])
    memory = {"effective_memory": float(effective_memory(mean_f)), "half_life": float(np.median(half_life(mean_f)))}
    numbers = {name: value if np.isfinite(value) else None for name, value in memory.items()}
    for gate in "ifgo":
        of_gate = sums[gate]
        mean = of_gate["mean"].mean(dtype="float64")
        variance = of_gate["square"].mean(dtype="float64") - mean**2
        numbers[gate] = {
            "mean": float(mean),
            "spread": float(np.sqrt(max(variance, 0.0))),
            **{f"q{100 * q:.0f}": value for q, value in zip(QUANTILES, _quantiles(of_gate["histogram"]), strict=True)},
            "left_saturated": float(of_gate["left"].mean()),
            "right_saturated": float(of_gate["right"].mean()),
            "always_open": float((of_gate["right"] > ALWAYS).mean()),
            "always_closed": float((of_gate["left"] > ALWAYS).mean()),
        }
    return numbers


def _quantiles(histogram):
    """Quantiles of the real steps, linear within each bin from -1 to 1; the last bin holds the masked steps."""
    real = histogram[:_BINS]
    below = np.concatenate([[0], np.cumsum(real)]) / real.sum()
    return [round(float(value), 4) for value in np.interp(QUANTILES, below, np.linspace(-1, 1, _BINS + 1))]


def _flat(numbers):
    for name, value in numbers.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{inner}", number) for inner, number in value.items())
        elif value is not None:
            yield name, value
