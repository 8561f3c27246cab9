"""Study 5, tuning: what do random, Bayesian and Hyperband search add to a default recipe, at equal wall time?

    python examples/tuning_study.py            20 minutes a search; resumes
    python examples/tuning_study.py --quick    a trial a search, of one epoch

The default is the built-in recipe of the data set, as `keras-lstm-gates train NAME` takes it. The three searches of a
data set run side by side in a process each with one thread, so that whatever else the machine does slows all three.
A search chooses by validation loss: a fifth of the training utterances, or the last 15% of the training months. Of its
three choices the one with the lowest validation loss is "the tuned recipe". When all searches have ended, default and
choices are trained anew as recipes, from seeds that no search used, and only then the test data are read.

The seconds of a search leave out what was lost when it was killed; no trial starts after its time, those that run end.
"""

import concurrent.futures
import multiprocessing.connection
import os
import threading

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from studies import COLOURS, arguments, plain_axes, save

from keras_lstm_gates import training, tuning
from keras_lstm_gates.recipes import RECIPES

TUNERS = ("random", "bayesian", "hyperband")
PROCESSES = len(TUNERS)
SEEDS = (1, 2, 3, 4, 5)
DATA = {
    "japanese_vowels": {
        "space": {"noise": {"low": 0.0, "high": 1.0, "scale": "linear"}},
        "test": ("test_accuracy", "test_cross_entropy"),
    },
    "greensboro_weather": {
        "space": {
            "noise": {"low": 0.0, "high": 0.5, "scale": "linear"},
            "layers": 1,
            "units": {"low": 16, "high": 64, "scale": "log"},
        },
        "test": ("test_mae", "test_rmse"),
    },
}
SEARCHED = {"units": {"low": 16, "high": 96, "scale": "log"}} | {
    key: tuning.spaces.SPACE[key] for key in ("learning_rate", "layers", "dropout", "forget_bias", "weight_decay")
}


def space(recipe, own):
    """Seven hyperparameters, of series six, as many as a dozen trials may tell apart; the others are the recipe's."""
    fixed = {key: getattr(recipe, key, 0.0) for key in tuning.spaces.default_space(recipe)}
    return fixed | SEARCHED | own


def search(recipe, space, tuner, folder, minutes, trials):
    """One search, from where it was; it has `minutes` in all, over all calls."""
    model = tuning.GatedLSTMHyperModel(recipe, space)
    if (folder / "search.json").exists():
        minutes -= tuning.read(folder).seconds / 60
    if minutes > 0:
        own = {"hyperband": {"epochs": recipe.epochs}, "bayesian": {"initial_points": 5}}.get(tuner, {})
        tuning.search(model, folder, tuner=tuner, trials=trials, minutes=minutes, **own)
    found = tuning.read(folder)
    return {
        "recipe": model.recipe_with(found.best["values"]).to_dict(),
        "chosen": {name: value for name, value in found.best["values"].items() if not name.startswith("tuner/")},
        "validation_loss": found.best["score"],
        "parameters": found.best["figures"]["parameters"],
        "seconds": found.seconds,
        "statuses": {status: [t["status"] for t in found.trials].count(status) for status in ("completed", "failed")},
        "trials": [
            {"ended_after": trial["ended_after"], "validation_loss": trial["score"]}
            for trial in found.trials
            if trial["status"] == "completed"
        ],
    }


def validated(recipe, folder):
    """The validation loss of the recipe as it is, trained as a trial is."""
    fixed = {key: getattr(recipe, key, 0.0) for key in tuning.spaces.default_space(recipe)}
    return search(recipe, fixed, "grid", folder, float("inf"), 1)


def retrained(recipe, folder):
    """Train the recipe on its whole training part; its figures on the test part."""
    return training.fit(recipe, folder, resume=True).metrics


def begin():
    """In each process of the pool: one thread for TensorFlow, and an end when the study is killed."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sentinel = multiprocessing.parent_process().sentinel
    threading.Thread(target=lambda: (multiprocessing.connection.wait([sentinel]), os._exit(3)), daemon=True).start()


def study(name, folder, pool, *, recipe, minutes, trials):
    """Default and searches of one data set, without its test data."""
    spaces = space(recipe, DATA[name]["space"])
    jobs = {
        tuner: pool.submit(search, recipe, spaces, tuner, folder / f"{name}-{tuner}", minutes, trials)
        for tuner in TUNERS
    }
    found = {tuner: job.result() for tuner, job in jobs.items()}
    default = pool.submit(validated, recipe, folder / f"{name}-default").result()
    tuned = min(TUNERS, key=lambda tuner: found[tuner]["validation_loss"])
    return {"data": name, "tuned": tuned, "recipes": {"default": default | {"chosen": {}}} | found}


def test(studies, folder, pool, seeds):
    """Train every recipe from each seed and note its figures on the test data; after all searches."""
    jobs = {}
    for seed in seeds:
        for one in studies:
            for who, entry in one["recipes"].items():
                recipe = RECIPES[one["data"]].from_dict(entry["recipe"]).replaced({"seed": seed})
                # Two tuners may have chosen the same.
                if str(recipe) not in jobs:
                    jobs[str(recipe)] = pool.submit(retrained, recipe, folder / f"{one['data']}-{who}-{seed}")
                entry.setdefault("runs", []).append(jobs[str(recipe)])
    for one in studies:
        for entry in one["recipes"].values():
            runs = [job.result() for job in entry.pop("runs")]
            entry["test"] = {metric: [run[metric] for run in runs] for metric in DATA[one["data"]]["test"]}


def draw(studies):
    """Of each data set the best validation loss over the time of search, and the test figures of each seed."""
    figure = Figure(figsize=(10, 3.6 * len(studies)), layout="constrained")
    for row, one in zip(figure.subplots(len(studies), 2, squeeze=False), studies, strict=True):
        recipes, metric = one["recipes"], DATA[one["data"]]["test"][0]
        for place, ((who, entry), colour) in enumerate(zip(recipes.items(), ("0.4", *COLOURS), strict=False)):
            if who == "default":
                row[0].axhline(entry["validation_loss"], color=colour, linestyle=":", label=who)
            else:
                trials = sorted(entry["trials"], key=lambda trial: trial["ended_after"])
                best = np.minimum.accumulate([trial["validation_loss"] for trial in trials])
                minutes = [trial["ended_after"] / 60 for trial in trials]
                row[0].step(minutes, best, where="post", color=colour, label=f"{who}, {len(trials)} trials")
            values = entry["test"][metric]
            row[1].plot(values, [place] * len(values), "o", color=colour, alpha=0.5)
            row[1].errorbar(np.mean(values), place, xerr=np.std(values, ddof=1), fmt="|", color=colour, markersize=18)
        row[0].legend(frameon=False, fontsize=8)
        names = [f"{who} (tuned)" if who == one["tuned"] else who for who in recipes]
        row[1].set_yticks(range(len(names)), names)
        row[1].invert_yaxis()
        plain_axes(row[0], one["data"], "minutes of search", "lowest validation loss")
        plain_axes(row[1], f"each of {len(values)} seeds, mean ± sd", metric.replace("_", " "), "")
    return figure


def main():
    """Run the study."""
    given = arguments("tuning_study", __doc__, "minutes of each search (20)")
    minutes = 20 if given.minutes is None else given.minutes
    quick = {"epochs": 1, "units": 4, "bidirectional": False} if given.quick else {}
    names, seeds, trials = (("japanese_vowels",), SEEDS[:2], 1) if given.quick else (tuple(DATA), SEEDS, None)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, context, begin) as pool:
        options = {"minutes": minutes, "trials": trials}
        studies = [study(name, given.out, pool, recipe=RECIPES[name].replaced(quick), **options) for name in names]
        test(studies, given.out, pool, seeds)
    for one in studies:
        for who, entry in one["recipes"].items():
            figures = ", ".join(
                f"{metric} {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"
                for metric, values in entry["test"].items()
            )
            print(f"{one['data']}, {who}: validation loss {entry['validation_loss']:.4f}, {figures}")
    save(given.out, studies, draw(studies))


if __name__ == "__main__":
    main()
