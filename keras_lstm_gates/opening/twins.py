"""The same weights under another layer: a `GatedLSTM` in the place of an LSTM, an RNN of one cell of a stack."""

import keras

from keras_lstm_gates.layers.cell import GatedLSTMCell
from keras_lstm_gates.layers.lstm import GatedLSTM

CELLS = (keras.layers.LSTMCell, GatedLSTMCell)
LAYERS = (keras.layers.LSTM, keras.layers.RNN, GatedLSTM)


def gated_twin(layer, name, path=None, **changes):
    """A `GatedLSTM` that computes what a layer computes, with the very variables of its cell.

    Args:
        layer: `keras.layers.LSTM`, `GatedLSTM`, or `keras.layers.RNN` over `LSTMCell` or `GatedLSTMCell`.
        name: str, of the twin.
        path: str, what an error calls the layer; None: its name.
        **changes: arguments of `GatedLSTM` that are to differ, as return_gates=True.

    Returns:
        `GatedLSTM`. It has states of its own where the layer is stateful.

    Raises:
        ValueError: "cannot open the layer 'own': expected LSTM, ...; received the class OwnLSTM, ...", or what
            `GatedLSTM` refuses, with the layer's name.

    Example:
        >>> lstm = keras.layers.LSTM(2)
        >>> lstm.build((None, 4, 3))
        >>> gated_twin(lstm, "twin").cell.kernel is lstm.cell.kernel
        True
    """
    path = layer.name if path is None else path
    cell = layer.cell
    if type(layer) not in LAYERS or type(cell) not in CELLS:
        custom = layer if type(layer) not in LAYERS else cell
        raise ValueError(
            f"cannot open the layer {path!r}: expected LSTM, GatedLSTM, or RNN over LSTMCell or GatedLSTMCell; "
            f"received the class {type(custom).__name__}, whose step may differ. Leave it out with layers=[...]"
        )
    config = {**_cell_config(cell), **_layer_config(layer), "name": name, **changes}
    try:
        twin = GatedLSTM(**config)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot open the layer {path!r}: {error}") from error
    # Set before it is built, these take the place of the weights it would make.
    twin.cell.kernel, twin.cell.recurrent_kernel, twin.cell.bias = cell.kernel, cell.recurrent_kernel, cell.bias
    twin.cell.built = True
    return twin


def layer_of_cell(stack, number, name, *, return_sequences, go_backwards, shares_states=False):
    """A `keras.layers.RNN` over one cell of a layer over `StackedRNNCells`; with the stack's own states, or zeros."""
    layer = keras.layers.RNN(
        stack.cell.cells[number],
        return_sequences=return_sequences,
        return_state=stack.return_state,
        go_backwards=go_backwards,
        stateful=stack.stateful,
        unroll=stack.unroll,
        dtype=stack.dtype_policy,
        trainable=stack.trainable,
        name=name,
    )
    layer.supports_masking = True
    if shares_states and stack.stateful and stack.built:
        # Building it would set them to zeros.
        layer.states, layer.built = keras.tree.flatten(stack.states[number]), True
    return layer


def _layer_config(layer):
    of_layer = {
        "return_sequences": layer.return_sequences,
        "return_state": layer.return_state,
        "go_backwards": layer.go_backwards,
        "stateful": layer.stateful,
        "unroll": layer.unroll,
        "dtype": layer.dtype_policy,
        "trainable": layer.trainable,
    }
    if isinstance(layer, GatedLSTM):
        return {**of_layer, "gate_regularizer": layer.gate_regularizer, "interventions": layer.interventions}
    return {**of_layer, "interventions": getattr(layer.cell, "interventions", None)}


def _cell_config(cell):
    """The arguments of a cell as `GatedLSTM` takes them: Keras keeps what it was given, whatever its type."""
    config = {name: getattr(cell, name) for name in _OF_CELL}
    config["units"] = int(cell.units)
    # Keras takes all but 1 as 2.
    config["implementation"] = 1 if cell.implementation == 1 else 2
    for name in ("dropout", "recurrent_dropout"):
        # Keras clamps a rate, and drops nothing at 1.
        rate = float(getattr(cell, name))
        config[name] = rate if 0 < rate < 1 else 0.0
    return config


# As objects: a function of the user's own has no name by which Keras could find it again.
_OF_CELL = (
    "activation recurrent_activation use_bias unit_forget_bias "
    "kernel_initializer recurrent_initializer bias_initializer "
    "kernel_regularizer recurrent_regularizer bias_regularizer "
    "kernel_constraint recurrent_constraint bias_constraint seed"
).split()
