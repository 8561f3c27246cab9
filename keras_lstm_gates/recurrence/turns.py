"""The loop of an exported file: several steps in each of its turns, or none and every step written out.

A loop operator of a small runtime costs about as much as the step within it, and copies every history in each turn; so
a turn does a few steps and writes their rows at once. How many, says whoever exports: `steps_per_turn`.
"""

import contextlib
import contextvars

from keras_lstm_gates.gates import Intervention

_choice = contextvars.ContextVar("steps_per_turn", default=None)


@contextlib.contextmanager
def steps_per_turn(choose):
    """Let every portable recurrence that is traced inside this `with` block run several steps in a turn of its loop.

    Args:
        choose: function of (time, units, the number of histories that are kept) to an int > 0; `time`, where it is
            known, writes out every step. Without a history it is 1 or `time`: other turns may end beyond the last step.
    """
    token = _choice.set(choose)
    try:
        yield
    finally:
        _choice.reset(token)


def chosen_steps(time, units, histories):
    """The steps of a turn inside a `steps_per_turn` block, None elsewhere."""
    choose = _choice.get()
    return None if choose is None else choose(time, units, histories)


def scan_in_turns(advance, state, z, mask, interventions, stored, steps):
    """The state after the last turn, and by name the histories (time, batch, units) that are `stored`.

    Args:
        advance: function of a state, z_t, the mask of the step (batch, 1) or None, and its interventions to a state.
        state: `Gates` before the first step.
        z: (time, batch, 4 * units).
        mask: bool (time, batch, 1), or None.
        interventions: {name: `Intervention`}, each number (time or 1, batch or 1, units or 1).
        stored: names of the fields to keep.
        steps: int, of a turn. The last turn may go on beyond the last step.
    """
    import tensorflow as tf

    time = tf.shape(z)[0] if z.shape[0] is None else z.shape[0]
    turns, exact = -(-time // steps), z.shape[0] is not None and z.shape[0] % steps == 0
    arrays = {
        name: tf.TensorArray(value.dtype, turns, element_shape=(steps, *value.shape))
        for name, value in state._asdict().items()
        if name in stored
    }

    def rows(values, turn):
        if steps == 1:
            return [tf.gather(values, turn)]
        at = turn * steps + tf.range(steps)
        # Beyond the end the last step is read again; what comes of it is cut off.
        return tf.unstack(tf.gather(values, at if exact else tf.minimum(at, time - 1)))

    def numbers(turn):
        of_each = {
            name: [[value[0]] * steps if value.shape[0] == 1 else rows(value, turn) for value in intervention]
            for name, intervention in interventions.items()
        }
        return [
            {name: Intervention(*(one[at] for one in pair)) for name, pair in of_each.items()} for at in range(steps)
        ]

    def body(turn, state, arrays):
        masks = [None] * steps if mask is None else rows(mask, turn)
        states = []
        for z_t, real, act in zip(rows(z, turn), masks, numbers(turn), strict=True):
            state = advance(state, z_t, real, act)
            states.append(state)
        written = {name: tf.stack([getattr(one, name) for one in states]) for name in arrays}
        return turn + 1, state, {name: array.write(turn, written[name]) for name, array in arrays.items()}

    _, last, arrays = tf.while_loop(lambda *_: True, body, (0, state, arrays), maximum_iterations=turns)
    return last, {name: _joined(array.stack(), None if exact else time) for name, array in arrays.items()}


def _joined(rows, time):
    """(time, batch, units) of (turns, steps, batch, units)."""
    import tensorflow as tf

    sizes = [tf.shape(rows)[axis] if rows.shape[axis] is None else rows.shape[axis] for axis in (2, 3)]
    return tf.reshape(rows, (-1, *sizes))[:time]
