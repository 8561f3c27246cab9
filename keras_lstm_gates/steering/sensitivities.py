"""How much a loss depends on each gate: its derivative by the scale of the gate, exact, in one backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_lstm_gates.gates import DESCRIPTIONS, Gates
from keras_lstm_gates.opening.exposing import open_graph
from keras_lstm_gates.steering.models import steer

if TYPE_CHECKING:
    import xarray as xr

    from keras_lstm_gates._support.annotations import Arrays


def importance(model: keras.Model, x: Arrays, y: Any, loss: Any = None) -> xr.DataTree:
    """d loss / d scale of every gate and state, at every step and unit: their importance to the loss.

    A scale multiplies the gate within the recurrence, so all that a step does to later ones counts. To first order, the
    loss changes by (a - 1) times the importance where a gate is multiplied by a; negative is where more of it lowers
    the loss. The sum over steps, or over units, is the derivative by one scale for all of them.

    Args:
        model: built `keras.Model`, as `expose` opens.
        x, y: one batch, as `model.fit` takes it.
        loss: what `keras.Model.compile` takes, or None for that of the compiled model.

    Returns:
        `xarray.DataTree`, a node for each LSTM by its path with i, f, g, o, c, h (time, unit), so that
        `importance(...)["lstm/f"]` is the forget gate's; time runs as in the input. The attribute `loss` of the root is
        the loss, without regularizers.

    Raises:
        ValueError: what `expose` raises; "expected a loss or a compiled model; received loss=None, never compiled".

    Example:
        >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1)])
        >>> importance(model, np.ones((2, 5, 3)), np.ones((2, 1)), "mse")["lstm/f"].shape
        (5, 4)
    """
    import xarray as xr

    if loss is None and not model.compiled:
        raise ValueError("expected a loss or a compiled model; received loss=None, never compiled")
    paths = list(open_graph(model).gates)
    every = {f"{path}/{gate}": [] for path in paths for gate in Gates._fields}
    longest = max(array.shape[1] for array in keras.tree.flatten(keras.tree.map_structure(np.asarray, x)))
    steered = steer(model, every, return_gates=False, steps=longest)
    variables = {key: steered.interventions.variables(key)[0].value for key in every}
    compiled = model
    if loss is not None:
        compiled = keras.Model(steered.inputs, steered.outputs)
        compiled.compile(loss=loss)
    with tf.GradientTape() as tape:
        tape.watch(list(variables.values()))
        energy = compiled.compute_loss(x=x, y=y, y_pred=steered(x, training=False), training=False)
        energy = energy - sum(compiled.losses)
    gradients = tape.gradient(energy, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    nodes = {}
    for path in paths:
        values = {
            gate: (("time", "unit"), np.asarray(gradients[f"{path}/{gate}"])[0], {"long_name": DESCRIPTIONS[gate]})
            for gate in Gates._fields
        }
        nodes[path] = xr.Dataset(values)
    tree = xr.DataTree.from_dict(nodes)
    tree.attrs = {"loss": float(energy), "layers": paths}
    return tree
