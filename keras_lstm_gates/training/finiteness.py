"""Where a training that lost its numbers lost them: the step is taken again and looked at layer by layer."""

import keras
import numpy as np
import tensorflow as tf


def finite(tensors):
    """Whether all floating-point tensors are finite."""
    return all(np.isfinite(array).all() for array in map(np.asarray, tensors) if array.dtype.kind == "f")


def first_not_finite(model, batches):
    """Train on batches until a number is not finite, and say in words where that was.

    Forward the first layer whose output is not finite is named; where all of them and the loss are finite, the first
    on the way back whose gradient is not; where these are too, the first whose weights the step made so.

    Args:
        model: compiled Functional `keras.Model`, as it was before the first of these batches.
        batches: `tf.data.Dataset` of (inputs, targets) or (inputs, targets, weights).

    Returns:
        str, for example "the output of the layer 'lstm' is not finite"; or None: all went well.
    """
    guard = _Guard(model)
    try:
        model.fit(batches, shuffle=False, verbose=0, callbacks=[guard])
    except FloatingPointError:
        named = _not_finite(model.layers, lambda layer: layer.weights)
        guard.back()
        (batch,) = batches.skip(guard.batch).take(1)
        return _of_the_step(model, *batch) or f"the step made the weights of the layer {named!r} not finite"
    return None


class _Guard(keras.callbacks.Callback):
    """Keeps what stood before each step, and stops after one that leaves something that is not finite."""

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

    def back(self):
        for variable, value in zip(self._variables, self._before, strict=True):
            variable.assign(value)


def _of_the_step(model, x, y, weights=None):
    for what, values in (("inputs", x), ("targets", y)):
        if not finite(keras.tree.flatten(values)):
            return f"the {what} of its batch are not finite"
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    watched = keras.Model(model.input, [model.output, *(keras.tree.flatten(layer.output) for layer in layers)])
    with tf.GradientTape() as tape:
        predicted, *outputs = watched(x, training=True)
        loss = model.compute_loss(x, y, predicted, weights, training=True)
    named = _not_finite(zip(layers, outputs, strict=True), lambda pair: pair[1], lambda pair: pair[0].name)
    if named:
        return f"the output of the layer {named!r} is not finite"
    if not finite([loss]):
        return "the loss is not finite although the output of every layer is"
    gradients = tape.gradient(loss, [layer.trainable_weights for layer in layers], unconnected_gradients="zero")
    backwards = list(zip(layers, gradients, strict=True))[::-1]
    named = _not_finite(backwards, lambda pair: pair[1], lambda pair: pair[0].name)
    return f"the gradient of the layer {named!r} is not finite" if named else None


def _not_finite(things, numbers, name=lambda thing: thing.name):
    return next((name(thing) for thing in things if not finite(numbers(thing))), None)
