"""What a recurrence is given, and the check that all of it speaks of the same sizes."""

from typing import Any, NamedTuple


class Arguments(NamedTuple):
    """z = x W + b, the state before the first step and the weights: the arguments of `recurrence`, by short names.

    z (time, batch, 4 * units); h0, c0 (batch, units); R, the recurrent kernel, (units, 4 * units); mask (batch, time)
    or None; dropout, the recurrent dropout mask, (4, batch, units) or None; interventions, {name: `Intervention`}, each
    number (time or 1, batch or 1, units or 1).
    """

    z: Any
    h0: Any
    c0: Any
    R: Any
    mask: Any = None
    dropout: Any = None
    interventions: Any = {}


# Each argument's name in an error, and its axes by the names of their sizes.
_AXES = {
    "z": ("time", "batch", "4 * units"),
    "h0": ("batch", "units"),
    "c0": ("batch", "units"),
    "recurrent_kernel": ("units", "4 * units"),
    "mask": ("batch", "time"),
    "recurrent_dropout_mask": ("4", "batch", "units"),
}


def agreeing(arguments):
    """The arguments, each with every size that any of them knows.

    A size known from one argument alone is checked in the others when they run; a wrong one is refused here, before
    any kernel sees it.

    Raises:
        ValueError: sizes that differ, for example "Expected h0 of shape (3, 4). Received: h0.shape=(2, 4)".
    """
    units, (time, batch) = arguments.h0.shape[-1], arguments.z.shape[:2]
    sizes = {"time": time, "batch": batch, "units": units, "4 * units": 4 * units, "4": 4}
    for (name, axes), value in zip(_AXES.items(), arguments):
        if value is None:
            continue
        received, expected = tuple(value.shape), tuple(sizes[axis] for axis in axes)
        if len(received) != len(expected) or any(
            None not in (one, other) and one != other for one, other in zip(received, expected)
        ):
            raise ValueError(f"Expected {name} of shape {expected}. Received: {name}.shape={received}")
        sizes |= {axis: size for axis, size in zip(axes, received) if size is not None}
    before = [value for value in arguments[: len(_AXES)] if value is not None]
    agreed = [
        of_shape(value, tuple(sizes[axis] for axis in axes), before) for axes, value in zip(_AXES.values(), arguments)
    ]
    return arguments._replace(**dict(zip(Arguments._fields, agreed)))


def of_shape(value, shape, before=()):
    """`value`, known to have this shape where only its run would tell. (TensorFlow alone has unknown sizes.)"""
    if value is None or tuple(value.shape) == tuple(shape):
        return value
    import tensorflow as tf

    # What comes before may refuse its sizes by name: without an order, chance would say which of the two is raised.
    with tf.control_dependencies(before):
        return tf.ensure_shape(value, shape)
