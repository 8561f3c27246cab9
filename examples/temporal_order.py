"""Study 2, temporal order: in which order did two rare symbols come, far apart and long ago?

    python examples/temporal_order.py            T = 100; minutes; resumes
    python examples/temporal_order.py --quick    T = 20, a few steps

A sequence starts with E, ends with B and is otherwise random over a, b, c, d, but for two places that hold X or Y: one
in the second tenth of the sequence, one just past its middle. The four orders XX, XY, YX, YY are the
classes. Correct if all four outputs err by less than 0.3. Solved: mean |training error| below 0.1 and the last 2000
training sequences all correct; then 2560 new ones are tested.

Source: Hochreiter & Schmidhuber 1997, Long short-term memory, experiment 6a. Here the length is T, not 100 to 110;
softmax and cross-entropy stand for sigmoid outputs and squared error; batches of 50 and Adam for single sequences and
a rate of 0.5; 32 units for two blocks of two cells. "LSTM" starts with `ChronoBias(T)`, close to the f = 1 of 1997.
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
SYMBOLS = "EBabcdXY"


def sequences(seed, count, length):
    """x one-hot (count, length, 8) and y one-hot (count, 4), float32."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(2, 6, (count, length))
    symbols[:, 0], symbols[:, -1] = 0, 1
    rows = np.arange(count)
    early = rng.integers(length // 10, length // 5 + 1, count)
    late = rng.integers(length // 2, length * 6 // 10 + 1, count)
    first, second = rng.integers(0, 2, (2, count))
    symbols[rows, early], symbols[rows, late] = 6 + first, 6 + second
    return np.eye(8, dtype="float32")[symbols], np.eye(4, dtype="float32")[2 * first + second]


def build(kind, length, units):
    """One recurrent layer and a softmax over its last hidden state."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((length, len(SYMBOLS)))
    layer, compiled = recurrent(kind, length, units)
    return keras.Model(inputs, keras.layers.Dense(4, "softmax")(layer(inputs))), compiled


def study(kind, length, folder, *, units, **training):
    """Train one kind of layer; its history with the lag profile at each measurement."""
    probe = sequences([7, length], 8, length)[0]

    def measure(model, step, recent):
        found = {"lag_profile": lag_profile(model, probe)}
        if recent:
            errors = np.concatenate([np.abs(y - predictions) for y, predictions in recent])[-2000:]
            wrong = errors.max(axis=1) >= 0.3
            found |= {"error": float(errors.mean()), "correct": float(1 - wrong.mean())}
            found["done"] = bool(len(errors) >= 2000 and errors.mean() < 0.1 and not wrong.any())
        return found

    model, compiled = build(kind, length, units)
    state = train(
        f"{kind}-{length}",
        model,
        lambda step: sequences([1, length, step], BATCH, length),
        lambda y, predictions: keras.ops.mean(keras.losses.categorical_crossentropy(y, predictions)),
        measure=measure,
        folder=folder,
        compiled=compiled,
        **training,
    )
    x, y = sequences([2, length], 2560, length)
    errors = np.abs(model.predict(x, batch_size=256, verbose=0) - y).max(axis=1)
    return {
        "kind": kind,
        "length": length,
        "solved": state["done"],
        "sequences_seen": state["step"] * BATCH,
        "seconds": state["seconds"],
        "test_wrong_of_2560": int(np.sum(errors >= 0.3)),
        "history": state["history"],
    }


def draw(results):
    """The share of correct sequences while training, and the gradient over the lag before and after."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for one, colour in zip(results, COLOURS, strict=False):
        draw_measured(left, one["history"], "correct", BATCH, color=colour, label=one["kind"])
        draw_lag_profiles(right, one["history"], BATCH, one["kind"] + ", {when}", color=colour)
    length = results[0]["length"]
    right.axhline(1e-3, color="0.5", linewidth=0.8)
    right.axvspan(length * 0.4, length * 0.5, color="0.9", label="lag of the later symbol")
    right.axvspan(length * 0.8, length * 0.9, color="0.8", label="lag of the earlier symbol")
    left.set_ylim(-0.02, 1.02)
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8)
    plain_axes(left, f"Temporal order, T = {length}", "training sequences", "share correct of the last 2000")
    plain_axes(right, "Gradient over the lag", "lag in steps, back from the last", "gain, relative to lag 0")
    return figure


def main():
    """Run the study."""
    given = arguments("temporal_order", __doc__)
    length, steps, every, units = (20, 40, 20, 8) if given.quick else (100, 12000, 100, 32)
    results = []
    for kind in ("LSTM", "SimpleRNN"):
        options = {"steps": steps, "every": every, "units": units, "minutes": given.minutes}
        results.append(study(kind, length, given.out, **options))
    save(given.out, results, draw(results))


if __name__ == "__main__":
    main()
