"""The gates of an LSTM: their names, their order and the equations of one step.

Notation, the same everywhere in this package (U = units, D = features):

    z_t = x_t W + h_{t-1} R + b          W (D, 4U), R (U, 4U), b (4U,), columns in the order i, f, g, o
    i_t = sigmoid(z_i)  input gate            f_t = sigmoid(z_f)  forget gate, 1 = remember everything
    g_t = tanh(z_g)     input modulation      o_t = sigmoid(z_o)  output gate
    c_t = i_t * g_t + f_t * c_{t-1}           h_t = o_t * tanh(c_t)

A gate called i, f, g or o is always the value after its activation; the value before it is called z.

An intervention on a gate or a state is two numbers, value = scale * value + shift. It acts where the value arises: on
i, f, g and o after their activation, on c_t before h_t is made of it, on h_t last.

Of a GRU, for reading (`GRUGates`): columns in the order z, r, candidate, and z is its update gate.

Source: Hochreiter & Schmidhuber 1997, Long short-term memory; forget gate: Gers, Schmidhuber & Cummins 2000,
Learning to forget, equations 3.1 to 3.9 without peepholes. GRU: Cho et al. 2014, Learning phrase representations using
RNN encoder-decoder, equations 5 to 8, where z is 1 - z in Chung et al. 2014.
"""

from collections.abc import Callable, Iterable, Mapping
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
    "z": "update gate",
    "r": "reset gate",
    "candidate": "candidate state",
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


def steered(value: Any, intervention: Intervention | None) -> Any:
    """A gate or a state after an `Intervention`, or as it is after None."""
    return value if intervention is None else intervention.scale * value + intervention.shift


def step(
    z: Any,
    c_previous: Any,
    activation: Callable[[Any], Any] = ops.tanh,
    recurrent_activation: Callable[[Any], Any] = ops.sigmoid,
    interventions: Mapping[str, Intervention] | None = None,
) -> Gates:
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


class GRUGates(NamedTuple):
    """The gates and the states of one step of a GRU, (batch, units), or of a sequence, (batch, time, units).

    z_t = sigmoid(x_t W_z + h_{t-1} R_z + b_z)      update gate: 1 = keep h as it is
    r_t = sigmoid(x_t W_r + h_{t-1} R_r + b_r)      reset gate
    candidate_t = tanh(x_t W_c + b_c + r_t * (h_{t-1} R_c + b'_c))     reset_after=True, Keras's default
    candidate_t = tanh(x_t W_c + b_c + (r_t * h_{t-1}) R_c)            reset_after=False
    h_t = z_t * h_{t-1} + (1 - z_t) * candidate_t                      hidden state, the GRU's only one
    """

    z: Any
    r: Any
    candidate: Any
    h: Any


class Kind(NamedTuple):
    """What the gates of a recurrent layer are, for whoever reads them.

    Attributes:
        fields: names of the gates and states.
        memory: the gate that keeps the memory.
        modulation: what would be written into it, in (-1, 1).
        saturating: the gates, and the modulation by its magnitude, from 0 to 1.
        states: what is remembered, the memory first.
    """

    fields: tuple
    memory: str
    modulation: str
    saturating: tuple
    states: tuple


KINDS = {
    "LSTM": Kind(Gates._fields, "f", "g", ("i", "f", "g", "o"), ("c", "h")),
    "GRU": Kind(GRUGates._fields, "z", "candidate", ("z", "r", "candidate"), ("h",)),
}
"""The kinds of layers whose gates can be read."""


def kind_of(names: Iterable[str]) -> str:
    """The kind of a layer after the names of its gates, "LSTM" or "GRU".

    Example:
        >>> kind_of(["z", "r", "candidate", "h", "mask"]), kind_of(Gates._fields)
        ('GRU', 'LSTM')
    """
    return "GRU" if "candidate" in names else "LSTM"


def gru_step(cell: Any, x: Any, h_before: Any) -> GRUGates:
    """One step of a GRU, or all of them where every h is known.

    Args:
        cell: `keras.layers.GRUCell`, built.
        x: float, (..., features).
        h_before: float, (..., units), h_{t-1}.

    Returns:
        `GRUGates`, each (..., units).
    """
    weights = (cell.kernel, cell.recurrent_kernel) + (() if cell.bias is None else (cell.bias,))
    kernel, recurrent_kernel, *bias = (ops.cast(one, h_before.dtype) for one in weights)
    R_z, R_r, R_c = ops.split(recurrent_kernel, 3, axis=1)
    # With reset_after the second row is that of h's own product.
    of_x, of_h = (bias[0][0], bias[0][1]) if bias and cell.reset_after else (bias[0] if bias else 0.0, 0.0)
    x_z, x_r, x_c = ops.split(ops.matmul(x, kernel) + of_x, 3, axis=-1)
    h_z, h_r, h_c = (0.0, 0.0, 0.0) if isinstance(of_h, float) else ops.split(of_h, 3)
    z = cell.recurrent_activation(x_z + ops.matmul(h_before, R_z) + h_z)
    r = cell.recurrent_activation(x_r + ops.matmul(h_before, R_r) + h_r)
    reset = r * (ops.matmul(h_before, R_c) + h_c) if cell.reset_after else ops.matmul(r * h_before, R_c)
    candidate = cell.activation(x_c + reset)
    return GRUGates(z, r, candidate, z * h_before + (1 - z) * candidate)
