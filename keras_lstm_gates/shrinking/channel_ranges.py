"""What comes through a tensor along the data: the range and the mean of each place of its last axis, and products."""

import keras
import numpy as np
from keras import ops

MOST = 1024
"""Places whose products with each other are kept; of more only the means are."""


class ChannelRange(keras.layers.Layer):
    """Gives its input as it is, and keeps the lowest, the highest and the mean number of each place of the last axis.

    The lowest and the highest are over all steps, as whatever follows may read them; the mean, and that of the product
    of every two places, are over the real ones.

    Example:
        >>> seen = ChannelRange()
        >>> _ = seen(np.array([[1.0, 2.0], [3.0, 2.0]]))
        >>> [one.tolist() for one in seen.seen()]
        [[1.0, 2.0], [3.0, 2.0], [2.0, 2.0], [[5.0, 4.0], [4.0, 4.0]]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        def numbers(initial, dtype, shape=input_shape[-1:]):
            initializer = keras.initializers.Constant(initial)
            return self.add_weight(
                shape=shape, initializer=initializer, dtype=dtype, trainable=False, autocast=False, aggregation="none"
            )

        self.low, self.high = numbers(np.inf, "float32"), numbers(-np.inf, "float32")
        self.total, self.count = numbers(0, "float64"), numbers(0, "float64", ())
        places = input_shape[-1] if input_shape[-1] <= MOST else 0
        self.products = numbers(0, "float64", (places, places))

    def call(self, inputs, mask=None):
        values = ops.cast(inputs, "float32")
        axes = tuple(range(len(inputs.shape) - 1))
        self.low.assign(ops.minimum(self.low, ops.min(values, axis=axes)))
        self.high.assign(ops.maximum(self.high, ops.max(values, axis=axes)))
        real = ops.ones_like(values[..., :1]) if mask is None or len(inputs.shape) != 3 else ops.expand_dims(mask, -1)
        real = ops.cast(real, "float64")
        values = ops.reshape(ops.cast(values, "float64") * real, (-1, inputs.shape[-1]))
        self.total.assign_add(ops.sum(values, axis=0))
        self.count.assign_add(ops.sum(real))
        if self.products.shape[0]:
            self.products.assign_add(ops.matmul(ops.transpose(values), values))
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def seen(self):
        """(lowest, highest, mean), each float64 (places,), and the mean products (places, places) or (0, 0)."""
        low, high, total, products = (
            np.asarray(one, np.float64) for one in (self.low, self.high, self.total, self.products)
        )
        count = max(float(self.count), 1)
        return low, high, total / count, products / count

    def forget(self):
        """Begin anew."""
        self.low.assign(np.full(self.low.shape, np.inf))
        self.high.assign(np.full(self.high.shape, -np.inf))
        for one in (self.total, self.count, self.products):
            one.assign(np.zeros(one.shape))
