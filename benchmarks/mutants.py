"""How many small faults, planted one at a time, the tests notice: `make mutants`, or

    python benchmarks/mutants.py --room datasets --room training --size 40 --seed 0

The faults and their places are those of cosmic-ray. Its own runner is not used: it knows one test command for all
modules and starts a new interpreter for each fault, which imports TensorFlow for longer than most tests here take (and
mutmut, too, runs the whole suite, to learn which test reaches what). Here each fault is planted in a copy of the
checkout, and a process that has TensorFlow imported already runs the test files of its room alone, until one fails.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parent.parent
# A room: its modules, and the test files that concern it, the quickest first.
ROOMS = {
    "recurrence": ("recurrence/**/*.py gates.py", "recurrence* lstm"),
    "layers": ("layers/*.py initializers.py", "cell initializers bidirectional lstm weights*"),
    "opening": ("opening/*.py", "opening* exposing saving readers"),
    "statistics": ("tracing/gate_statistics.py", "statistics"),
    "gradients": ("gradients/*.py", "gradients gradients_studies gradient_monitor"),
    "datasets": (
        "datasets/data.py datasets/examples.py datasets/forecasting.py datasets/language.py datasets/sequences.py "
        "datasets/tables.py datasets/words.py",
        "datasets datasets_sequences datasets_language datasets_forecasting",
    ),
    "training": (
        "training/*.py losses.py models.py recipes.py baselines/*.py",
        "losses recipes build checkpoints models baselines finiteness training distributed",
    ),
    "tuning": ("tuning/*.py", "tuning_study tuning tuning_ends"),
    "comparison": ("exporting/comparing.py exporting/comparison.py", "comparison exporting"),
}
# They need arguments, or change nothing.
_NOT_PLANTED = ("core/VariableReplacer", "core/VariableInserter", "core/NoOp")
_IMPORTED = ["tensorflow", "tensorflow_datasets", "xarray", "pandas", "matplotlib.figure", "keras_tuner", "pytest"]


class Mutant(NamedTuple):
    """One fault: where it is, and the line before and after."""

    room: str
    path: str
    line: int
    before: str
    after: str
    code: str


def mutants(room):
    """{place in the code: its faults}, of one room."""
    places = {}
    for pattern in ROOMS[room][0].split():
        for path in sorted((ROOT / "keras_lstm_gates").glob(pattern)):
            code = path.read_text()
            tree = get_ast(code)
            for name in operator_names():
                if name in _NOT_PLANTED:
                    continue
                operator = get_operator(name)()
                spans = [span for node in ast_nodes(tree) for span in operator.mutation_positions(node)]
                for occurrence, (start, _) in enumerate(spans):
                    places.setdefault((room, str(path.relative_to(ROOT)), start), []).append((name, occurrence))
    return places


def planted(place, name, occurrence):
    """The `Mutant` of a fault, or None where there is none, or no Python."""
    room, path, (line, _) = place
    code = (ROOT / path).read_text()
    changed = mutate_code(code, get_operator(name)(), occurrence)
    if changed is None or changed == code:
        return None
    before, after = (text.splitlines()[line - 1].strip() for text in (code, changed))
    try:
        compile(changed, path, "exec")
    except SyntaxError:
        return None
    return Mutant(room, path, line, before, after, changed)


def sample(rooms, size, seed):
    """So many faults of these rooms, each place as likely as any other."""
    rng = random.Random(seed)
    places = {place: faults for room in rooms for place, faults in mutants(room).items()}
    order = sorted(places)
    rng.shuffle(order)
    chosen = []
    for place in order:
        mutant = planted(place, *rng.choice(places[place]))
        if mutant is not None:
            chosen.append(mutant)
        if len(chosen) == size:
            break
    return chosen, len(places)


def test_files(room):
    names = [path for name in ROOMS[room][1].split() for path in sorted((ROOT / "tests").glob(f"test_{name}.py"))]
    return list(dict.fromkeys(str(path.relative_to(ROOT)) for path in names))


def _pytest(tree, files, log):
    """The main function of a process: the exit code is pytest's."""
    os.setsid()
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": f"{tree}:{tree}/tests", "TF_CPP_MIN_LOG_LEVEL": "3"}
    sys.path[:0] = [tree, f"{tree}/tests"]
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import pytest

    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *files])
    os._exit(int(code))


def notices(context, tree, files, seconds, log):
    """Whether tests fail, or do not end in time."""
    process = context.Process(target=_pytest, args=(tree, files, log))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.join()
    return process.exitcode != 0


def measure(chosen, seconds, passing=False, tell=print):
    """{mutant: whether it is noticed}; `passing`: the tests are known to pass without a fault."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for name in ("keras_lstm_gates", "tests", "examples", "setup.cfg", "pyproject.toml"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, _made(tree) / name)
        if (ROOT / "saved_models").is_dir():
            (tree / "saved_models").symlink_to(ROOT / "saved_models")
        log = Path(folder) / "log"
        for room in [] if passing else dict.fromkeys(mutant.room for mutant in chosen):
            if notices(context, str(tree), test_files(room), 10 * seconds, str(log)):
                raise RuntimeError(f"expected the tests of {room} to pass without a fault:\n{log.read_text()[-3000:]}")
        for number, mutant in enumerate(chosen, 1):
            target = tree / mutant.path
            original, begun = target.read_text(), time.monotonic()
            target.write_text(mutant.code)
            results[mutant] = notices(context, str(tree), test_files(mutant.room), seconds, str(log))
            target.write_text(original)
            word = "noticed" if results[mutant] else "SURVIVED"
            tell(
                f"{number}/{len(chosen)} {word} {time.monotonic() - begun:.0f} s {mutant.path}:{mutant.line}",
                flush=True,
            )
            tell(f"    - {mutant.before}\n    + {mutant.after}", flush=True)
    return results


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def table(results):
    """The results as Markdown: noticed by room, then each survivor."""
    lines = ["| room | planted | noticed |", "|---|---|---|"]
    for room in dict.fromkeys(mutant.room for mutant in results):
        noticed = [found for mutant, found in results.items() if mutant.room == room]
        lines.append(f"| {room} | {len(noticed)} | {sum(noticed)} |")
    lines.append(f"| all | {len(results)} | {sum(results.values())} ({sum(results.values()) / len(results):.0%}) |")
    lines += ["", "Not noticed:", ""]
    for mutant, found in results.items():
        if not found:
            lines.append(f"- `{mutant.path}:{mutant.line}` `{mutant.before}` → `{mutant.after}`")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", action="append", choices=list(ROOMS), help="again for more; without one all of them")
    parser.add_argument("--size", type=int, default=40, help="how many faults of the sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=600.0, help="after which a test run counts as failed")
    parser.add_argument("--passing", action="store_true", help="the tests are known to pass without a fault")
    parser.add_argument("--output", type=Path, help="a file for the table, in Markdown")
    options = parser.parse_args()
    chosen, places = sample(options.room or list(ROOMS), options.size, options.seed)
    print(f"{len(chosen)} faults at {places} places", flush=True)
    text = table(measure(chosen, options.seconds, options.passing))
    print(text)
    if options.output is not None:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
