"""The layer in which a steered model keeps the scale and shift of each gate of one call of an LSTM."""

import keras
import numpy as np
from keras import ops

from keras_lstm_gates.interventions import at_all_steps, composed, listed


@keras.saving.register_keras_serializable(package="keras_lstm_gates")
class HeldInterventions(keras.layers.Layer):
    """The scale and shift of each gate of one call, as weights, so that they change without a new graph.

    Args:
        call_path: str, of the call.
        gates: list of str.
        units: int, of the LSTM.
        rows: int, how many steps are told apart.
        is_open: bool. True: the number of steps is any, and the last row stands for all later ones.
        samples: int, of the batch, or 1 where all samples are treated alike.
        backwards: bool. True: the LSTM reads time from its end; the rows are in the input's time.

    Returns:
        {gate: [scale, shift]}, each (samples, time or 1, units), of the sequences (batch, time, ...) that it is given.
    """

    def __init__(self, call_path, gates, units, rows=1, is_open=True, samples=1, backwards=False, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.call_path, self.gates, self.units = call_path, list(gates), units
        self.rows, self.is_open, self.samples, self.backwards = rows, is_open, samples, backwards
        self.supports_masking = True
        shape = (samples, rows, units)
        self._numbers = {
            gate: [
                self.add_weight(shape=shape, initializer=initial, name=f"{kind}_{gate}", trainable=False)
                for kind, initial in (("scale", "ones"), ("shift", "zeros"))
            ]
            for gate in self.gates
        }
        self.built = True

    def set(self, gate, interventions):
        """Let these act on a gate, in the place of what did.

        Raises:
            ValueError: what `composed` refuses, or "interventions on 'lstm/f' expected steps below 20, ...".
        """
        what = f"{self.call_path}/{gate}"
        several = listed(interventions, gate, self.call_path)
        steps, samples = None if self.is_open else self.rows, None if self.samples == 1 else self.samples
        numbers = composed(several, what, self.units, steps, samples)
        for number in numbers:
            if number.shape[0] not in (1, self.samples):
                raise ValueError(
                    f"interventions on {what!r} expected the same for all samples; received those of "
                    f"{number.shape[0]}. steer(..., samples={number.shape[0]}) makes room for them"
                )
            if number.shape[1] > self.rows:
                raise ValueError(
                    f"interventions on {what!r} expected to tell apart {self.rows} steps at most; received "
                    f"{number.shape[1]}. steer(..., steps={number.shape[1]}) makes room for them"
                )
        for variable, number in zip(self._numbers[gate], numbers, strict=True):
            later = np.repeat(number[:, -1:], self.rows - number.shape[1], axis=1)
            variable.assign(np.broadcast_to(np.concatenate([number, later], axis=1), variable.shape))

    def numbers(self, gate):
        """The scale and the shift of a gate, NumPy arrays (samples, rows, units)."""
        return tuple(ops.convert_to_numpy(variable) for variable in self._numbers[gate])

    def variables_of(self, gate):
        """The two `keras.Variable`s."""
        return list(self._numbers[gate])

    def tells_steps_apart(self):
        """Whether any number differs between steps."""
        return any((number != number[:, :1]).any() for gate in self.gates for number in self.numbers(gate))

    def call(self, sequences):
        count = sequences.shape[1] or ops.shape(sequences)[1]

        def at_steps(variable):
            number = at_all_steps(ops.cast(variable, self.compute_dtype), count)
            return ops.flip(number, axis=1) if self.backwards else number

        return {gate: [at_steps(variable) for variable in pair] for gate, pair in self._numbers.items()}

    def compute_output_spec(self, sequences):
        expected = None if self.is_open else self.rows
        if sequences.shape[1] != expected and self.tells_steps_apart():
            raise ValueError(
                f"{self.call_path!r} is steered at some of its steps alone: expected a graph of "
                f"{expected or 'any number of'} steps; received one of {sequences.shape[1]}"
            )
        time = 1 if self.rows == 1 else sequences.shape[1]
        shape = (self.samples, time, self.units)
        return {gate: [keras.KerasTensor(shape, self.compute_dtype) for _ in range(2)] for gate in self.gates}

    def compute_mask(self, sequences, mask=None):
        return None

    def get_config(self):
        own = ("call_path", "gates", "units", "rows", "is_open", "samples", "backwards")
        config = super().get_config()
        config.pop("trainable")
        return {**config, **{name: getattr(self, name) for name in own}}
