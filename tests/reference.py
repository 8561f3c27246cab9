"""The equations of the LSTM in NumPy float64, written from the equations alone: what everything is tested against.

z_t = x_t W + h_{t-1} R + b        columns in the order i, f, g, o
i, f, o = sigmoid(z_i, z_f, z_o)   g = tanh(z_g)
c_t = i_t * g_t + f_t * c_{t-1}    h_t = o_t * tanh(c_t)
"""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def lstm(
    x,
    kernel,
    recurrent_kernel,
    bias=None,
    mask=None,
    h0=None,
    c0=None,
    tanh=np.tanh,
    sigmoid=sigmoid,
    dropout=None,
    shows_state=False,
    interventions=None,
):
    """The gates of a sequence by name, each (batch, time, units), sample by sample and step by step.

    x (batch, time, features); kernel (features, 4U); recurrent_kernel (U, 4U); bias (4U,); mask (batch, time), True =
    a real step; h0, c0 (batch, U); dropout (4, batch, U), what h_{t-1} is multiplied by on its way to each gate. A
    masked step repeats the last real step; before the first real step all are 0, but with shows_state c and h are c0
    and h0. interventions {name: (scale, shift)}, each (batch, time, U): the value becomes scale * value + shift.
    """
    x, kernel, recurrent_kernel = (np.asarray(a, np.float64) for a in (x, kernel, recurrent_kernel))
    samples, steps, _ = x.shape
    units = recurrent_kernel.shape[0]
    b = np.zeros(4 * units) if bias is None else np.asarray(bias, np.float64)
    w_i, w_f, w_g, w_o = (kernel[:, k * units : (k + 1) * units] for k in range(4))
    r_i, r_f, r_g, r_o = (recurrent_kernel[:, k * units : (k + 1) * units] for k in range(4))
    b_i, b_f, b_g, b_o = (b[k * units : (k + 1) * units] for k in range(4))
    named = {name: np.zeros((samples, steps, units)) for name in "ifgoch"}
    nothing = np.ones((samples, steps, units)), np.zeros((samples, steps, units))
    for n in range(samples):
        h = np.zeros(units) if h0 is None else np.asarray(h0[n], np.float64)
        c = np.zeros(units) if c0 is None else np.asarray(c0[n], np.float64)
        shown = dict.fromkeys("ifgoch", np.zeros(units))
        if shows_state:
            shown.update(c=c, h=h)
        d_i, d_f, d_g, d_o = np.ones((4, units)) if dropout is None else dropout[:, n]
        for t in range(steps):

            def steered(name, value):
                scale, shift = (interventions or {}).get(name, nothing)
                return scale[n, t] * value + shift[n, t]  # noqa: B023

            if mask is None or mask[n, t]:
                i = steered("i", sigmoid(x[n, t] @ w_i + (d_i * h) @ r_i + b_i))
                f = steered("f", sigmoid(x[n, t] @ w_f + (d_f * h) @ r_f + b_f))
                g = steered("g", tanh(x[n, t] @ w_g + (d_g * h) @ r_g + b_g))
                o = steered("o", sigmoid(x[n, t] @ w_o + (d_o * h) @ r_o + b_o))
                c = steered("c", i * g + f * c)
                h = steered("h", o * tanh(c))
                shown = {"i": i, "f": f, "g": g, "o": o, "c": c, "h": h}
            for name in "ifgoch":
                named[name][n, t] = shown[name]
    return named


def gru(
    x,
    kernel,
    recurrent_kernel,
    bias=None,
    reset_after=True,
    mask=None,
    h0=None,
    tanh=np.tanh,
    sigmoid=sigmoid,
):
    """The gates of a GRU by name, likewise: z (update), r (reset), candidate and h.

    kernel (features, 3U), recurrent_kernel (U, 3U), columns z, r, candidate; bias (3U,), with reset_after (2, 3U),
    whose second row is added to h_{t-1} R. Before the first real step the gates are 0 and h is h0.

    z_t = sigmoid(x_t W_z + h_{t-1} R_z + b_z)      r_t = sigmoid(x_t W_r + h_{t-1} R_r + b_r)
    candidate_t = tanh(x_t W_c + b_c + r_t * (h_{t-1} R_c + b'_c))     or with (r_t * h_{t-1}) R_c
    h_t = z_t * h_{t-1} + (1 - z_t) * candidate_t
    """
    x, kernel, recurrent_kernel = (np.asarray(a, np.float64) for a in (x, kernel, recurrent_kernel))
    samples, steps, _ = x.shape
    units = recurrent_kernel.shape[0]
    b = np.zeros((2, 3 * units))
    if bias is not None:
        b[: 2 if reset_after else 1] = bias
    parts = [slice(k * units, (k + 1) * units) for k in range(3)]
    (w_z, w_r, w_c), (r_z, r_r, r_c) = ([one[:, part] for part in parts] for one in (kernel, recurrent_kernel))
    (b_z, b_r, b_c), (s_z, s_r, s_c) = ([row[part] for part in parts] for row in b)
    named = {name: np.zeros((samples, steps, units)) for name in ("z", "r", "candidate", "h")}
    for n in range(samples):
        h = np.zeros(units) if h0 is None else np.asarray(h0[n], np.float64)
        shown = {"z": np.zeros(units), "r": np.zeros(units), "candidate": np.zeros(units), "h": h}
        for t in range(steps):
            if mask is None or mask[n, t]:
                z = sigmoid(x[n, t] @ w_z + b_z + h @ r_z + s_z)
                r = sigmoid(x[n, t] @ w_r + b_r + h @ r_r + s_r)
                reset = r * (h @ r_c + s_c) if reset_after else (r * h) @ r_c
                candidate = tanh(x[n, t] @ w_c + b_c + reset)
                h = z * h + (1 - z) * candidate
                shown = {"z": z, "r": r, "candidate": candidate, "h": h}
            for name in named:
                named[name][n, t] = shown[name]
    return named
