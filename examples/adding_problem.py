"""Study 1, vanishing and exploding: a plain RNN and an LSTM on the adding problem.

    python examples/adding_problem.py            T = 100, then 500; an hour or more; resumes
    python examples/adding_problem.py --quick    T = 20, a few steps

Each step of a sequence is a value in [-1, 1] and a marker. Two values are marked by 1, one among the first ten steps,
one in the rest of the first half; the first and the last step carry -1, all others 0. The target is
0.5 + (X1 + X2) / 4. A sequence is correct if |error| < 0.04. Solved: mean |training error| below 0.01 and the last 2000
training sequences all correct; then 2560 new sequences are tested, and at most 3 may be wrong.

Source: Hochreiter & Schmidhuber 1997, Long short-term memory, experiment 4. Here the length is T, not T to T + T/10;
batches of 50 and Adam stand for single sequences and a rate of 0.5; 64 units and Keras's cell with its forget gate for
two blocks of two cells without.
"""

import keras
import numpy as np
from matplotlib.figure import Figure
from studies import (
    COLOURS,
    arguments,
    draw_lag_profiles,
    draw_measured,
    lag_profile,
    plain_axes,
    recurrent,
    save,
    train,
)

BATCH = 50
KINDS = ("LSTM", "SimpleRNN", "LSTM, forget bias 1")


def sequences(seed, count, length):
    """x (count, length, 2) and y (count, 1), float32."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (count, length))
    markers = np.zeros((count, length))
    markers[:, 0] = markers[:, -1] = -1
    rows = np.arange(count)
    first = rng.integers(0, 10, count)
    second = rng.integers(0, length // 2 - 2, count)
    second += second >= first
    # X1 of a marked first step counts as 0, as in the paper.
    values_of = np.where((rows[:, None] >= 0) & (np.arange(length) == 0), 0.0, values)
    total = values_of[rows, first] + values_of[rows, second]
    markers[rows, first], markers[rows, second] = 1, 1
    x = np.stack([values, markers], axis=-1).astype("float32")
    return x, (0.5 + total / 4)[:, None].astype("float32")


def build(kind, length, units):
    """One recurrent layer and a linear read-out of its last hidden state."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((length, 2))
    layer, compiled = recurrent(kind, length, units)
    return keras.Model(inputs, keras.layers.Dense(1)(layer(inputs))), compiled


def study(kind, length, folder, *, units, **training):
    """Train one kind of layer at one length; its history with the lag profile at each measurement."""
    probe = sequences([7, length], 8, length)[0]

    def measure(model, step, recent):
        found = {"lag_profile": lag_profile(model, probe)}
        if recent:
            errors = np.concatenate([np.abs(y - predictions)[:, 0] for y, predictions in recent])[-2000:]
            found |= {"error": float(errors.mean()), "wrong_of_1000": float(1000 * np.mean(errors >= 0.04))}
            found["done"] = bool(len(errors) >= 2000 and errors.mean() < 0.01 and errors.max() < 0.04)
        return found

    model, compiled = build(kind, length, units)
    state = train(
        f"{kind}-{length}",
        model,
        lambda step: sequences([1, length, step], BATCH, length),
        lambda y, predictions: keras.ops.mean((y - predictions) ** 2),
        measure=measure,
        folder=folder,
        compiled=compiled,
        **training,
    )
    x, y = sequences([2, length], 2560, length)
    errors = np.abs(model.predict(x, batch_size=256, verbose=0) - y)[:, 0]
    return {
        "kind": kind,
        "length": length,
        "solved": state["done"],
        "sequences_seen": state["step"] * BATCH,
        "seconds": state["seconds"],
        "test_wrong_of_2560": int(np.sum(errors >= 0.04)),
        "test_error": round(float(errors.mean()), 5),
        "guess_error": round(float(np.abs(y - 0.5).mean()), 5),
        "history": state["history"],
    }


def draw(results):
    """Learning curves, then for each model and length the lag profile before, during and after training."""
    lengths = sorted({one["length"] for one in results})
    figure = Figure(figsize=(13, 3.2 * len(lengths)), layout="constrained")
    rows = figure.subplots(len(lengths), 4, squeeze=False)
    for row, length in zip(rows, lengths, strict=True):
        here = [one for one in results if one["length"] == length]
        for one, colour in zip(here, COLOURS, strict=False):
            draw_measured(row[0], one["history"], "error", BATCH, color=colour, label=one["kind"])
        row[0].axhline(here[0]["guess_error"], color="0.5", linestyle=":", label="always 0.5")
        row[0].axhline(0.01, color="0.5", linestyle="--", label="solved below")
        row[0].set_yscale("log")
        row[0].legend(frameon=False, fontsize=8)
        plain_axes(row[0], f"Adding problem, T = {length}", "training sequences", "mean |error|")
        for axes in row[1 + len(here) :]:
            axes.set_visible(False)
        for axes, one, colour in zip(row[1:], here, COLOURS, strict=False):
            label = "{when}: {seen:,} sequences"
            draw_lag_profiles(axes, one["history"], BATCH, label, ("before", "during", "after"), color=colour)
            axes.axhline(1e-3, color="0.5", linewidth=0.8)
            axes.legend(frameon=False, fontsize=8)
            state = "dh" if one["kind"] == "SimpleRNN" else "dc"
            plain_axes(
                axes,
                f"{one['kind']}: gradient",
                "lag in steps, back from the last",
                f"gain of ${state}_T/{state}_{{T-lag}}$",
            )
    return figure


def main():
    """Run the study."""
    given = arguments("adding_problem", __doc__)
    if given.quick:
        plan = [(kind, 20, 40) for kind in KINDS]
        options = {"every": 20, "units": 8}
    else:
        plan = [*((kind, 100, 12000) for kind in KINDS), ("LSTM", 500, 12000), ("SimpleRNN", 500, 12000)]
        options = {"every": 200, "units": 64}
    results = []
    for kind, length, steps in plan:
        results.append(study(kind, length, given.out, steps=steps, minutes=given.minutes, **options))
        save(given.out, results, draw(results))


if __name__ == "__main__":
    main()
