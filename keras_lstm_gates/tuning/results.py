"""The results of a search: trials as plain data, search.json and trials.csv."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from keras_lstm_gates._support.files import replaced_when_whole, write_json
from keras_lstm_gates.tuning.trials import COMPLETED, RUNNING, read_record, record_file

if TYPE_CHECKING:
    from keras_lstm_gates._support.annotations import StrPath


class Search(NamedTuple):
    """A search, read from its folder.

    Attributes:
        folder: `Path`.
        settings: dict: tuner, objective, seed, budget, space and model.
        trials: list of dicts, in the order of their choice: "trial", "status" ("completed", "failed", "over budget"
            or "running"), "values" {hyperparameter: value}, "score", "metrics", "figures" {"parameters", …},
            "reason" of a failure, "seconds" of training, "ended_after" seconds of search, "worker".
        best: the completed trial with the best score, or None.
        seconds: float, of search, all sessions together.
    """

    folder: Path
    settings: dict
    trials: list
    best: dict | None
    seconds: float


def read(folder: StrPath) -> Search:
    """The search in a folder, finished or not.

    Raises:
        FileNotFoundError: "expected the folder of a search; runs/x holds no settings.json".
        ValueError: "runs/x is no whole search: ...".
    """
    folder = Path(folder)
    if not (folder / "settings.json").exists():
        raise FileNotFoundError(f"expected the folder of a search; {folder} holds no settings.json")
    try:
        return _read(folder)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, IsADirectoryError) as error:
        raise ValueError(f"{folder} is no whole search: {type(error).__name__}: {error}") from error


def _read(folder):
    settings = json.loads((folder / "settings.json").read_text())
    content = {"oracle": {"ended_after": {}, "seconds": 0.0}, "trials": []}
    if (folder / "oracle.json").exists():
        content = json.loads((folder / "oracle.json").read_text())
    oracle = content["oracle"]
    trials = [
        _trial(folder, state["trial_id"], state["hyperparameters"]["values"], settings, oracle["ended_after"])
        for state in content["trials"]
    ]
    return Search(folder, settings, trials, best(trials, settings), round(oracle["seconds"], 3))


def best(trials, settings):
    """The completed trial with the best score; of Hyperband, among those that trained longest: only they compare."""
    completed = [trial for trial in trials if trial["status"] == COMPLETED]
    if not completed:
        return None
    longest = max(trial["values"].get("tuner/epochs", 0) for trial in completed)
    completed = [trial for trial in completed if trial["values"].get("tuner/epochs", 0) == longest]
    choose = min if settings["objective"]["direction"] == "min" else max
    return choose(completed, key=lambda trial: trial["score"])


def _trial(folder, trial_id, values, settings, ended_after):
    record = read_record(record_file(folder, trial_id)) or {}
    status = record.get("status", RUNNING) if trial_id in ended_after else RUNNING
    trial = {"trial": trial_id, "status": status, "values": values}
    trial |= {key: record[key] for key in ("reason", "figures", "metrics", "seconds", "worker") if key in record}
    trial["figures"] = record.get("figures", {})
    if status == COMPLETED:
        trial["score"] = record["metrics"][settings["objective"]["name"]]
    if trial_id in ended_after:
        trial["ended_after"] = round(ended_after[trial_id], 3)
    return trial


def write(search):
    """Write search.json and trials.csv."""
    write_json(search.folder / "search.json", search._replace(folder=None)._asdict())
    names = hyperparameters(search)
    with replaced_when_whole(search.folder / "trials.csv") as temporary, temporary.open("w", newline="") as file:
        rows = csv.writer(file)
        figures = sorted({figure for trial in search.trials for figure in trial["figures"]})
        rows.writerow(["trial", "status", "score", *names, *figures, "seconds", "ended_after", "worker", "reason"])
        for trial in search.trials:
            rows.writerow(
                [
                    trial["trial"],
                    trial["status"],
                    trial.get("score", ""),
                    *(trial["values"].get(name, "") for name in names),
                    *(trial["figures"].get(figure, "") for figure in figures),
                    *(trial.get(key, "") for key in ("seconds", "ended_after", "worker", "reason")),
                ]
            )


def hyperparameters(search):
    """The names of the hyperparameters that were searched; of Hyperband's own values only the epochs."""
    names = dict.fromkeys(name for trial in search.trials for name in trial["values"])
    return [name for name in names if not name.startswith("tuner/") or name == "tuner/epochs"]


def finish(folder):
    """Write the results; a search without a completed trial is an error."""
    search = read(folder)
    write(search)
    if search.best is None:
        last = next((trial for trial in reversed(search.trials) if "reason" in trial), None)
        why = "" if last is None else f"; trial {last['trial']}: {last['status']}, {last['reason']}"
        raise ValueError(f"expected a trial that completes within budget; received none of {len(search.trials)}{why}")
    return search


def write_best(search, hypermodel):
    """Write best.json, a recipe that `train` takes, and return its path."""
    path = search.folder / "best.json"
    write_json(path, hypermodel.recipe_with(search.best["values"]).to_dict())
    return path
