"""Study 4, what the zero mean of the input modulation gate buys: g with tanh against g with a sigmoid.

    python examples/zero_mean_g.py            adding problem, T = 50, four seeds of each; minutes; resumes
    python examples/zero_mean_g.py --quick    T = 20, two seeds, a few steps

Everything else is the same: the equations, the initial weights and their seeds, the batches, the optimizer. With tanh,
g is around 0 at the start and writes as much up as down; with a sigmoid it is around 1/2, every step writes upwards,
and c drifts until tanh(c) is flat. The drift, the mean of |c_T| at the last step, is measured too. A sigmoid
differs from tanh in its slope as well, 1/4 at z = 0, so there are two controls: "sigmoid - 1/2", the sigmoid in all but
its mean, and "sigmoid(4z)", with the mean of the sigmoid and the slope of tanh.
"""

import adding_problem
import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure
from studies import COLOURS, arguments, plain_axes, save, train

BATCH = 50
MODULATIONS = {
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "sigmoid - 1/2": lambda z: ops.sigmoid(z) - 0.5,
    "sigmoid(4z)": lambda z: ops.sigmoid(4 * z),
}


class ModulatedLSTMCell(keras.layers.LSTMCell):
    """An LSTM cell whose g has an activation of its own; c is always shown through tanh."""

    def __init__(self, units, modulation, **kwargs):
        super().__init__(units, **kwargs)
        self.modulation = MODULATIONS[modulation]

    def call(self, inputs, states, training=False):
        h, c = states
        z = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
        c = ops.sigmoid(z_i) * self.modulation(z_g) + ops.sigmoid(z_f) * c
        h = ops.sigmoid(z_o) * ops.tanh(c)
        return h, [h, c]


def build(modulation, seed, length, units):
    """One recurrent layer and a linear read-out of its last hidden state; and its last cell state besides."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((length, 2))
    h, _, c = keras.layers.RNN(ModulatedLSTMCell(units, modulation), return_state=True)(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(h)), keras.Model(inputs, c)


def study(modulation, seed, length, folder, *, units, **training):
    """Train one seed of one modulation."""
    model, last_c = build(modulation, seed, length, units)
    probe = adding_problem.sequences([7, length], 256, length)[0]

    def measure(model, step, recent):
        found = {"mean_abs_c": float(np.abs(last_c.predict(probe, verbose=0)).mean())}
        if recent:
            errors = np.concatenate([(y - predictions)[:, 0] for y, predictions in recent])
            found |= {"squared_error": float(np.mean(errors**2))}
        return found

    state = train(
        f"{modulation}-{seed}",
        model,
        lambda step: adding_problem.sequences([1, length, step], BATCH, length),
        lambda y, predictions: ops.mean((y - predictions) ** 2),
        measure=measure,
        folder=folder,
        compiled=True,
        **training,
    )
    return {"modulation": modulation, "seed": seed, "length": length, **state}


def draw(results):
    """Learning curves, median and range over the seeds, and the drift of the cell state."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for modulation, colour, style in zip(MODULATIONS, COLOURS, ("-", "--", "-.", ":"), strict=True):
        runs = [one["history"] for one in results if one["modulation"] == modulation]
        shortest = min(len(run) for run in runs)
        for axes, key in ((left, "squared_error"), (right, "mean_abs_c")):
            points = [[point for point in run[:shortest] if key in point] for run in runs]
            seen = [point["step"] * BATCH for point in points[0]]
            values = np.array([[point[key] for point in run] for run in points])
            axes.plot(seen, np.median(values, axis=0), style, color=colour, label=f"g = {modulation}")
            axes.fill_between(seen, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    _, targets = adding_problem.sequences(0, 10000, results[0]["length"])
    left.axhline(np.mean((targets - 0.5) ** 2), color="0.5", linestyle=":", label="always 0.5")
    left.set_yscale("log")
    right.set_yscale("log")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
    seeds = len({one["seed"] for one in results})
    title = f"Adding problem, T = {results[0]['length']}, median and range of {seeds} seeds"
    plain_axes(left, title, "training sequences", "mean squared error")
    plain_axes(right, "Drift of the cell state", "training sequences", "mean |$c_T$|")
    return figure


def main():
    """Run the study."""
    given = arguments("zero_mean_g", __doc__)
    length, steps, every, units, seeds = (20, 20, 10, 8, 2) if given.quick else (50, 1500, 50, 32, 4)
    results = []
    for seed in range(seeds):
        for modulation in MODULATIONS:
            options = {"steps": steps, "every": every, "units": units, "minutes": given.minutes}
            results.append(study(modulation, seed, length, given.out, **options))
    save(given.out, results, draw(results))


if __name__ == "__main__":
    main()
