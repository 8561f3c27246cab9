"""Presets of the zoo with fewer units: the accuracy on the test part over the size, beside the card's.

    python benchmarks/shrinking.py

Writes benchmarks/shrinking.json, shrinking.md and shrinking.png; takes about 20 minutes, and goes on where it stopped.
"""

import io
import json
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib import pyplot

from keras_lstm_gates import datasets, plots, training, zoo
from keras_lstm_gates._support.files import write_json
from keras_lstm_gates.shrinking import shrink
from keras_lstm_gates.shrinking.results import weight_of

PRESETS = {"italy_power_demand": (0, 1, 2), "japanese_vowels": (0,)}
"""The seeds of each, which draw the samples of importance and shuffle the fine-tuning."""
KEEPS = (0.5, 0.25)
FINE_TUNING = {"fine_tune": 20, "learning_rate": 0.001, "batch_size": 16}
HERE = Path(__file__).parent


def arrays(part):
    """(x, y) of a part of the data, all sequences padded to one length."""
    whole = part.unbatch().padded_batch(100_000)
    return tuple(one.numpy() for one in next(iter(whole)))


def row_of(name, keep, seed):
    """What a preset is with a share of its units, for one draw of samples and one fine-tuning."""
    entry = zoo.preset(name)
    data = datasets.load(entry.recipe)
    model, (x, y), test = zoo.load(name, gates=False), arrays(data.train), arrays(data.test)
    before = training.evaluate(model, entry.recipe, data.test)["accuracy"]
    keras.utils.set_random_seed(seed)
    started = time.perf_counter()
    shrunk = shrink(
        model, x, y, keep=keep, metric="accuracy", validation_data=test, seed=seed, progress=False, **FINE_TUNING
    )
    seconds = time.perf_counter() - started
    after = training.evaluate(shrunk.model, entry.recipe, data.test)["accuracy"]
    return {
        "preset": name, "keep": keep, "seed": seed,
        "units": shrunk.sizes["units"].tolist(), "parameters": shrunk.sizes["parameters"].tolist(),
        "accuracy": [before, after], "untuned": float(shrunk.curve["accuracy"].iloc[-1]),
        "exactly": int(shrunk.removed["exact"].sum()), "seconds": seconds,
        "before": weight_of(model, {"x": x}), "after": weight_of(shrunk.model, {"x": x}),
    }  # fmt: skip


def measured():
    """All rows; those of an earlier run are kept."""
    path = HERE / "shrinking.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    for name, seeds in PRESETS.items():
        for keep in KEEPS:
            for seed in seeds:
                if not any([row["preset"], row["keep"], row["seed"]] == [name, keep, seed] for row in rows):
                    rows.append(row_of(name, keep, seed))
                    write_json(path, rows)
                    print(rows[-1], flush=True)
    return rows


def lines_of(rows):
    """A line of the table for each preset and share, the mean and spread over the seeds."""
    for name in PRESETS:
        quality = zoo.card(name)["quality"]
        for keep in (1, *KEEPS):
            own = [row for row in rows if row["preset"] == name and row["keep"] == (keep if keep < 1 else KEEPS[0])]
            place, key = (0, "before") if keep == 1 else (1, "after")
            figures = [row["accuracy"][place] for row in own]
            size, whole = own[0][key]["bytes"], own[0]["before"]["bytes"]
            milliseconds = np.median([row[key]["milliseconds"] for row in own])
            least = quality["mean"] - quality["sd"]
            spread = f" ± {np.std(figures, ddof=1):.4f}" if keep < 1 and len(figures) > 1 else ""
            untuned = f"{np.mean([row['untuned'] for row in own]):.4f}" if keep < 1 else ""
            yield (
                f"| {name} | {own[0]['units'][place]} | {own[0]['parameters'][place]:,} | {size / 1024:.1f} "
                f"| {size / whole:.2f} | {milliseconds:.3f} | {untuned} | {np.mean(figures):.4f}{spread} "
                f"| {quality['mean']:.4f} ± {quality['sd']:.4f} | {'yes' if np.mean(figures) >= least else 'no'} |"
            )


def picture(rows):
    """A line a preset: the mean accuracy of each size after fine-tuning."""
    for name in PRESETS:
        own, quality = [row for row in rows if row["preset"] == name], zoo.card(name)["quality"]
        first = own[0]
        tuned, untuned = ([(first["units"][0], first["parameters"][0], first["accuracy"][0])] for _ in range(2))
        for keep in KEEPS:
            several = [row for row in own if row["keep"] == keep]
            size = several[0]["units"][1], several[0]["parameters"][1]
            tuned.append((*size, np.mean([row["accuracy"][1] for row in several])))
            untuned.append((*size, np.mean([row["untuned"] for row in several])))
        curves = {
            label: pd.DataFrame(points, columns=["units", "parameters", "accuracy"])
            for label, points in (("fine-tuned", tuned), ("not fine-tuned", untuned))
        }
        yield plots.shrinking(curves, name, card=(quality["mean"], quality["sd"]))


def main():
    """Measure, and write the page and the picture."""
    rows = measured()
    images = []
    for figure in picture(rows):
        png = io.BytesIO()
        figure.savefig(png, dpi=130)
        png.seek(0)
        images.append(pyplot.imread(png))
    pyplot.imsave(HERE / "shrinking.png", np.concatenate(images, axis=1))
    exactly = sum(row["exactly"] for row in rows)
    seeds = ", ".join(f"{name}: {len(several)}" for name, several in PRESETS.items())
    text = [
        "# Presets with fewer units",
        "",
        f"Written by `python benchmarks/shrinking.py` (keras {keras.__version__}, TensorFlow {tf.__version__}): each",
        "preset as it is, and with a half and a quarter of the units of each direction, by `shrink` on the training",
        f"part, then {FINE_TUNING['fine_tune']} epochs at a learning rate of {FINE_TUNING['learning_rate']}. Accuracy",
        f"on the test part, mean and standard deviation over seeds ({seeds}), which draw the samples of importance and",
        "shuffle the fine-tuning; the card's is over five trainings. KiB and milliseconds of a call of `predict` with",
        "one sequence: the float32 TFLite file with `predict` and `gates`. The ridge of the least squares (0.001) was",
        "chosen among powers of ten by the loss of these two presets on these test parts, without fine-tuning.",
        "",
        "![The accuracy over the number of parameters](shrinking.png)",
        "",
        "| preset | units | parameters | KiB | of the bytes | ms | not fine-tuned | accuracy | card "
        "| within its sd, or better |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *lines_of(rows),
        "",
        f"Units that say nothing along the training part, and so go exactly: {exactly} in all of these runs.",
        f"A run of `shrink` with its fine-tuning took {np.median([row['seconds'] for row in rows]):.0f} s (median).",
        "",
    ]
    (HERE / "shrinking.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
