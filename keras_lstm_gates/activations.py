"""Activations that trained models have and Keras 3 has not."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
def keras2_hard_sigmoid(x: Any) -> Any:
    """The `hard_sigmoid` of Keras 1 and 2: 0.2 x + 0.5, held between 0 and 1.

    That of Keras 3 is x / 6 + 0.5: a model of Keras 2 needs this one to keep its numbers.

    Example:
        >>> keras2_hard_sigmoid(keras.ops.array([-3.0, 0.0, 1.0])).numpy().tolist()
        [0.0, 0.5, 0.699999988079071]
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
