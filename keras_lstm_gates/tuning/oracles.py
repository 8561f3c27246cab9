"""KerasTuner's oracles, which choose the trials, made to resume after a kill at any moment."""

import itertools
import json
import time
from pathlib import Path

import keras_tuner
from keras_tuner.engine.trial import Trial

from keras_lstm_gates._support.files import part_of_path, write_json


class Resumable:
    """Persistence and control that KerasTuner's oracles lack; a mixin before one of them.

    KerasTuner writes its state in place and in pieces, so a kill may leave half a file; it forgets which worker
    has which trial, so a trial whose worker outlives the chief runs twice. Here the whole state is one file, replaced
    as a whole after every change, and a worker that returns gets its own trial.

    Attributes:
        state_file: `Path`.
        deadline: float or None, of `time.monotonic()`: no trial starts after it.
        failure: the error that ended the oracle's service, or None.
        over: bool, whether a worker has received the answer that there are no more trials.
        waits_for_all: bool, whether a failed trial must have a score.
        ended_after: {trial id: seconds of search, all sessions together, when the trial ended}.
    """

    state_file = None
    deadline = None
    failure = None
    over = False
    waits_for_all = False

    def start(self, state_file, minutes=None):
        """Start, or resume from the state file where there is one."""
        self.state_file = Path(state_file)
        self._heard = {}
        self.ended_after = {}
        self._seconds_before = 0.0
        self._started = time.monotonic()
        if minutes is not None:
            self.deadline = self._started + 60 * minutes
        if self.state_file.exists():
            self.reload()

    def seconds(self):
        """Seconds of search, all sessions together."""
        return self._seconds_before + time.monotonic() - self._started

    def release(self, workers):
        """Put the trials of all but these workers back in the queue."""
        state = self.get_state()
        for worker, trial_id in list(state["ongoing_trials"].items()):
            if worker not in workers:
                del state["ongoing_trials"][worker]
                state["retry_queue"] = [*state["retry_queue"], trial_id]
        self.set_state(json.loads(json.dumps(state)))

    def hear(self, worker):
        """Note that a worker is there."""
        self._heard[worker] = time.monotonic()

    @keras_tuner.synchronized
    def take_from_silent(self, seconds):
        """Put the trials of workers that have not been heard of for so long back in the queue."""
        now = time.monotonic()
        silent = {one for one in self.ongoing_trials if now - self._heard.setdefault(one, now) > seconds}
        if silent:
            self.release(set(self.ongoing_trials) - silent)
            self.tuner_ids -= silent
            self.save()

    def get_state(self):
        return super().get_state() | {"ended_after": self.ended_after, "seconds": self.seconds()}

    def set_state(self, state):
        super().set_state(state)
        self.ended_after = dict(state["ended_after"])
        # KerasTuner saves the end of a trial before it takes it from its worker, which would get it again forever.
        ongoing = self.ongoing_trials.items()
        self.ongoing_trials = {worker: trial for worker, trial in ongoing if trial.trial_id not in self.ended_after}

    def save(self):
        if self.state_file is None:
            return  # Only the space is being read so far.
        content = {"oracle": self.get_state(), "trials": [trial.get_state() for trial in self.trials.values()]}
        write_json(self.state_file, content, indent=None)

    def reload(self):
        content = json.loads(self.state_file.read_text())
        for state in content["trials"]:
            part_of_path(state["trial_id"], "a trial")
        self.trials = {state["trial_id"]: Trial.from_state(state) for state in content["trials"]}
        self.set_state(content["oracle"])
        self._seconds_before = content["oracle"]["seconds"]

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        with self._noting_failure():
            late = self.deadline is not None and time.monotonic() > self.deadline
            if late and tuner_id not in self.ongoing_trials:
                self.tuner_ids.discard(tuner_id)
                trial = Trial(self.get_space(), trial_id="", status="STOPPED")
            else:
                trial = super().create_trial(tuner_id)
                if trial.status == "STOPPED" and self.ongoing_trials:
                    # One of these may still come back, where its worker is lost.
                    self.tuner_ids.add(tuner_id)
                    trial.status = "IDLE"
            self.over = self.over or trial.status == "STOPPED"
            return trial

    @keras_tuner.synchronized
    def end_trial(self, trial):
        with self._noting_failure():
            if trial.trial_id in self.ended_after:
                ongoing = self.ongoing_trials.items()
                self.ongoing_trials = {one: other for one, other in ongoing if other.trial_id != trial.trial_id}
                return
            self.ended_after[trial.trial_id] = self.seconds()
            super().end_trial(trial)

    @keras_tuner.synchronized
    def fail(self, trial, reason):
        """End a trial that its worker cannot end any more."""
        if self.waits_for_all:
            self.update_trial(trial.trial_id, {self.objective.name: worst(self.objective)})
        trial.status, trial.message = ("COMPLETED" if self.waits_for_all else "FAILED"), reason
        self.end_trial(trial)

    def _noting_failure(self):
        return _NotingFailure(self)


class _NotingFailure:
    """Records an error for the chief, which must end: KerasTuner's lock is never released when its holder raises."""

    def __init__(self, oracle):
        self._oracle = oracle

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if error is not None:
            self._oracle.failure = error


def worst(objective):
    """A finite score that no real trial has, for a trial that must count as the worst."""
    return 1e30 if objective.direction == "min" else -1e30


class RandomOracle(Resumable, keras_tuner.oracles.RandomSearchOracle):
    """Trials drawn at random from the whole space."""


class BayesianOracle(Resumable, keras_tuner.oracles.BayesianOptimizationOracle):
    """Trials chosen by a Gaussian process of the score, after some random ones."""


class HyperbandOracle(Resumable, keras_tuner.oracles.HyperbandOracle):
    """Many short trials, the best of which train on; Li et al. 2018.

    A rung promotes only when all its trials have a score, so a failed trial counts as its worst.
    """

    waits_for_all = True


class GridOracle(Resumable, keras_tuner.Oracle):
    """All combinations in order, the first hyperparameter changing fastest.

    A continuous range counts as KerasTuner's ten values. The place in the grid is the number of trials so far, so
    that it resumes; KerasTuner's own grid keeps its place in memory only.
    """

    def populate_space(self, trial_id):
        earlier = [trial.hyperparameters.values for trial in self.trials.values()]
        for values in itertools.islice(self._combinations(), len(earlier), None):
            return {"status": "RUNNING", "values": values}
        return {"status": "STOPPED", "values": None}

    def _combinations(self):
        space = self.get_space()
        seen = set()
        for combination in itertools.product(*(_values(hp) for hp in reversed(space.space))):
            chosen = dict(zip((hp.name for hp in reversed(space.space)), combination, strict=True))
            space.values = {}
            for hp in space.space:
                if space.is_active(hp):
                    space.values[hp.name] = chosen[hp.name]
            key = tuple(space.values.items())
            if key not in seen:
                seen.add(key)
                yield dict(space.values)


def _values(hp):
    # KerasTuner gives the values of a range in the order of a set.
    return sorted(hp.values) if hasattr(hp, "min_value") else list(hp.values)


def make_oracle(tuner, objective, *, trials, minutes, seed, epochs=None, initial_points=None):
    """The oracle of a tuner's name.

    Args:
        tuner: str, "random", "bayesian", "hyperband" or "grid".
        objective: `keras_tuner.Objective`.
        trials: int > 0, the most trials; None for as many as fit into the time, the grid or one sweep of Hyperband.
        minutes: float or None, whether time is the limit.
        seed: int.
        epochs: int > 0, of a full training; Hyperband only.
        initial_points: int > 0 or None, random trials before the Gaussian process; Bayesian only.
    """
    # KerasTuner draws a random seed for 0, and stops after three failed trials in a row.
    options = {"objective": objective, "seed": seed + 1, "max_consecutive_failed_trials": 10**9}
    if tuner == "random":
        return RandomOracle(max_trials=trials, **options)
    if tuner == "bayesian":
        return BayesianOracle(max_trials=trials, num_initial_points=initial_points, **options)
    if tuner == "grid":
        return GridOracle(max_trials=trials, **options)
    sweeps = 1 if trials is None and minutes is None else 10**6
    oracle = HyperbandOracle(max_epochs=epochs, hyperband_iterations=sweeps, **options)
    oracle.max_trials = trials
    return oracle
