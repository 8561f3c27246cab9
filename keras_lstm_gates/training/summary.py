"""The first look at a finished run: how it learned, and what its gates do."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_lstm_gates import plots, tracing
from keras_lstm_gates._support.files import replaced_when_whole, write_json
from keras_lstm_gates.tracing import gate_statistics

TRACED = 64
"""The most sequences that the gate statistics cover."""


def write(folder, model, history, part):
    """Write gate_statistics.json, gate_saturation.png and learning_curves.png into a run folder.

    Args:
        folder: `Path`.
        model: trained `keras.Model`.
        history: {name: list}, a value per epoch.
        part: `tf.data.Dataset` of batches; up to 64 sequences of the first batch are traced.

    gate_statistics.json holds for each LSTM the numbers of `gate_statistics.of_layer`: steps, effective_memory, and by
    unit half_life and each gate's mean, spread, left_saturated and right_saturated. An infinite number is null.
    """
    sequences = next(iter(part))[0][:TRACED].numpy()
    tree = tracing.trace(model, sequences, progress=False)
    layers = {path: _plain(gate_statistics.of_layer(node)) for path, node in tracing.nodes(tree).items()}
    write_json(folder / "gate_statistics.json", layers)
    for name, figure in (("gate_saturation", plots.saturation(tree)), ("learning_curves", learning_curves(history))):
        with replaced_when_whole(folder / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=110)


def _plain(numbers):
    gates = {
        gate: {
            **{name: _finite(numbers[name].sel(gate=gate)) for name in ("mean", "spread")},
            **{name: _finite(numbers[name].sel(saturating=gate)) for name in ("left_saturated", "right_saturated")},
        }
        for gate in "ifgo"
    }
    whole = {name: _finite(numbers[name]) for name in ("effective_memory", "half_life")}
    return {"steps": int(numbers["steps"]), **whole, **gates}


def _finite(values):
    return np.where(np.isfinite(values), values, None).tolist()


def learning_curves(history):
    """The loss of each epoch, of training and validation, and each metric below.

    Args:
        history: {name: list}; `val_<name>` is drawn with `name`.

    Returns:
        `matplotlib.figure.Figure`.

    Example:
        >>> len(learning_curves({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5], "accuracy": [0.1, 0.5]}).axes)
        2
    """
    names = sorted((name for name in history if not name.startswith("val_")), key=lambda name: name != "loss")
    figure = Figure(figsize=(6, 2.4 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0], names, strict=True):
        for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], style, marker=".", label=label)
        axes.set_ylabel(name)
    figure.axes[-1].set_xlabel("epoch")
    figure.axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
    return figure
