"""The form of an LSTM's loop in a .tflite file: how many steps a turn of it runs, or none and every step written out.

The interpreter's loop operator costs as much as a small step, and copies every history twice in each turn. A step
written out costs what XNNPACK makes of it: a copy of R, packed for its own product, that has to be read from the cache
each time; and a few hundred bytes of operators, but no weights, in the file.
"""

from keras_lstm_gates.recurrence.turns import steps_per_turn

STEPS = 10
"""Of a turn, at most."""
BYTES = 2_500_000
"""Of the copies of R that one turn reads, at most: about what a core's own cache holds."""
WRITTEN_OUT = 100
"""Steps of a sequence whose every step is written out, at most."""


def in_turns(time, units, last_only):
    """Steps of a turn of a loop: where the last state alone is wanted, one, as there is no history to copy.

    Args:
        time: int or None, the number of steps, where it is known.
        units: int.
        last_only: bool, whether no history is kept.
    """
    if last_only:
        return 1
    most = max(1, min(STEPS, BYTES // _bytes_of_copy(units)))
    # As few steps beyond the last as can be.
    return most if time is None else -(-time // -(-time // most))


def written_out(time, units, last_only):
    """All steps, of a sequence that is not too long, else those of `in_turns`."""
    return time if time is not None and time <= WRITTEN_OUT else in_turns(time, units, last_only)


def by_rule(time, units, last_only):
    """All steps where their copies of R are few and small enough, else those of `in_turns`."""
    small = time is not None and time * _bytes_of_copy(units) <= BYTES
    return (written_out if small else in_turns)(time, units, last_only)


def _bytes_of_copy(units):
    return 4 * units * 4 * units


class Loops:
    """The loops of a file, noted as they are made.

    Args:
        form: `by_rule` or another function here.

    Attributes:
        notes: {signature: [{"steps", "units", "history", "steps_per_turn"} of each LSTM whose form is another]}; steps
            are None where they are any number, and as many as those of a turn where there is no loop.
    """

    def __init__(self, form=by_rule):
        self.notes, self._form = {}, form

    def of(self, signature):
        """A context in which the graph of that signature is made."""
        self.notes[signature] = []

        def choose(time, units, last_only):
            steps = self._form(time, units, last_only)
            note = {"steps": time, "units": units, "history": not last_only, "steps_per_turn": steps}
            if note not in self.notes[signature]:
                self.notes[signature].append(note)
            return steps

        return steps_per_turn(choose)
