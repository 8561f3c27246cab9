"""The layer in which a steered model keeps the scale and shift of each gate of one call of an LSTM."""

import contextlib
import contextvars

import keras
import numpy as np
from keras import ops

from keras_lstm_gates.interventions import at_all_steps, composed, listed
from keras_lstm_gates.layers.sequences import of_sizes

_replacements = contextvars.ContextVar("replacements", default=None)


@contextlib.contextmanager
def in_place_of(numbers):
    """Within this block `HeldInterventions` hand on other tensors than their weights, which stay as they are.

    Args:
        numbers: {id of a variable that holds a scale or a shift: tensor (samples or 1, steps or 1, units)}, of all
            steps that the LSTM reads.
    """
    token = _replacements.set(numbers)
    try:
        yield
    finally:
        _replacements.reset(token)


def batches_differ(expected, received):
    """The words of the error for a batch of another size than that of interventions which differ between samples."""
    return (
        f"interventions that differ between samples expected batches of {expected}; received one of {received}. Give "
        f"predict batch_size={expected}, and a number of samples that it divides"
    )


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
            other = (_replacements.get() or {}).get(id(variable))
            number = ops.cast(variable if other is None else other, self.compute_dtype)
            number = self._of_batch(at_all_steps(number, count), sequences) if other is None else number
            return ops.flip(number, axis=1) if self.backwards else number

        return {gate: [at_steps(variable) for variable in pair] for gate, pair in self._numbers.items()}

    def _of_batch(self, number, sequences):
        """A number that differs between samples, refused where the batch is of another size than theirs."""
        if self.samples == 1:
            return number
        batch = sequences.shape[0]
        if batch not in (None, self.samples):
            raise ValueError(batches_differ(self.samples, batch))
        # Where only the run tells.
        return of_sizes(number, (ops.shape(sequences)[0], number.shape[1]), f"expected_batches_of_{self.samples}")

    def compute_output_spec(self, sequences):
        if not self.is_open and sequences.shape[1] != self.rows and self.tells_steps_apart():
            raise ValueError(
                f"{self.call_path!r} is steered at some of its steps alone: expected a graph of {self.rows} steps; "
                f"received one of {sequences.shape[1]}"
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
