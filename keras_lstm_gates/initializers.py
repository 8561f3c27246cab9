"""Initial biases of an LSTM that set how long it remembers before it has learned anything."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class ChronoBias(keras.initializers.Initializer):
    """Forget biases for memories of 1 to t_max steps, spread evenly over the units.

        b_f ~ log(U(1, t_max - 1)),   b_i = -b_f,   b_g = b_o = 0

    With inputs of mean zero, f = sigmoid(b_f) forgets with a time constant of about exp(b_f) + 1 steps.

    It sets the whole bias (4 * units,) of an LSTM, columns i, f, g, o, so use it with `unit_forget_bias=False`, which
    would otherwise set b_f to 1 and use the initializer for the rest only.

    Args:
        t_max: float > 2, the range of the task's dependencies in steps; Tallec & Ollivier take the longest expected.
        seed: int or None.

    Raises:
        ValueError: "t_max must be a finite number > 2; received t_max=nan".
        ValueError: "expected the bias of an LSTM, of shape (4 * units,); received shape=(5,)".

    Example:
        >>> layer = keras.layers.LSTM(3, bias_initializer=ChronoBias(100, seed=0), unit_forget_bias=False)
        >>> layer.build((None, None, 2))
        >>> i, f, g, o = np.asarray(layer.cell.bias).reshape(4, 3)
        >>> bool(np.all((0 <= f) & (f <= np.log(99)))), bool(np.all(i == -f)), float(abs(g).max())
        (True, True, 0.0)

    Source: Tallec & Ollivier 2018, Can recurrent neural networks warp time?, its chrono initialization.
    """

    def __init__(self, t_max: float, seed: int | None = None) -> None:
        number = isinstance(t_max, (int, float, np.number)) and not isinstance(t_max, bool)
        if not number or not math.isfinite(t_max) or t_max <= 2:
            raise ValueError(f"t_max must be a finite number > 2; received t_max={t_max!r}")
        self.t_max = float(t_max)
        self.seed = seed

    def __call__(self, shape, dtype=None):
        """The bias, (4 * units,)."""
        shape = tuple(shape)
        if len(shape) != 1 or shape[0] % 4:
            raise ValueError(f"expected the bias of an LSTM, of shape (4 * units,); received shape={shape}")
        units = shape[0] // 4
        memory = keras.random.uniform((units,), 1.0, self.t_max - 1.0, dtype="float32", seed=self.seed)
        forget = ops.cast(ops.log(memory), dtype or keras.config.floatx())
        zeros = ops.zeros_like(forget)
        return ops.concatenate([-forget, forget, zeros, zeros])

    def get_config(self) -> dict[str, Any]:
        return {"t_max": self.t_max, "seed": self.seed}


@keras.saving.register_keras_serializable("keras_lstm_gates")
class ForgetBias(keras.initializers.Initializer):
    """Biases of an LSTM that start at `value` for the forget gate and at 0 for the others.

    Source: Gers, Schmidhuber & Cummins 2000, Learning to forget; value 1: Jozefowicz, Zaremba & Sutskever 2015.
    """

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    def __call__(self, shape, dtype=None):
        units = shape[0] // 4
        return ops.concatenate(
            [ops.zeros(units, dtype), ops.full((units,), self.value, dtype), ops.zeros(2 * units, dtype)]
        )

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}
