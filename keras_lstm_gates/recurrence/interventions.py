"""Interventions as the recurrence reads them: time first, and every axis that may be left at 1 left at 1."""

from keras import ops

from keras_lstm_gates.gates import Gates, Intervention
from keras_lstm_gates.recurrence.arguments import of_shape


def time_first(interventions, arguments):
    """{name: `Intervention`}, each number (time or 1, batch or 1, units or 1), in the order of `Gates`.

    An axis whose size only the run tells is written out: of 1 and of all it could be either.

    Args:
        interventions: {name: (scale, shift)}, each broadcastable to (batch, time, units); or None.
        arguments: `Arguments` whose sizes agree.

    Raises:
        ValueError: "Expected interventions on ('i', 'f', 'g', 'o', 'c', 'h'). Received: 'forget'", or "Expected scale
            of f to broadcast to (batch, time, units) = (3, 5, 4). Received: scale.shape=(3, 5, 3)".
    """
    z, units = arguments.z, arguments.h0.shape[1]
    known = (z.shape[1], z.shape[0], units)
    sizes = (ops.shape(z)[1], ops.shape(z)[0], units)
    for name in interventions or {}:
        if name not in Gates._fields:
            raise ValueError(f"Expected interventions on {Gates._fields}. Received: {name!r}")

    def written(name, kind, value):
        value = ops.convert_to_tensor(value, dtype=z.dtype)
        received = tuple(value.shape)
        agree = zip(reversed(received), reversed(known))
        if len(received) > 3 or any(None not in pair and pair[0] not in (1, pair[1]) for pair in agree):
            raise ValueError(
                f"Expected {kind} of {name} to broadcast to (batch, time, units) = {known}. "
                f"Received: {kind}.shape={received}"
            )
        value = ops.reshape(value, (1,) * (3 - len(received)) + tuple(ops.shape(value))) if len(received) < 3 else value
        shape = [1 if own == 1 else size for own, size in zip(value.shape, known)]
        if tuple(value.shape) != tuple(shape) or None in shape:
            value = ops.broadcast_to(value, [1 if own == 1 else size for own, size in zip(value.shape, sizes)])
            value = of_shape(value, shape)
        if value.shape[0] == 1:
            # Its numbers stand in the same order either way: no copy of them.
            return ops.reshape(value, (ops.shape(value)[1], 1, value.shape[2]))
        return ops.transpose(value, (1, 0, 2))

    return {
        name: Intervention(*(written(name, *one) for one in zip(Intervention._fields, interventions[name])))
        for name in Gates._fields
        if name in (interventions or {})
    }


def at_step(interventions, t):
    """{name: `Intervention`} of one step, each number (batch or 1, units or 1)."""
    return {
        name: Intervention(*(value[0 if value.shape[0] == 1 else t] for value in intervention))
        for name, intervention in interventions.items()
    }


def mapped(interventions, function):
    """{name: `Intervention`} of what a function makes of each number."""
    return {name: Intervention(*map(function, intervention)) for name, intervention in interventions.items()}
