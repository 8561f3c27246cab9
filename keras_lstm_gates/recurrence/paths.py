"""The LSTM recurrence over a whole sequence: the ways to run it, and the choice between them.

For step t, with z_t = x_t W + b already known for the whole sequence:

    a_t = z_t + h_{t-1} R                     columns in the order i, f, g, o
    i_t, f_t, o_t = sigmoid(a_t)              g_t = tanh(a_t)
    c_t = i_t * g_t + f_t * c_{t-1}           h_t = o_t * tanh(c_t)

A gate called i, f, g or o is the value AFTER its activation. A masked step repeats the last real step in all six
outputs; before the first real step i, f, g, o are 0 and c, h are c0, h0.

An intervention on any of the six is value = scale * value + shift where the value arises, and everything later is made
of the new one. A masked step stays as it was.

The gradient is the chain rule through c_t written out. Let dh_t and dc_t be all that reaches h_t and c_t from later:

    dc_t += dh_t * o_t (1 - tanh(c_t)^2)
    dz_t  = [dc_t g_t, dc_t c_{t-1}, dc_t i_t, dh_t tanh(c_t)] * (slope of each activation)
    dh_{t-1} = dz_t R^T      dc_{t-1} = dc_t f_t      dR = sum_t h_{t-1}^T dz_t

Only the first two of the last line need a loop. Everything else is a product or an elementwise pass over all steps.

With interventions s * value + b: let dv be all that reaches the new value of i, f, g, o, c or h at step t. Then
ds_t = dv * (the value before) and db_t = dv, and s * dv goes on by the lines above: each slope, and each factor that
leads on from c_t and h_t, is multiplied by its s. The gates in these factors are the new ones.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.recurrence.arguments import Arguments, agreeing, of_shape
from keras_lstm_gates.recurrence.from_hidden import gates_from_hidden
from keras_lstm_gates.recurrence.interventions import time_first
from keras_lstm_gates.recurrence.portable import portable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


PATHS = ("portable", "compiled", "chunked", "cudnn")

_path_in_use = contextvars.ContextVar("path_in_use", default="auto")


def path_in_use():
    """The path that `use_path` forces here, or "auto"."""
    return _path_in_use.get()


@contextlib.contextmanager
def use_path(path: str) -> Iterator[None]:
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
    z: Any,
    h0: Any,
    c0: Any,
    recurrent_kernel: Any,
    *,
    mask: Any = None,
    activation: Callable[..., Any] = keras.activations.tanh,
    recurrent_activation: Callable[..., Any] = keras.activations.sigmoid,
    recurrent_dropout_mask: Any = None,
    interventions: Mapping[str, Any] | None = None,
    unroll: bool = False,
    last_only: bool = False,
    outputs: Sequence[str] = Gates._fields,
    hidden: Any = None,
    path: str | None = None,
    training: bool = False,
) -> Gates:
    """The recurrence, given z = x W + b.

    Args:
        z: float, (time, batch, 4 * units): time first, as the loop reads it, so that nothing is transposed but x.
        h0, c0: (batch, units).
        recurrent_kernel: (units, 4 * units).
        mask: bool (batch, time) or None, any pattern. True = a real step.
        recurrent_dropout_mask: None or (4, batch, units): one factor per gate, multiplied onto h_{t-1} before the
            product with that gate's block of R, the same at all steps. No gradient flows to it.
        interventions: None or {name: (scale, shift)} for any of i, f, g, o, c, h, numbers or tensors that broadcast to
            (batch, time, units): value = scale * value + shift. Gradients flow to both. What is the same for all
            sequences, steps or units is not written out for each, and another value compiles nothing anew.
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
            where TensorFlow sees a GPU and `hidden` is given, and nothing intervenes, which no kernel lets one do.
            Its arithmetic is tested on a CPU; it has not been timed.
        portable: ordinary operations and automatic differentiation: every backend and activation; the path to
            export. Taken on other backends, for other activations, with `unroll=True` and under
            `tf.debugging.enable_check_numerics`, which watches operations that XLA would melt into one.

    Gradients of every order and forward mode are the same by all paths; beyond the first order they are those of the
    portable path, and cost as much. A batch whose size only the run tells, and any in eager mode, is filled up to one
    of few sizes, so that the compiled paths keep few programs.
    """
    z, h0, c0, recurrent_kernel = (ops.convert_to_tensor(v) for v in (z, h0, c0, recurrent_kernel))
    if len(z.shape) != 3:
        raise ValueError(f"Expected z of shape (time, batch, 4 * units). Received: z.shape={tuple(z.shape)}")
    if recurrent_dropout_mask is not None:
        recurrent_dropout_mask = ops.cast(recurrent_dropout_mask, z.dtype)
    mask = None if mask is None else ops.cast(mask, "bool")
    arguments = agreeing(Arguments(z, h0, c0, recurrent_kernel, mask, recurrent_dropout_mask))
    arguments = arguments._replace(interventions=time_first(interventions, arguments))
    unknown = set(outputs) - set(Gates._fields)
    if unknown:
        raise ValueError(f"Expected outputs among {Gates._fields}. Received: {sorted(unknown)}")
    outputs = ("c", "h") if last_only else tuple(name for name in Gates._fields if name in outputs)

    (time, batch), units = arguments.z.shape[:2], arguments.h0.shape[1]
    obstacles = _obstacles(activation, recurrent_activation, unroll)
    path = _choose(path or _path_in_use.get(), obstacles, time, hidden, [*arguments.interventions])
    if path == "cudnn":
        z, h0, c0, R, mask, *_ = arguments
        gates = gates_from_hidden(ops.transpose(z, (1, 0, 2)), hidden(), h0, c0, R, mask=mask)
        gates = Gates(*[values[:, -1] for values in gates]) if last_only else gates
    elif path == "portable":
        gates = portable(arguments, activation, recurrent_activation, unroll, last_only, outputs)
    else:
        from keras_lstm_gates.recurrence.compiled import chain

        values = chain(arguments, outputs, last_only, path == "chunked", bool(training))
        gates = Gates(**(dict.fromkeys(Gates._fields) | dict(zip(outputs, values))))
    shape = (batch, units) if last_only else (batch, time, units)
    return Gates(*[of_shape(value, shape) if name in outputs else None for name, value in gates._asdict().items()])


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


def cudnn_obstacles(
    activation: Callable[..., Any], recurrent_activation: Callable[..., Any], unroll: bool
) -> list[str]:
    """What keeps Keras's cuDNN kernel from serving these arguments on this machine, each as "..., received ..."."""
    obstacles = _obstacles(activation, recurrent_activation, unroll)
    return obstacles if keras.backend.backend() != "tensorflow" or _sees_gpu() else [*obstacles, "a GPU, received none"]


def _choose(path, obstacles, time, hidden, steered):
    if path != "auto" and path not in PATHS:
        raise ValueError(f"Expected path to be 'auto' or one of {PATHS}. Received: path={path!r}")
    if path == "auto":
        if obstacles or _checks_every_number():
            return "portable"
        if hidden is not None and not steered and _sees_gpu():
            return "cudnn"
        return "chunked" if time is None or _eager() else "compiled"
    if path == "cudnn" and hidden is None:
        obstacles = [*obstacles, "a bias, no mask and no recurrent dropout, received another combination"]
    if path == "cudnn" and steered:
        obstacles = [*obstacles, f"no interventions, received those on {steered}"]
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
