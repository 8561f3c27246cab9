"""Every command that writes, stopped by SIGKILL just before each of its changes to a file.

    python benchmarks/kills.py [--only export report] [--sampled 6] [--out benchmarks/kills.md]

What a kill leaves is taken from one run, which copies its folder before each change, and compared with processes that
are really killed at some of these changes. It has to be the old results or the new ones, whole; after the next start
nothing may be left behind. Changes are those that Python makes; what TensorFlow and h5py write themselves lies in
between, in folders that are not finished yet. With --only the page keeps its other rows.
"""

import argparse
import collections
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402  TensorFlow's messages are turned off first
import kills  # noqa: E402
import numpy as np  # noqa: E402
import small  # noqa: E402

from keras_lstm_gates import exporting, reporting, tracing, training, zoo  # noqa: E402
from keras_lstm_gates.cli import entry  # noqa: E402
from keras_lstm_gates.presets import registry  # noqa: E402
from keras_lstm_gates.recipes import Recipe  # noqa: E402

# No process of TensorFlow's may run here: the processes that are killed are copies of this one.
RECIPE = Recipe(dataset="japanese_vowels", units=2, layers=1, epochs=2, batch_size=270)
UNFINISHED = ("unfinished", "partial", "lock", "checkpoint.npz")
WHOLE_RUN = {
    *("environment.json", "gate_saturation.png", "gate_statistics.json", "history.json", "learning_curves.png"),
    *("metrics.json", "model.keras", "names.json", "recipe.json"),
}


class Command(NamedTuple):
    """What is killed.

    Attributes:
        before: function of a folder that makes the old results.
        run: function of the folder.
        whole: function of the folder to whether the results, old or new, are whole.
        resumes: bool, whether a kill may leave a part that the next start goes on with.
    """

    before: Callable
    run: Callable
    whole: Callable
    resumes: bool = False


def model(seed):
    sequence = keras.Input((6, 3))
    keras.utils.set_random_seed(seed)
    return keras.Model(sequence, keras.layers.Dense(1)(keras.layers.LSTM(2, name="lstm")(sequence)))


def data(samples=4):
    return np.random.default_rng(0).normal(size=(samples, 6, 3)).astype("float32")


def export(folder, seed=1):
    exporting.export(model(seed), folder / "exported", data())


def export_before(folder):
    export(folder, seed=0)
    (folder / "exported" / "mine.txt").write_text("mine")


def export_whole(folder):
    own = folder / "exported" / "mine.txt"
    kept = own.read_text() == "mine"
    own.rename(folder / "mine.txt")
    try:
        exporting.verified(folder / "exported")
    finally:
        (folder / "mine.txt").rename(own)
    return kept


def report(folder, title="new"):
    reporting.report(tracing.load(folder / "gates.zarr").load(), folder / "report.html", title=title)


def report_before(folder):
    tracing.save(tracing.trace(model(0), data(), progress=False), folder / "gates.zarr")
    report(folder, title="old")


def report_whole(folder):
    return (folder / "report.html").read_text().rstrip().endswith("</html>")


def zoo_build(folder):
    recipe = RECIPE
    registry.PRESETS["killed"] = registry.Preset(
        title="killed", recipe=recipe, data="", licence="", metric="accuracy", definition="", higher_is_better=True,
        limits="", seeds=2, folder=folder / "zoo",
    )  # fmt: skip
    zoo.build("killed", folder / "runs", tell=lambda line: None)


def zoo_whole(folder):
    registry.PRESETS["killed"] = registry.Preset(
        title="", recipe=RECIPE, data="", licence="", metric="accuracy", definition="", higher_is_better=True,
        limits="", folder=folder / "zoo",
    )  # fmt: skip
    return zoo.card("killed")["name"] == "killed"


def train(folder):
    training.fit(RECIPE, folder / "run", resume=True)


def train_whole(folder):
    return {path.name for path in (folder / "run").iterdir()} == WHOLE_RUN


def trace_to(folder):
    if not (folder / "gates.zarr").exists():
        tracing.trace(model(0), data(70), progress=False, to=folder / "gates.zarr")
    else:
        with contextlib.suppress(FileExistsError):
            tracing.trace(model(0), data(70), progress=False, to=folder / "gates.zarr")


def trace_to_whole(folder):
    tree = tracing.load(folder / "gates.zarr").load()
    return tree.sizes["sample"] == 70 and bool(np.isfinite(tree["lstm"]["c"].values).all())


def typed(*words):
    """The command line, as a user types it; where it refuses, as results are there, nothing happens."""
    sys.argv = ["keras-lstm-gates", *map(str, words)]
    with contextlib.redirect_stdout(None), contextlib.suppress(SystemExit):
        entry.main()


def trace(folder):
    typed("trace", folder / "model.keras", folder / "data.npy", "--out", folder / "trace")


def explain(folder):
    typed("explain", folder / "model.keras", folder / "data.npy", "--out", folder / "explained")


def explain_whole(folder):
    names = {path.name for path in (folder / "explained").iterdir()}
    return names == {"explanation.png", "explanation.csv", "report.html"}


def forecast(folder):
    typed("forecast", folder / "run", folder / "table.csv", "--out", folder / "forecast")


def forecast_whole(folder):
    return {path.name for path in (folder / "forecast").iterdir()} == {"forecast.csv", "forecast.png"}


def ablate_before(folder):
    trace_before(folder)
    np.save(folder / "targets.npy", np.zeros((4, 1)))


def ablate(folder):
    sources = [folder / name for name in ("model.keras", "data.npy", "targets.npy")]
    typed("ablate", *sources, "--metric", "mse", "--what", "gates", "--out", folder / "ablation")


def ablate_whole(folder):
    names = {path.name for path in (folder / "ablation").iterdir()}
    return names == {"ablation.zarr", "ablation.csv", "ablation.png"}


def tune(folder):
    table = "--target load --window 4 --horizon 2 --set units=[2,3] --set epochs=1 --trials 2 --workers 0".split()
    typed("tune", folder / "table.csv", *table, "--out", folder / "search")


def tune_whole(folder):
    names = {path.name for path in (folder / "search").iterdir()}
    return {"best.json", "search.json", "trials.csv", "best_so_far.png", "tensorboard"} <= names


def trace_before(folder):
    model(0).save(folder / "model.keras")
    np.save(folder / "data.npy", data())


def trace_whole(folder):
    if not any((folder / "trace").iterdir() if (folder / "trace").exists() else ()):
        return True
    tracing.load(folder / "trace" / "gates.zarr").load()
    return (folder / "trace" / "gates.png").read_bytes().endswith(b"IEND\xaeB`\x82")


def nothing(folder):
    """No results before."""


COMMANDS = {
    "export": Command(export_before, export, export_whole),
    "report": Command(report_before, report, report_whole),
    "trace": Command(trace_before, trace, trace_whole),
    "trace(to=…)": Command(nothing, trace_to, trace_to_whole, resumes=True),
    "explain": Command(trace_before, explain, explain_whole),
    "ablate": Command(ablate_before, ablate, ablate_whole),
    "forecast": Command(small.small_forecaster, forecast, forecast_whole),
    "train": Command(nothing, train, train_whole, resumes=True),
    "tune": Command(small.small_forecaster, tune, tune_whole, resumes=True),
    "zoo build": Command(zoo_build, zoo_build, zoo_whole),
}


def through(name, place, sampled):
    """[{"number", "what", "at_once", "again"}] of each kill of a command; the last two say whether all is whole."""
    command = COMMANDS[name]
    original, folder, copies = place / "original", place / "folder", place / "copies"
    original.mkdir(parents=True)
    kills.alone(lambda: _quietly(command.before, original))
    shutil.copytree(original, folder, symlinks=True)
    told = kills.copied_at_every_change(folder, lambda: _quietly(command.run, folder), copies)
    results, seen = [], {}
    for number, what in enumerate(told, start=1):
        _take(copies / str(number), folder)
        at_once, left = _state(command, original, folder), _left(folder)
        # The next start meets the same where the same files are there, whatever is in them.
        if (at_once, left) not in seen:
            kills.alone(lambda: _quietly(command.run, folder))
            seen[at_once, left] = _again(command, folder)
        results.append({"number": number, "what": what, "at_once": at_once, "again": seen[at_once, left]})
    for one in results[:: max(1, len(results) // sampled)]:
        shutil.rmtree(folder)
        shutil.copytree(original, folder, symlinks=True)
        kills.before(one["number"], folder, lambda: _quietly(command.run, folder))
        if (state := _state(command, original, folder)) != one["at_once"]:
            one["at_once"] = f"broken: by a copy {one['at_once']}, by a kill {state}"
        kills.alone(lambda: _quietly(command.run, folder))
        one["again"] = _again(command, folder)
        one["killed"] = True
    return results


def _take(copy, folder):
    shutil.rmtree(folder)
    os.rename(copy, folder)


def _left(folder):
    """Which unfinished files there are, of deep folders the first."""
    return frozenset(path.relative_to(folder).parts[:3] for path in folder.rglob("*") if _unfinished(path, folder))


def _state(command, original, folder):
    """The results: "old", "new", "to resume", or "broken" with why."""
    try:
        if _sums(original) == _sums(folder):
            begun = command.resumes and any(_unfinished(path, folder) for path in folder.rglob("*"))
            return "to resume" if begun else "old"
        return "new" if command.whole(folder) else "to resume" if command.resumes else "broken"
    except Exception as error:
        return "to resume" if command.resumes else f"broken: {type(error).__name__}: {error}"


def _again(command, folder):
    """The results after the next start: "whole", or what is wrong."""
    left = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith(UNFINISHED)]
    if left:
        return f"left behind: {left}"
    try:
        return "whole" if command.whole(folder) else "broken"
    except Exception as error:
        return f"broken: {type(error).__name__}: {error}"


def _sums(folder):
    """{path: sha256} of the files that are no unfinished ones."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).digest()
        for path in folder.rglob("*")
        if path.is_file() and not _unfinished(path, folder)
    }


def _unfinished(path, folder):
    return any(part.endswith(UNFINISHED) for part in path.relative_to(folder).parts)


def _quietly(action, folder):
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        action(folder)


def rows_of(path):
    """{command: [its row, what is wrong, ...]} of a page."""
    rows = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith(("| ", "- ")):
            rows.setdefault(line[2:].split(" | ")[0].split(", before")[0], []).append(line)
    return rows


def row(name, results, seconds):
    """A command's row of the table, and a line for each kill that leaves or makes something broken."""
    counts = collections.Counter(one["at_once"].partition(":")[0] for one in results)
    whole = sum(one["again"] == "whole" for one in results)
    killed = sum("killed" in one for one in results)
    cells = [name, len(results), killed, *(counts[key] for key in ("old", "to resume", "new", "broken")), whole]
    bad = [
        f"- {name}, before change {one['number']}, {one['what']}: {one['at_once']}; then {one['again']}"
        for one in results
        if one["at_once"].startswith("broken") or one["again"] != "whole"
    ]
    return [f"| {' | '.join(map(str, cells))} | {seconds / 60:.0f} |", *bad]


def page(rows):
    """The table as Markdown."""
    lines = [
        "# Kills",
        "",
        "Written by `python benchmarks/kills.py`: what SIGKILL leaves just before each change that a command makes to",
        "a file, with results of an earlier run in place, and whether the next start makes all whole. Processes were",
        "really killed at some changes; of the others there are copies of the folder. A part to resume is one of a",
        "training or a search, or of a trace that is written as it grows.",
        "",
        "| command | changes | killed | old results | to resume | new results | broken | then whole | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    known = [rows[name] for name in COMMANDS if name in rows]
    bad = [line for _, *wrong in known for line in wrong]
    return "\n".join([*lines, *(line for line, *_ in known), "", *bad, *([""] if bad else [])])


def main():
    """Kill, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--sampled", type=int, default=6, help="processes that are really killed")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "kills.md")
    options = parser.parse_args()
    rows = rows_of(options.out)
    for name in options.only:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            results = through(name, Path(place) / "place", options.sampled)
        rows[name] = row(name, results, time.monotonic() - started)
        print(*rows[name], sep="\n", flush=True)
        options.out.write_text(page(rows))


if __name__ == "__main__":
    main()
