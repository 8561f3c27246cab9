"""The small layers that an opened model has in place of Keras's wrappers; registered, so that it saves and loads."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class StepMask(keras.layers.Layer):
    """The mask that a layer receives: (batch, time, features) to bool (batch, time), True = a real step.

    Without a mask every step is real.

    Example:
        >>> import numpy as np
        >>> x = keras.layers.Masking()(np.array([[[1.0], [0.0]]]))
        >>> StepMask()(x).numpy().tolist()
        [[True, False]]
    """

    def call(self, inputs, mask=None):
        return ops.ones(ops.shape(inputs)[:2], "bool") if mask is None else ops.cast(mask, "bool")

    def compute_mask(self, inputs, mask=None):
        return None


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class MaskedToZero(keras.layers.Layer):
    """A sequence (batch, time, units) whose masked steps are 0, as the directions of `keras.layers.Bidirectional`.

    Args:
        backwards: bool. True: the sequence runs from the end of the mask's time.
    """

    def __init__(self, backwards=False, **kwargs):
        super().__init__(**kwargs)
        self.backwards = backwards
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return inputs
        mask = ops.flip(mask, axis=1) if self.backwards else mask
        return ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))

    def get_config(self):
        return {**super().get_config(), "backwards": self.backwards}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class MergedDirections(keras.layers.Layer):
    """What `keras.layers.Bidirectional` makes of its two directions.

    Args:
        merge_mode: "concat", "sum", "ave", "mul" or None.
        sequences: bool. True: inputs are (batch, time, units), the second in the order it was read; else
            (batch, units).

    Example:
        >>> import numpy as np
        >>> forward, backward = np.array([[[1.0], [2.0]]]), np.array([[[30.0], [40.0]]])
        >>> MergedDirections("sum", sequences=True)([forward, backward]).numpy().tolist()
        [[[41.0], [32.0]]]
    """

    def __init__(self, merge_mode="concat", sequences=False, **kwargs):
        super().__init__(**kwargs)
        self.merge_mode = merge_mode
        self.sequences = sequences
        self.supports_masking = True

    def call(self, inputs):
        first, second = inputs
        if self.sequences:
            second = ops.flip(second, axis=1)
        if self.merge_mode == "concat":
            return ops.concatenate([first, second], axis=-1)
        if self.merge_mode == "sum":
            return first + second
        if self.merge_mode == "ave":
            return (first + second) / 2
        if self.merge_mode == "mul":
            return first * second
        # Only a graph with two outputs needs them under two names.
        return first, second

    def compute_mask(self, inputs, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        return [mask, mask] if self.merge_mode is None else mask

    def get_config(self):
        return {**super().get_config(), "merge_mode": self.merge_mode, "sequences": self.sequences}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class EachStep(keras.layers.Wrapper):
    """`keras.layers.TimeDistributed` over a model with named outputs: all steps of all samples as one batch.

    Args:
        layer: `keras.Model` from (batch, ...) to a dict of (batch, ...).

    Returns:
        From (batch, steps, ...) a dict of (batch, steps, ...).
    """

    def call(self, inputs, mask=None, training=False):
        def merged(tensor):
            shape = ops.shape(tensor)
            return ops.reshape(tensor, (-1, *shape[2:]))

        # Only a mask with a step's own time axis concerns what is inside a step.
        of_steps = {} if mask is None or len(mask.shape) < 3 else {"mask": merged(mask)}
        outputs = self.layer(merged(inputs), training=training, **of_steps)
        steps = ops.shape(inputs)[1]
        return keras.tree.map_structure(
            lambda tensor: ops.reshape(tensor, (-1, steps, *ops.shape(tensor)[1:])), outputs
        )

    def compute_output_shape(self, input_shape):
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return {name: (shape[0], input_shape[1], *shape[1:]) for name, shape in inner.items()}

    def compute_output_spec(self, inputs, **kwargs):
        specs = self.layer.output
        return {
            name: keras.KerasTensor((inputs.shape[0], inputs.shape[1], *spec.shape[1:]), dtype=spec.dtype)
            for name, spec in specs.items()
        }
