"""The linear path of a forecaster: ridge regression in closed form, and which one forecasts unseen rows best."""

import itertools

import numpy as np

from keras_lstm_gates.residual_models import Frame

RIDGES = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
MOST = 2500
"""The most windows that a regression is fitted to."""
WIDEST = 4000
"""The most inputs of a regression on all columns."""
FOLDS = ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0))
CAUTION = 0.25
"""How much of the spread over the folds counts against a candidate."""
OF_ALL = 0.02
"""How much less, relatively, the error must be for the linear path to read all columns."""
WINS = 3
"""In how many folds at least a regression must be better than the naive forecast."""


def design(frame, windows, linear, mean, variance):
    """((sample, inputs) of the layer `linear`, base, scale) of windows (sample, window, columns)."""
    seen, base, scale = map(np.asarray, frame.seen(windows))
    if linear == "all" or frame.later:
        scaled = (windows - np.asarray(mean)) / np.maximum(np.sqrt(variance), 1e-7)
    if linear == "target":
        seen = np.concatenate([seen, *(scaled[:, -frame.horizon :, place] for place in frame.later)], axis=-1)
    if linear == "all":
        others = np.delete(scaled, frame.place, axis=-1)
        seen = np.concatenate([seen[..., None], others], axis=-1).reshape(len(windows), -1)
    return seen, base, scale


def ridge(inputs, outputs, penalties):
    """[(kernel, bias)] for each penalty, a window: of the scaled inputs, the bias free.

    Args:
        inputs: (sample, inputs) float.
        outputs: (sample, outputs) float.
        penalties: of floats >= 0.
    """
    mean, spread, level = inputs.mean(axis=0), inputs.std(axis=0), outputs.mean(axis=0)
    spread = np.where(spread > 1e-9 * (1 + np.abs(mean)), spread, np.inf)
    x, y = (inputs - mean) / spread, outputs - level
    rows, columns = x.shape
    # The smaller of the two products has all eigenvalues that are not 0.
    values, vectors = np.linalg.eigh(x.T @ x if columns <= rows else x @ x.T)
    projected = vectors.T @ (x.T @ y if columns <= rows else y)
    results = []
    for penalty in penalties:
        weights = vectors @ (projected / (np.maximum(values, 0) + (penalty + 1e-9) * rows)[:, None])
        kernel = (weights if columns <= rows else x.T @ weights) / spread[:, None]
        results.append((kernel, level - mean @ kernel))
    return results


def fitted(frame, windows, targets, linear, penalty, mean, variance):
    """(kernel, bias) of the layer `linear` for training windows and targets."""
    inputs, base, scale = design(frame, windows, linear, mean, variance)
    ((kernel, bias),) = ridge(inputs, frame.left(targets, base, scale), [penalty])
    return kernel, bias


def choose(windows, targets, place, season, given, later=(), weights=None):
    """The transform, reference, scaling and linear path with the least error on later windows.

    Each candidate is fitted to the first half of the windows and forecasts the next tenth, and so on: five times.
    What counts is the mean logarithm of its error over that of the best naive forecast, and some of its spread. A
    regression that is not better than the naive forecast in most of these is left out.

    Args:
        windows: (sample, window, columns), in the order of time.
        targets: (sample, horizon).
        place: int, the target's column.
        season: int or None.
        given: {key: value} of what is chosen already, of transform, relative_to, scaling, linear and ridge.
        later: of int, as of `Frame`.
        weights: (sample,), how much each window's error counts, equal within a group; None without groups. With groups
            the target is always relative to its own window.

    Returns:
        {key: value} of all five; linear is None where no regression is better than the naive forecast itself.
    """
    horizon, columns = targets.shape[1], windows.shape[2]
    folds = _folds(windows, targets, np.ones(len(windows)) if weights is None else weights)
    # The naive forecast itself is a candidate, unless what is given rules it out.
    has_naive = "linear" not in given and given.get("relative_to", "") is not None
    naive = [_naive(*later_windows, place, season) for _, later_windows in folds]
    wide = windows.shape[1] * columns <= WIDEST
    positive = windows[:, :, place].min() > 0 and targets.min() > 0
    values = {
        "transform": (None, "log") if positive else (None,),
        "relative_to": (None, "last", "season") if season else (None, "last"),
        "scaling": ("training", "window"),
        "linear": ("target", "all") if columns > 1 and wide else ("target",),
    }
    if weights is not None:
        values |= {"relative_to": values["relative_to"][1:], "scaling": ("window",)}
    values |= {key: (given[key],) for key in values if key in given}
    best = None
    for candidate in map(dict, itertools.product(*([(key, one) for one in values[key]] for key in values))):
        options = {key: candidate[key] for key in ("transform", "relative_to", "scaling")}
        options |= {"place": place, "horizon": horizon, "season": season, "later": later}
        options |= {"has_groups": weights is not None}
        penalties = [given["ridge"]] if "ridge" in given else RIDGES
        errors = np.array([_errors(dict(options), candidate["linear"], penalties, *fold) for fold in folds])
        ratios = np.log((errors + 1e-300) / (np.array(naive)[:, None] + 1e-300))
        scores = ratios.mean(axis=0) + CAUTION * ratios.std(axis=0) + OF_ALL * (candidate["linear"] == "all")
        if has_naive:
            scores[:-1][(ratios[:, :-1] < 0).sum(axis=0) < min(WINS, len(folds))] = np.inf
        for score, penalty in zip(scores, [*penalties, None], strict=True):
            if penalty is None and (not has_naive or candidate["relative_to"] is None):
                continue
            # A tie goes to the simpler one, which comes first.
            if best is None or score < best[0] - 1e-9:
                without = {"linear": None, "ridge": 0.01} if penalty is None else {"ridge": penalty}
                best = (score, candidate | without)
    return best[1]


def evenly(number, most):
    """At most `most` of the first `number` ints, evenly spaced."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).astype(int))


def _folds(windows, targets, weights):
    """[((windows, targets, weights), the same of later windows)]."""
    folds, number, horizon = [], len(windows), targets.shape[1]
    for first, last in FOLDS:
        begin, end = int(number * first), int(number * last)
        # The training ends before the first test target is known.
        train = evenly(max(2, begin - horizon), MOST)
        test = begin + evenly(max(1, end - begin), 600)
        test = test[test < number]
        if len(test):
            folds.append(tuple((windows[rows], targets[rows], weights[rows]) for rows in (train, test)))
    return folds


def _naive(windows, targets, weights, place, season):
    """The lowest mean absolute error of persistence and the seasonal naive forecast."""
    y, horizon = windows[:, :, place], targets.shape[1]
    errors = [_error(targets, y[:, -1:], weights)]
    if season:
        again = np.resize(np.arange(season), horizon) + y.shape[1] - season
        errors.append(_error(targets, y[:, again], weights))
    return min(errors)


def _error(targets, forecasts, weights):
    """The mean absolute error, weighted by sample."""
    return (np.abs(targets - np.asarray(forecasts)).mean(axis=1) * weights).mean()


def _errors(options, linear, penalties, earlier, later):
    """The mean absolute error of each penalty, and of the base alone, on later windows."""
    (windows, targets, groups), (test, answers, weights) = earlier, later
    options = {**options, "groups": groups} if options.pop("has_groups") else options
    frame = Frame.fitted(windows, targets, **options)
    mean, variance = windows.mean(axis=(0, 1)), np.maximum(windows.var(axis=(0, 1)), 1e-12)
    nothing = np.zeros((len(test), targets.shape[1]))
    if linear is None:
        _, base, scale = design(frame, test, None, mean, variance)
        return [_error(answers, frame.forecast(nothing, base, scale), weights)] * (len(penalties) + 1)
    inputs, base, scale = design(frame, windows, linear, mean, variance)
    solutions = ridge(inputs, frame.left(targets, base, scale), penalties)
    inputs, base, scale = design(frame, test, linear, mean, variance)
    outputs = [inputs @ kernel + bias for kernel, bias in solutions] + [nothing]
    return [_error(answers, frame.forecast(one, base, scale), weights) for one in outputs]
