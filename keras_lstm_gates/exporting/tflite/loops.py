"""The form of an LSTM's loop in a .tflite file: how many steps a turn of it runs, or none and every step written out.

The interpreter's loop operator costs as much as a small step, and copies every history twice in each turn. A step
written out costs what XNNPACK makes of it: a copy of R, packed for its own product, that has to be read from the cache
each time; and a few hundred bytes of operators, but no weights, in the file.
"""

from keras_lstm_gates.recurrence.turns import steps_per_turn

STEPS = 10
"""Of a turn, at most."""
WRITTEN_OUT = 100
"""Steps of a sequence whose every step is written out, at most."""
BYTES, BYTES_OF_SEVERAL = 2_500_000, 7_000_000
"""Of the copies of R that one turn reads, at most: about what a core's own cache holds, and more where a turn of fewer
steps would copy several histories."""


def in_turns(time, units, histories):
    """Steps of a turn of a loop: where the last state alone is wanted, one, as there is no history to copy.

    Args:
        time: int or None, the number of steps, where it is known.
        units: int.
        histories: int, how many are kept: none where the last state alone is wanted.
    """
    if not histories:
        return 1
    most = max(1, min(STEPS, _copies(units, histories)))
    # As few steps beyond the last as can be.
    return most if time is None else -(-time // -(-time // most))


def written_out(time, units, histories):
    """All steps, of a sequence that is not too long, else those of `in_turns`."""
    return time if time is not None and time <= WRITTEN_OUT else in_turns(time, units, histories)


def by_rule(time, units, histories):
    """All steps where their copies of R are few and small enough, else those of `in_turns`."""
    small = time is not None and time <= _copies(units, histories)
    return (written_out if small else in_turns)(time, units, histories)


def _copies(units, histories):
    """How many copies of R a turn may read."""
    return (BYTES if histories < 2 else BYTES_OF_SEVERAL) // (4 * units * 4 * units)


class Loops:
    """The loops of a file, noted as they are made.

    Args:
        form: `by_rule` or another function here.

    Attributes:
        notes: {signature: [{"steps", "units", "histories", "steps_per_turn"} of each kind of LSTM]}; steps are None
            where they are any number, and as many as those of a turn where there is no loop.
    """

    def __init__(self, form=by_rule):
        self.notes, self._form = {}, form

    def of(self, signature):
        """A context in which the graph of that signature is made."""
        self.notes[signature] = []

        def choose(time, units, histories):
            steps = self._form(time, units, histories)
            note = {"steps": time, "units": units, "histories": histories, "steps_per_turn": steps}
            if note not in self.notes[signature]:
                self.notes[signature].append(note)
            return steps

        return steps_per_turn(choose)
