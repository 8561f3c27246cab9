"""The steps of a plain RNN and of a GRU, linearized, for comparison with an LSTM's."""

import numpy as np

from keras_lstm_gates.gradients.slopes import value, value_and_slope
from keras_lstm_gates.gradients.terms import Term, dot


class LinearizedSimpleRNN:
    """One recorded call of `keras.layers.SimpleRNN`: h_t = tanh(x_t W + h_{t-1} R + b).

    dh_t/dh_{t-1} = diag(1 - h_t²) Rᵀ is its one term, "recurrent". Nothing is direct, except that a masked step
    passes h on.

    Attributes:
        direct: (sample, time, unit), 0, and 1 at a masked step.
        slope: (sample, time, unit), dh_t/dz_t, 0 at a masked step.
        h_before: (sample, time, unit), h_{t-1}.
    """

    gates = ("h",)
    states = ("h",)
    paths = ("full",)

    def __init__(self, recorded):
        cell = recorded.layer.cell
        self.x, self.mask, self.units = recorded.x, recorded.mask, cell.units
        self.recurrent = np.asarray(cell.recurrent_kernel, "float64")
        z = self.x @ np.asarray(cell.kernel, "float64")
        if cell.bias is not None:
            z += np.asarray(cell.bias, "float64")
        self.h_before = np.empty_like(z)
        (h,) = recorded.initial
        for t in range(z.shape[1]):
            self.h_before[:, t] = h
            z[:, t] += h @ self.recurrent
            h = np.where(self.mask[:, t, None], value(cell.activation, z[:, t]), h)
        real = self.mask[..., None]
        self.slope = value_and_slope(cell.activation, z)[1] * real
        self.direct = np.broadcast_to(1.0 - real, z.shape)

    def terms(self):
        """dh_t/dh_{t-1}: the recurrent term, and the direct one of masked steps."""
        ones = np.ones_like(self.slope)
        return {"recurrent": Term(self.slope, self.recurrent.T, ones), "direct": Term(self.direct)}

    def back(self, t, rows, z_gradient=0.0):
        """Row vectors by h_t times the Jacobian of step t; see `LinearizedLSTM.back`."""
        (h,) = rows
        z = h * self.slope[:, t] + z_gradient
        return (dot(z, self.recurrent.T) + h * self.direct[:, t],), z, z

    def recurrent_input(self, gate):
        """What the recurrent kernel multiplies, (sample, time, unit)."""
        return self.h_before


class LinearizedGRU:
    """One recorded call of `keras.layers.GRU`, in both of its forms.

    With z_t the update gate, r_t the reset gate and k_t the candidate:

        h_t = z_t * h_{t-1} + (1 - z_t) * k_t
        k_t = tanh(x_t W_k + r_t * (h_{t-1} R_k + b'_k) + b_k)     reset_after=True, the default
        k_t = tanh(x_t W_k + (r_t * h_{t-1}) R_k + b_k)            reset_after=False

    dh_t/dh_{t-1} has the terms through z, through r, through k, and direct: diag(z_t).

    Attributes:
        direct: (sample, time, unit), z_t, and 1 at a masked step.
        h_before: (sample, time, unit), h_{t-1}.
    """

    gates = ("z", "r", "candidate")
    states = ("h",)
    paths = ("direct", "full")

    def __init__(self, recorded):
        cell = recorded.layer.cell
        self.x, self.mask, self.units = recorded.x, recorded.mask, cell.units
        self.reset_after = cell.reset_after
        self.recurrent = np.asarray(cell.recurrent_kernel, "float64")
        self.R_z, self.R_r, self.R_k = np.split(self.recurrent, 3, axis=1)
        bias = np.zeros(1) if cell.bias is None else np.asarray(cell.bias, "float64")
        bias, recurrent_bias = bias if bias.ndim == 2 else (bias, np.zeros(3 * self.units))
        from_x = self.x @ np.asarray(cell.kernel, "float64") + bias
        from_h = np.empty_like(from_x)
        self.h_before = np.empty((*self.mask.shape, self.units))
        (h,) = recorded.initial
        for t in range(from_x.shape[1]):
            self.h_before[:, t] = h
            from_h[:, t] = h @ self.recurrent + recurrent_bias
            z, r = np.split(value(cell.recurrent_activation, (from_x + from_h)[:, t, : 2 * self.units]), 2, axis=-1)
            if not self.reset_after:
                from_h[:, t, 2 * self.units :] = (r * h) @ self.R_k
            k_from_h = from_h[:, t, 2 * self.units :]
            k = value(
                cell.activation, from_x[:, t, 2 * self.units :] + (r * k_from_h if self.reset_after else k_from_h)
            )
            h = np.where(self.mask[:, t, None], z * h + (1 - z) * k, h)

        gates, slopes = value_and_slope(cell.recurrent_activation, (from_x + from_h)[..., : 2 * self.units])
        (z, self.r), (z_slope, r_slope) = np.split(gates, 2, axis=-1), np.split(slopes, 2, axis=-1)
        k_from_h = from_h[..., 2 * self.units :]
        k, k_slope = value_and_slope(
            cell.activation, from_x[..., 2 * self.units :] + (self.r * k_from_h if self.reset_after else k_from_h)
        )
        real = self.mask[..., None]
        self.direct = np.where(real, z, 1.0)
        self.h_by_z = real * (self.h_before - k) * z_slope
        self.h_by_k = real * (1 - z) * k_slope
        # What z_r moves: the recurrent part of the candidate, or h before the recurrent kernel.
        self.reset_by_z_r = (k_from_h if self.reset_after else self.h_before) * r_slope

    def terms(self):
        """dh_t/dh_{t-1} by its four terms: through z, r and k, and direct."""
        ones = np.ones_like(self.r)
        if self.reset_after:
            through_r = Term(self.h_by_k * self.reset_by_z_r, self.R_r.T, ones)
            through_k = Term(self.h_by_k * self.r, self.R_k.T, ones)
        else:
            through_r = Term(self.h_by_k, self.R_k.T, self.reset_by_z_r, self.R_r.T)
            through_k = Term(self.h_by_k, self.R_k.T, self.r)
        return {
            "z": Term(self.h_by_z, self.R_z.T, ones),
            "r": through_r,
            "candidate": through_k,
            "direct": Term(self.direct),
        }

    def back(self, t, rows, z_gradient=0.0):
        """Row vectors by h_t times the Jacobian of step t; see `LinearizedLSTM.back`."""
        (h,) = rows
        z, k = h * self.h_by_z[:, t], h * self.h_by_k[:, t]
        reset = k if self.reset_after else dot(k, self.R_k.T)
        r = reset * self.reset_by_z_r[:, t]
        before = h * self.direct[:, t] + dot(z, self.R_z.T) + dot(r, self.R_r.T)
        through_k = k * self.r[:, t] if self.reset_after else k
        before += dot(through_k, self.R_k.T) if self.reset_after else reset * self.r[:, t]
        return (before,), np.concatenate([z, r, k], axis=-1), np.concatenate([z, r, through_k], axis=-1)

    def recurrent_input(self, gate):
        """What the recurrent kernel of a gate multiplies, (sample, time, unit)."""
        return self.r * self.h_before if gate == "candidate" and not self.reset_after else self.h_before
