"""The LSTM recurrence on TensorFlow, forward and backward, compiled by XLA. (`recurrence.py` chooses and checks.)

The gradient is the chain rule through c_t written out. Let dh_t and dc_t be all that reaches h_t and c_t from later:

    dc_t += dh_t * o_t (1 - tanh(c_t)^2)
    dz_t  = [dc_t g_t, dc_t c_{t-1}, dc_t i_t, dh_t tanh(c_t)] * (slope of each activation)
    dh_{t-1} = dz_t R^T      dc_{t-1} = dc_t f_t      dR = sum_t h_{t-1}^T dz_t

Only dc and dh need a loop. Everything else is a product or an elementwise pass over all steps at once.

Names: a (time, rows, 4 * units) holds the four gates after their activation, in the order i, f, g, o. A part is the
share of the batch that one core works on; its sequences are the rows.
"""

import tensorflow as tf

# Steps in one compiled chunk: long enough that starting a chunk costs little, short enough that the last, which is
# padded, wastes little.
CHUNK = 32

# A batch is split, one part a core, only when each part keeps this many sequences.
ROWS_PER_PART = 8

SECOND_ORDER = (
    "Gradients of gradients expected path='portable'. Received: path='compiled' or 'chunked', whose gradient is "
    "written out for the first order only."
)

# What the forward loop can store of all steps, and the gradient needs: the gates as one array, c and h.
HISTORIES = ("a", "c", "h")

_chains = {}


def chain(z, h0, c0, R, mask, dropout, wanted, last_only, chunked, training=True):
    """The `wanted` outputs in order, or the last c and h, from arguments that `recurrence` has checked."""
    # One function for each batch and units: within one only the number of steps may vary, and be relaxed to unknown
    # by `reduce_retracing`. A batch relaxed to unknown would be split where it should not.
    key = (wanted, last_only, chunked, training, *h0.shape)
    if key not in _chains:
        _chains[key] = _make_chain(wanted, last_only, CHUNK if chunked else None, training)
    # A Keras variable counts as a tensor, but TensorFlow's functions do not know it: read it here.
    mask = None if mask is None else tf.transpose(mask)
    return _chains[key](*map(tf.convert_to_tensor, (z, h0, c0, R)), mask, dropout)


def scan(step, state, z, mask, stored):
    """The last state, and by name its histories that are `stored`, of `step` over axis 0 of z and mask.

    Ordinary operations, any gradient. What is not stored costs nothing: a TFLite file copies each history at each step.

    (keras.ops.scan fails for an unknown number of steps with a mask, and for the gradient under XLA, which needs to
    know that there are at most `time` iterations.)
    """
    time = tf.shape(z)[0] if z.shape[0] is None else z.shape[0]
    arrays = {
        name: tf.TensorArray(value.dtype, time, element_shape=value.shape)
        for name, value in state._asdict().items()
        if name in stored
    }

    def body(t, state, arrays):
        state = step(state, z[t], None if mask is None else mask[t])
        return t + 1, state, {name: array.write(t, getattr(state, name)) for name, array in arrays.items()}

    # TensorFlow's own counter ends the loop.
    _, last, arrays = tf.while_loop(lambda *_: True, body, (0, state, arrays), maximum_iterations=time)
    return last, {name: array.stack() for name, array in arrays.items()}


def _make_chain(wanted, last_only, chunk, training):
    needed = {"a" if name in "ifgo" else name for name in wanted} if not last_only else set()
    stored = tuple(name for name in HISTORIES if training or name in needed)
    compiled_forward, compiled_backward = (
        tf.function(function, autograph=False, jit_compile=True) for function in (_forward_loop, _backward_loop)
    )
    # One program an output, not one for all: those that nobody uses are then left out of a graph. Where the number of
    # steps varies no program, which would be compiled for each number.
    batch_major = tf.function(_batch_major, autograph=False, jit_compile=True) if chunk is None else _batch_major

    def forward_part(z, first, h0, c0, R, mask, dropout, stored):
        """The `stored` histories by name, last c and last h of the rows of z that begin at `first`."""
        held = [] if mask is None else [tf.zeros([tf.shape(h0)[0], z.shape[2]], z.dtype)]
        if chunk is None:
            return compiled_forward(z, first, h0, c0, held, R, mask, dropout, None, stored)[:3]
        time, rows = tf.shape(z)[0], tf.shape(h0)[0]
        count = -(-time // chunk)
        z, mask = _pad_time(z[:, first : first + rows], count * chunk), _pad_time(mask, count * chunk)
        widths = {"a": z.shape[2], "c": h0.shape[1], "h": h0.shape[1]}
        histories = {
            name: tf.TensorArray(z.dtype, count, element_shape=[chunk, h0.shape[0], widths[name]]) for name in stored
        }

        def body(k, c, h, held, histories):
            of_chunk, c, h, held = compiled_forward(
                _chunk(z, k, chunk, h0.shape[0]),
                0,
                h,
                c,
                held,
                R,
                _chunk(mask, k, chunk),
                dropout,
                tf.minimum(chunk, time - k * chunk),
                stored,
            )
            return k + 1, c, h, held, {name: chunks.write(k, of_chunk[name]) for name, chunks in histories.items()}

        _, c, h, _, histories = tf.while_loop(lambda k, *_: k < count, body, (0, c0, h0, held, histories))
        return {name: _join_chunks(chunks) for name, chunks in histories.items()}, c, h

    def backward_part(a, c, c0, R, mask, dropout, d_outputs, dc, dh, time):
        """dz (time, rows, 4U), dc0 and dh0 of one part, given the cotangents of its outputs and of its last state."""
        c_before = tf.concat([c0[None], c[:-1]], 0)
        d_outputs = {name: tf.transpose(value, (1, 0, 2)) for name, value in d_outputs.items()}
        held = [tf.zeros_like(a[0])] if mask is not None and set("ifgo") & set(d_outputs) else []
        if chunk is None:
            return compiled_backward(a, c, c_before, R, mask, dropout, d_outputs, dc, dh, held, None)[:3]
        padded = tf.shape(a)[0]
        count = padded // chunk
        mask = _pad_time(mask, padded)
        d_outputs = {name: _pad_time(value, padded) for name, value in d_outputs.items()}
        history = tf.TensorArray(a.dtype, count, element_shape=[chunk, *a.shape[1:]])

        def body(k, dc, dh, held, dz_chunks):
            dz_k, dc, dh, held = compiled_backward(
                _chunk(a, k, chunk),
                _chunk(c, k, chunk),
                _chunk(c_before, k, chunk),
                R,
                _chunk(mask, k, chunk),
                dropout,
                {name: _chunk(value, k, chunk) for name, value in d_outputs.items()},
                dc,
                dh,
                held,
                tf.minimum(chunk, time - k * chunk),
            )
            return k - 1, dc, dh, held, dz_chunks.write(k, dz_k)

        _, dc, dh, _, history = tf.while_loop(lambda k, *_: k >= 0, body, (count - 1, dc, dh, held, history))
        return _join_chunks(history), dc, dh

    def forward(z, h0, c0, R, mask, dropout, stored):
        """The wanted values, and the `stored` histories of each part."""
        parts = [
            forward_part(z, rows.start, h0[rows], c0[rows], R, *_masks_of(rows, mask, dropout), stored)
            for rows in _parts(h0)
        ]
        histories, c_last, h_last = zip(*parts)
        if last_only:
            return [tf.concat(c_last, 0), tf.concat(h_last, 0)], histories
        values, units = [], h0.shape[1]
        for name in wanted:
            begin = units * "ifgo".index(name) if name in "ifgo" else 0
            of_parts = [history[name if name in stored else "a"][: tf.shape(z)[0]] for history in histories]
            values.append(batch_major(of_parts, begin, begin + units))
        return values, histories

    def backward(time, h0, c0, R, mask, dropout, histories, d_outputs, d_last):
        """dz, dh0, dc0 and dR, given the cotangents by name of the outputs, or of the last state."""
        dc, dh = d_last.get("c", tf.zeros_like(c0)), d_last.get("h", tf.zeros_like(h0))
        pieces, dR = [], []
        for p, rows in enumerate(_parts(h0)):
            own_mask, own_dropout = _masks_of(rows, mask, dropout)
            d_own = {name: value[rows] for name, value in d_outputs.items()}
            a, c, h = (histories[p][name] for name in HISTORIES)
            piece = backward_part(a, c, c0[rows], R, own_mask, own_dropout, d_own, dc[rows], dh[rows], time)
            h_before = tf.concat([h0[rows][None], h[:-1]], 0)
            pieces.append(piece)
            dR.append(_recurrent_kernel_gradient(h_before, piece[0], own_dropout))
        dz, dc0, dh0 = zip(*pieces)
        return tf.concat(dz, 1)[:time], tf.concat(dh0, 0), tf.concat(dc0, 0), tf.add_n(dR)

    # As graphs, so that the parts run side by side in eager mode too.
    forward = tf.function(forward, autograph=False, reduce_retracing=True)
    backward = tf.function(backward, autograph=False, reduce_retracing=True)

    def run(z, h0, c0, R, mask, dropout):
        time = tf.shape(z)[0]
        # Stands for z in the gradient, which would otherwise keep all of z in memory until it has run.
        of_z = z[:1, :1, :1]

        @tf.custom_gradient
        def differentiable(z, h0, c0, R):
            state = [_hide(value) for value in (h0, c0, R)]
            inputs = _hide(z), *state, mask, dropout
            values, histories = forward(*inputs, stored)

            def gradient(*d_values):
                complete = histories if stored == HISTORIES else forward(*inputs, HISTORIES)[1]
                known_zero = [_known_zero(d) for d in d_values]

                @tf.custom_gradient
                def first_order_only(*values):
                    d_used = {name: _hide(d) for name, d, known in zip(wanted, values[4:], known_zero) if not known}
                    d_outputs, d_last = ({}, d_used) if last_only else (d_used, {})
                    slopes = backward(time, *state, mask, dropout, complete, d_outputs, d_last)
                    # `backward` is traced once for several shapes, and does not tell the sizes that are known here.
                    slopes = [tf.ensure_shape(d, value.shape) for d, value in zip(slopes, (z, h0, c0, R))]
                    return slopes, lambda *d_slopes: _refuse(values, d_slopes)

                return first_order_only(of_z, h0, c0, R, *d_values)

            return tuple(values), gradient

        return differentiable(z, h0, c0, R)

    return run


def _hide(value):
    """`value`, unseen by gradient tapes: they follow no integers. (Reinterpreting bits costs nothing.)

    Within the chain nothing must be recorded, as its gradient is written out; a tape that saw the XLA programs would
    make them give out all their intermediate values.
    """
    integer = {2: tf.int16, 4: tf.int32, 8: tf.int64}[value.dtype.size]
    return tf.bitcast(tf.bitcast(value, integer), value.dtype)


def _known_zero(d):
    """Whether a cotangent is a zero that TensorFlow put there for an output nobody used; only a graph can tell."""
    if tf.executing_eagerly():
        return False
    if d.op.type == "Fill":
        return tf.get_static_value(d.op.inputs[1]) == 0
    if d.op.type == "Const":
        return not tf.get_static_value(d).any()
    return d.op.type == "ZerosLike"


def _refuse(inputs, d_results):
    """The gradient of the gradient: refused when the graph runs, and only if any of it is asked for.

    Not by an exception here: persistent tapes prepare gradients of gradients and then send zeros this way.
    """
    asked = tf.add_n([tf.cast(tf.math.count_nonzero(d), tf.float32) for d in d_results])
    refusal = tf.debugging.check_numerics(tf.where(asked > 0, float("nan"), 0.0), SECOND_ORDER)
    return [tf.zeros_like(value) + tf.cast(refusal, value.dtype) for value in inputs]


def _forward_loop(z, first, h, c, held, R, mask, dropout, steps, stored):
    """The forward recurrence of those rows of z (time, batch, 4U) that begin at `first`, up to `steps` (None: all).

    (Reading the rows step by step spares a copy of them.)

    Returns the `stored` ones of a (time, rows, 4U), c and h (time, rows, U) by name, and the last c, h and gates.
    """
    time, rows, columns = tf.shape(z)[0], h.shape[0] or tf.shape(h)[0], z.shape[2]
    steps = time if steps is None else steps
    widths = {"a": columns, "c": h.shape[1], "h": h.shape[1]}
    histories = {name: _time_array(tf.zeros([time, rows, widths[name]], z.dtype)) for name in stored}

    def body(t, c, h, held, histories):
        z_t = tf.slice(z, [t, first, 0], [1, rows, columns])[0]
        a = _activate(z_t + _times_recurrent_kernel(h, R, dropout))
        i, f, g, o = tf.split(a, 4, axis=1)
        c_new = i * g + f * c
        h_new = o * tf.tanh(c_new)
        if mask is not None:
            real = mask[t][:, None]
            a = tf.where(real, a, held[0])
            c_new, h_new = tf.where(real, c_new, c), tf.where(real, h_new, h)
            held = [a]
        now = {"a": a, "c": c_new, "h": h_new}
        histories = {name: history.write(t, now[name]) for name, history in histories.items()}
        return t + 1, c_new, h_new, held, histories

    _, c, h, held, histories = tf.while_loop(
        lambda t, *_: t < steps, body, (0, c, h, held, histories), maximum_iterations=time
    )
    return {name: history.stack() for name, history in histories.items()}, c, h, held


def _backward_loop(a, c, c_before, R, mask, dropout, d_outputs, dc, dh, d_held, steps):
    """The chain rule through c_t, from the last of `steps` (None: of all) to the first.

    Args:
        a, c, c_before: (time, rows, 4U or U), what the forward loop stored, and c one step earlier.
        d_outputs: the cotangents that reach the outputs from outside, by name, (time, rows, U).
        dc, dh: the cotangents that reach the last state from later.
        d_held: [] or, where masked steps repeat gates, [their cotangent from later steps], (rows, 4U).

    Returns:
        dz (time, rows, 4U), and dc, dh, d_held as they reach what came before the first step.
    """
    # Everything that does not depend on dh and dc is known for all steps, and computed ahead of the loop: the loop
    # then holds few operations, each of which costs a start of its own, and these run on all cores.
    i, f, g, o = tf.split(a, 4, axis=2)
    tanh_c = tf.tanh(c)
    slopes = [i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)]
    into_z = tf.concat([slope * other for slope, other in zip(slopes, (g, c_before, i, tanh_c))], axis=2)
    from_h_to_c = o * (1 - tanh_c * tanh_c)
    to_c_before = f
    if mask is not None:
        mask = mask[:, :, None]
        masked = tf.cast(~mask, a.dtype)
        slopes, into_z = [tf.where(mask, slope, 0) for slope in slopes], tf.where(mask, into_z, 0)
        from_h_to_c, to_c_before = tf.where(mask, from_h_to_c, 0), tf.where(mask, f, 1)
    d, slope, d_gates = d_outputs, tf.concat(slopes, axis=2), None
    if set("ifgo") & set(d):
        d_gates = tf.concat([d.get(name, tf.zeros_like(c)) for name in "ifgo"], axis=2)
        if not d_held:
            d_gates = d_gates * slope
    times_R_transposed = _transposed_product(R, dropout, a.shape[1])

    def body(t, dc, dh, d_held, dz_history):
        if "h" in d:
            dh = dh + d["h"][t]
        if "c" in d:
            dc = dc + d["c"][t]
        dc = dc + dh * from_h_to_c[t]
        dz = tf.concat([dc, dc, dc, dh], axis=1) * into_z[t]
        if d_held:
            d_repeated = d_held[0] + d_gates[t]
            dz = dz + d_repeated * slope[t]
            d_held = [d_repeated * masked[t]]
        elif d_gates is not None:
            dz = dz + d_gates[t]
        dh_before = times_R_transposed(dz)
        if mask is not None:
            dh_before = dh_before + dh * masked[t]
        return t - 1, dc * to_c_before[t], dh_before, d_held, dz_history.write(t, dz)

    steps = tf.shape(a)[0] if steps is None else steps
    history = _time_array(tf.zeros_like(a))
    _, dc, dh, d_held, history = tf.while_loop(
        lambda t, *_: t >= 0, body, (steps - 1, dc, dh, d_held, history), maximum_iterations=tf.shape(a)[0]
    )
    return history.stack(), dc, dh, d_held


def _activate(a):
    """sigmoid of i, f, o and tanh of g, as ONE tanh over all four: sigmoid(v) = tanh(v / 2) / 2 + 1 / 2."""
    if a.dtype == tf.float64:
        # Double precision is asked for by those who want every digit, also of a gate close to 0.
        i, f, g, o = tf.split(a, 4, axis=1)
        return tf.concat([tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)], axis=1)
    units = a.shape[1] // 4
    scale = tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units, a.dtype)
    shift = tf.constant([0.5] * 2 * units + [0.0] * units + [0.5] * units, a.dtype)
    return tf.tanh(a * scale) * scale + shift


def _times_recurrent_kernel(h, R, dropout):
    if dropout is None:
        return tf.matmul(h, R)
    return tf.concat([tf.matmul(h * dropout[k], block) for k, block in enumerate(tf.split(R, 4, axis=1))], axis=1)


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


def _recurrent_kernel_gradient(h_before, dz, dropout):
    """dR = sum over t of h_{t-1}^T dz_t: one product over all steps of all sequences (one a gate with dropout)."""

    def product(h, dz):
        return tf.matmul(tf.reshape(h, [-1, h.shape[-1]]), tf.reshape(dz, [-1, dz.shape[-1]]), transpose_a=True)

    if dropout is None:
        return product(h_before, dz)
    gates = enumerate(tf.split(dz, 4, axis=2))
    return tf.concat([product(h_before * dropout[k], dz_k) for k, dz_k in gates], axis=1)


def _batch_major(parts, begin, end):
    """The columns from `begin` to `end` of all parts, (time, rows, columns) each, as one (batch, time, columns)."""
    return tf.transpose(tf.concat([part[:, :, begin:end] for part in parts], 1), (1, 0, 2))


def _parts(h0):
    """Slices of the batch, one a core: sequences are independent, so no core need wait for another at every step."""
    rows = h0.shape[0]
    if rows is not None and rows < 2 * ROWS_PER_PART:
        return [slice(0, rows)]
    if rows is None:
        rows = tf.shape(h0)[0]
    half = -(-rows // 2)
    return [slice(0, half), slice(half, rows)]


def _masks_of(rows, mask, dropout):
    return None if mask is None else mask[:, rows], None if dropout is None else dropout[:, rows]


def _sizes(value):
    return tf.unstack(tf.shape(value))


def _time_array(zeros):
    return tf.TensorArray(zeros.dtype, tf.shape(zeros)[0], element_shape=zeros.shape[1:]).unstack(zeros)


def _pad_time(value, time):
    """`value`, whose first axis is time, with zeros (False) after its end."""
    if value is None:
        return None
    return tf.pad(value, [[0, time - tf.shape(value)[0]], *[[0, 0]] * (len(value.shape) - 1)])


def _chunk(value, k, chunk, rows=None):
    """Chunk k of a value whose first axis is time. (A slice of known size: XLA, outside, accepts no other.)"""
    if value is None:
        return None
    after = len(value.shape) - 1
    piece = tf.slice(value, [k * chunk, *[0] * after], [chunk, *[-1] * after])
    return tf.ensure_shape(piece, [chunk, value.shape[1] if rows is None else rows, *value.shape[2:]])


def _join_chunks(chunks):
    stacked = chunks.stack()
    return tf.reshape(stacked, tf.concat([[-1], tf.shape(stacked)[2:]], 0))
