"""An LSTM's steps, linearized: every factor of the chain rule through c_t and h_t, in float64."""

import numpy as np

from keras_lstm_gates.gradients.slopes import value, value_and_slope
from keras_lstm_gates.gradients.terms import Term, dot


class LinearizedLSTM:
    """One recorded call of an LSTM layer, run again in float64, with the slopes of every step.

    A masked step passes h and c on: its Jacobian is the identity. The initial h and c are independent of each other,
    so up to the first real step dh_{t-1}/dc_{t-1} is 0.

    Attributes:
        direct: (sample, time, unit), dc_t/dc_{t-1} with the gates held constant: f_t, and 1 at a masked step.
        c_by_z: (sample, time, 3, unit), dc_t/dz_t of i, f and g: g i', c_{t-1} f', i g'.
        h_by_z_o: (sample, time, unit), dh_t/dz_t of o: tanh(c_t) o'.
        h_by_c: (sample, time, unit), dh_t/dc_t = o_t tanh'(c_t).
        h_by_c_before: (sample, time, unit), dh_{t-1}/dc_{t-1}.
        h_before: (sample, time, unit), h_{t-1}.
    """

    gates = ("i", "f", "g", "o")
    states = ("h", "c")
    paths = ("direct", "chain", "full", "state")

    def __init__(self, recorded):
        cell = recorded.layer.cell
        self.x, self.mask = recorded.x, recorded.mask
        self.units = units = cell.units
        self.recurrent = np.asarray(cell.recurrent_kernel, "float64")
        z = self.x @ np.asarray(cell.kernel, "float64")
        if cell.bias is not None:
            z += np.asarray(cell.bias, "float64")
        self.h_before, c_before, c_after = (np.empty((*self.mask.shape, units)) for _ in range(3))
        h, c = recorded.initial
        for t in range(z.shape[1]):
            self.h_before[:, t], c_before[:, t] = h, c
            z[:, t] += h @ self.recurrent
            i, f, _, o = np.split(value(cell.recurrent_activation, z[:, t]), 4, axis=-1)
            g = value(cell.activation, z[:, t, 2 * units : 3 * units])
            real = self.mask[:, t, None]
            c = np.where(real, i * g + f * c, c)
            h = np.where(real, o * value(cell.activation, c), h)
            c_after[:, t] = c

        gates, slopes = value_and_slope(cell.recurrent_activation, z)
        (i, f, _, o), (i_slope, f_slope, _, o_slope) = np.split(gates, 4, axis=-1), np.split(slopes, 4, axis=-1)
        g, g_slope = value_and_slope(cell.activation, z[..., 2 * units : 3 * units])
        tanh_c, tanh_c_slope = value_and_slope(cell.activation, c_after)
        self.real = self.mask[..., None].astype("float64")
        self.direct = np.where(self.real, f, 1.0)
        self.c_by_z = self.real[..., None] * np.stack([g * i_slope, c_before * f_slope, i * g_slope], axis=2)
        self.h_by_z_o = self.real * tanh_c * o_slope
        self.h_by_c = self.real * o * tanh_c_slope
        self.h_by_c_before = at_last_real_step(self.h_by_c, self.mask)
        self.gate_slopes = {"i": i_slope, "f": f_slope, "g": g_slope, "o": o_slope}

    def terms(self):
        """dc_t/dc_{t-1} by its four terms: through i, f and g, and direct."""
        blocks = dict(zip(self.gates, np.split(self.recurrent, 4, axis=1), strict=True))
        through = {
            gate: Term(self.c_by_z[:, :, place], blocks[gate].T, self.h_by_c_before)
            for place, gate in enumerate(("i", "f", "g"))
        }
        return {"f": through["f"], "i": through["i"], "g": through["g"], "direct": Term(self.direct)}

    def back(self, t, rows, z_gradient=0.0):
        """Row vectors by (h_t, c_t) times the Jacobian of step t.

        Args:
            t: int, the step.
            rows: (by h_t, by c_t), each (..., sample, unit).
            z_gradient: (..., sample, 4 * unit), a gradient at the gates' pre-activations to add.

        Returns:
            (by h_{t-1}, by c_{t-1}), and the row by z_t (..., sample, 4 * unit) twice: for the kernel and for the
            recurrent kernel.
        """
        h, c = rows
        c = c + h * self.h_by_c[:, t]
        by_c = c[..., None, :] * self.c_by_z[:, t]
        z = np.concatenate([by_c.reshape(*c.shape[:-1], -1), h * self.h_by_z_o[:, t]], axis=-1) + z_gradient
        return (dot(z, self.recurrent.T) + h * (1 - self.real[:, t]), c * self.direct[:, t]), z, z

    def chain_back(self, t, rows):
        """Row vectors by c_t (..., sample, unit) times dc_t/dc_{t-1}, the sum of the four terms."""
        z = (rows[..., None, :] * self.c_by_z[:, t]).reshape(*rows.shape[:-1], -1)
        through = dot(z, self.recurrent[:, : 3 * self.units].T)
        return rows * self.direct[:, t] + through * self.h_by_c_before[:, t]

    def recurrent_input(self, gate):
        """What the recurrent kernel of a gate multiplies, (sample, time, unit)."""
        return self.h_before


def at_last_real_step(values, mask):
    """values (sample, time, unit) at the last real step before each step; 0 where there was none."""
    before, last = np.zeros_like(values), np.zeros_like(values[:, 0])
    for t in range(values.shape[1]):
        before[:, t] = last
        last = np.where(mask[:, t, None], values[:, t], last)
    return before
