"""The LSTM recurrence over a whole sequence: the ways to run it, and the choice between them.

For step t, with z_t = x_t W + b already known for the whole sequence:

    a_t = z_t + h_{t-1} R                     columns in the order i, f, g, o
    i_t, f_t, o_t = sigmoid(a_t)              g_t = tanh(a_t)
    c_t = i_t * g_t + f_t * c_{t-1}           h_t = o_t * tanh(c_t)

A gate called i, f, g or o is the value AFTER its activation. A masked step repeats the last real step in all six
outputs; before the first real step i, f, g, o are 0 and c, h are c0, h0.

The gradient is the chain rule through c_t written out. Let dh_t and dc_t be all that reaches h_t and c_t from later:

    dc_t += dh_t * o_t (1 - tanh(c_t)^2)
    dz_t  = [dc_t g_t, dc_t c_{t-1}, dc_t i_t, dh_t tanh(c_t)] * (slope of each activation)
    dh_{t-1} = dz_t R^T      dc_{t-1} = dc_t f_t      dR = sum_t h_{t-1}^T dz_t

Only the first two of the last line need a loop. Everything else is a product or an elementwise pass over all steps.
"""

import contextlib
import contextvars

import keras
from keras import ops

from keras_lstm_gates.gates import Gates, step

PATHS = ("portable", "compiled", "chunked", "cudnn")

_path_in_use = contextvars.ContextVar("path_in_use", default="auto")


@contextlib.contextmanager
def use_path(path):
    """Force the path of every recurrence that runs, or is traced into a graph, inside this `with` block.

    Args:
        path: one of `PATHS`, or "auto".

    Example:
        >>> import numpy as np
        >>> from keras_lstm_gates.layers import GatedLSTM
        >>> with use_path("portable"):
        ...     tuple(GatedLSTM(4)(np.zeros((2, 10, 3), "float32")).shape)
        (2, 4)
    """
    token = _path_in_use.set(path)
    try:
        yield
    finally:
        _path_in_use.reset(token)


def recurrence(
    z,
    h0,
    c0,
    recurrent_kernel,
    *,
    mask=None,
    activation=keras.activations.tanh,
    recurrent_activation=keras.activations.sigmoid,
    recurrent_dropout_mask=None,
    unroll=False,
    last_only=False,
    outputs=Gates._fields,
    hidden=None,
    path=None,
    training=False,
):
    """The recurrence, given z = x W + b.

    Args:
        z: float, (time, batch, 4 * units): time first, as the loop reads it, so that nothing is transposed but x.
        h0, c0: (batch, units).
        recurrent_kernel: (units, 4 * units).
        mask: bool (batch, time) or None, any pattern. True = a real step.
        recurrent_dropout_mask: None or (4, batch, units): one factor per gate, multiplied onto h_{t-1} before the
            product with that gate's block of R, the same at all steps. No gradient flows to it.
        unroll: unroll the steps in Python (needs a known number of steps).
        last_only: return only the last c and h, (batch, units); the other fields are None.
        outputs: names of the fields wanted; the others are None. Fewer cost less.
        hidden: None, or a function without arguments that gives h (batch, time, units) by a kernel that hides its
            gates; the "cudnn" path calls it.
        training: keep all that a gradient needs. Without it the compiled paths keep no more than `outputs`, and a
            gradient, where one is asked for all the same, runs the forward loop again.
        path: "auto" or one of `PATHS`; None for the one that `use_path` set, which is "auto" outside of it.

    Returns:
        `Gates(i, f, g, o, c, h)`, each (batch, time, units) or None; with `last_only` c and h are (batch, units).

    Raises:
        ValueError: what was expected, then what was received, for example "Expected h0 of shape (3, 4). Received:
            h0.shape=(2, 4)", or a forced path that cannot serve the arguments.

    The paths, and when "auto" takes them:
        compiled: TensorFlow, tanh and sigmoid. Loop and gradient are written out and compiled by XLA for the shapes
            at hand; a batch is split into one loop a core. Taken in a graph whose number of steps is known:
            fastest, but a new number of steps costs a compilation (about 0.5 s forward and 1 s backward, for each
            size of a part).
        chunked: the same, compiled for a chunk of steps and run chunk after chunk, so that sequences of all lengths
            share one compilation. Taken when the number of steps is unknown (time=None in a graph), and in eager
            mode, where the next call may bring another length.
        cudnn: h by `hidden`, which is Keras's cuDNN kernel on a GPU, then every gate by `gates_from_hidden`. Taken
            where TensorFlow sees a GPU and `hidden` is given. Its arithmetic is tested on a CPU; it has not been
            timed.
        portable: ordinary operations and automatic differentiation: every backend, activation and order of
            gradient; the path to export. Taken on other backends, for other activations, with `unroll=True` and
            under `tf.debugging.enable_check_numerics`, which watches operations that XLA would melt into one.

    Gradients of gradients need path="portable"; the other paths refuse them when they run.
    """
    z, h0, c0, recurrent_kernel = (ops.convert_to_tensor(v) for v in (z, h0, c0, recurrent_kernel))
    if len(z.shape) != 3:
        raise ValueError(f"Expected z of shape (time, batch, 4 * units). Received: z.shape={tuple(z.shape)}")
    if recurrent_dropout_mask is not None:
        recurrent_dropout_mask = ops.cast(recurrent_dropout_mask, z.dtype)
    mask = None if mask is None else ops.cast(mask, "bool")
    z, h0, c0, recurrent_kernel, mask, recurrent_dropout_mask = _agreeing(
        z=z,
        h0=h0,
        c0=c0,
        recurrent_kernel=recurrent_kernel,
        mask=mask,
        recurrent_dropout_mask=recurrent_dropout_mask,
    )
    time, batch = z.shape[:2]
    shape = (batch, h0.shape[1]) if last_only else (batch, time, h0.shape[1])
    unknown = set(outputs) - set(Gates._fields)
    if unknown:
        raise ValueError(f"Expected outputs among {Gates._fields}. Received: {sorted(unknown)}")

    obstacles = _obstacles(activation, recurrent_activation, unroll)
    path = _choose(path or _path_in_use.get(), obstacles, time, hidden is not None)
    if last_only:
        outputs = ("c", "h")
    if path == "cudnn":
        gates = gates_from_hidden(ops.transpose(z, (1, 0, 2)), hidden(), h0, c0, recurrent_kernel, mask=mask)
        gates = Gates(*[values[:, -1] for values in gates]) if last_only else gates
    elif path == "portable":
        gates = _portable(
            z,
            h0,
            c0,
            recurrent_kernel,
            mask,
            activation,
            recurrent_activation,
            recurrent_dropout_mask,
            unroll,
            last_only,
            outputs,
        )
    else:
        from keras_lstm_gates.recurrence.compiled import chain

        wanted = tuple(name for name in Gates._fields if name in outputs)
        values = chain(
            z,
            h0,
            c0,
            recurrent_kernel,
            mask,
            recurrent_dropout_mask,
            wanted,
            last_only,
            chunked=path == "chunked",
            training=bool(training),
        )
        gates = Gates(**(dict.fromkeys(Gates._fields) | dict(zip(wanted, values))))
    return Gates(*[_of_shape(value, shape) if name in outputs else None for name, value in zip(Gates._fields, gates)])


def _obstacles(activation, recurrent_activation, unroll):
    """What keeps a written-out gradient or a fused kernel from serving these arguments."""
    obstacles = []
    if keras.backend.backend() != "tensorflow":
        obstacles.append(f"the TensorFlow backend, received keras.backend.backend()={keras.backend.backend()!r}")
    if activation is not keras.activations.tanh:
        obstacles.append(f"activation=keras.activations.tanh, received {activation!r}")
    if recurrent_activation is not keras.activations.sigmoid:
        obstacles.append(f"recurrent_activation=keras.activations.sigmoid, received {recurrent_activation!r}")
    if unroll:
        obstacles.append(f"unroll=False, received unroll={unroll!r}")
    return obstacles


def cudnn_obstacles(activation, recurrent_activation, unroll):
    """What keeps Keras's cuDNN kernel from serving these arguments on this machine, each as "..., received ..."."""
    obstacles = _obstacles(activation, recurrent_activation, unroll)
    return obstacles if keras.backend.backend() != "tensorflow" or _sees_gpu() else [*obstacles, "a GPU, received none"]


def _choose(path, obstacles, time, fused_kernel_serves):
    if path != "auto" and path not in PATHS:
        raise ValueError(f"Expected path to be 'auto' or one of {PATHS}. Received: path={path!r}")
    if path == "auto":
        if obstacles or _checks_every_number():
            return "portable"
        if fused_kernel_serves and _sees_gpu():
            return "cudnn"
        return "chunked" if time is None or _eager() else "compiled"
    if path == "cudnn" and not fused_kernel_serves:
        obstacles = [*obstacles, "a bias, no mask and no recurrent dropout, received another combination"]
    if path != "portable" and obstacles:
        raise ValueError(f"path={path!r} expected " + "; ".join(obstacles))
    return path


def _eager():
    """Whether nothing is being traced: then every batch has a known length, but the next may have another."""
    import tensorflow as tf

    return tf.executing_eagerly()


def _checks_every_number():
    """Whether `tf.debugging.enable_check_numerics` is on: what it adds to every operation, XLA cannot compile.

    TensorFlow does not tell; it has to be shown a number that is none.
    """
    import tensorflow as tf

    with tf.init_scope():
        try:
            tf.negative(tf.constant(float("nan")))
        except tf.errors.InvalidArgumentError:
            return True
    return False


def _sees_gpu():
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


# The axes of each argument, by the name of its size.
_AXES = {
    "z": ("time", "batch", "4 * units"),
    "h0": ("batch", "units"),
    "c0": ("batch", "units"),
    "recurrent_kernel": ("units", "4 * units"),
    "mask": ("batch", "time"),
    "recurrent_dropout_mask": ("4", "batch", "units"),
}


def _agreeing(**arguments):
    """The arguments, each with every size that any of them knows.

    A size known from one argument alone is checked in the others when they run; a wrong one is refused here, before
    any kernel sees it.
    """
    units, (time, batch) = arguments["h0"].shape[-1], arguments["z"].shape[:2]
    sizes = {"time": time, "batch": batch, "units": units, "4 * units": 4 * units, "4": 4}
    for name, value in arguments.items():
        if value is None:
            continue
        received, expected = tuple(value.shape), tuple(sizes[axis] for axis in _AXES[name])
        if len(received) != len(expected) or any(
            None not in (one, other) and one != other for one, other in zip(received, expected)
        ):
            raise ValueError(f"Expected {name} of shape {expected}. Received: {name}.shape={received}")
        sizes |= {axis: size for axis, size in zip(_AXES[name], received) if size is not None}
    given = [value for value in arguments.values() if value is not None]
    return [_of_shape(value, tuple(sizes[axis] for axis in _AXES[name]), given) for name, value in arguments.items()]


def _of_shape(value, shape, given=()):
    """`value`, known to have this shape where only its run would tell. (TensorFlow alone has unknown sizes.)"""
    if value is None or tuple(value.shape) == tuple(shape):
        return value
    import tensorflow as tf

    # What was given may refuse its sizes by name: were this not after it, chance would say which of the two is raised.
    with tf.control_dependencies(given):
        return tf.ensure_shape(value, shape)


def gates_from_hidden(
    z,
    h,
    h0,
    c0,
    recurrent_kernel,
    *,
    mask=None,
    activation=keras.activations.tanh,
    recurrent_activation=keras.activations.sigmoid,
):
    """Every gate of a sequence whose hidden states are known, by one matrix product and no loop over matrices.

    A kernel that hides its gates (cuDNN on a GPU) gives h; then a_t = z_t + h_{t-1} R is known for all t at once, and
    c_t = f_t c_{t-1} + i_t g_t is a linear recurrence, which an associative scan solves in log(time) passes.

    Args:
        z: float, (batch, time, 4 * units), x W + b.
        h: float, (batch, time, units). What it holds at masked steps is not used.
        h0, c0, recurrent_kernel, mask, activation, recurrent_activation: as in `recurrence`.

    Returns:
        `Gates`, each (batch, time, units), masked steps as in `recurrence`.
    """
    time = ops.arange(ops.shape(z)[1], dtype="int32")
    real = ops.ones(ops.shape(z)[:2], "bool") if mask is None else ops.cast(mask, "bool")
    # 1 + the last real step up to each step, 0 before the first: an index into the states with the first one in front.
    last_real = _cumulative_max(ops.where(real, time + 1, 0))
    before = ops.concatenate([ops.zeros_like(last_real[:, :1]), last_real[:, :-1]], axis=1)
    h = ops.concatenate([h0[:, None], h], axis=1)
    h_before = ops.take_along_axis(h, before[:, :, None], axis=1)
    nothing = ops.zeros_like(z[..., : c0.shape[-1]])
    gates = step(z + ops.matmul(h_before, recurrent_kernel), nothing, activation, recurrent_activation)
    f, written = (
        ops.where(real[:, :, None], value, at_masked) for value, at_masked in ((gates.f, 1.0), (gates.i * gates.g, 0.0))
    )
    f, written = ops.concatenate([f[:, :1] * 0 + 1, f], axis=1), ops.concatenate([c0[:, None], written], axis=1)
    _, c = ops.associative_scan(
        lambda early, late: (late[0] * early[0], late[0] * early[1] + late[1]), (f, written), axis=1
    )

    def repeated(values):
        return ops.take_along_axis(values, last_real[:, :, None], axis=1)

    first = ops.zeros_like(c[:, :1])
    shown = (repeated(ops.concatenate([first, value], axis=1)) for value in gates[:4])
    return Gates(*shown, c[:, 1:], repeated(h))


def _cumulative_max(values):
    return ops.associative_scan(ops.maximum, values, axis=1)


# --- portable ---------------------------------------------------------------------------------------------------


def _portable(z, h0, c0, R, mask, activation, recurrent_activation, dropout, unroll, last_only, outputs):
    """The equations in `keras.ops`; the gradient is left to automatic differentiation."""

    def advance(last, z_t, real):
        if dropout is None:
            a = z_t + ops.matmul(last.h, R)
        else:
            blocks = ops.split(R, 4, axis=1)
            a = z_t + ops.concatenate([ops.matmul(last.h * dropout[k], blocks[k]) for k in range(4)], axis=1)
        now = step(a, last.c, activation, recurrent_activation)
        if real is None:
            return now
        return Gates(*[ops.where(real, new, old) for new, old in zip(now, last)])

    nothing = ops.zeros_like(h0)
    state = Gates(nothing, nothing, nothing, nothing, c0, h0)
    if unroll:
        if z.shape[0] is None:
            raise ValueError(f"unroll=True expected a known number of steps. Received: z.shape={tuple(z.shape)}")
        history = []
        for t in range(z.shape[0]):
            state = advance(state, z[t], None if mask is None else mask[:, t, None])
            history.append(state)
        return state if last_only else Gates(*[ops.stack(values, axis=1) for values in zip(*history)])

    # Without a mask i, f, g and o need no history of their own: one product over all steps gives them again.
    again = mask is None and dropout is None and not last_only and not {"c", "h"}.issuperset(outputs)
    last, history = _scan(advance, state, z, mask, () if last_only else ("c", "h") if again else outputs)
    if last_only:
        return last
    found = Gates(*[None] * len(Gates._fields))
    if again:
        before_h, before_c = (
            ops.concatenate([ops.expand_dims(one, 0), history[name][:-1]]) for name, one in (("h", h0), ("c", c0))
        )
        found = step(z + ops.matmul(before_h, R), before_c, activation, recurrent_activation)
    found = found._replace(**history)
    return Gates(*[None if values is None else ops.transpose(values, (1, 0, 2)) for values in found])


def _scan(advance, state, z, mask, stored):
    """The last state of `advance` over the steps, and by name its histories (time, batch, units) that are `stored`."""
    mask = None if mask is None else ops.transpose(mask)[:, :, None]
    if keras.backend.backend() != "tensorflow":

        def scanned(last, now):
            last = advance(Gates(*last), now[0], None if mask is None else now[1])
            return tuple(last), {name: getattr(last, name) for name in Gates._fields if name in stored}

        last, history = ops.scan(scanned, tuple(state), (z,) if mask is None else (z, mask))
        return Gates(*last), history

    from keras_lstm_gates.recurrence.compiled import scan

    return scan(advance, state, z, mask, stored)
