"""The two loops over time, forward and backward, as XLA compiles them. (`recurrence.paths` has the derivation.)

Names: a (time, rows, 4 * units) holds the four gates after their activation, in the order i, f, g, o; the rows are the
sequences that one program works on; act is {name: `Intervention`}, each number (time or 1, rows or 1, units or 1).
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_lstm_gates.gates import Intervention, steered
from keras_lstm_gates.recurrence.interventions import at_step
from keras_lstm_gates.recurrence.portable import times_recurrent_kernel


class Carry(NamedTuple):
    """What one step of the forward loop hands on to the next; in the backward loop its cotangent.

    c, h (rows, units); gates (rows, 4 * units), which a masked step repeats, or () where none is masked.
    """

    c: Any
    h: Any
    gates: Any = ()


class History(NamedTuple):
    """What the gradient needs of all steps, (time, rows, 4 * units) and (time, rows, units).

    a, c and h are those after an intervention; before holds the gates before one, where any of them has one.
    """

    a: Any
    c: Any
    h: Any
    before: Any = None

    @property
    def activated(self):
        """The gates after their activation, before any intervention."""
        return self.a if self.before is None else self.before


def forward_loop(z, first, carry, R, mask, dropout, act, steps, stored):
    """The forward recurrence of those rows of z (time, batch, 4U) that begin at `first`, up to `steps` (None: all).

    (Reading the rows step by step spares a copy of them.)

    Returns:
        The `stored` fields of `History` by name, and the last `Carry`.
    """
    time, rows, columns = tf.shape(z)[0], carry.h.shape[0] or tf.shape(carry.h)[0], z.shape[2]
    widths = History(columns, carry.c.shape[1], carry.h.shape[1], columns)
    histories = {name: time_array(tf.zeros([time, rows, getattr(widths, name)], z.dtype)) for name in stored}

    def body(t, carry, histories):
        now = at_step(act, t)
        z_t = tf.slice(z, [t, first, 0], [1, rows, columns])[0]
        a = before = _activate(z_t + times_recurrent_kernel(carry.h, R, dropout))
        i, f, g, o = (steered(value, now.get(name)) for name, value in zip("ifgo", tf.split(a, 4, axis=1)))
        if acts_on_gates(act):
            a = tf.concat([i, f, g, o], axis=1)
        c = steered(i * g + f * carry.c, now.get("c"))
        h = steered(o * tf.tanh(c), now.get("h"))
        if mask is not None:
            real = mask[t][:, None]
            a = tf.where(real, a, carry.gates)
            c, h = tf.where(real, c, carry.c), tf.where(real, h, carry.h)
        values = History(a, c, h, before)
        histories = {name: history.write(t, getattr(values, name)) for name, history in histories.items()}
        return t + 1, Carry(c, h, () if mask is None else a), histories

    end = time if steps is None else steps
    _, carry, histories = tf.while_loop(lambda t, *_: t < end, body, (0, carry, histories), maximum_iterations=time)
    return {name: history.stack() for name, history in histories.items()}, carry


def backward_loop(history, c_before, R, mask, dropout, act, d_outputs, d_carry, steps):
    """The chain rule through c_t, from the last of `steps` (None: of all) to the first.

    Args:
        history: `History` of the forward loop; neither its h nor its a after an intervention is used.
        c_before: c one step earlier, (time, rows, U).
        d_outputs: the cotangents that reach the outputs from outside, by name, (time, rows, U).
        d_carry: the cotangent that reaches the last `Carry` from later; of its gates only where masked steps repeat
            gates that have a cotangent, else ().

    Returns:
        dz (time, rows, 4U); with interventions also, as a `Carry` of histories, all that reaches c_t, h_t and, by
        masked steps that repeat them, the gates; and d_carry as it reaches what came before the first step.
    """
    repeats = tf.is_tensor(d_carry.gates)
    slope, into_z, from_h_to_c, to_c_before, masked = _factors(history, c_before, mask, act)
    d_gates = None
    if set("ifgo") & set(d_outputs):
        nothing = tf.zeros_like(history.c)
        d_gates = tf.concat([d_outputs.get(name, nothing) for name in "ifgo"], axis=2)
        d_gates = d_gates if repeats else d_gates * slope
    activated = history.activated
    times_R_transposed = _transposed_product(R, dropout, activated.shape[1])

    def body(t, d_carry, dz_history, d_history):
        dc, dh, d_repeated = d_carry
        if "h" in d_outputs:
            dh = dh + d_outputs["h"][t]
        if "c" in d_outputs:
            dc = dc + d_outputs["c"][t]
        dc = dc + dh * from_h_to_c[t]
        reaching = Carry(dc, dh, d_repeated + d_gates[t] if repeats else ())
        dz = tf.concat([dc, dc, dc, dh], axis=1) * into_z[t]
        if repeats:
            dz = dz + reaching.gates * slope[t]
            d_repeated = reaching.gates * masked[t]
        elif d_gates is not None:
            dz = dz + d_gates[t]
        dh_before = times_R_transposed(dz)
        if mask is not None:
            dh_before = dh_before + dh * masked[t]
        if act:
            d_history = tf.nest.map_structure(lambda history, value: history.write(t, value), d_history, reaching)
        return t - 1, Carry(dc * to_c_before[t], dh_before, d_repeated), dz_history.write(t, dz), d_history

    time = tf.shape(activated)[0]
    last = (time if steps is None else steps) - 1
    nothing = [tf.zeros_like(value) for value in (history.c, history.c, *([activated] if repeats else []))]
    _, d_carry, dz, d_history = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (last, d_carry, time_array(tf.zeros_like(activated)), Carry(*map(time_array, nothing)) if act else ()),
        maximum_iterations=time,
    )
    return dz.stack(), tf.nest.map_structure(lambda history: history.stack(), d_history), d_carry


def _factors(history, c_before, mask, act):
    """All that the backward loop multiplies by and that does not depend on dh and dc, for all steps at once.

    Computed ahead of the loop, which then holds few operations, each of which costs a start of its own.

    Returns:
        The slopes of the activations, what leads into dz beside dc and dh, what leads from dh to dc, from dc to the
        step before, and 1 at masked steps (None without a mask). An intervention's scale is in each that leads on from
        what it acts on.
    """
    i, f, g, o = tf.split(history.activated, 4, axis=2)
    slopes = dict(zip("ifgo", (i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o))))
    slopes = [_scaled(slope, act.get(name)) for name, slope in slopes.items()]
    others, from_h_to_c, to_c_before = _leading_on(history, c_before, act)
    into_z = tf.concat([slope * other for slope, other in zip(slopes, others)], axis=2)
    if mask is None:
        return tf.concat(slopes, axis=2), into_z, from_h_to_c, to_c_before, None
    real = mask[:, :, None]
    slopes = tf.concat([tf.where(real, slope, 0) for slope in slopes], axis=2)
    masked = tf.cast(~real, to_c_before.dtype)
    from_h_to_c, to_c_before = tf.where(real, from_h_to_c, 0), tf.where(real, to_c_before, 1)
    return slopes, tf.where(real, into_z, 0), from_h_to_c, to_c_before, masked


def _leading_on(history, c_before, act):
    """What leads from dc_t to i, f and g and from dh_t to o; from dh_t to dc_t; and from dc_t to dc_{t-1}."""
    gates = zip("ifgo", tf.split(history.activated, 4, axis=2))
    i, f, g, o = (steered(value, act.get(name)) for name, value in gates)
    tanh_c = tf.tanh(history.c)
    from_c = [_scaled(value, act.get("c")) for value in (g, c_before, i, f)]
    from_h = [_scaled(value, act.get("h")) for value in (tanh_c, o * (1 - tanh_c * tanh_c))]
    return (*from_c[:3], from_h[0]), from_h[1], from_c[3]


def _scaled(value, intervention):
    return value if intervention is None else value * intervention.scale


def intervention_gradients(history, c_before, mask, act, d_history, d_outputs):
    """{name: `Intervention`}, the gradients at each scale and shift of act, of the shapes that these have.

    Args:
        d_history: all that reaches c_t, h_t and, with repeats, the gates, as `backward_loop` gives it.
        d_outputs: as in `backward_loop`.
    """
    others, _, _ = _leading_on(history, c_before, act)
    activated = dict(zip("ifgo", tf.split(history.activated, 4, axis=2)))
    i, f, g, o = (steered(value, act.get(name)) for name, value in activated.items())
    values = {**activated, "c": i * g + f * c_before, "h": o * tf.tanh(history.c)}
    reaching = dict(zip("ifgo", (way * d for way, d in zip(others, [d_history.c] * 3 + [d_history.h]))))
    if tf.is_tensor(d_history.gates):
        from_outputs = dict(zip("ifgo", tf.split(d_history.gates, 4, axis=2)))
    else:
        from_outputs = {name: d for name, d in d_outputs.items() if name in "ifgo"}
    reaching = {name: d + from_outputs[name] if name in from_outputs else d for name, d in reaching.items()}
    reaching |= {"c": d_history.c, "h": d_history.h}
    gradients = {}
    for name, (scale, shift) in act.items():
        d = reaching[name] if mask is None else tf.where(mask[:, :, None], reaching[name], 0)
        gradients[name] = Intervention(_summed_to(d * values[name], scale), _summed_to(d, shift))
    return gradients


def _summed_to(values, number):
    """The sum over those axes along which a number was the same."""
    return tf.reduce_sum(values, [axis for axis in range(3) if number.shape[axis] == 1], keepdims=True)


def acts_on_gates(act):
    """Whether an intervention acts on i, f, g or o."""
    return bool(set("ifgo") & set(act))


def recurrent_kernel_gradient(h_before, dz, dropout):
    """dR = sum over t of h_{t-1}^T dz_t: one product over all steps of all sequences (one a gate with dropout)."""

    def product(h, dz):
        return tf.matmul(tf.reshape(h, [-1, h.shape[-1]]), tf.reshape(dz, [-1, dz.shape[-1]]), transpose_a=True)

    if dropout is None:
        return product(h_before, dz)
    gates = enumerate(tf.split(dz, 4, axis=2))
    return tf.concat([product(h_before * dropout[k], dz_k) for k, dz_k in gates], axis=1)


def batch_major(parts, begin, end, late):
    """The columns from `begin` to `end` of all parts, (time, rows, columns) each, as one (batch, time, columns).

    `late` has for each part the `Intervention` that acts on them only here, or None.
    """
    columns = [steered(part[:, :, begin:end], intervention) for part, intervention in zip(parts, late)]
    return tf.transpose(tf.concat(columns, 1), (1, 0, 2))


def time_array(zeros):
    """A TensorArray over the first axis of `zeros`, which it holds."""
    return tf.TensorArray(zeros.dtype, tf.shape(zeros)[0], element_shape=zeros.shape[1:]).unstack(zeros)


def _activate(a):
    """sigmoid of i, f, o and tanh of g, as ONE tanh over all four: sigmoid(v) = tanh(v / 2) / 2 + 1 / 2."""
    if a.dtype == tf.float64:
        # Whoever computes in double precision wants every digit, also of a gate close to 0.
        i, f, g, o = tf.split(a, 4, axis=1)
        return tf.concat([tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)], axis=1)
    units = a.shape[1] // 4
    scale = tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units, a.dtype)
    shift = tf.constant([0.5] * 2 * units + [0.0] * units + [0.5] * units, a.dtype)
    return tf.tanh(a * scale) * scale + shift


def _transposed_product(R, dropout, rows):
    """The function dz -> dz R^T, summed over the gates."""
    if dropout is not None:
        blocks = tf.split(R, 4, axis=1)

        def product(dz):
            of_gates = enumerate(zip(tf.split(dz, 4, axis=1), blocks))
            return tf.add_n([tf.matmul(dz_k, R_k, transpose_b=True) * dropout[k] for k, (dz_k, R_k) in of_gates])

        return product
    if rows == 1:
        return lambda dz: tf.matmul(dz, R, transpose_b=True)
    transposed = tf.transpose(R)  # once, here; the product for many rows would do so at every step
    return lambda dz: tf.matmul(dz, transposed)
