"""Recurrent layers beside the LSTMs, whose gates nobody asks for: ONNX's GRU and RNN, and a ConvLSTM2D step by step."""

import keras
import numpy as np

from keras_lstm_gates.exporting.onnx.activations import activated, operator_of
from keras_lstm_gates.exporting.onnx.lstm import TIME_FIRST, RealSteps, flipped


def recurrent(graph, layer, x, initial_state=None, mask=None, **_):
    """The nodes of a `GRU` or `SimpleRNN`, or of an `RNN` over one cell of theirs.

    Raises:
        ValueError: of another cell, or a stateful layer.
    """
    cell = layer.cell
    if type(cell) not in _WEIGHTS:
        raise ValueError(f"its cell is a {type(cell).__name__}; expected a GRUCell or SimpleRNNCell")
    if layer.stateful:
        raise ValueError("it is stateful")
    if layer.go_backwards:
        x, mask = flipped(graph, x), None if mask is None else flipped(graph, mask)
    real = None if mask is None else RealSteps(graph, mask)
    x = graph.add("Transpose", x if real is None else real.first(x), perm=TIME_FIRST)
    (before,) = keras.tree.flatten(initial_state) or (None,)
    operator, (kernel, recurrent_kernel, bias), functions, options = _WEIGHTS[type(cell)](cell)
    inner = [operator_of(one) for one in functions]
    parameters = {
        f"activation_{key}": found
        for key in ("alpha", "beta")
        if (found := [attributes[key] for _, attributes in inner if key in attributes])
    }
    every, last = graph.add(
        operator,
        x,
        kernel.T[None].astype("float32"),
        recurrent_kernel.T[None].astype("float32"),
        bias[None].astype("float32"),
        None,
        before and graph.add("Unsqueeze", before, np.array([0])),
        outputs=2,
        hidden_size=cell.units,
        activations=[name for name, _ in inner],
        **parameters,
        **options,
    )
    every = graph.add("Transpose", graph.add("Squeeze", every, np.array([1])), perm=TIME_FIRST)
    if real is None:
        last = graph.add("Squeeze", last, np.array([0]))
    else:
        last, every = real.last(every, before), real.shown(every, before)
        if layer.zero_output_for_mask:
            every = graph.add("Where", graph.add("Unsqueeze", mask, np.array([-1])), every, np.float32(0))
    output = every if layer.return_sequences else graph.add("Gather", every, np.array(-1), axis=1)
    return (output, last) if layer.return_state else output


def _of_gru(cell):
    kernel, recurrent_kernel = np.asarray(cell.kernel), np.asarray(cell.recurrent_kernel)
    bias = np.zeros(6 * cell.units)
    if cell.bias is not None:
        given = np.asarray(cell.bias).reshape(-1)
        bias[: len(given)] = given
    functions = [cell.recurrent_activation, cell.activation]
    return "GRU", (kernel, recurrent_kernel, bias), functions, {"linear_before_reset": int(cell.reset_after)}


def _of_simple(cell):
    bias = np.zeros(2 * cell.units)
    if cell.bias is not None:
        bias[: cell.units] = np.asarray(cell.bias)
    return "RNN", (np.asarray(cell.kernel), np.asarray(cell.recurrent_kernel), bias), [cell.activation], {}


_WEIGHTS = {keras.layers.GRUCell: _of_gru, keras.layers.SimpleRNNCell: _of_simple}


def convolutional_lstm(graph, layer, x, initial_state=None, mask=None, **_):
    """The nodes of a `ConvLSTM2D` over a known number of steps, each by itself.

    Raises:
        ValueError: with a mask or states, of a free number of steps, or with the channels first.
    """
    cell, steps = layer.cell, x.shape[1]
    if mask is not None or initial_state is not None or layer.stateful:
        raise ValueError("it has a mask or states of its own")
    if steps is None or None in x.shape[2:]:
        raise ValueError(f"it reads {x.shape}; expected a known number of steps and sizes")
    if cell.data_format != "channels_last":
        raise ValueError("its channels come first; expected them last")
    padding = {"auto_pad": {"valid": "VALID", "same": "SAME_UPPER"}[cell.padding]}
    kernel, recurrent_kernel = (
        np.asarray(one, "float32").transpose(3, 2, 0, 1) for one in (cell.kernel, cell.recurrent_kernel)
    )
    bias = [np.asarray(cell.bias, "float32")] if cell.use_bias else []
    # All steps of all samples as one batch of images, the channels first.
    images = graph.add("Reshape", x, np.array([-1, *x.shape[2:]]))
    images = graph.add("Transpose", images, perm=(0, 3, 1, 2))
    options = {"strides": cell.strides, "dilations": cell.dilation_rate}
    z = graph.add("Conv", images, kernel, *bias, **options, **padding)
    height, width, filters = layer.compute_output_shape(x.shape)[-3:]
    z = graph.add("Reshape", z, np.array([-1, steps, 4 * filters, height, width]))
    h = c = None
    every = []
    for step in range(steps)[::-1] if layer.go_backwards else range(steps):
        now = graph.add("Gather", z, np.array(step), axis=1)
        if h is not None:
            now = graph.add("Add", now, graph.add("Conv", h, recurrent_kernel, auto_pad="SAME_UPPER"))
        z_i, z_f, z_g, z_o = graph.add("Split", now, outputs=4, axis=1, num_outputs=4)
        i, f, o = (activated(graph, layer.recurrent_activation, one) for one in (z_i, z_f, z_o))
        entered = graph.add("Mul", i, activated(graph, layer.activation, z_g))
        c = entered if c is None else graph.add("Add", graph.add("Mul", f, c), entered)
        h = graph.add("Mul", o, activated(graph, layer.activation, c))
        every.append(graph.add("Transpose", h, perm=(0, 2, 3, 1)))
    output = every[-1]
    if layer.return_sequences:
        output = graph.add("Concat", *(graph.add("Unsqueeze", one, np.array([1])) for one in every), axis=1)
    return (output, every[-1], graph.add("Transpose", c, perm=(0, 2, 3, 1))) if layer.return_state else output


def bidirectional(graph, layer, x, initial_state=None, mask=None, **_):
    """The nodes of a `Bidirectional` over layers of `recurrent`."""
    directions = layer.forward_layer, layer.backward_layer
    states = keras.tree.flatten(initial_state) if initial_state is not None else []
    half = len(states) // 2
    both = [
        recurrent(graph, one, x, initial_state=own or None, mask=mask)
        for one, own in zip(directions, (states[:half], states[half:]), strict=True)
    ]
    (first, *ends), (second, *more) = (one if isinstance(one, tuple) else (one,) for one in both)
    merged = joined(graph, layer.merge_mode, first, flipped(graph, second) if layer.return_sequences else second)
    outputs = merged if isinstance(merged, tuple) else (merged,)
    return (*outputs, *ends, *more) if layer.return_state else merged


def joined(graph, merge_mode, first, second):
    """What a `Bidirectional` makes of its two directions."""
    if merge_mode == "concat":
        return graph.add("Concat", first, second, axis=-1)
    if merge_mode is None:
        return first, second
    merged = graph.add("Mul" if merge_mode == "mul" else "Add", first, second)
    return graph.add("Div", merged, np.float32(2)) if merge_mode == "ave" else merged
