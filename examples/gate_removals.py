"""Study 7, which gate matters? An LSTM without its input, its forget or its output gate, trained like the whole one.

    python examples/gate_removals.py            two data sets, four forms, five seeds of each; minutes; resumes
    python examples/gate_removals.py --quick    one data set, two seeds, a few epochs

A gate is removed by setting it to 1 at every step, in training too: `GatedLSTM(interventions={"f": Set(1.0)})`. The
data and the training are those of the built-in recipes japanese_vowels (270 utterances of 7 to 26 steps, 12 channels,
nine speakers) and italy_power_demand (67 days of 24 hours, two halves of the year), but one LSTM reads in one direction
and its last h is classified. The figure is the accuracy on the test part.

Source: Greff, Srivastava, Koutník, Steunebrink & Schmidhuber 2017, LSTM: a search space odyssey, variants NIG, NFG and
NOG. They searched hyperparameters for each variant; here all have the recipe's.
"""

import json
import time

import keras
import numpy as np
from matplotlib.figure import Figure
from studies import COLOURS, arguments, plain_axes, save

from keras_lstm_gates import datasets
from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.layers import GatedLSTM
from keras_lstm_gates.recipes import RECIPES
from keras_lstm_gates.steering import Set

FORMS = {"whole": None, "no input gate": "i", "no forget gate": "f", "no output gate": "o"}


def arrays(part, steps):
    """(x, y) of all batches of a part; zeros, which are masked, pad to a number of steps."""
    batches = [(np.asarray(x), np.asarray(y)) for x, y in part]
    x = [np.pad(one, ((0, 0), (0, steps - one.shape[1]), (0, 0))) for one, _ in batches]
    return np.concatenate(x), np.concatenate([y for _, y in batches])


def build(recipe, data, steps, removed, seed):
    """Masking, normalization, noise, one LSTM without a gate, softmax."""
    keras.utils.set_random_seed(seed)
    given = data.arguments
    inputs = keras.Input((steps, given["features"]))
    x = keras.layers.Normalization(mean=given["mean"], variance=given["variance"])(keras.layers.Masking()(inputs))
    x = keras.layers.GaussianNoise(recipe.noise)(x)
    x = GatedLSTM(recipe.units, interventions=None if removed is None else {removed: Set(1.0)}, name="lstm")(x)
    outputs = keras.layers.Dense(given["classes"], "softmax")(keras.layers.Dropout(recipe.dropout)(x))
    model = keras.Model(inputs, outputs)
    rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * len(data.train))
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def study(name, form, seed, epochs=None):
    """Train one form from one seed; plain data."""
    recipe = RECIPES[name].replaced({} if epochs is None else {"epochs": epochs})
    data, started = datasets.load(recipe), time.perf_counter()
    steps = max(batch[0].shape[1] for part in (data.train, data.test) for batch in part)
    (x, y), (new_x, new_y) = (arrays(part, steps) for part in (data.train, data.test))
    model = build(recipe, data, steps, FORMS[form], seed)
    losses = model.fit(x, y, recipe.batch_size, recipe.epochs, verbose=0).history["loss"]
    accuracy = float(np.mean(model.predict(new_x, verbose=0).argmax(axis=1) == new_y))
    seconds = round(time.perf_counter() - started, 1)
    print(f"{name}, {form}, seed {seed}: test accuracy {accuracy:.3f}, {seconds} s", flush=True)
    return {
        "data": name, "form": form, "seed": seed, "test_accuracy": round(accuracy, 4), "seconds": seconds,
        "training_loss": [round(loss, 4) for loss in losses],
    }  # fmt: skip


def draw(results):
    """Test accuracy of each form, a point a seed; and the training loss, mean over the seeds."""
    names = list(dict.fromkeys(one["data"] for one in results))
    figure = Figure(figsize=(11, 3.4 * len(names)), layout="constrained")
    for name, (left, right) in zip(names, figure.subplots(len(names), 2, squeeze=False), strict=True):
        for place, (form, colour) in enumerate(zip(FORMS, COLOURS, strict=True)):
            own = [one for one in results if (one["data"], one["form"]) == (name, form)]
            accuracies = [one["test_accuracy"] for one in own]
            left.plot(place + np.linspace(-0.12, 0.12, len(own)), accuracies, "o", color=colour, alpha=0.7)
            left.hlines(np.mean(accuracies), place - 0.25, place + 0.25, color=colour, linewidth=2)
            losses = np.array([one["training_loss"] for one in own])
            right.plot(1 + np.arange(losses.shape[1]), losses.mean(axis=0), color=colour, label=form)
        left.set_xticks(range(len(FORMS)), list(FORMS))
        right.set_yscale("log")
        right.legend(frameon=False, fontsize=8)
        plain_axes(left, f"{name}: a point a seed, a line their mean", "", "test accuracy")
        plain_axes(right, "with noise, mean of the seeds", "epoch", "training loss")
    return figure


def summary(values, style):
    """Mean and standard deviation, as far as there are so many values."""
    if len(values) < 2:
        return f"{values[0]:{style}}" if values else ""
    return f"{np.mean(values):{style}} ± {np.std(values, ddof=1):.3f}"


def table(results):
    """Mean and standard deviation of the test accuracy, and the difference to the whole LSTM of the same seed."""
    lines = ["| data | form | test accuracy | less than the whole one, seed by seed |", "|---|---|---|---|"]
    for name in dict.fromkeys(one["data"] for one in results):
        of_form = {
            form: {one["seed"]: one["test_accuracy"] for one in results if (one["data"], one["form"]) == (name, form)}
            for form in FORMS
        }
        for form, values in of_form.items():
            seeds = values.keys() & of_form["whole"].keys() if form != "whole" else ()
            less = summary([of_form["whole"][seed] - values[seed] for seed in seeds], "+.3f")
            lines.append(f"| {name} | {form} | {summary([*values.values()], '.3f')} | {less} |")
    return "\n".join(lines)


def main():
    """Run the study."""
    given = arguments("gate_removals", __doc__, "train no further model after this long; 0: only draw")
    names, seeds, epochs = (
        (["italy_power_demand"], 2, 2) if given.quick else (["japanese_vowels", "italy_power_demand"], 5, None)
    )
    started, results = time.perf_counter(), []
    for seed in range(seeds):
        for name in names:
            for form in FORMS:
                path = given.out / f"{name}-{form.replace(' ', '-')}-{seed}.json"
                left = given.minutes is None or time.perf_counter() - started < 60 * given.minutes
                if not path.exists() and left:
                    with replaced_when_whole(path) as temporary:
                        temporary.write_text(json.dumps(study(name, form, seed, epochs)))
                if path.exists():
                    results.append(json.loads(path.read_text()))
    print(table(results))
    save(given.out, results, draw(results))


if __name__ == "__main__":
    main()
