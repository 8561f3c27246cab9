"""Figures of a search: the best score over time, parallel coordinates, the importance of each hyperparameter."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.tuning.results import hyperparameters
from keras_lstm_gates.tuning.trials import COMPLETED

FEWEST_TRIALS = 10


def write(search):
    """Write best_so_far.png, parallel_coordinates.png and, with ten or more completed trials, importance.png."""
    for name, draw in (
        ("best_so_far", best_so_far),
        ("parallel_coordinates", parallel_coordinates),
        ("importance", importance_figure),
    ):
        figure = draw(search)
        if figure is not None:
            with replaced_when_whole(search.folder / f"{name}.png") as temporary:
                figure.savefig(temporary, dpi=130)


def best_so_far(search):
    """Each completed trial over the seconds of search, and the best score so far."""
    trials = sorted(_completed(search), key=lambda trial: trial["ended_after"])
    seconds, scores = ([trial[key] for trial in trials] for key in ("ended_after", "score"))
    falls = search.settings["objective"]["direction"] == "min"
    figure, axes = _axes(6.5, 4)
    axes.plot(seconds, scores, "o", color="#8a9ab0", markersize=4, label="a trial")
    best = (np.minimum if falls else np.maximum).accumulate(scores)
    axes.step(seconds, best, where="post", color="#0b3c8c", label="the best so far")
    axes.set_xlabel("seconds of search")
    axes.set_ylabel(search.settings["objective"]["name"])
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def parallel_coordinates(search):
    """A line a completed trial through its values, from the lowest (0) to the highest (1) tried; dark is better."""
    trials, names, values = encoded(search)
    if not names:
        return None
    scores = np.array([trial["score"] for trial in trials])
    order = np.argsort(scores if search.settings["objective"]["direction"] == "min" else -scores)[::-1]
    figure, axes = _axes(max(6.5, 1.2 * len(names)), 4.2)
    colours = matplotlib.colormaps["viridis_r"](np.linspace(0, 1, len(trials)))
    for place, trial in enumerate(order):
        axes.plot(range(len(names)), values[trial], color=colours[place], alpha=0.8)
    axes.set_xticks(range(len(names)), names, rotation=25, ha="right")
    axes.set_yticks([0, 1], ["lowest", "highest"])
    axes.grid(axis="x", alpha=0.4)
    return figure


def importance(search, seed=0):
    """How much worse a forest predicts the score of unseen trials when one hyperparameter is shuffled.

    A random forest is fitted to the ranks of the scores on four fifths of the completed trials; each hyperparameter is
    shuffled ten times in the last fifth; each fifth once. Ranks, because a single trial that diverged would
    otherwise dominate.

    Returns:
        ({name: (mean, standard deviation over the divisions)} of the loss of R^2, R^2 of the unseen trials), or None
        with fewer than ten completed trials or where nothing varies. With R^2 near 0 or below the importances say
        nothing.

    Source: Breiman 2001, Random forests; scikit-learn's `permutation_importance`.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    trials, names, values = encoded(search)
    if len(trials) < FEWEST_TRIALS or not names:
        return None
    ranks = np.argsort(np.argsort([trial["score"] for trial in trials])) / (len(trials) - 1)
    losses, predicted = [], np.empty(len(trials))
    for train, test in KFold(5, shuffle=True, random_state=seed).split(values):
        forest = RandomForestRegressor(200, random_state=seed).fit(values[train], ranks[train])
        predicted[test] = forest.predict(values[test])
        result = permutation_importance(
            forest,
            values[test],
            ranks[test],
            scoring="neg_mean_squared_error",
            n_repeats=10,
            random_state=seed,
        )
        losses.append(result.importances_mean / ranks.var())
    r2 = 1 - np.mean((predicted - ranks) ** 2) / ranks.var()
    means, deviations = np.mean(losses, axis=0), np.std(losses, axis=0, ddof=1)
    return {name: (float(m), float(d)) for name, m, d in zip(names, means, deviations, strict=True)}, float(r2)


def importance_figure(search):
    """Bars of `importance` with its standard deviation."""
    result = importance(search)
    if result is None:
        return None
    by_name, r2 = result
    names = sorted(by_name, key=lambda name: by_name[name][0])
    figure, axes = _axes(6.5, 1.5 + 0.32 * len(names))
    means, deviations = zip(*(by_name[name] for name in names), strict=True)
    axes.barh(names, means, xerr=deviations, color="#0b3c8c", ecolor="#d1495b")
    axes.set_xlabel("loss of R² when shuffled: mean and sd of 5 divisions")
    axes.set_title(f"the forest's R² on unseen trials: {r2:.2f}", fontsize=10, loc="left")
    return figure


def encoded(search):
    """(completed trials, names of the hyperparameters that vary, values (trial, name) in [0, 1]); log ranges by their
    logarithms, choices that are not numbers by their ranks.
    """
    trials = _completed(search)
    names = [name for name in hyperparameters(search) if len({str(t["values"].get(name)) for t in trials}) > 1]
    columns = []
    for name in names:
        values = [trial["values"].get(name) for trial in trials]
        if any(not isinstance(value, int | float) for value in values):
            kinds = sorted({str(value) for value in values})
            values = [kinds.index(str(value)) for value in values]
        elif search.settings["space"].get(name, {}).get("sampling") == "log":
            values = np.log(values)
        columns.append((np.array(values, float) - np.min(values)) / np.ptp(np.array(values, float)))
    return trials, names, np.array(columns).T


def _completed(search):
    return [trial for trial in search.trials if trial["status"] == COMPLETED]


def _axes(width, height):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
