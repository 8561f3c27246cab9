"""Keras's activations as ONNX operators."""

import keras

from keras_lstm_gates.activations import keras2_hard_sigmoid

OPERATORS = {
    keras.activations.linear: ("Affine", {"alpha": 1.0, "beta": 0.0}),
    keras.activations.tanh: ("Tanh", {}),
    keras.activations.sigmoid: ("Sigmoid", {}),
    keras.activations.relu: ("Relu", {}),
    keras.activations.hard_sigmoid: ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    keras2_hard_sigmoid: ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    keras.activations.softsign: ("Softsign", {}),
    keras.activations.softplus: ("Softplus", {}),
    keras.activations.elu: ("Elu", {"alpha": 1.0}),
}
"""Those that ONNX's LSTM may hold, as it names them."""


def activated(graph, function, x):
    """The nodes of an activation, over the last axis where it takes one.

    Args:
        graph: `keras_lstm_gates.exporting.onnx.graph.Graph`.
        function: of `keras.activations`.
        x: name or `Value`.

    Raises:
        ValueError: "its activation is 'gelu'; expected one of ['linear', ...]".
    """
    if function is keras.activations.linear:
        return x
    if function is keras.activations.softmax:
        return graph.add("Softmax", x, axis=-1)
    if function is keras.activations.silu:
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    operator, attributes = operator_of(function, softmax="", silu="")
    return graph.add(operator, x, **attributes)


def operator_of(function, **others):
    """ONNX's name of an activation and its attributes; `others` are names that the error adds to those known."""
    if function not in OPERATORS:
        known = sorted([*(one.__name__ for one in OPERATORS), *others])
        raise ValueError(f"its activation is {function.__name__!r}; expected one of {known}")
    return OPERATORS[function]
