"""A search in the terminal: its trials as a table, also live while it runs."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from rich import box
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from keras_lstm_gates.tuning import results
from keras_lstm_gates.tuning.trials import COMPLETED, FAILED

_BETWEEN_UPDATES = 0.5


class TrialTable:
    """The last trials of a search and the best, in as many columns as fit the terminal.

    First the trial and its score or status; then figures that have a budget, the hyperparameters that vary, in the
    order of the space, "parameters" and "seconds". Below are the names of the columns that do not fit, which are in
    trials.csv, and the reasons of trials that were not completed.

    Args:
        search: `results.Search`.
        title: str.
        rows: int > 0, the most trials.
    """

    def __init__(self, search: results.Search, title: str = "", rows: int = 20) -> None:
        self._search, self._title = search, title
        self._trials = search.trials[-rows:]
        if search.best is not None and search.best not in self._trials:
            self._trials = [search.best, *self._trials]
        varying = [
            name
            for name in results.hyperparameters(search)
            if len({str(trial["values"].get(name)) for trial in search.trials}) > 1
        ]
        self._names = list(dict.fromkeys([*search.settings["budget"], *varying, "parameters", "seconds"]))

    def __rich_console__(self, console, options):
        table, left_out = self._fitting(console, options)
        yield table
        yield Text(_summary(self._search))
        if left_out:
            yield Text(f"only in trials.csv: {', '.join(left_out)}", style="dim")
        for trial in self._trials:
            if "reason" in trial:
                style = "red" if trial["status"] == FAILED else None
                yield Text(f"trial {int(trial['trial'])} {trial['status']}: {trial['reason']}", style=style or "")

    def _fitting(self, console, options):
        """(the table with the columns that fit, the names of the others)."""
        names = []
        wide = options.update(max_width=10_000)
        for name in self._names:
            if Measurement.get(console, wide, self._table([*names, name])).maximum <= options.max_width:
                names.append(name)
        return self._table(names), [name for name in self._names if name not in names]

    def _table(self, names):
        table = Table(
            title=self._title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
        )
        for name in ("trial", self._search.settings["objective"]["name"], *names):
            # A long name takes several lines, so that its numbers decide the width.
            table.add_column(name.removeprefix("tuner/").replace("_", "_\n"), justify="right", no_wrap=True)
        for trial in self._trials:
            status = trial["status"]
            best = trial is self._search.best
            table.add_row(
                f"{int(trial['trial'])}",
                _text(trial["score"], 4) if status == COMPLETED else status,
                *(_text({**trial["figures"], **trial, **trial["values"]}.get(name)) for name in names),
                style="bold green" if best else "red" if status == FAILED else None,
            )
        return table


def _summary(search):
    counts = {}
    for trial in search.trials:
        counts[trial["status"]] = counts.get(trial["status"], 0) + 1
    text = ", ".join(f"{count} {status}" for status, count in counts.items())
    if search.best is not None:
        text += f"; best {search.settings['objective']['name']} {_text(search.best['score'], 4)}"
        text += f" in trial {int(search.best['trial'])}"
    return f"{text}; {search.seconds:.0f} s"


def _text(value, digits=3):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


class Board:
    """The live table of a search, and search.json at its end."""

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
            # Also on Ctrl-C: finished trials can be read.
            oracle.save()
            results.write(results.read(self._folder))

    def update(self):
        """Draw the trials again, at most twice a second."""
        now = time.monotonic()
        if self._live is None or now - self._drawn < _BETWEEN_UPDATES:
            return
        self._drawn = now
        search = results.read(self._folder)
        of = "" if self._trials is None else f" of {self._trials}"
        self._live.update(TrialTable(search, f"{len(search.trials)}{of} trials, {self._folder}"), refresh=True)
