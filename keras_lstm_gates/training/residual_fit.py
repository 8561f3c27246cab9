"""Before and after the epochs of a residual forecaster: its linear path, the LSTMs' share, its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lstm_gates.residual_models import Frame, ResidualForecaster, middle_of
from keras_lstm_gates.training import linear

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keras_lstm_gates.recipes import Recipe


SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MOST = 4000
"""The most validation windows to calibrate on."""


def is_residual(recipe: Recipe) -> bool:
    """Whether a recipe's model learns what a baseline leaves."""
    chosen = (recipe.transform, recipe.relative_to, recipe.linear)
    return recipe.task == "forecasting" and (chosen != (None, None, None) or recipe.scaling != "training")


def frame_of(recipe, data):
    """The `Frame` of a recipe, fitted to its training part."""
    windows, targets, *groups = data.some("train", MOST, True)
    options = {name: getattr(recipe, name) for name in ("transform", "relative_to", "scaling", "horizon")}
    columns = data.names["features"]
    place, later = columns.index(recipe.target), tuple(columns.index(name) for name in data.names.get("later", ()))
    season = recipe.season if recipe.relative_to == "season" else None
    return Frame.fitted(windows, targets, *groups, place=place, later=later, season=season, **options)


def prepared(recipe, data, options):
    """The `ResidualForecaster` of a recipe, its linear path and its first quantiles those of the training part."""
    frame = frame_of(recipe, data)
    arguments = {name: data.arguments[name] for name in ("features", "horizon", "mean", "variance")}
    own = {name: getattr(recipe, name) for name in ("linear", "quantiles", "noise", "window")}
    model = ResidualForecaster(**arguments, **own, **options, frame=frame, name=recipe.task)
    windows, targets = data.some("train", linear.MOST)
    inputs, base, scale = linear.design(frame, windows, recipe.linear, *_scale(data))
    left = frame.left(targets, base, scale)
    if recipe.linear is not None:
        weights = linear.fitted(frame, windows, targets, recipe.linear, recipe.ridge, *_scale(data))
        model.get_layer("linear").set_weights(weights)
        left = left - inputs @ weights[0] - weights[1]
    if len(recipe.quantiles) > 1:
        steps = np.maximum(np.diff(np.quantile(left, recipe.quantiles, axis=0), axis=0), 1e-3)
        layer = model.get_layer("spread")
        layer.set_weights([layer.get_weights()[0], np.log(np.expm1(steps)).ravel()])
    return model


def finish(model, recipe, data):
    """Choose the share of the LSTMs and calibrate the intervals on the validation part; then refit the linear path.

    - The share, of `SHARES`, by which the LSTMs' correction is multiplied is the one with the least error; 0 where no
      share is better in most stretches of the part.
    - The offsets of each quantile are multiplied by the factor with which it holds on the validation part: split
      conformal prediction, of offsets that the model scales itself.
    - The linear path is then fitted again, to the training and the validation part.

    Returns:
        dict of plain data: share, calibrated_on (the number of windows), factors [quantile][step].

    Source: Lei et al. 2018, Distribution-free predictive inference for regression, section 5.2.
    """
    windows, targets, *weights = data.some("validation", MOST, True)
    frame = frame_of(recipe, data)
    facts = {"share": _share(model, recipe, windows, targets, *weights), "calibrated_on": len(windows)}
    if len(recipe.quantiles) > 1:
        facts["factors"] = _calibrate(model, recipe, frame, windows, targets)
    if recipe.linear is not None:
        parts = [data.some(part, linear.MOST) for part in ("train", "validation")]
        whole = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        model.get_layer("linear").set_weights(linear.fitted(frame, *whole, recipe.linear, recipe.ridge, *_scale(data)))
    return facts


def told(recipe: Recipe, facts: Mapping[str, Any] | None, metrics: Mapping[str, float]) -> list[str]:
    """What a residual forecaster has learned and how far its intervals hold, in a line each.

    Args:
        recipe: `Recipe`.
        facts: of `finish`, or None where there was no validation part.
        metrics: of `evaluate`, on the test part.

    Returns:
        list of str.
    """
    what = f"the logarithm of {recipe.target}" if recipe.transform == "log" else recipe.target
    base = {None: "", "last": " relative to its last value", "season": f" relative to {recipe.season} steps before"}
    scale = ", divided by its spread over the window" if recipe.scaling == "window" else ""
    known = "".join(f" and {name}" for name in recipe.known)
    read = {None: "", "target": f", a ridge regression on it{known} ({recipe.ridge:g})",
            "all": f", a ridge regression on all columns ({recipe.ridge:g})"}  # fmt: skip
    lines = [f"learned: {what}{base[recipe.relative_to]}{scale}{read[recipe.linear]}, and the LSTMs' correction"]
    if facts is not None:
        share = facts["share"]
        lines[0] += f" by {share:.0%}" if share else ", which does not help on the validation part and is left out"
    if facts is not None and "factors" in facts:
        low, high = recipe.quantiles[0], recipe.quantiles[-1]
        lines.append(
            f"intervals: calibrated on {facts['calibrated_on']:,} validation windows; {metrics['coverage']:.1%} of the "
            f"test part lies between q{low:g} and q{high:g}, nominally {high - low:.0%}"
        )
    return lines


def _share(model, recipe, windows, targets, counts=1.0):
    """Set the share; one above 0 must be better in most of five stretches of the part, and by more than it varies."""
    head, errors = model.get_layer("head"), []
    weights, middle = head.get_weights(), middle_of(recipe.quantiles)
    for share in SHARES:
        head.set_weights([share * weight for weight in weights])
        error = np.abs(targets - _predicted(model, recipe, windows)[..., middle].astype(np.float64))
        error = (error * counts).mean(axis=1)
        errors.append([stretch.mean() for stretch in np.array_split(error, min(len(error), len(linear.FOLDS)))])
    ratios = np.log((np.array(errors) + 1e-300) / (np.array(errors[0]) + 1e-300))
    scores = ratios.mean(axis=1) + linear.CAUTION * ratios.std(axis=1)
    scores[(ratios < 0).sum(axis=1) < min(linear.WINS, ratios.shape[1])] = np.inf
    scores[0] = 0.0
    best = SHARES[int(np.argmin(scores))]
    head.set_weights([best * weight for weight in weights])
    return best


def _calibrate(model, recipe, frame, windows, targets):
    """Set the factors of the offsets, from the middle outwards; the factors, [quantile][step]."""
    layer = model.get_layer("calibration")
    layer.set_weights([np.ones_like(weight) for weight in layer.get_weights()])
    v = frame.learned(_predicted(model, recipe, windows).astype(np.float64))
    actual, middle = frame.learned(targets.astype(np.float64)), middle_of(recipe.quantiles)
    factors = np.ones((len(recipe.quantiles) - 1, recipe.horizon))
    for side in (range(middle - 1, -1, -1), range(middle + 1, len(recipe.quantiles))):
        reached, nearer = v[..., middle], middle
        for number in side:
            step = v[..., number] - v[..., nearer]
            step = np.where(step < 0, -1.0, 1.0) * np.maximum(np.abs(step), 1e-9 * (1 + np.abs(v[..., number])))
            quantile = recipe.quantiles[number]
            factor = _factors((actual - reached) / step, max(quantile, 1 - quantile))
            factors[number if number < middle else number - 1] = factor
            reached, nearer = reached + factor * step, number
    layer.set_weights([factors.ravel()])
    return factors.round(4).tolist()


def _factors(ratios, level):
    """The conformal quantile of ratios (sample, horizon), of each step alone where the samples are many.

    All steps together have more than one ratio a sample, so the rank need not be whole.
    """
    samples = len(ratios)
    rank = min(1.0, level * (samples + 1) / samples)
    ratios = ratios if samples >= 400 else np.repeat(ratios.reshape(-1, 1), ratios.shape[1], axis=1)
    return np.maximum(np.quantile(ratios, rank, axis=0), 0.05)


def _predicted(model, recipe, windows):
    predicted = np.asarray(model.predict(windows, batch_size=256, verbose=0))
    return predicted.reshape(len(windows), recipe.horizon, max(1, len(recipe.quantiles)))


def _scale(data):
    return data.arguments["mean"], data.arguments["variance"]
