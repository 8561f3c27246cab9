"""The two directions of a `Bidirectional`: what each is given, and what becomes of what they return."""

from keras_lstm_gates.gates import Gates


def halves(states):
    """The initial states of the first direction and those of the second; None for both without any."""
    if states is None:
        return None, None
    middle = len(states) // 2
    return list(states[:middle]), list(states[middle:])


def joined(layer, first, second, merge, reverse):
    """What a `Bidirectional` returns, from what its two layers returned.

    Args:
        layer: `keras.layers.Bidirectional`, or that of this package.
        first, second: of its forward_layer and its backward_layer: an output, (output, states ...), or a dict of gates.
        merge: makes one output of a list of the two.
        reverse: turns a sequence of gates into the input's order.
    """
    if isinstance(first, dict):
        return _joined_gates(first, second, merge, reverse)
    if not layer.return_state:
        return merge([first, second])
    merged = merge([first[0], second[0]])
    outputs = tuple(merged) if layer.merge_mode is None else (merged,)
    return (*outputs, *first[1:], *second[1:])


def _joined_gates(first, second, merge, reverse):
    named = {"output": merge([first["output"], second["output"]])}
    for direction, values in (("forward", first), ("backward", second)):
        for name, value in values.items():
            if name != "output":
                turned = direction == "backward" and name in Gates._fields
                named[f"{direction}/{name}"] = reverse(value) if turned else value
    return named
