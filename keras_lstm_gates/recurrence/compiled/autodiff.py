"""What automatic differentiation sees of a function whose gradient is written out, and how it goes on from there."""

import tensorflow as tf


def hide(value):
    """`value`, unseen by gradient tapes: they follow no integers. (Reinterpreting bits costs nothing.)

    Within the chain nothing must be recorded, as its gradient is written out; a tape that saw the XLA programs would
    make them give out all their intermediate values.
    """
    integer = {2: tf.int16, 4: tf.int32, 8: tf.int64}[value.dtype.size]
    return tf.bitcast(tf.bitcast(value, integer), value.dtype)


def known_zero(d):
    """Whether a cotangent is a zero that TensorFlow put there for an output nobody used; only a graph can tell."""
    if tf.executing_eagerly():
        return False
    if d.op.type == "Fill":
        return tf.get_static_value(d.op.inputs[1]) == 0
    if d.op.type == "Const":
        return not tf.get_static_value(d).any()
    return d.op.type == "ZerosLike"


def differentiable(written_out, second_order):
    """A function of tensors whose first gradient is written out.

    Args:
        written_out: function of the inputs that returns its values, a list of tensors, and a function from their
            cotangents to those of the inputs.
        second_order: function of the inputs, of the cotangents of the values and of those of the first gradient that
            returns the gradient at the inputs and at the cotangents of the values, as `second_order_of` does.

    Returns:
        A function of the inputs that returns the values.
    """

    @tf.custom_gradient
    def function(*inputs):
        values, slopes = written_out(*inputs)

        def gradient(*d_values):
            @tf.custom_gradient
            def first_order(*inputs_and_d_values):
                inputs, d_values = inputs_and_d_values[: -len(values)], inputs_and_d_values[-len(values) :]
                return slopes(*d_values), lambda *d_slopes: second_order(inputs, d_values, d_slopes)

            return first_order(*inputs, *d_values)

        return tuple(values), gradient

    return function


def second_order_of(operations, inputs, d_values, d_slopes):
    """The gradient of sum(d_slopes * slopes) at the inputs and at the cotangents of the values.

    `operations` computes the values from the inputs by operations that have every order of gradient, within a graph:
    gradients are those of the graph, as forward mode stops the recording of tapes.
    """
    inputs, d_values = [[tf.identity(value) for value in values] for values in (inputs, d_values)]
    zero = tf.UnconnectedGradients.ZERO
    slopes = tf.gradients(operations(*inputs), inputs, d_values, unconnected_gradients=zero)
    return tf.gradients(slopes, [*inputs, *d_values], list(d_slopes), unconnected_gradients=zero)
