"""Study 5, tuning: what do random, Bayesian and Hyperband search add to a default recipe, at equal time?

    python examples/tuning_study.py            3 minutes a search; resumes
    python examples/tuning_study.py --quick    a trial a search, of one epoch

The default is the built-in recipe of the data set, as `keras-lstm-gates train NAME` takes it. Time is that of one
core: CPU seconds of a process with one thread, which are its wall time where the core is its own, and do not count what
else a shared machine does. No trial starts after its search's time; one that runs ends.

A search chooses by validation loss: a fifth of the training utterances, or the last 15% of the training months. Of the
three choices the one with the lowest is "the tuned recipe". When all searches of a data set have ended, default
and choices are trained anew as recipes, from seeds that no search used, and only then its test data are read.
"""

import concurrent.futures
import json
import multiprocessing.connection
import os
import threading
import time

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from studies import COLOURS, arguments, plain_axes, save

from keras_lstm_gates import training, tuning
from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.recipes import RECIPES, Recipe

TUNERS = ("random", "bayesian", "hyperband")
PROCESSES = len(TUNERS)
SEEDS = (1, 2, 3)
# How much noise on the normalized inputs may be worth a trial, and the figures on the test data, the first drawn.
DATA = {
    "greensboro_weather": (0.5, ("test_mae", "test_rmse")),
    "japanese_vowels": (1.0, ("test_accuracy", "test_cross_entropy")),
}
SEARCHED = {"units": {"low": 16, "high": 64, "scale": "log"}} | {
    key: tuning.spaces.SPACE[key] for key in ("learning_rate", "dropout", "forget_bias", "weight_decay")
}


def fixed(recipe):
    """A space of one point, the recipe."""
    return {key: getattr(recipe, key, 0.0) for key in tuning.spaces.default_space(recipe)}


def search(recipe, space, tuner, folder, minutes, trials):
    """One search, from where it was, a trial a call to see its time; it has `minutes` in all."""
    model = tuning.GatedLSTMHyperModel(recipe, space)
    options = {"hyperband": {"epochs": recipe.epochs}, "bayesian": {"initial_points": 4}}.get(tuner, {})
    clock = folder.with_suffix(".json")
    spent = json.loads(clock.read_text()) if clock.exists() else []
    while sum(spent) < 60 * minutes and len(spent) < trials:
        began = time.process_time()
        found = tuning.search(model, folder, tuner=tuner, trials=len(spent) + 1, **options)
        spent.append(round(time.process_time() - began, 1))
        with replaced_when_whole(clock) as temporary:
            temporary.write_text(json.dumps(spent))
        print(f"{folder.name}: trial {len(spent)}, {sum(spent):.0f} s, best {found.best['score']:.4f}", flush=True)
    found = tuning.read(folder)
    return {
        "recipe": model.recipe_with(found.best["values"]).to_dict(),
        "chosen": {name: value for name, value in found.best["values"].items() if not name.startswith("tuner/")},
        "validation_loss": found.best["score"],
        "parameters": found.best["figures"]["parameters"],
        "trials": [
            {
                "seconds": seconds,
                "epochs": trial["values"].get("tuner/epochs", recipe.epochs),
                "validation_loss": trial.get("score"),
            }
            for trial, seconds in zip(found.trials, spent, strict=True)
        ],
    }


def retrained(recipe, folder):
    """Train the recipe on its whole training part; its figures on the test part."""
    return training.fit(recipe, folder, resume=True).metrics


def begin():
    """In each process of the pool: one thread for TensorFlow, and an end when the study is killed."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    sentinel = multiprocessing.parent_process().sentinel
    threading.Thread(target=lambda: (multiprocessing.connection.wait([sentinel]), os._exit(3)), daemon=True).start()


def study(name, folder, pool, *, recipe, minutes, trials, seeds):
    """Search around the recipe of one data set, then test it and what was chosen."""
    noise, metrics = DATA[name]
    space = fixed(recipe) | SEARCHED | {"noise": {"low": 0.0, "high": noise, "scale": "linear"}}
    jobs = {"default": pool.submit(search, recipe, fixed(recipe), "grid", folder / f"{name}-default", minutes, 1)}
    for tuner in TUNERS:
        jobs[tuner] = pool.submit(search, recipe, space, tuner, folder / f"{name}-{tuner}", minutes, trials)
    recipes = {who: job.result() for who, job in jobs.items()}
    tuned = min(TUNERS, key=lambda tuner: recipes[tuner]["validation_loss"])
    runs = {}
    for seed in seeds:
        for who, entry in recipes.items():
            one = Recipe.from_dict(entry["recipe"]).replaced({"seed": seed})
            # Two tuners may have chosen the same.
            if str(one) not in runs:
                runs[str(one)] = pool.submit(retrained, one, folder / f"{name}-{who}-{seed}")
            entry.setdefault("runs", []).append(runs[str(one)])
    for entry in recipes.values():
        measured = [job.result() for job in entry.pop("runs")]
        entry["test"] = {metric: [run[metric] for run in measured] for metric in metrics}
    return {"data": name, "tuned": tuned, "recipes": recipes}


def draw(studies):
    """Of each data set the best validation loss over the time of search, and the test figures of each seed."""
    figure = Figure(figsize=(10, 3.4 * len(studies)), layout="constrained")
    for (left, right), one in zip(figure.subplots(len(studies), 2, squeeze=False), studies, strict=True):
        metric = DATA[one["data"]][1][0]
        for place, (who, colour) in enumerate(zip(one["recipes"], ("0.4", *COLOURS), strict=False)):
            entry = one["recipes"][who]
            if who == "default":
                left.axhline(entry["validation_loss"], color=colour, linestyle=":", label=who)
            else:
                losses = [
                    np.inf if trial["validation_loss"] is None else trial["validation_loss"]
                    for trial in entry["trials"]
                ]
                minutes = np.cumsum([trial["seconds"] for trial in entry["trials"]]) / 60
                best = np.minimum.accumulate(losses)
                left.step(minutes, best, where="post", color=colour, label=f"{who}, {len(losses)} trials")
            values = entry["test"][metric]
            right.plot(values, [place] * len(values), "o", color=colour, alpha=0.5)
            right.errorbar(np.mean(values), place, xerr=np.std(values, ddof=1), fmt="|", color=colour, markersize=18)
        left.legend(frameon=False, fontsize=8)
        names = [f"{who} (tuned)" if who == one["tuned"] else who for who in one["recipes"]]
        right.set_yticks(range(len(names)), names)
        right.invert_yaxis()
        plain_axes(left, one["data"], "minutes of one core", "lowest validation loss")
        plain_axes(right, f"each of {len(values)} seeds, mean ± sd", metric.replace("_", " "), "")
    return figure


def main():
    """Run the study."""
    given = arguments("tuning_study", __doc__, "of each search (3); the same command with more goes on")
    minutes = 3 if given.minutes is None else given.minutes
    names, seeds, trials, changes = tuple(DATA), SEEDS, 10**6, {}
    if given.quick:
        names, seeds, trials = ("japanese_vowels",), SEEDS[:2], 1
        changes = {"epochs": 1, "units": 4, "bidirectional": False}
    studies = []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, context, begin) as pool:
        for name in names:
            recipe = RECIPES[name].replaced(changes)
            studies.append(study(name, given.out, pool, recipe=recipe, minutes=minutes, trials=trials, seeds=seeds))
            for who, entry in studies[-1]["recipes"].items():
                spread = (f"{key} {np.mean(v):.4f} ± {np.std(v, ddof=1):.4f}" for key, v in entry["test"].items())
                print(f"{name}, {who}: validation loss {entry['validation_loss']:.4f}, {', '.join(spread)}")
            save(given.out, studies, draw(studies))


if __name__ == "__main__":
    main()
