"""Are the attributions true? Against a truth by construction, and by what an answer loses without the steps they name.

    python benchmarks/attribution.py            truth and deletion; about 15 minutes
    python benchmarks/attribution.py --deletion deletion alone
    python benchmarks/attribution.py --cost     the time beside shap.GradientExplainer, with nothing beside it

Writes benchmarks/attribution.json, .md and .png.

Truth: a model learns to add or to subtract two numbers of a sequence, or the two marked ones of many (the adding
problem); what each step truly contributes is known. The figure is Pearson's correlation over all steps of 200 new
sequences, of contributions summed over features or units, and is given as mean and range over 5 seeds.

Deletion: of two presets, the steps that a method names most important are set to 0 one after the other; the figure is
the mean of the answer, the logit of the class given first, over the share of steps deleted, as a share of what it was:
the faster it falls, the truer the method.

Source: Arras, Osman, Mueller & Samek 2019, Evaluating recurrent neural network explanations, section 3.1 (their model
has one unit, this one 16). Deletion: Samek et al. 2017, Evaluating the visualization of what a deep network has
learned.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from keras_lstm_gates import datasets, trace, zoo
from keras_lstm_gates.attribution import answer_ledger, attribute, ledger
from keras_lstm_gates.plots._styles import MODEL_COLOURS

HERE = Path(__file__).with_suffix("")
SEEDS = 5
METHODS = (
    "telescoping",
    "proportional",
    "integrated_gradients",
    "gradient_input",
    "occlusion",
    "contextual_decomposition",
)
MEMORY, ANSWER = "ledger of the memory, from a trace", "ledger of the answer, from the model"
GRADIENTS = "integrated gradients"
PRESETS = ("japanese_vowels", "italy_power_demand")


def by_step(model, x, target, method):
    """The contributions of each step, (sample, time)."""
    if method in ("telescoping", "proportional"):
        account = answer_ledger(model, x, target, batch_size=len(x))
        parts = [account[path]["contribution"].sel(rule=method).sum("unit").values for path in account.attrs["layers"]]
        return sum(parts)
    if method == "contextual_decomposition":
        steps = range(x.shape[1])
        parts = [attribute(model, x, target, method, steps=[step])["contribution"].values for step in steps]
        return np.stack(parts, axis=1)
    return attribute(model, x, target, method)["contribution"].sum("feature").values


def two_numbers(sign):
    """Two numbers, each in a feature and at a step of its own; the target is their sum or difference."""

    def sequences(rng, count, steps=10):
        x, truth = np.zeros((count, steps, 2), "float32"), np.zeros((count, steps))
        for row in range(count):
            places = rng.choice(steps, 2, replace=False)
            numbers = rng.uniform(0.3, 1.0, 2) * rng.choice([-1, 1], 2)
            x[row, places, [0, 1]] = numbers
            truth[row, places] = numbers * [1, sign]
        return x, truth

    return sequences


def adding(rng, count, steps=30):
    """Values in [-1, 1] and markers; the target is the sum of the two marked values."""
    values, markers = rng.uniform(-1, 1, (count, steps)), np.zeros((count, steps))
    for row in range(count):
        markers[row, [rng.integers(0, steps // 2), rng.integers(steps // 2, steps)]] = 1
    return np.stack([values, markers], axis=-1).astype("float32"), values * markers


FOUND = """Found: the methods over inputs name the true steps; the plainest of them, occlusion, does best on the adding
problem. Not found: the two ledgers. They tell what is stored in c at each step, and an LSTM writes at every step by its
biases: a correlation of a quarter with what the input truly contributes is not a fault of the sum, which is exact, but
an answer to another question. On Italy's power demand integrated gradients and gradient times input, from a baseline
of 0, are behind the plain size of the gradient: where the answer hangs on a missing peak, 0 is a poor "nothing"."""

TASKS = {"addition": two_numbers(1), "subtraction": two_numbers(-1), "adding problem": adding}


def trained(task, seed):
    """A model that solves a task, and its mean squared error on new sequences."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    (x, truth), (new, new_truth) = TASKS[task](rng, 8000), TASKS[task](rng, 200)
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.LSTM(16), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=False)
    slower = keras.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=3)
    epochs = 60 if task == "adding problem" else 25
    model.fit(x, truth.sum(axis=1), batch_size=64, epochs=epochs, verbose=0, callbacks=[slower])
    return model, float(model.evaluate(new, new_truth.sum(axis=1), verbose=0)), new, new_truth


def truth():
    """{task: {"error": [...], method: [correlation, one a seed]}}."""
    figures = {}
    for task in TASKS:
        figures[task] = {name: [] for name in ("error", *METHODS)}
        for seed in range(SEEDS):
            model, error, x, expected = trained(task, seed)
            figures[task]["error"].append(error)
            for method in METHODS:
                found = by_step(model, x, None, method)
                figures[task][method].append(float(np.corrcoef(found.ravel(), expected.ravel())[0, 1]))
            print(task, seed, {name: round(values[-1], 4) for name, values in figures[task].items()}, flush=True)
    return figures


def deletion(count=60):
    """{preset: {method: the mean answer at each share of deleted steps}}, with "random" beside."""
    rng = np.random.default_rng(0)
    figures = {}
    for name in PRESETS:
        model = zoo.load(name, gates=False)
        batches = [np.asarray(batch[0], "float32") for batch in datasets.load(zoo.preset(name).recipe).test]
        longest = max(batch.shape[1] for batch in batches)
        padded = [np.pad(batch, ((0, 0), (0, longest - batch.shape[1]), (0, 0))) for batch in batches]
        x = np.concatenate(padded)[:count]
        classes = model.output.shape[-1]
        target = "largest" if classes > 1 else None
        real = np.any(x != 0, axis=-1)
        logits = attribute(model, x, target, "gradient_input")
        given = np.asarray(model.predict(x, verbose=0)).argmax(axis=-1) if classes > 1 else None
        figures[name] = {}
        for method in (*METHODS[:-1], "gradient", "random"):
            if method == "random":
                ranks = rng.random(real.shape)
            elif method == "gradient":
                ranks = abs(logits["contribution"]).sum("feature").values
            else:
                ranks = by_step(model, x, target, method)
            # The steps beyond a sequence's end come last: deleting them does nothing.
            order = np.argsort(np.where(real, -ranks, np.inf), axis=1)
            curve = []
            for share in np.linspace(0, 1, 11):
                without = x.copy()
                for row in range(len(x)):
                    without[row, order[row, : round(share * real[row].sum())]] = 0.0
                curve.append(_answers(model, without, given))
            figures[name][method] = (np.mean(curve, axis=1)).tolist()
            print(name, method, np.round(figures[name][method], 3).tolist(), flush=True)
    return figures


def _answers(model, x, given):
    """The probability of the class that was given first, kept even where all steps are deleted."""
    predicted = np.nan_to_num(np.asarray(model.predict(x, verbose=0)))
    return predicted[np.arange(len(x)), given] if given is not None else predicted[:, 0]


def cost():
    """Seconds of both ledgers and of integrated gradients beside shap's, and what each misses of its own sum."""
    import shap

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 60, 8)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.LSTM(32, name="lstm")(inputs)))
    change = (model.predict(x, verbose=0) - model.predict(np.zeros_like(x), verbose=0))[:, 0]
    explainer = shap.GradientExplainer(model, np.zeros((1, *x.shape[1:]), "float32"), local_smoothing=0)
    tree = trace(model, x, progress=False)

    def of_shap(values):
        return (np.reshape(values, (len(x), -1)).sum(axis=1) - change) / change

    ways = {
        MEMORY: (lambda: ledger(tree)["lstm"], lambda one: one["remainder"] / one["c"]),
        ANSWER: (lambda: answer_ledger(model, x), lambda one: one["remainder"] / one["answer"]),
        GRADIENTS: (lambda: attribute(model, x), lambda one: one["remainder"] / change),
        **{
            f"shap.GradientExplainer, {samples} samples": (
                lambda samples=samples: explainer.shap_values(x, nsamples=samples),
                of_shap,
            )
            for samples in (200, 800, 3200)
        },
    }
    figures = {}
    for name, (way, missed) in ways.items():
        way()
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            values = way()
            seconds.append(time.perf_counter() - started)
        figures[name] = {"seconds": min(seconds), "missed": float(np.median(abs(missed(values))))}
        print(name, figures[name], flush=True)
    return figures


def draw(figures):
    """Correlation with the truth for each task, and the curves of deletion."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + len(figures["deletion"]))
    for place, (task, numbers) in enumerate(figures["truth"].items()):
        for row, method in enumerate(METHODS):
            values = numbers[method]
            axes[0].plot(
                values, [row + (place - 1) * 0.2] * len(values), "o", color=MODEL_COLOURS[place], markersize=4,
                label=task if row == 0 else None,
            )  # fmt: skip
    axes[0].set_yticks(range(len(METHODS)), [method.replace("_", " ") for method in METHODS])
    axes[0].invert_yaxis()
    axes[0].set(xlabel="correlation with the truth", title="truth known, five seeds")
    axes[0].legend(frameon=False, fontsize=8)
    for ax, (name, curves) in zip(axes[1:], figures["deletion"].items(), strict=True):
        for method, curve in curves.items():
            dashed = method in ("random", "gradient")
            ax.plot(np.linspace(0, 100, 11), curve, "--" if dashed else "-", label=method.replace("_", " "))
        ax.set(xlabel="% of steps deleted, most important first", title=name.replace("_", " "), ylabel="probability")
    axes[-1].legend(frameon=False, fontsize=7)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE.with_suffix(".png"), dpi=120)


def write(figures):
    """The tables."""
    lines = ["# Are the attributions true?", "", "`python benchmarks/attribution.py` wrote this.", ""]
    if "truth" in figures:
        lines += ["## Correlation with the truth: mean (lowest to highest) of 5 seeds", ""]
        lines += [f"| method | {' | '.join(figures['truth'])} |", f"|---|{'---|' * len(figures['truth'])}"]
        for method in METHODS:
            cells = [numbers[method] for numbers in figures["truth"].values()]
            shown = " | ".join(f"{np.mean(one):.3f} ({min(one):.3f} to {max(one):.3f})" for one in cells)
            lines.append(f"| {method} | {shown} |")
        errors = [f"{task} {max(numbers['error']):.1e}" for task, numbers in figures["truth"].items()]
        lines += ["", f"The largest mean squared error of the models: {', '.join(errors)}.", ""]
    if "deletion" in figures:
        lines += ["## Deletion: mean probability over the shares of steps deleted; lower is truer", ""]
        lines += [f"| method | {' | '.join(figures['deletion'])} |", f"|---|{'---|' * len(figures['deletion'])}"]
        for method in next(iter(figures["deletion"].values())):
            cells = [f"{np.mean(curves[method]):.3f}" for curves in figures["deletion"].values()]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines += ["", FOUND, "", "![Correlation with the truth, and what is left of the answer](attribution.png)", ""]
    if "cost" in figures:
        of_answer, of_inputs = (figures["cost"][name]["seconds"] for name in (ANSWER, GRADIENTS))
        lines += ["## Cost: 32 sequences of 60 steps and 8 features, 32 units", ""]
        lines += [
            "| method | seconds | misses of its sum | time / ledger of the answer | time / integrated gradients |",
            "|---|---|---|---|---|",
        ]
        for name, numbers in figures["cost"].items():
            seconds = numbers["seconds"]
            ratios = f"{seconds / of_answer:.3g} | {seconds / of_inputs:.3g}"
            lines.append(f"| {name} | {seconds:.4f} | {numbers['missed']:.1e} | {ratios} |")
        lines.append("")
    HERE.with_suffix(".md").write_text("\n".join(lines))


def main():
    """Measure what is asked for, keep the rest of the figures as they are."""
    kept = HERE.with_suffix(".json")
    figures = json.loads(kept.read_text()) if kept.exists() else {}
    if "--cost" in sys.argv:
        figures["cost"] = cost()
    else:
        if "--deletion" not in sys.argv:
            figures["truth"] = truth()
            kept.write_text(json.dumps(figures, indent=1) + "\n")
        figures["deletion"] = deletion()
        draw(figures)
    kept.write_text(json.dumps(figures, indent=1) + "\n")
    write(figures)


if __name__ == "__main__":
    main()
