"""Where a training became non-finite: the step is repeated and checked layer by layer."""

import keras
import numpy as np
import tensorflow as tf


def finite(tensors):
    """Whether all floating-point tensors are finite."""
    return all(np.isfinite(array).all() for array in map(np.asarray, tensors) if array.dtype.kind == "f")


def first_not_finite(model, batches):
    """Train on batches until a number is not finite, and say in words where.

    The first layer whose output is not finite is named; if all outputs and the loss are finite, the first layer on the
    way back whose gradient is not; if the gradients are finite too, the first layer whose weights the step broke.

    Args:
        model: compiled Functional `keras.Model`, as it was before the first of these batches.
        batches: `tf.data.Dataset` of (inputs, targets) or (inputs, targets, weights).

    Returns:
        str, for example "the output of the layer 'lstm' is not finite"; or None if all stayed finite.
    """
    guard = _Guard(model)
    try:
        model.fit(batches, shuffle=False, verbose=0, callbacks=[guard])
    except FloatingPointError:
        layer = _name_of_first(model.layers, lambda layer: layer.weights)
        guard.restore()
        (batch,) = batches.skip(guard.batch).take(1)
        return _cause(model, *batch) or f"the step made the weights of the layer {layer!r} not finite"
    return None


class _Guard(keras.callbacks.Callback):
    """Keeps the variables from before each step, and stops after a step that leaves a non-finite value."""

    def __init__(self, model):
        super().__init__()
        model.optimizer.build(model.trainable_variables)
        self._variables = [*model.variables, *model.optimizer.variables]

    def on_train_batch_begin(self, batch, logs=None):
        self.batch = batch
        self._before = [np.array(variable) for variable in self._variables]

    def on_train_batch_end(self, batch, logs=None):
        if not finite([logs["loss"], *self._variables]):
            raise FloatingPointError

    def restore(self):
        for variable, value in zip(self._variables, self._before, strict=True):
            variable.assign(value)


def _cause(model, x, y, weights=None):
    for what, values in (("inputs", x), ("targets", y)):
        if not finite(keras.tree.flatten(values)):
            return f"the {what} of its batch are not finite"
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    probe = keras.Model(model.input, [model.output, *(keras.tree.flatten(layer.output) for layer in layers)])
    with tf.GradientTape() as tape:
        predicted, *outputs = probe(x, training=True)
        loss = model.compute_loss(x, y, predicted, weights, training=True)
    layer = _name_of_first(zip(layers, outputs, strict=True), lambda pair: pair[1], lambda pair: pair[0].name)
    if layer:
        return f"the output of the layer {layer!r} is not finite"
    if not finite([loss]):
        return "the loss is not finite although the output of every layer is"
    gradients = tape.gradient(loss, [layer.trainable_weights for layer in layers], unconnected_gradients="zero")
    backwards = list(zip(layers, gradients, strict=True))[::-1]
    layer = _name_of_first(backwards, lambda pair: pair[1], lambda pair: pair[0].name)
    return f"the gradient of the layer {layer!r} is not finite" if layer else None


def _name_of_first(things, numbers, name=lambda thing: thing.name):
    return next((name(thing) for thing in things if not finite(numbers(thing))), None)
