"""Every gate of a sequence whose hidden states are known, as a kernel that hides its gates gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_lstm_gates.gates import Gates, step

if TYPE_CHECKING:
    from collections.abc import Callable


def gates_from_hidden(
    z: Any,
    h: Any,
    h0: Any,
    c0: Any,
    recurrent_kernel: Any,
    *,
    mask: Any = None,
    activation: Callable[..., Any] = keras.activations.tanh,
    recurrent_activation: Callable[..., Any] = keras.activations.sigmoid,
) -> Gates:
    """Every gate of a sequence whose hidden states are known, by one matrix product and no loop over matrices.

    A kernel that hides its gates (cuDNN on a GPU) gives h; then a_t = z_t + h_{t-1} R is known for all t at once, and
    c_t = f_t c_{t-1} + i_t g_t is a linear recurrence, which an associative scan solves in log(time) passes.

    Args:
        z: float, (batch, time, 4 * units), x W + b.
        h: float, (batch, time, units). What it holds at masked steps is not used.
        h0, c0, recurrent_kernel, mask, activation, recurrent_activation: as in `recurrence`.

    Returns:
        `Gates`, each (batch, time, units), masked steps as in `recurrence`.
    """
    time = ops.arange(ops.shape(z)[1], dtype="int32")
    real = ops.ones(ops.shape(z)[:2], "bool") if mask is None else ops.cast(mask, "bool")
    # 1 + the last real step up to each step, 0 before the first: an index into the states with the first one in front.
    last_real = _cumulative_max(ops.where(real, time + 1, 0))
    before = ops.concatenate([ops.zeros_like(last_real[:, :1]), last_real[:, :-1]], axis=1)
    h = ops.concatenate([h0[:, None], h], axis=1)
    h_before = ops.take_along_axis(h, before[:, :, None], axis=1)
    nothing = ops.zeros_like(z[..., : c0.shape[-1]])
    gates = step(z + ops.matmul(h_before, recurrent_kernel), nothing, activation, recurrent_activation)
    f, written = (
        ops.where(real[:, :, None], value, at_masked) for value, at_masked in ((gates.f, 1.0), (gates.i * gates.g, 0.0))
    )
    f, written = ops.concatenate([f[:, :1] * 0 + 1, f], axis=1), ops.concatenate([c0[:, None], written], axis=1)
    _, c = ops.associative_scan(
        lambda early, late: (late[0] * early[0], late[0] * early[1] + late[1]), (f, written), axis=1
    )

    def repeated(values):
        return ops.take_along_axis(values, last_real[:, :, None], axis=1)

    first = ops.zeros_like(c[:, :1])
    shown = (repeated(ops.concatenate([first, value], axis=1)) for value in gates[:4])
    return Gates._make([*shown, c[:, 1:], repeated(h)])


def _cumulative_max(values):
    return ops.associative_scan(ops.maximum, values, axis=1)
