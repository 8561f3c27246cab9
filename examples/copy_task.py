"""Study 3, the copy task: ten symbols to be repeated after T blanks, with three ways to start the forget gate.

    python examples/copy_task.py            T = 50, forget bias 0, 1 and ChronoBias; half an hour or more; resumes
    python examples/copy_task.py --quick    T = 10, a few steps

Input: 10 symbols out of 8, T - 1 blanks, a mark that asks for them, 10 blanks: T + 20 steps. Target: blanks for
T + 10 steps, then the 10 symbols. Without a memory the best cross-entropy is 10 ln 8 / (T + 20): blanks are certain,
symbols are guesses.

Source: Hochreiter & Schmidhuber 1997 for its kind; this form: Arjovsky, Shah & Bengio 2016, Unitary evolution
recurrent neural networks; the comparison: Tallec & Ollivier 2018, Can recurrent neural networks warp time?, with
T = 500 and 2000, 128 units and RMSProp; here 64 units and Adam.
"""

import keras
import numpy as np
from matplotlib.figure import Figure
from studies import COLOURS, arguments, draw_lag_profiles, draw_measured, lag_profile, plain_axes, save, train

from keras_lstm_gates.initializers import ChronoBias

BATCH = 32


def sequences(seed, count, length):
    """x one-hot (count, length + 20, 10) and y (count, length + 20), 0 to 7 symbols, 8 the blank, 9 the mark."""
    symbols = np.random.default_rng(seed).integers(0, 8, (count, 10))
    x = np.full((count, length + 20), 8)
    x[:, :10] = symbols
    x[:, length + 9] = 9
    y = np.full((count, length + 20), 8)
    y[:, -10:] = symbols
    return np.eye(10, dtype="float32")[x], y.astype("int32")


def build(start, length, units):
    """One LSTM that speaks at every step; start is "bias 0", "bias 1" or "chrono"."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((length + 20, 10))
    bias = ChronoBias(1.5 * length, seed=1) if start == "chrono" else "zeros"
    layer = keras.layers.LSTM(
        units, return_sequences=True, bias_initializer=bias, unit_forget_bias=start == "bias 1", name="memory"
    )
    return keras.Model(inputs, keras.layers.Dense(10)(layer(inputs)), name=start.replace(" ", "_"))


def cross_entropy(y, logits):
    """The mean over all steps, in nats."""
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True))


def study(start, length, folder, *, units, **training):
    """Train one start; its history with the lag profile at each measurement."""
    probe = sequences([7, length], 4, length)[0]

    def measure(model, step, recent):
        found = {"lag_profile": lag_profile(model, probe)}
        if recent:
            found["loss"] = float(np.mean([cross_entropy(y, logits) for y, logits in recent]))
            right = [logits[:, -10:].argmax(-1) == y[:, -10:] for y, logits in recent]
            found["symbols_right"] = float(np.mean(right))
        return found

    model = build(start, length, units)
    state = train(
        start.replace(" ", "_"),
        model,
        lambda step: sequences([1, length, step], BATCH, length),
        cross_entropy,
        measure=measure,
        folder=folder,
        **training,
    )
    x, y = sequences([2, length], 512, length)
    logits = model.predict(x, batch_size=128, verbose=0)
    return {
        "start": start,
        "length": length,
        "memoryless_loss": 10 * np.log(8) / (length + 20),
        "test_loss": float(cross_entropy(y, logits)),
        "test_symbols_right": float(np.mean(logits[:, -10:].argmax(-1) == y[:, -10:])),
        "sequences_seen": state["step"] * BATCH,
        "seconds": state["seconds"],
        "history": state["history"],
    }


def draw(results):
    """The loss against the memoryless one, and the gradient over the lag before and after training."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    length = results[0]["length"]
    for one, colour in zip(results, COLOURS, strict=False):
        draw_measured(left, one["history"], "loss", BATCH, color=colour, label=one["start"])
        draw_lag_profiles(right, one["history"], BATCH, one["start"] + ", {when}", color=colour)
    left.axhline(results[0]["memoryless_loss"], color="0.4", linestyle=":", label="memoryless, 10 ln 8 / (T + 20)")
    left.set_ylim(0, 0.5)
    right.axvline(length + 10, color="0.5", linewidth=0.8)
    right.annotate(
        "what must be kept", (length + 10, 1e2), ha="right", fontsize=8, xytext=(-4, 0), textcoords="offset points"
    )
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8, loc="lower left")
    plain_axes(left, f"Copy task, T = {length}", "training sequences", "cross-entropy in nats a step")
    plain_axes(right, "Gradient over the lag", "lag in steps, back from the last", "gain of $dc_T/dc_{T-lag}$")
    return figure


def main():
    """Run the study."""
    given = arguments("copy_task", __doc__)
    length, steps, every, units = (10, 20, 10, 8) if given.quick else (50, 20000, 100, 64)
    results = []
    for start in ("bias 0", "bias 1", "chrono"):
        options = {"steps": steps, "every": every, "units": units, "minutes": given.minutes}
        results.append(study(start, length, given.out, **options))
    save(given.out, results, draw(results))


if __name__ == "__main__":
    main()
