"""The job of a search, which every process gets, and the tuner that is made from it."""

import io
from contextlib import redirect_stdout
from typing import Any, NamedTuple

from keras_lstm_gates.tuning.oracles import make_oracle
from keras_lstm_gates.tuning.trials import TrialTuner


class Job(NamedTuple):
    """The settings that every process of a search needs."""

    model: Any
    folder: str
    objective: Any
    tuner: str
    trials: int | None
    minutes: float | None
    epochs: int | None
    initial_points: int | None
    seed: int
    budget: dict
    sample: Any
    fit: dict

    def make_tuner(self, on_change=None):
        """The tuner of this job; under KerasTuner's environment variables for a worker, its oracle is the chief's."""
        oracle = make_oracle(
            self.tuner,
            self.objective,
            trials=self.trials,
            minutes=self.minutes,
            seed=self.seed,
            epochs=self.epochs,
            initial_points=self.initial_points,
        )
        oracle.verbose = 0
        with redirect_stdout(io.StringIO()):
            return TrialTuner(
                oracle,
                self.model,
                self.folder,
                budget=self.budget,
                sample=self.sample,
                seed=self.seed,
                waits_for_all=oracle.waits_for_all,
                on_change=on_change,
            )
