"""`predict` without the gates: a file that keeps the history of h alone, where the model itself wants it."""

import keras

from keras_lstm_gates.exporting.signatures import Signature
from keras_lstm_gates.exporting.stepping import NoStepError, Whole
from keras_lstm_gates.opening.twins import gated_twin


def without_gates(signature):
    """The `Signature` predict with every LSTM computing what the model uses and no more.

    A model whose LSTMs are not all layers of its own, or start from computed states, stays as it is.
    """
    inputs = signature.model.inputs
    try:
        # A layer whose gates are wanted, by the model's outputs or another layer, stays part of the graph.
        shown = keras.Model(inputs, _WithoutGates().run(signature.model, inputs)).layers
        outputs = _WithoutGates(shown).run(signature.model, inputs)
    except NoStepError:
        return signature
    return Signature(keras.Model(inputs, outputs), signature.inputs)


class _WithoutGates(Whole):
    """Calls the layers of a graph as they are, an LSTM by its twin that returns no gates, where none are wanted."""

    def __init__(self, shown=()):
        super().__init__()
        self._shown = shown

    def of_lstm(self, call):
        layer, tensors = call.layer, call.as_it_is()
        if any(layer is one for one in self._shown):
            return tensors
        twin = call.companion("hidden", lambda name: gated_twin(layer, name, return_gates=False))
        returned = twin(call.sequences, **call.given)
        output, *states = returned if layer.return_state else [returned]
        return {**tensors, "output": output, **dict(zip(("state_h", "state_c"), states, strict=False))}
