"""What the studies share: a training that resumes where it was stopped, and the look of their figures."""

import argparse
import json
import re
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.ticker import EngFormatter

from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates.gradients import lag_gains
from keras_lstm_gates.initializers import ChronoBias

COLOURS = ("#0b3c8c", "#d1495b", "#2a9d6f", "#8a6fb0")


def recurrent(kind, length, units):
    """A layer "memory" that returns its last h, and whether XLA should compile its training.

    "LSTM"                 starts to forget after 1 to `length` steps; the LSTM of 1997 had no forget gate, so f = 1
    "LSTM, forget bias 1"  Keras's default: f = 0.73 at the start
    "SimpleRNN"            Keras's default: an orthogonal recurrent kernel
    """
    if kind == "SimpleRNN":
        return keras.layers.SimpleRNN(units, name="memory"), True
    start = {"bias_initializer": ChronoBias(length, seed=1), "unit_forget_bias": False} if kind == "LSTM" else {}
    return keras.layers.LSTM(units, name="memory", **start), False


def arguments(name, description, minutes="stop each training after this long; 0: only draw"):
    """The command line of a study: --quick, --out and --minutes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small form of a few seconds, to see that all runs")
    parser.add_argument("--out", type=Path, help=f"folder for results; resumes what it holds (runs/{name})")
    parser.add_argument("--minutes", type=float, help=minutes)
    given = parser.parse_args()
    given.out = given.out or Path("runs") / (f"{name}-quick" if given.quick else name)
    given.out.mkdir(parents=True, exist_ok=True)
    return given


def train(name, model, batch, loss, *, steps, every, measure, folder, rate=2e-3, minutes=None, compiled=False):
    """Train on fresh batches, measuring every few steps; resumes from the folder, to the same numbers.

    Args:
        name: str, of the files in the folder.
        model: `keras.Model`.
        batch: function of the step's number to (x, y); the number alone decides the batch.
        loss: function (y, predictions) to a scalar tensor.
        steps, every: int, how many steps, and how many between two measurements.
        measure: function (model, step, recent) to a dict of plain data; recent holds the last batches' (y,
            predictions before the update). `{"done": True}` ends the training.
        folder: `Path`, for <name>.npz (weights and optimizer) and <name>.json (the measurements).
        rate: float > 0, of Adam; gradients are clipped to a global norm of 1.
        minutes: float, or None for no limit of time in this call; 0 trains nothing more.
        compiled: bool, whether XLA compiles the step.

    Returns:
        dict: "history", the measurements, "seconds" and "step".
    """
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    state = {"history": [], "seconds": 0.0, "step": 0, "done": False}
    stem = re.sub("[^A-Za-z0-9_]+", "-", name).strip("-")
    weights_file, state_file = folder / f"{stem}.npz", folder / f"{stem}.json"
    if state_file.exists():
        state = json.loads(state_file.read_text())
        with np.load(weights_file) as saved:
            for place, variable in enumerate(variables):
                variable.assign(saved[f"v{place}"])

    @tf.function(jit_compile=compiled)
    def update(x, y):
        with tf.GradientTape() as tape:
            predictions = model(x, training=True)
            value = loss(y, predictions)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value, predictions

    def note(recent):
        state["history"].append({"step": state["step"], **measure(model, state["step"], recent)})
        state["done"] = state["history"][-1].pop("done", False)

    if not state["history"]:
        note([])
    began, before, recent = time.perf_counter(), state["seconds"], []
    while state["step"] < steps and not state["done"] and minutes != 0:
        x, y = batch(state["step"])
        _, predictions = update(tf.constant(x), tf.constant(y))
        recent.append((y, predictions))
        state["step"] += 1
        if state["step"] % every == 0:
            recent = [(y, np.asarray(predictions)) for y, predictions in recent]
            note(recent)
            recent = []
            state["seconds"] = round(before + time.perf_counter() - began, 1)
            with replaced_when_whole(weights_file) as temporary, temporary.open("wb") as file:
                np.savez(file, **{f"v{place}": np.asarray(variable) for place, variable in enumerate(variables)})
            with replaced_when_whole(state_file) as temporary:
                temporary.write_text(json.dumps(state))
            shown = {key: round(value, 5) for key, value in state["history"][-1].items() if isinstance(value, float)}
            print(f"{name}: step {state['step']}, {state['seconds']:.0f} s, {shown}", flush=True)
            if minutes is not None and time.perf_counter() - began > 60 * minutes:
                break
    return {**state, "history": _thinned(state["history"])}


def _thinned(history):
    """The lag profile of the first, the middle and the last measurement only."""
    kept = {0, len(history) // 2, len(history) - 1}
    return [
        point if place in kept else {key: value for key, value in point.items() if key != "lag_profile"}
        for place, point in enumerate(history)
    ]


def lag_profile(model, x):
    """The gain of the gradient of the layer "memory" over each lag, as plain data."""
    return [float(f"{value:.4g}") for value in lag_gains(model, x, probes=64)["memory"]]


def save(folder, results, figure):
    """Write results.json and figure.png."""
    with replaced_when_whole(folder / "results.json") as temporary:
        temporary.write_text(json.dumps(results) + "\n")
    with replaced_when_whole(folder / "figure.png") as temporary:
        figure.savefig(temporary, dpi=130)
    print(f"wrote {folder}/results.json and {folder}/figure.png")


def draw_measured(axes, history, key, batch, **look):
    """One measurement over the training sequences seen."""
    measured = [point for point in history if key in point]
    axes.plot([point["step"] * batch for point in measured], [point[key] for point in measured], **look)


def draw_lag_profiles(axes, history, batch, label, moments=("before", "after"), **look):
    """The gain of the gradient over the lag: dotted before training, dashed during it, a line after it."""
    for when, place, style in (("before", 0, ":"), ("during", len(history) // 2, "--"), ("after", -1, "-")):
        if when in moments:
            profile = np.maximum(np.array(history[place]["lag_profile"], float), 1e-12)
            axes.plot(profile, style, label=label.format(when=when, seen=history[place]["step"] * batch), **look)
    axes.set_yscale("log")
    axes.set_ylim(1e-9, 1e3)


def plain_axes(axes, title, xlabel, ylabel):
    """Title to the left, labels, and no frame where there is no axis."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if xlabel == "training sequences":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
