"""`predict` without the gates: a file that keeps the history of h alone, where the model itself wants it."""

import keras

from keras_lstm_gates.exporting.signatures import Signature
from keras_lstm_gates.exporting.stepping import NoStepError, Whole
from keras_lstm_gates.layers.lstm import GatedLSTM


def without_gates(signature):
    """The `Signature` predict with every LSTM computing what the model uses and no more.

    A model whose LSTMs are not all layers of its own, or start from computed states, stays as it is.
    """
    inputs = signature.model.inputs
    try:
        # A layer whose gates are wanted, by the model's outputs or another layer, stays part of the graph.
        wanted = keras.Model(inputs, _WithoutGates().run(signature.model, inputs)).layers
        outputs = _WithoutGates(wanted).run(signature.model, inputs)
    except NoStepError:
        return signature
    return Signature(keras.Model(inputs, outputs), signature.inputs)


class _WithoutGates(Whole):
    """Calls the layers of a graph as they are, an LSTM by its twin that returns no gates, where none are wanted."""

    def __init__(self, wanted=()):
        super().__init__()
        self._wanted = wanted

    def now(self, layer, *args, **kwargs):
        named = layer(*args, **kwargs)
        if not isinstance(layer, GatedLSTM) or layer.stateful or layer in self._wanted:
            return named
        returned = _twin(layer)(*args, **kwargs)
        output, *states = returned if layer.return_state else [returned]
        return {**named, "output": output, **dict(zip(("state_h", "state_c"), states, strict=False))}


def _twin(layer):
    """The layer with the same weights, shared, and without its gates."""
    config = {**layer.get_config(), "return_gates": False, "name": f"{layer.name}_hidden"}
    twin = GatedLSTM.from_config(config)
    # Set before it is built, these take the place of the weights it would make.
    for name in ("kernel", "recurrent_kernel", "bias"):
        setattr(twin.cell, name, getattr(layer.cell, name))
    twin.cell.built = True
    return twin
