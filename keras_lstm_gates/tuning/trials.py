"""One trial: build, check the budget, train, and write a record of the result."""

import json
import math
import shutil
import tempfile
import time
import traceback
from pathlib import Path

import keras
import keras_tuner
import numpy as np

from keras_lstm_gates._support.array_files import read_npz
from keras_lstm_gates._support.files import part_of_path, replaced_when_whole, write_json
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.tuning.oracles import worst

COMPLETED, FAILED, OVER_BUDGET, RUNNING = "completed", "failed", "over budget", "running"


class TrialTuner(keras_tuner.Tuner):
    """KerasTuner's loop over trials with this package's way to run one; the oracle may be in another process.

    Args:
        oracle, hypermodel, directory: of `keras_tuner.Tuner`.
        budget: {"parameters", "tflite_bytes" or "latency_ms": the largest allowed}.
        sample: (1, time, features), a sequence for the TFLite file and its latency, or None.
        seed: int, of each trial's weights: trials differ only in their hyperparameters.
        waits_for_all: bool, whether a failed trial must have a score; see `oracles.Resumable`.
        on_change: function without arguments, called when a trial begins and ends.
    """

    def __init__(self, oracle, hypermodel, directory, *, budget, sample, seed, waits_for_all, on_change=None):
        self._budget, self._sample, self._seed = budget, sample, seed
        self._waits_for_all, self._on_change = waits_for_all, on_change
        self._idle = False
        super().__init__(oracle, hypermodel, directory=str(directory), project_name="trials")

    def save(self):
        """The oracle saves itself at every change."""

    def pre_create_trial(self):
        # Two calls in a row: the chief had no trial to give, and KerasTuner would ask again at once.
        if self._idle:
            time.sleep(0.5)
        self._idle = True

    def on_trial_begin(self, trial):
        self._idle = False
        if self._on_change is not None:
            self._on_change()

    def on_trial_end(self, trial):
        record = read_record(record_file(self.directory, trial.trial_id))
        if record["status"] != COMPLETED and not self._waits_for_all:
            # KerasTuner's own way, an exception, prints its traceback over the table.
            trial.status, trial.message = "FAILED", record["reason"]
        self.oracle.end_trial(trial)
        if self._on_change is not None:
            self._on_change()

    def run_trial(self, trial, *args, **fit_arguments):
        path = record_file(self.directory, trial.trial_id)
        values = dict(trial.hyperparameters.values)
        record = read_record(path)
        if record is None or record["status"] == RUNNING or record["values"] != values:
            record = {
                "trial": trial.trial_id,
                "status": RUNNING,
                "values": values,
                "worker": self.tuner_id,
                "started": time.time(),
            }
            write_record(path, record)
            self._run(record, trial.hyperparameters, args, fit_arguments)
            record["seconds"] = round(time.time() - record["started"], 3)
            write_record(path, record)
        # Otherwise it had finished, but the chief or this worker was killed before the result arrived.
        if record["status"] == COMPLETED:
            return record["metrics"]
        return {self.oracle.objective.name: worst(self.oracle.objective)}

    def _run(self, record, hp, args, fit_arguments):
        """Fill the record: status and, by status, metrics, history, figures, reason."""
        try:
            keras.utils.clear_session()
            keras.utils.set_random_seed(self._seed)
            model = self.hypermodel.build(hp)
            if not isinstance(model, keras.Model):
                raise keras_tuner.errors.FatalTypeError(
                    f"expected the build function to return a compiled keras.Model; received {model!r}"
                )
            record["figures"] = {}
            for name, figure in self._figures(model):
                record["figures"][name] = figure
                if figure > self._budget.get(name, math.inf):
                    record["status"] = OVER_BUDGET
                    record["reason"] = f"{name} {figure:,.6g} > {self._budget[name]:,.6g}"
                    return
            history = _History()
            callbacks = [history, *fit_arguments.get("callbacks", ())]
            epochs = hp.values.get("tuner/epochs")
            if epochs is not None:
                fit_arguments = fit_arguments | {"epochs": epochs, "initial_epoch": hp.values["tuner/initial_epoch"]}
                if "tuner/trial_id" in hp.values:
                    _load_state(model, self._state_file(hp.values["tuner/trial_id"]))
            result = self.hypermodel.fit(
                hp, model, *args, **({"verbose": 0} | fit_arguments | {"callbacks": callbacks})
            )
            record["metrics"] = _metrics(result, self.oracle.objective)
            record["history"] = history.epochs
            if not math.isfinite(record["metrics"][self.oracle.objective.name]):
                raise FloatingPointError(
                    f"{self.oracle.objective.name} became {record['metrics'][self.oracle.objective.name]}"
                )
            if epochs is not None:
                _save_state(model, self._state_file(record["trial"]))
            record["status"] = COMPLETED
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            record["status"] = FAILED
            record["reason"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            record["traceback"] = traceback.format_exc()

    def _figures(self, model):
        """Yield name, figure: the cheap one first, the others only where the budget has a limit for them."""
        if model.built:
            yield "parameters", model.count_params()
        if {"tflite_bytes", "latency_ms"} & set(self._budget):
            from keras_lstm_gates.exporting import export
            from keras_lstm_gates.exporting.comparing import fastest_ms

            folder = Path(tempfile.mkdtemp())
            try:
                file = export(model, folder, self._sample, formats=("tflite",)).files["tflite"]
                yield "tflite_bytes", file.stat().st_size
                if "latency_ms" in self._budget:
                    runner = Runner(file, trial=False)
                    yield "latency_ms", fastest_ms(lambda: runner.predict(self._sample[:1]))
            finally:
                shutil.rmtree(folder)

    def _state_file(self, trial_id):
        return trial_folder(self.directory, trial_id) / "state.npz"

    def get_trial_dir(self, trial_id):
        """KerasTuner's, for what it writes itself."""
        return str(trial_folder(self.directory, trial_id))


def trial_folder(folder, trial_id):
    """The folder of a trial, whose number may come from a file or another machine."""
    return Path(folder) / "trials" / f"trial_{part_of_path(trial_id, 'a trial')}"


def record_file(folder, trial_id):
    return trial_folder(folder, trial_id) / "record.json"


def read_record(path):
    return json.loads(path.read_text()) if path.exists() else None


def write_record(path, record):
    write_json(path, record, indent=1, default=float)


class _History(keras.callbacks.Callback):
    """The figures of each epoch; a non-finite loss ends the trial."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self.epochs.append({"epoch": epoch, **logs})
        for name in ("loss", "val_loss"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise FloatingPointError(f"{name} became {logs[name]} in epoch {epoch + 1}")


def _metrics(result, objective):
    """What `HyperModel.fit` returned as {name: float}; of a `History`, the epoch with the best objective."""
    if isinstance(result, int | float | np.floating):
        return {objective.name: float(result)}
    if isinstance(result, keras.callbacks.History):
        names, epochs = list(result.history), zip(*result.history.values(), strict=True)
        epochs = [dict(zip(names, values, strict=True)) for values in epochs]
        if epochs and objective.name in epochs[0]:
            choose = min if objective.direction == "min" else max
            result = choose(epochs, key=lambda epoch: epoch[objective.name])
        else:
            result = epochs[0] if epochs else {}
    if not isinstance(result, dict) or objective.name not in result:
        received = sorted(result) if isinstance(result, dict) else repr(result)
        raise keras_tuner.errors.FatalValueError(
            f"expected a training that gives the objective {objective.name!r}; received {received}"
        )
    return {name: float(value) for name, value in result.items()}


def _variables(model):
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.weights, *model.optimizer.variables]


def _save_state(model, path):
    """Weights and the optimizer's state, which KerasTuner's own Hyperband does not keep."""
    with replaced_when_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{f"v{place}": np.asarray(value) for place, value in enumerate(_variables(model))})


def _load_state(model, path):
    saved = read_npz(path)
    for place, variable in enumerate(_variables(model)):
        variable.assign(saved[f"v{place}"])
