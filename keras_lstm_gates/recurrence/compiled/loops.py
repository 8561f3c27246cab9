"""The two loops over time, forward and backward, as XLA compiles them. (`recurrence.paths` has the derivation.)

Names: a (time, rows, 4 * units) holds the four gates after their activation, in the order i, f, g, o; the rows are the
sequences that one program works on.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_lstm_gates.recurrence.portable import times_recurrent_kernel


class Carry(NamedTuple):
    """What one step of the forward loop hands on to the next; in the backward loop its cotangent.

    c, h (rows, units); gates (rows, 4 * units), which a masked step repeats, or () where none is masked.
    """

    c: Any
    h: Any
    gates: Any = ()


class History(NamedTuple):
    """What the gradient needs of all steps, (time, rows, 4 * units) and (time, rows, units)."""

    a: Any
    c: Any
    h: Any


def forward_loop(z, first, carry, R, mask, dropout, steps, stored):
    """The forward recurrence of those rows of z (time, batch, 4U) that begin at `first`, up to `steps` (None: all).

    (Reading the rows step by step spares a copy of them.)

    Returns:
        The `stored` fields of `History` by name, and the last `Carry`.
    """
    time, rows, columns = tf.shape(z)[0], carry.h.shape[0] or tf.shape(carry.h)[0], z.shape[2]
    widths = History(columns, carry.c.shape[1], carry.h.shape[1])
    histories = {name: time_array(tf.zeros([time, rows, getattr(widths, name)], z.dtype)) for name in stored}

    def body(t, carry, histories):
        z_t = tf.slice(z, [t, first, 0], [1, rows, columns])[0]
        a = _activate(z_t + times_recurrent_kernel(carry.h, R, dropout))
        i, f, g, o = tf.split(a, 4, axis=1)
        c = i * g + f * carry.c
        h = o * tf.tanh(c)
        if mask is not None:
            real = mask[t][:, None]
            a = tf.where(real, a, carry.gates)
            c, h = tf.where(real, c, carry.c), tf.where(real, h, carry.h)
        now = History(a, c, h)
        histories = {name: history.write(t, getattr(now, name)) for name, history in histories.items()}
        return t + 1, Carry(c, h, () if mask is None else a), histories

    end = time if steps is None else steps
    _, carry, histories = tf.while_loop(lambda t, *_: t < end, body, (0, carry, histories), maximum_iterations=time)
    return {name: history.stack() for name, history in histories.items()}, carry


def backward_loop(history, c_before, R, mask, dropout, d_outputs, d_carry, steps):
    """The chain rule through c_t, from the last of `steps` (None: of all) to the first.

    Args:
        history: `History` of the forward loop; its h is not used.
        c_before: c one step earlier, (time, rows, U).
        d_outputs: the cotangents that reach the outputs from outside, by name, (time, rows, U).
        d_carry: the cotangent that reaches the last `Carry` from later; of its gates only where masked steps repeat
            gates that have a cotangent, else ().

    Returns:
        dz (time, rows, 4U), and d_carry as it reaches what came before the first step.
    """
    repeats = tf.is_tensor(d_carry.gates)
    slope, into_z, from_h_to_c, to_c_before, masked = _factors(history, c_before, mask)
    d_gates = None
    if set("ifgo") & set(d_outputs):
        nothing = tf.zeros_like(history.c)
        d_gates = tf.concat([d_outputs.get(name, nothing) for name in "ifgo"], axis=2)
        d_gates = d_gates if repeats else d_gates * slope
    times_R_transposed = _transposed_product(R, dropout, history.a.shape[1])

    def body(t, d_carry, dz_history):
        dc, dh, d_repeated = d_carry
        if "h" in d_outputs:
            dh = dh + d_outputs["h"][t]
        if "c" in d_outputs:
            dc = dc + d_outputs["c"][t]
        dc = dc + dh * from_h_to_c[t]
        dz = tf.concat([dc, dc, dc, dh], axis=1) * into_z[t]
        if repeats:
            d_repeated = d_repeated + d_gates[t]
            dz = dz + d_repeated * slope[t]
            d_repeated = d_repeated * masked[t]
        elif d_gates is not None:
            dz = dz + d_gates[t]
        dh_before = times_R_transposed(dz)
        if mask is not None:
            dh_before = dh_before + dh * masked[t]
        return t - 1, Carry(dc * to_c_before[t], dh_before, d_repeated), dz_history.write(t, dz)

    time = tf.shape(history.a)[0]
    last = (time if steps is None else steps) - 1
    _, d_carry, dz = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (last, d_carry, time_array(tf.zeros_like(history.a))),
        maximum_iterations=time,
    )
    return dz.stack(), d_carry


def _factors(history, c_before, mask):
    """All that the backward loop multiplies by and that does not depend on dh and dc, for all steps at once.

    Computed ahead of the loop, which then holds few operations, each of which costs a start of its own.

    Returns:
        The slopes of the activations, what leads into dz beside dc and dh, what leads from dh to dc, from dc to the
        step before, and 1 at masked steps (None without a mask).
    """
    i, f, g, o = tf.split(history.a, 4, axis=2)
    tanh_c = tf.tanh(history.c)
    slopes = [i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)]
    into_z = tf.concat([slope * other for slope, other in zip(slopes, (g, c_before, i, tanh_c))], axis=2)
    from_h_to_c = o * (1 - tanh_c * tanh_c)
    if mask is None:
        return tf.concat(slopes, axis=2), into_z, from_h_to_c, f, None
    real = mask[:, :, None]
    slopes = tf.concat([tf.where(real, slope, 0) for slope in slopes], axis=2)
    masked = tf.cast(~real, f.dtype)
    return slopes, tf.where(real, into_z, 0), tf.where(real, from_h_to_c, 0), tf.where(real, f, 1), masked


def recurrent_kernel_gradient(h_before, dz, dropout):
    """dR = sum over t of h_{t-1}^T dz_t: one product over all steps of all sequences (one a gate with dropout)."""

    def product(h, dz):
        return tf.matmul(tf.reshape(h, [-1, h.shape[-1]]), tf.reshape(dz, [-1, dz.shape[-1]]), transpose_a=True)

    if dropout is None:
        return product(h_before, dz)
    gates = enumerate(tf.split(dz, 4, axis=2))
    return tf.concat([product(h_before * dropout[k], dz_k) for k, dz_k in gates], axis=1)


def batch_major(parts, begin, end):
    """The columns from `begin` to `end` of all parts, (time, rows, columns) each, as one (batch, time, columns)."""
    return tf.transpose(tf.concat([part[:, :, begin:end] for part in parts], 1), (1, 0, 2))


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
