"""`search`: trials of a model over a space, in this process or many, that resume from their folder."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner

from keras_lstm_gates._support import locks
from keras_lstm_gates._support.files import clean, write_json
from keras_lstm_gates.tuning import addresses, chief_and_workers, results, service, tables
from keras_lstm_gates.tuning.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    from numpy.typing import ArrayLike
    from rich.console import Console

    from keras_lstm_gates._support.annotations import StrPath


TUNERS = ("random", "bayesian", "hyperband", "grid")
BUDGETS = ("parameters", "tflite_bytes", "latency_ms")


def search(
    model: keras_tuner.HyperModel | Callable[..., keras.Model],
    folder: StrPath,
    *,
    tuner: str = "random",
    trials: int | None = None,
    minutes: float | None = None,
    objective: str | keras_tuner.Objective = "val_loss",
    budget: dict[str, float] | None = None,
    sample: ArrayLike | None = None,
    epochs: int | None = None,
    initial_points: int | None = None,
    seed: int = 0,
    workers: int = 0,
    threads: int | None = None,
    role: str | None = None,
    chief: str | None = None,
    worker: int = 0,
    fit: dict[str, Any] | None = None,
    console: Console | None = None,
) -> results.Search:
    """Search hyperparameters with KerasTuner, and write a folder with every trial.

    The folder holds search.json (settings, trials, the best), trials.csv, and the state to resume from: the same
    call resumes a search that was stopped or killed. No finished trial is lost or repeated, and an interrupted trial
    runs again from its start. `trials`, `minutes` and the number of workers may change between calls; a change of
    anything else is refused.

    Args:
        model: a function of `keras_tuner.HyperParameters` to a compiled `keras.Model`, or a
            `keras_tuner.HyperModel`, for example `GatedLSTMHyperModel`. Processes must be able to import it.
        folder: str or `Path`, new or of an earlier call.
        tuner: str. "random"; "bayesian", a Gaussian process; "hyperband", short trials of which the best train on;
            "grid", all combinations, the first hyperparameter changing fastest.
        trials: int > 0, the most trials. None: without `minutes` 20, all of a grid, one sweep of Hyperband; with
            `minutes` as many as fit.
        minutes: float > 0 or None: no trial starts later than this; running trials are finished.
        objective: str or `keras_tuner.Objective`, a metric of the training. The best epoch of a `History` counts.
        budget: {"parameters", "tflite_bytes" or "latency_ms": the largest allowed}. A model over it is reported
            with its figure but not trained. Latency is of one sequence, one thread, the fastest of 30 runs of the
            TFLite file on the machine of the worker.
        sample: float, (1, time, features), a sequence; needed for the figures of a TFLite file.
        epochs: int > 0, of a full training. "hyperband" only, which sets the epochs of each trial.
        initial_points: int > 0 or None, random trials before the Gaussian process, None for three a hyperparameter.
            "bayesian" only.
        seed: int >= 0, of the choice of trials, and of the initial weights, the same for every trial.
        workers: int >= 0. 0: in this process. K: in K processes, restarted when killed; a trial that kills its
            process twice (out of memory) is marked as failed.
        threads: int > 0 or None, of TensorFlow in each worker process; None for its share of the cores.
        role: None, "chief" or "worker": one of many machines that call this with the same arguments and a folder they
            share. None also reads KerasTuner's variables KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and
            KERASTUNER_ORACLE_PORT.
        chief: str, "HOST:PORT", where the chief listens. With a role only: without one it is 127.0.0.1. The service
            asks for what stands in the environment variable KERASTUNER_ORACLE_TOKEN of the chief; where there is
            none, everybody who reaches the address is trusted. Nothing is encrypted.
        worker: int >= 0, which worker this is. A killed worker that is started again with its number gets its
            trial again.
        fit: dict, arguments of `HyperModel.fit`, which are those of `keras.Model.fit`.
        console: `rich.console.Console` for the live table, or None for silence.

    Returns:
        `results.Search`.

    Raises:
        ValueError: "expected tuner to be one of [...]; received 'annealing'"; a folder of a search with other
            settings, with the difference; no completed trial.
        OSError: the folder cannot be written, or another process searches in it, or the chief's port is taken.
        ConnectionError: no chief answers.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> def build(hp):
        ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        ...     model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-4, 1e-1, sampling="log")), loss="mse")
        ...     return model
        >>> x = np.linspace(-1, 1, 32)[:, None]
        >>> result = search(build, tempfile.mkdtemp(), trials=3, objective="loss", fit={"x": x, "y": 2 * x})
        >>> len(result.trials), result.best["status"], sorted(result.best["values"])
        (3, 'completed', ['rate'])
    """
    role, chief, worker = _role(role, chief, worker)
    budget = budget or {}
    _check(
        tuner=tuner,
        trials=trials,
        minutes=minutes,
        budget=budget,
        sample=sample,
        epochs=epochs,
        seed=seed,
        workers=workers,
        threads=threads,
        role=role,
        chief=chief,
    )
    if trials is None and minutes is None and tuner in ("random", "bayesian"):
        trials = 20
    folder = Path(folder).resolve()
    objective = _objective(objective)
    job = Job(
        model, str(folder), objective, tuner, trials, minutes, epochs, initial_points, seed, budget, sample, fit or {}
    )
    if role == "worker":
        chief_and_workers.work(job, chief, f"tuner{worker}")
        return results.read(folder)

    address, token = None, os.environ.get(service.TOKEN)
    if role == "chief":
        address = chief
        addresses.warn_unless_loopback(address, token)
    elif workers:
        address, token = addresses.free_address(), secrets.token_urlsafe()
    board = tables.Board(folder, objective, console, trials)
    with addresses.held(address), locks.alone(folder, folder), chief_and_workers.environment(address, "chief", token):
        _check_folder(folder)
        own = job.make_tuner(on_change=board.update)
        oracle = own.oracle
        settings = _settings(job, oracle)
        _same_settings(folder, settings)
        oracle.start(folder / "oracle.json", minutes)
        if role != "chief":
            oracle.release({f"tuner{number}" for number in range(max(workers, 1))})
        oracle.save()
        with board.live(oracle, settings):
            if address is None:
                own.search(**job.fit)
            else:
                chief_and_workers.lead(own, job, address, workers, threads, board)
        return results.finish(folder)


def _role(role, chief, worker):
    name = os.environ.get("KERASTUNER_TUNER_ID")
    if role is not None or name is None:
        return role, chief, worker
    missing = [key for key in ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT") if key not in os.environ]
    if missing:
        raise ValueError(f"expected {' and '.join(missing)} with KERASTUNER_TUNER_ID={name}; not set")
    chief = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    if name == "chief":
        return "chief", chief, worker
    if not (name.startswith("tuner") and name[5:].isdigit()):
        raise ValueError(f"expected KERASTUNER_TUNER_ID to be 'chief' or 'tuner<number>'; received {name!r}")
    return "worker", chief, int(name[5:])


def _check(*, tuner, trials, minutes, budget, sample, epochs, seed, workers, threads, role, chief):
    if tuner not in TUNERS:
        raise ValueError(f"expected tuner to be one of {list(TUNERS)}; received {tuner!r}")
    for name, value in (("trials", trials), ("threads", threads), ("epochs", epochs)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"expected {name} to be an int > 0; received {value!r}")
    for name, value in (("workers", workers), ("seed", seed)):
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"expected {name} to be an int >= 0; received {value!r}")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"expected minutes > 0; received {minutes!r}")
    if tuner == "hyperband" and epochs is None:
        raise ValueError("expected epochs, those of a full training, for the tuner 'hyperband'; received None")
    for name, value in budget.items():
        if name not in BUDGETS:
            raise ValueError(f"expected a budget of {list(BUDGETS)}; received {name!r}")
        if not value > 0:
            raise ValueError(f"expected the budget of {name} to be > 0; received {value!r}")
    if {"tflite_bytes", "latency_ms"} & set(budget) and sample is None:
        raise ValueError("expected a sample (1, time, features) for a budget of a TFLite file; received None")
    if role not in (None, "chief", "worker"):
        raise ValueError(f"expected role to be 'chief' or 'worker'; received {role!r}")
    if role is not None:
        addresses.host_and_port(chief)
        if workers:
            raise ValueError(f"expected no workers with a role: start each with its own command; received {workers}")


def _objective(objective):
    if isinstance(objective, keras_tuner.Objective):
        return objective
    # KerasTuner infers no direction for names it does not know.
    falls = any(part in objective for part in ("loss", "error", "mse", "mae", "rmse", "perplexity", "pinball"))
    return keras_tuner.Objective(objective, "min" if falls else "max")


def _settings(job, oracle):
    """What must not change between two calls on one folder, as plain data."""
    space = {}
    for hp in oracle.get_space().get_config()["space"]:
        config = dict(hp["config"])
        name = config.pop("name")
        keys = ("value", "values", "min_value", "max_value", "step", "sampling", "conditions")
        place = name if name not in space else f"{name}, again"
        space[place] = {key: config[key] for key in keys if config.get(key) not in (None, [])}
    settings = {
        "tuner": job.tuner,
        "objective": {"name": job.objective.name, "direction": job.objective.direction},
        "seed": job.seed,
        "budget": job.budget,
        "space": space,
        "model": getattr(job.model, "description", None)
        or getattr(job.model, "__qualname__", type(job.model).__name__),
    }
    if job.tuner == "hyperband":
        settings["epochs"] = job.epochs
    if job.tuner == "bayesian":
        settings["initial_points"] = job.initial_points
    return json.loads(json.dumps(settings))


def _check_folder(folder):
    clean(folder)
    with tempfile.TemporaryFile(dir=folder):
        pass  # Fails here, not after the first trial, where the folder cannot be written to.
    if not (folder / "settings.json").exists() and {path.name for path in folder.iterdir()} - {"trials", locks.LOCK}:
        raise FileExistsError(f"expected a new folder or one of a search; {folder} holds other files")


def _same_settings(folder, settings):
    path = folder / "settings.json"
    if not path.exists():
        write_json(path, settings)
        return
    before = json.loads(path.read_text())
    changes = list(_differences(before, settings))
    if changes:
        raise ValueError(
            f"expected the settings that {folder} was searched with; received {'; '.join(changes)}: "
            "take a new folder, or the earlier settings"
        )


def _differences(before, now, prefix=""):
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and key in ("space", "model"):
            yield from _differences(old, new, f"{key} ")
        else:
            yield f"{prefix}{key} {json.dumps(new)} where it was {json.dumps(old)}"
