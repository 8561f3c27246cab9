"""Forecasters that learn what a baseline leaves: of the target relative to its window, beside a linear path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import keras
import numpy as np
from keras import ops

from keras_lstm_gates.layers.calibration import Calibration
from keras_lstm_gates.models import Seeds, stacked_lstms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["ResidualForecaster"]


class Frame(NamedTuple):
    """How a target is seen from its window, and how a forecast is brought back to the target's units.

        v = y, or log max(y, floor)
        seen     z = (v - reference) / (scale * seen_spread)
        forecast v = base + scale * spread * output

    reference is the window's last v, base the same or the same step of the last season; without `relative_to` both are
    `centre`. scale is 1, or the mean absolute deviation of v over its window plus `window_floor`.

    Its methods take NumPy arrays as well as the tensors of a Keras graph.

    Attributes:
        place: int, the target's column.
        later: of int, the columns that repeat a known one, `horizon` steps before.
        horizon, season: int; season is None where relative_to is not "season".
        transform, relative_to, scaling: str or None, as of `Recipe`.
        floor, ceiling: float, of the logarithm: the least y, and the largest v that is turned back.
        centre, seen_spread, spread, window_floor: float, of the training part.
    """

    place: int
    horizon: int
    later: tuple[int, ...] = ()
    season: int | None = None
    transform: str | None = None
    relative_to: str | None = None
    scaling: str = "training"
    floor: float = 0.0
    ceiling: float = 0.0
    centre: float = 0.0
    seen_spread: float = 1.0
    spread: float = 1.0
    window_floor: float = 0.0

    @classmethod
    def fitted(cls, windows: np.ndarray, targets: np.ndarray, groups: ArrayLike | None = None, **options: Any) -> Self:
        """The frame of training windows (sample, window, columns) and targets (sample, horizon).

        groups (sample,), equal for windows of one group: `window_floor` is that of the group with the least.
        """
        frame = cls(**options)
        y = windows[:, :, frame.place].astype(np.float64)
        if frame.transform == "log":
            least, most = y[y > 0].min(), y.max()
            frame = frame._replace(floor=float(least / 2), ceiling=float(np.log(most) + 5))
        v = frame.learned(y)
        deviation = np.abs(v - v.mean(axis=1, keepdims=True)).mean(axis=1)
        groups = np.zeros(len(v)) if groups is None else np.ravel(groups)
        floors = [
            0.05 * np.median(one) + 1e-3 * one.mean() for one in (deviation[groups == g] for g in np.unique(groups))
        ]
        # A group that does not change has none.
        floor = min([one for one in floors if one > 0], default=0.0)
        frame = frame._replace(centre=float(v.mean()), window_floor=float(floor + 1e-12))
        seen, base, scale = map(np.asarray, frame.seen(windows))
        left = (frame.learned(targets.astype(np.float64)) - base) / scale
        return frame._replace(seen_spread=_spread(seen), spread=_spread(left))

    def learned(self, y: ArrayLike) -> np.ndarray:
        """v of y in the target's units, NumPy."""
        return np.log(np.maximum(y, self.floor)) if self.transform == "log" else np.asarray(y)

    def seen(self, windows: Any) -> tuple[Any, Any, Any]:
        """(z (sample, window), base (sample, horizon or 1), scale (sample, 1)) of windows (sample, window, columns)."""
        v = windows[..., self.place]
        if isinstance(v, np.ndarray):
            v = v.astype(np.float64)
        if self.transform == "log":
            v = ops.log(ops.maximum(v, self.floor))
        last = v[:, -1:]
        reference = last if self.relative_to else 0 * last + self.centre
        scale = 0 * last + 1.0
        if self.scaling == "window":
            deviation = ops.absolute(v - ops.mean(v, axis=1, keepdims=True))
            scale = ops.mean(deviation, axis=1, keepdims=True) + self.window_floor
        base = reference
        if self.relative_to == "season":
            steps, window = cast("int", self.season), v.shape[1]
            whole, rest = divmod(self.horizon, steps)
            first = v[:, window - steps :]
            parts = [first] * whole + ([v[:, window - steps : window - steps + rest]] if rest else [])
            base = ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        return (v - reference) / (scale * self.seen_spread), base, scale

    def forecast(self, outputs: Any, base: Any, scale: Any) -> Any:
        """The forecast in the target's units of outputs (sample, horizon)."""
        v = base + scale * self.spread * outputs
        return ops.exp(ops.minimum(v, self.ceiling)) if self.transform == "log" else v

    def left(self, targets: ArrayLike, base: ArrayLike, scale: ArrayLike) -> np.ndarray:
        """The outputs (sample, horizon) whose forecast would be the targets, NumPy."""
        return (self.learned(targets) - np.asarray(base)) / (np.asarray(scale) * self.spread)


def _spread(values):
    spread = float(np.std(values))
    return spread if spread > 0 else 1.0


def ResidualForecaster(  # noqa: N802
    features: int,
    horizon: int,
    units: int = 64,
    *,
    window: int,
    frame: Frame,
    linear: Any = None,
    quantiles: Sequence[float] = (),
    mean: ArrayLike = 0.0,
    variance: ArrayLike = 1.0,
    noise: float = 0.0,
    seed: int | None = None,
    name: str = "forecaster",
    **memory: Any,
) -> keras.Model:
    """The next `horizon` values of a series: what a frame's base and a frozen linear path leave, by LSTMs.

    The answer is `frame.forecast(linear(window) + LSTMs(window))`, in the series' own units; with quantiles the middle
    one, and offsets to the others that cannot cross. At first the LSTMs' part is 0.

    Args:
        features, horizon, units, quantiles, mean, variance, noise, seed, memory: as of `models.Forecaster`.
        window: int > 0, steps of a window.
        frame: `Frame` of the training part.
        linear: None, "target" (of its window, and what is known of the steps to come) or "all" columns, what the layer
            `linear` reads; its weights are 0 until `set_weights`.

    Returns:
        A `keras.Model`, (batch, window, features) to `forecast` (batch, horizon), or (batch, horizon, quantiles).

    Source: Zeng et al. 2023, Are transformers effective for time series forecasting? (NLinear); Kim et al. 2022,
    Reversible instance normalization for accurate time-series forecasting.
    """
    seeds = Seeds(seed)
    sequence = keras.Input((window, features), name="sequence")
    seen, base, scale = frame.seen(sequence)
    x = ops.expand_dims(seen, -1)
    if features > 1:
        scaled = keras.layers.Normalization(mean=mean, variance=variance, name="normalization")(sequence)
        before, after = scaled[..., : frame.place], scaled[..., frame.place + 1 :]
        others = [part for part, width in ((before, frame.place), (after, features - frame.place - 1)) if width]
        x = ops.concatenate([x, *others], axis=-1)
    recent = keras.layers.Flatten(name="recent")(ops.expand_dims(seen, -1) if linear == "target" else x)
    if linear == "target" and frame.later:
        known = [ops.squeeze(scaled[:, -horizon:, place : place + 1], -1) for place in frame.later]
        recent = ops.concatenate([recent, *known], axis=-1)
    noisy = keras.layers.GaussianNoise(noise, seed=seeds.next(), name="noise")(x)
    h = stacked_lstms(noisy, units, seeds, every_step=False, **memory)
    centre = keras.layers.Dense(horizon, kernel_initializer="zeros", name="head")(h)
    if linear is not None:
        line = keras.layers.Dense(horizon, kernel_initializer="zeros", trainable=False, name="linear")(recent)
        centre = centre + line
    results = [frame.forecast(one, base, scale) for one in _with_quantiles(centre, h, horizon, quantiles)]
    if quantiles:
        results = [ops.reshape(one, (-1, horizon, 1)) for one in results]
        results = [ops.concatenate(results, axis=-1)] if len(results) > 1 else results
    return keras.Model(sequence, keras.layers.Identity(name="forecast")(results[0]), name=name)


def middle_of(quantiles: Sequence[float]) -> int:
    """The place of the quantile that is nearest to a half; 0 without quantiles."""
    return int(np.argmin(np.abs(np.array(quantiles) - 0.5))) if len(quantiles) else 0


def _with_quantiles(centre, h, horizon, quantiles):
    """The forecast of each quantile: the middle one, and offsets from it that grow outwards."""
    if len(quantiles) < 2:
        return [centre]
    middle, sides = middle_of(quantiles), len(quantiles) - 1
    steps = keras.layers.Dense(horizon * sides, kernel_initializer="zeros", name="spread")(h)
    steps = Calibration(name="calibration")(ops.softplus(steps))
    steps = [steps[:, number * horizon : (number + 1) * horizon] for number in range(sides)]
    results = [centre]
    for step in steps[:middle][::-1]:
        results.insert(0, results[0] - step)
    for step in steps[middle:]:
        results.append(results[-1] + step)
    return results
