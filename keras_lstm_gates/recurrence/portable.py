"""The recurrence in `keras.ops`, one step after another; the gradient is left to automatic differentiation."""

import keras
from keras import ops

from keras_lstm_gates.gates import Gates, Intervention, step
from keras_lstm_gates.recurrence.interventions import at_step
from keras_lstm_gates.recurrence.turns import chosen_steps, scan_in_turns


def portable(
    arguments,
    activation=keras.activations.tanh,
    recurrent_activation=keras.activations.sigmoid,
    unroll=False,
    last_only=False,
    outputs=Gates._fields,
):
    """`Gates` of all steps, (batch, time, units) each, None where not in `outputs`; with `last_only` of the last step.

    Args:
        arguments: `Arguments` whose sizes agree.
        activation, recurrent_activation, unroll, last_only, outputs: as in `recurrence`.
    """
    z, h0, c0, R, mask, dropout, interventions = arguments

    def advance(last, z_t, real, act):
        now = step(z_t + times_recurrent_kernel(last.h, R, dropout), last.c, activation, recurrent_activation, act)
        return now if real is None else Gates(*[ops.where(real, new, old) for new, old in zip(now, last)])

    nothing = ops.zeros_like(h0)
    state = Gates(nothing, nothing, nothing, nothing, c0, h0)
    # Without a mask i, f, g and o need no history of their own: one product over all steps gives them again.
    again = mask is None and dropout is None and not last_only and not {"c", "h"}.issuperset(outputs)
    stored = () if last_only else ("c", "h") if again else outputs
    steps = chosen_steps(z.shape[0], h0.shape[1], len(stored))
    if unroll or steps == z.shape[0] is not None:
        return _unrolled(advance, state, z, mask, interventions, last_only)
    last, history = _scan(advance, state, z, mask, interventions, stored, steps)
    if last_only:
        return last
    gates = Gates(*[None] * len(Gates._fields))
    if again:
        h_before, c_before = (
            ops.concatenate([ops.expand_dims(first, 0), history[name][:-1]]) for name, first in (("h", h0), ("c", c0))
        )
        gates = step(z + ops.matmul(h_before, R), c_before, activation, recurrent_activation, interventions)
    gates = gates._replace(**history)
    return Gates(*[None if values is None else ops.transpose(values, (1, 0, 2)) for values in gates])


def times_recurrent_kernel(h, R, dropout):
    """h R, (batch, 4 * units); with dropout each gate's block of R sees its own h."""
    if dropout is None:
        return ops.matmul(h, R)
    blocks = ops.split(R, 4, axis=1)
    return ops.concatenate([ops.matmul(h * dropout[k], blocks[k]) for k in range(4)], axis=1)


def _unrolled(advance, state, z, mask, interventions, last_only):
    if z.shape[0] is None:
        raise ValueError(f"unroll=True expected a known number of steps. Received: z.shape={tuple(z.shape)}")
    history = []
    masks = [None] * z.shape[0] if mask is None else ops.unstack(mask, axis=1)
    for t, (z_t, real) in enumerate(zip(ops.unstack(z), masks, strict=True)):
        state = advance(state, z_t, None if real is None else real[:, None], at_step(interventions, t))
        history.append(state)
    return state if last_only else Gates(*[ops.stack(values, axis=1) for values in zip(*history)])


def _scan(advance, state, z, mask, interventions, stored, steps):
    """The last state of `advance` over the steps, and by name its histories (time, batch, units) that are `stored`."""
    mask = None if mask is None else ops.transpose(mask)[:, :, None]
    if steps is not None:
        return scan_in_turns(advance, state, z, mask, interventions, stored, steps)
    if keras.backend.backend() == "tensorflow":
        return _scan_in_tensorflow(advance, state, z, mask, interventions, stored)
    numbers = {name: tuple(intervention) for name, intervention in interventions.items()}
    numbers = keras.tree.map_structure(lambda value: ops.broadcast_to(value, (len(z), *value.shape[1:])), numbers)

    def scanned(last, now):
        act = {name: Intervention(*pair) for name, pair in now["act"].items()}
        last = advance(Gates(*last), now["z"], now.get("mask"), act)
        return tuple(last), {name: getattr(last, name) for name in Gates._fields if name in stored}

    along = {"z": z, "act": numbers, **({} if mask is None else {"mask": mask})}
    last, history = ops.scan(scanned, tuple(state), along)
    return Gates(*last), history


def _scan_in_tensorflow(advance, state, z, mask, interventions, stored):
    """The same; what is not stored costs nothing: a TFLite file copies each history at each step.

    (keras.ops.scan fails for an unknown number of steps with a mask, and for the gradient under XLA, which needs to
    know that there are at most `time` iterations.)
    """
    import tensorflow as tf

    time = tf.shape(z)[0] if z.shape[0] is None else z.shape[0]
    arrays = {
        name: tf.TensorArray(value.dtype, time, element_shape=value.shape)
        for name, value in state._asdict().items()
        if name in stored
    }

    def body(t, state, arrays):
        state = advance(state, z[t], None if mask is None else mask[t], at_step(interventions, t))
        return t + 1, state, {name: array.write(t, getattr(state, name)) for name, array in arrays.items()}

    # TensorFlow's own counter ends the loop.
    _, last, arrays = tf.while_loop(lambda *_: True, body, (0, state, arrays), maximum_iterations=time)
    return last, {name: array.stack() for name, array in arrays.items()}
