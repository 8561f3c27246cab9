"""The gates of an LSTM: their names, their order and the equations of one step.

Notation, the same everywhere in this package (U = units, D = features):

    z_t = x_t W + h_{t-1} R + b          W (D, 4U), R (U, 4U), b (4U,), columns in the order i, f, g, o
    i_t = sigmoid(z_i)  input gate            f_t = sigmoid(z_f)  forget gate, 1 = remember everything
    g_t = tanh(z_g)     input modulation      o_t = sigmoid(z_o)  output gate
    c_t = i_t * g_t + f_t * c_{t-1}           h_t = o_t * tanh(c_t)

A gate called i, f, g or o is always the value after its activation; the value before it is called z.

An intervention on a gate or a state is two numbers, value = scale * value + shift. It acts where the value arises: on
i, f, g and o after their activation, on c_t before h_t is made of it, on h_t last.

Source: Hochreiter & Schmidhuber 1997, Long short-term memory; forget gate: Gers, Schmidhuber & Cummins 2000,
Learning to forget, equations 3.1 to 3.9 without peepholes.
"""

from typing import Any, NamedTuple

from keras import ops

KERNEL_ORDER = ("i", "f", "g", "o")
"""The blocks of 4U columns in kernel, recurrent_kernel and bias, as in `keras.layers.LSTM`."""

DESCRIPTIONS = {
    "i": "input gate",
    "f": "forget gate",
    "g": "input modulation gate",
    "o": "output gate",
    "c": "cell state",
    "h": "hidden state",
}


class Gates(NamedTuple):
    """The four gates and the two states of one step, (batch, units), or of a sequence, (batch, time, units)."""

    i: Any
    f: Any
    g: Any
    o: Any
    c: Any
    h: Any


class Intervention(NamedTuple):
    """What becomes of a gate or a state: value = scale * value + shift."""

    scale: Any
    shift: Any


def steered(value, intervention):
    """A gate or a state after an `Intervention`, or as it is after None."""
    return value if intervention is None else intervention.scale * value + intervention.shift


def step(z, c_previous, activation=ops.tanh, recurrent_activation=ops.sigmoid, interventions=None):
    """One step of the LSTM from its pre-activations.

    Args:
        z: float, (..., 4 * units), x_t W + h_{t-1} R + b.
        c_previous: float, (..., units), c_{t-1}.
        activation: of g and of the cell state on its way to h.
        recurrent_activation: of i, f and o.
        interventions: {name: `Intervention`}, each broadcastable to (..., units), or None.

    Returns:
        `Gates`, each (..., units).

    Example:
        >>> import numpy as np
        >>> gates = step(np.zeros((1, 8)), np.ones((1, 2)))
        >>> np.asarray(gates.c).tolist()  # f = 0.5 keeps half of c_{t-1}; g = 0 adds nothing
        [[0.5, 0.5]]
    """
    act = interventions or {}
    z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
    i = steered(recurrent_activation(z_i), act.get("i"))
    f = steered(recurrent_activation(z_f), act.get("f"))
    g = steered(activation(z_g), act.get("g"))
    o = steered(recurrent_activation(z_o), act.get("o"))
    c = steered(i * g + f * c_previous, act.get("c"))
    h = steered(o * activation(c), act.get("h"))
    return Gates(i, f, g, o, c, h)
