"""The small layers that an opened model has beside its own; registered, so that it saves and loads."""

import keras
from keras import ops

from keras_lstm_gates.layers.bidirectional import MERGES
from keras_lstm_gates.opening.graphs import accepts, graph_of


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class StepMask(keras.layers.Layer):
    """The mask that a layer receives: (batch, time, features) to bool (batch, time), True = a real step.

    Without a mask every step is real.

    Args:
        masked: bool. False: every step is real, whatever the mask.

    Example:
        >>> import numpy as np
        >>> x = keras.layers.Masking()(np.array([[[1.0], [0.0]]]))
        >>> StepMask()(x).numpy().tolist()
        [[True, False]]
    """

    def __init__(self, masked=True, **kwargs):
        super().__init__(**kwargs)
        self.masked = masked
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None or not self.masked:
            return ops.ones(ops.shape(inputs)[:2], "bool")
        return ops.cast(mask, "bool")

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "masked": self.masked}


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
class Reversed(keras.layers.Layer):
    """A sequence (batch, time, ...) from its end; the mask is that of the input's time, and stays as it is.

    Example:
        >>> import numpy as np
        >>> Reversed()(np.array([[1.0, 2.0]])).numpy().tolist()
        [[2.0, 1.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return ops.flip(inputs, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape


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
        return MERGES[self.merge_mode](first, ops.flip(second, axis=1) if self.sequences else second)

    def compute_mask(self, inputs, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        return [mask, mask] if self.merge_mode is None else mask

    def get_config(self):
        return {**super().get_config(), "merge_mode": self.merge_mode, "sequences": self.sequences}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class LabelledGates(keras.layers.Layer):
    """The gates of one call of an LSTM as they are, under its path: so that an opened model can be opened again.

    Args:
        call_path: str, of the call in the model that was opened.
        source: str, the name in the opened model of the layer that they come from.
        order: int, the place of the path among the paths.
    """

    def __init__(self, call_path, source, order, **kwargs):
        super().__init__(**kwargs)
        self.call_path = call_path
        self.order = order
        self.source = source
        self.supports_masking = True

    def call(self, inputs):
        return dict(inputs)

    def get_config(self):
        return {**super().get_config(), "call_path": self.call_path, "source": self.source, "order": self.order}


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class EachStep(keras.layers.Wrapper):
    """`keras.layers.TimeDistributed` with all steps of all samples as one batch.

    Keras's own goes along the batch in the place of time where a graph does not know the number of steps.

    Args:
        layer: `keras.Layer` from (batch, ...) to one or more of (batch, ...), in any structure.
        merged: names of those outputs of a dict that stay (batch * steps, ...), sequence by sequence.
        masks: str, which one the outputs have. "given": that of the inputs, as in Keras 3. "any": a step is real where
            any part of it is. "inner": what the layer makes of each step, and where it makes none "any", as in Keras 2.

    Returns:
        From (batch, steps, ...) what the layer returns, each (batch, steps, ...).

    Example:
        >>> import numpy as np
        >>> tuple(EachStep(keras.layers.Dense(2))(np.ones((3, 7, 4))).shape)
        (3, 7, 2)
    """

    def __init__(self, layer, merged=(), masks="given", **kwargs):
        super().__init__(layer, **kwargs)
        self.merged = tuple(merged)
        self.masks = masks
        self.supports_masking = True

    def build(self, input_shape):
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs, mask=None, training=False):
        batch, steps = inputs.shape[:2]
        if steps is None:
            batch, steps = (-1, ops.shape(inputs)[1]) if batch is None else (batch, -1)
        else:
            batch = -1 if batch is None else batch

        def apart(tensor):
            return ops.reshape(tensor, (batch, steps, *ops.shape(tensor)[1:]))

        given = {"training": training} if accepts(self.layer, "training") else {}
        # To a model, a mask without a time axis of its steps' own says nothing.
        of_steps = mask is not None and (len(mask.shape) > 2 or not isinstance(self.layer, keras.Model))
        if of_steps and accepts(self.layer, "mask"):
            given["mask"] = _one_batch(mask)
        # Of a model that is called with a mask, Keras warns that the mask ends there.
        call = self.layer.call if "mask" in given and graph_of(self.layer) is not None else self.layer
        outputs = call(_one_batch(inputs), **given)
        if not isinstance(outputs, dict):
            return keras.tree.map_structure(apart, outputs)
        return {
            name: tensors if name in self.merged else keras.tree.map_structure(apart, tensors)
            for name, tensors in outputs.items()
        }

    def compute_output_spec(self, inputs, **kwargs):
        batch, steps = inputs.shape[:2]
        specs = self.layer.compute_output_spec(keras.KerasTensor((None, *inputs.shape[2:]), inputs.dtype))

        def apart(spec):
            return keras.KerasTensor((batch, steps, *spec.shape[1:]), spec.dtype)

        if not isinstance(specs, dict):
            return keras.tree.map_structure(apart, specs)
        return {
            name: spec if name in self.merged else keras.tree.map_structure(apart, spec) for name, spec in specs.items()
        }

    def compute_output_shape(self, input_shape):
        spec = self.compute_output_spec(keras.KerasTensor(input_shape, self.compute_dtype))
        return keras.tree.map_structure(lambda one: one.shape, spec)

    def masks_after_a_model(self):
        """`masks`, with a model in the place of the layer that returns what it returns."""
        if self.masks != "inner":
            return self.masks
        step, real = keras.KerasTensor((None, None, 1)), keras.KerasTensor((None, None), "bool")
        made = self.layer.compute_mask(step, real) if self.layer.supports_masking else None
        return "any" if made is None else "given"

    def compute_mask(self, inputs, mask=None):
        graph = graph_of(self.layer)
        if self.masks == "inner":
            ends = [] if graph is None else keras.tree.flatten(graph.output)
            if any(getattr(one, "_keras_mask", None) is not None for one in ends):
                raise ValueError(f"layer {self.name!r}: expected a model without a mask of its outputs at each step")
            # Masks are made of the axes behind those of the steps, however many come before.
            made = self.layer.compute_mask(inputs, mask) if self.layer.supports_masking else None
            if made is not None:
                return made
        if self.masks != "given" and mask is not None and len(mask.shape) > 2:
            mask = ops.any(mask, axis=tuple(range(2, len(mask.shape))))
        if graph is None or not isinstance(graph.output, dict):
            return mask
        return {name: mask if name.startswith("output:") else None for name in graph.output}

    def get_config(self):
        return {**super().get_config(), "merged": list(self.merged), "masks": self.masks}


def _one_batch(tensor):
    return ops.reshape(tensor, (-1, *ops.shape(tensor)[2:]))
