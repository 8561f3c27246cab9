"""What a layer or a cell hands to the recurrence of the interventions that it and its call have."""

import keras
from keras import ops

from keras_lstm_gates.gates import Intervention
from keras_lstm_gates.interventions import at_all_steps, by_gate, composed, listed


def numbers_of(own, given, units, sequences):
    """{gate: `Intervention`} of a call, each number (batch or 1, time or 1, units or 1).

    Args:
        own: {gate: list} of the layer.
        given: {gate: what acts on it} of the call, or None; (scale, shift) may be tensors.
        units: int.
        sequences: the layer's input, (batch, time, features).
    """
    samples, steps = sequences.shape[:2]

    def numbers(gate, several):
        found = composed(several, gate, units, steps, samples)
        count = ops.shape(sequences)[1]
        return Intervention(*(number if steps else at_all_steps(number, count) for number in found))

    return _one_after_the_other(own, given, numbers)


def numbers_of_step(own, given, units, state):
    """The same of one step, each number (batch or 1, units or 1); state (batch, units)."""

    def numbers(gate, several):
        for one in several:
            if one.steps is not None:
                raise ValueError(
                    f"interventions on {gate!r} of a cell, which knows no step's number, expected none of steps; "
                    f"received steps={one.steps}"
                )
        return Intervention(*(number[:, 0] for number in composed(several, gate, units, 1, state.shape[0])))

    return _one_after_the_other(own, given, numbers)


def _one_after_the_other(own, given, numbers):
    act = {gate: numbers(gate, several) for gate, several in own.items()}
    for gate, one in by_gate(given).items():
        late = Intervention(*one) if _are_tensors(one) else numbers(gate, listed(one, gate))
        early = act.get(gate)
        act[gate] = late if early is None else _after(early, late)
    return act


def _after(early, late):
    """One `Intervention` of two: late * (early * value + shift) + shift."""
    return Intervention(late.scale * early.scale, late.scale * early.shift + late.shift)


def _are_tensors(one):
    return (
        isinstance(one, (list, tuple))
        and len(one) == 2
        and any(ops.is_tensor(number) or isinstance(number, keras.Variable) for number in one)
    )
