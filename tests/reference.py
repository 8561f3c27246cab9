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
