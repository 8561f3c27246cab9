"""`predict` by TFLite's fused operator for a whole LSTM, which hides the gates and is the fastest there is."""

import uuid

import keras
import tensorflow as tf

from keras_lstm_gates import gates
from keras_lstm_gates.exporting.signatures import Signature
from keras_lstm_gates.exporting.stepping import Whole
from keras_lstm_gates.exporting.tflite.graphs import operators, read, written
from keras_lstm_gates.layers.lstm import GatedLSTM


def fused_predict(signature):
    """The `Signature` predict with every LSTM as the fused operator.

    Raises:
        ValueError: "the format 'tflite_fused' cannot hold the layer 'lstm': it has a mask".
    """
    inputs = signature.model.inputs
    model = keras.Model(inputs, _Fused().run(signature.model, inputs))
    for layer in model.layers:
        if isinstance(layer, GatedLSTM):
            raise ValueError(_cannot(layer, "the model's outputs hold its gates"))
    return Signature(model, signature.inputs)


def unclipped(content):
    """A .tflite file whose fused LSTMs leave c as it is: the converter lets them cut it off at 10 and -10."""
    model = read(content)
    for subgraph in model.subgraphs:
        for name, operator in operators(model, subgraph):
            if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
                operator.builtinOptions.cellClip = 0.0
    return written(model)


def _cannot(layer, why):
    return f"the format 'tflite_fused' cannot hold the layer {layer.name!r}: {why}"


class _Fused(Whole):
    """Calls the layers of a graph as they are, an LSTM by the function that the converter knows."""

    def refusal(self, layer, why):
        return ValueError(_cannot(layer, f"it {why}"))

    def refuse(self, path, reason):
        raise ValueError(f"the format 'tflite_fused' cannot hold the layer {path!r}: {reason}")

    def of_lstm(self, call):
        layer = call.layer
        why = _why_not(layer, call.given)
        if why:
            raise ValueError(_cannot(layer, why))
        # Only these two: the converter gives the operator no other results.
        fused = call.companion("fused", lambda name: FusedLSTM(layer, name=name))
        last, every = fused(call.sequences)
        # The gates are hidden: who wants them finds the layer itself in the graph.
        return {**call.as_it_is(), "output": every if layer.return_sequences else last}


def _why_not(layer, given):
    if given.get("mask") is not None:
        return "it has a mask"
    if layer.interventions or given.get("interventions"):
        return "its gates are acted on"
    if layer.go_backwards:
        return "it reads backwards"
    if not layer.use_bias:
        return "it has no bias"
    if (layer.activation, layer.recurrent_activation) != (keras.activations.tanh, keras.activations.sigmoid):
        return "its activations are not tanh and sigmoid"
    return None


class FusedLSTM(keras.layers.Layer):
    """A `GatedLSTM` as the function that TFLite's converter makes its fused operator of: x to (last h, every h)."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self._layer = layer
        self.built = True

    def call(self, x):
        batch, units = x.shape[0], self._layer.units
        zeros = tf.zeros((tf.shape(x)[0] if batch is None else batch, units))
        cell = self._layer.cell
        weights = [tf.convert_to_tensor(weight) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)]
        last, every, *_ = _known_to_the_converter()(x, zeros, zeros, *weights)
        return last, every

    def compute_output_spec(self, x):
        batch, time, _ = x.shape
        units = self._layer.units
        return keras.KerasTensor((batch, units)), keras.KerasTensor((batch, time, units))


def _known_to_the_converter():
    """The recurrence under the name and attributes by which the converter knows an LSTM (tensorflow#73254)."""

    def standard_lstm(inputs, h, c, kernel, recurrent_kernel, bias):
        z = tf.transpose(inputs @ kernel + bias, (1, 0, 2))

        def step(before, now):
            after = gates.step(now + before[0] @ recurrent_kernel, before[1])
            return after.h, after.c

        every_h, every_c = tf.scan(step, z, (h, c))
        every = tf.transpose(every_h, (1, 0, 2))
        return every_h[-1], every, every_h[-1], every_c[-1], tf.constant(1.0)

    known = {
        "api_implements": f"lstm_{uuid.uuid4()}",
        "api_preferred_device": "CPU",
        "go_backwards": False,
        "time_major": False,
    }
    return tf.function(standard_lstm, autograph=False, experimental_attributes=known)
