"""What a search found: trials as plain data, the live table, search.json and trials.csv."""

import contextlib
import csv
import json
import time
from pathlib import Path
from typing import NamedTuple

from rich.live import Live
from rich.table import Table

from keras_lstm_gates.files import replaced_when_whole
from keras_lstm_gates.tuning.trials import COMPLETED, FAILED, RUNNING, read_record, record_file

_BETWEEN_UPDATES = 0.5


class Search(NamedTuple):
    """A search as its folder tells it.

    Attributes:
        folder: `Path`.
        settings: dict: tuner, objective, seed, budget, space and model.
        trials: list of dicts, in the order they were chosen: "trial", "status" ("completed", "failed", "over budget"
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


def read(folder):
    """The search that stands in a folder, at whatever point it is.

    Raises:
        FileNotFoundError: "expected the folder of a search; runs/x holds no settings.json".
    """
    folder = Path(folder)
    if not (folder / "settings.json").exists():
        raise FileNotFoundError(f"expected the folder of a search; {folder} holds no settings.json")
    settings = json.loads((folder / "settings.json").read_text())
    content = {"oracle": {"ended_after": {}, "seconds": 0.0}, "trials": []}
    if (folder / "oracle.json").exists():
        content = json.loads((folder / "oracle.json").read_text())
    oracle = content["oracle"]
    found = [
        _trial(folder, state["trial_id"], state["hyperparameters"]["values"], settings, oracle["ended_after"])
        for state in content["trials"]
    ]
    return Search(folder, settings, found, best(found, settings), round(oracle["seconds"], 3))


def best(trials, settings):
    """The completed trial with the best score; of Hyperband one of those that trained longest, which alone compare."""
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
    with replaced_when_whole(search.folder / "search.json") as temporary:
        temporary.write_text(json.dumps(search._replace(folder=None)._asdict(), indent=2) + "\n")
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
    """The names of what was searched; without what Hyperband writes beside them, but its epochs."""
    names = dict.fromkeys(name for trial in search.trials for name in trial["values"])
    return [name for name in names if not name.startswith("tuner/") or name == "tuner/epochs"]


def finish(folder):
    """Write what was found; refuse to call a search done in which nothing was completed."""
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
    with replaced_when_whole(path) as temporary:
        recipe = hypermodel.recipe_with(search.best["values"])
        temporary.write_text(json.dumps(recipe.to_dict(), indent=2) + "\n")
    return path


def table(search, title="", rows=20):
    """A rich table of the last trials and the best."""
    objective = search.settings["objective"]["name"]
    made = Table(title=title, caption=_caption(search))
    names = hyperparameters(search)
    # What does not vary is no column.
    names = [name for name in names if len({str(trial["values"].get(name)) for trial in search.trials}) > 1]
    for column in ("trial", "status", objective, *names, "parameters", "seconds"):
        made.add_column(column, justify="left" if column in ("trial", "status") else "right", overflow="fold")
    shown = search.trials[-rows:]
    if search.best is not None and search.best not in shown:
        shown = [search.best, *shown]
    for trial in shown:
        status = trial["status"] + (f": {trial['reason']}" if "reason" in trial else "")
        made.add_row(
            trial["trial"],
            status,
            _text(trial.get("score")),
            *(_text(trial["values"].get(name)) for name in names),
            _text(trial["figures"].get("parameters")),
            _text(trial.get("seconds")),
            style="bold green" if trial is search.best else "red" if trial["status"] == FAILED else None,
        )
    return made


def _caption(search):
    counts = {}
    for trial in search.trials:
        counts[trial["status"]] = counts.get(trial["status"], 0) + 1
    text = ", ".join(f"{count} {status}" for status, count in counts.items())
    if search.best is not None:
        text += f"; best {search.settings['objective']['name']} {_text(search.best['score'])}"
        text += f" in trial {search.best['trial']}"
    return f"{text}; {search.seconds:.0f} s"


def _text(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


class Board:
    """The live table of a search, and search.json kept up with it."""

    def __init__(self, folder, objective, console, trials):
        self._folder, self._console, self._trials = Path(folder), console, trials
        self._live = None
        self._drawn = 0.0
        self._seen = None

    @contextlib.contextmanager
    def live(self, oracle, settings):
        self._oracle = oracle
        try:
            if self._console is None:
                yield
            else:
                with Live(console=self._console, auto_refresh=False, transient=True) as self._live:
                    yield
        finally:
            self._live = None
            # Also on Ctrl-C: what was finished is there to read.
            oracle.save()
            write(read(self._folder))

    def update(self):
        """Draw the trials again, at most twice a second."""
        now = time.monotonic()
        if self._live is None or now - self._drawn < _BETWEEN_UPDATES:
            return
        self._drawn = now
        search = read(self._folder)
        of = "" if self._trials is None else f" of {self._trials}"
        self._live.update(table(search, f"{len(search.trials)}{of} trials, {self._folder}"), refresh=True)
