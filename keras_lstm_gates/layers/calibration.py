"""Factors that a calibration sets after the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Sequence


@keras.saving.register_keras_serializable("keras_lstm_gates")
class Calibration(keras.layers.Layer):
    """Multiplies (batch, ...) by factors (...) that no training changes; 1 at first.

    Example:
        >>> import numpy as np
        >>> layer = Calibration()
        >>> tuple(layer(np.ones((1, 2), "float32")).shape)
        (1, 2)
        >>> layer.set_weights([np.array([1.0, 2.0])])
        >>> np.asarray(layer(np.ones((1, 2), "float32"))).ravel().tolist()
        [1.0, 2.0]
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.factors = self.add_weight(
            shape=tuple(input_shape[1:]), initializer="ones", trainable=False, name="factors"
        )

    def call(self, inputs: Any) -> Any:
        return inputs * self.factors

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        return input_shape
