"""Sequences (batch, time, ...) in a layer: their sizes, their last step, and some of their steps alone."""

import keras
from keras import ops


def fits(shape, expected):
    """Whether two static shapes agree, None being any size."""
    return len(shape) == len(expected) and all(
        None in (one, other) or one == other for one, other in zip(shape, expected, strict=True)
    )


def of_sizes(value, sizes, what):
    """`value`, refused when the graph runs (under XLA: is compiled) unless `sizes` are those of its first axes.

    The refusal is that of a concatenation, with nothing: it holds in every kind of graph, where an assertion would be
    left out by XLA and a reshape by the optimizer; and it names both shapes, the layer and `what` is wrong.
    """
    if all(isinstance(size, int) for size in (*sizes, *value.shape[: len(sizes)])):
        return value
    with keras.name_scope(what):
        return ops.concatenate([value, ops.zeros((*sizes, 0), value.dtype)], axis=-1)


def last(values):
    return None if values is None else values[:, -1]


def only(values, steps):
    """The values where steps (batch, [time]) is True, else 0; steps None stands for everywhere."""
    return values if values is None or steps is None else values * ops.cast(steps, values.dtype)[..., None]
