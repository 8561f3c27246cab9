"""How many small faults, planted one at a time, the tests notice: `make mutants`, or

    python benchmarks/mutants.py --room datasets --room training --size 15

The faults and their places are those of cosmic-ray. Its own runner is not used: it knows one test command for all
modules and starts a new interpreter for each fault, which imports TensorFlow for longer than most tests here take (and
mutmut, too, runs the whole suite, to learn which test reaches what). Here a fault is planted in a copy of the checkout,
and the test files of its room follow one another until one fails: of each the tests that run the fault's line, the
quickest first, and where none of them fails, these files whole. Which lines a test runs is learnt where it is needed
for the first time.

All results are kept in the folder `--work`, each under what it depends on, so that a run that is stopped goes on. A
larger `--size` adds faults to those of a smaller one. Why a survivor may live stands in surviving_mutants.toml.
"""

import argparse
import ast
import concurrent.futures
import hashlib
import json
import os
import queue
import random
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from mutant_runs import ROOT, Tree

# A room: its modules, and the test files that concern it, those that are quick and say much first.
ROOMS = {
    "recurrence": (
        "recurrence/**/*.py gates.py",
        "recurrence/test_portable recurrence/test_turns recurrence/test_recurrence "
        "recurrence/test_recurrence_interventions layers/test_lstm",
    ),
    "layers": (
        "layers/*.py initializers.py",
        "test_initializers layers/test_cell layers/test_weights layers/test_bidirectional layers/test_lstm "
        "layers/test_drop_in layers/test_gradient_penalty",
    ),
    "opening": (
        "opening/*.py",
        "opening/test_model_inputs opening/test_cache opening/test_pytorch opening/test_saving opening/test_opening "
        "opening/test_exposing opening/test_gru opening/test_formats opening/test_keras2_files",
    ),
    "statistics": ("tracing/gate_statistics.py", "tracing/test_statistics"),
    "gradients": (
        "gradients/*.py",
        "gradients/test_gradients gradients/test_gradients_of_shared_layers gradients/test_gradient_monitor "
        "gradients/test_gradients_pictures gradients/test_gradients_studies",
    ),
    "datasets": (
        "datasets/data.py datasets/examples.py datasets/forecasting.py datasets/language.py datasets/sequences.py "
        "datasets/table*.py datasets/tfds_names.py datasets/words.py",
        "datasets/test_tables datasets/test_datasets_forecasting datasets/test_datasets_language "
        "datasets/test_datasets datasets/test_datasets_sequences datasets/test_table_calendars forecasting/test_groups",
    ),
    "training": (
        "training/*.py losses.py models.py recipes.py baselines/*.py",
        "test_losses test_recipes training/test_build training/test_checkpoints training/test_finiteness "
        "baselines/test_baselines test_models training/test_residuals training/test_training training/test_distributed",
    ),
    "tuning": (
        "tuning/*.py",
        "tuning/test_addresses tuning/test_tuning tuning/test_tuning_ends tuning/test_service tuning/test_tuning_hosts "
        "tuning/test_tuning_study",
    ),
    "comparison": (
        "exporting/comparing.py exporting/checksums.py",
        "exporting/test_comparing exporting/test_exporting_sizes exporting/test_exporting",
    ),
}
# They need arguments, or change nothing.
_NOT_PLANTED = ("core/VariableReplacer", "core/VariableInserter", "core/NoOp")
REASONS = Path(__file__).with_name("surviving_mutants.toml")


class Mutant(NamedTuple):
    """One fault: where it is, the line before and after, and the file's code with it."""

    room: str
    path: str
    line: int
    before: str
    after: str
    code: str


def _places(room):
    """{place in the code: its faults}, of one room."""
    places = {}
    for pattern in ROOMS[room][0].split():
        for path in sorted((ROOT / "keras_lstm_gates").glob(pattern)):
            nodes = [*ast_nodes(get_ast(path.read_text()))]
            for name in operator_names():
                if name in _NOT_PLANTED:
                    continue
                operator = get_operator(name)()
                spans = [span for node in nodes for span in operator.mutation_positions(node)]
                for occurrence, (start, _) in enumerate(spans):
                    places.setdefault((str(path.relative_to(ROOT)), start), []).append((name, occurrence))
    return places


def _mutant(room, place, name, occurrence):
    """The `Mutant` of a fault, or None where there is none, or no Python."""
    path, (line, _) = place
    code = (ROOT / path).read_text()
    changed = mutate_code(code, get_operator(name)(), occurrence)
    if changed is None or changed == code or _same_but_for_types(code, changed):
        return None
    before, after = (text.splitlines()[line - 1].strip() for text in (code, changed))
    try:
        compile(changed, path, "exec")
    except SyntaxError:
        return None
    return Mutant(room, path, line, before, after, changed)


def _same_but_for_types(code, changed):
    """Whether two codes differ in annotations alone, which nothing evaluates."""
    try:
        return _without_types(code) == _without_types(changed)
    except SyntaxError:
        return False


def _without_types(code):
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for name in {"annotation", "returns"} & {*node._fields}:
            setattr(node, name, None)
    return ast.dump(tree)


def sample(room, size, seed):
    """(so many faults of a room, each place as likely as any other; the number of places)."""
    rng = random.Random(f"{seed} {room}")
    places = _places(room)
    order = sorted(places)
    rng.shuffle(order)
    chosen = []
    for place in order:
        if len(chosen) == size:
            break
        mutant = _mutant(room, place, *rng.choice(places[place]))
        if mutant is not None:
            chosen.append(mutant)
    return chosen, len(places)


def _test_files(room):
    return [f"tests/{name}.py" for name in ROOMS[room][1].split()]


def _sum(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _sources(room):
    return [
        path.read_text() for pattern in ROOMS[room][0].split() for path in (ROOT / "keras_lstm_gates").glob(pattern)
    ]


def mapped(tree, room, file, work):
    """{"seconds": {test: seconds}, "lines": {file: {line: tests}}} of a test file."""
    path = work / "maps" / f"{_sum(*_sources(room), file, (ROOT / file).read_text())}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if tree.run([file], 3600, map_to=path) != 0:
            raise RuntimeError(f"expected {file} to pass without a fault:\n{tree.output()[-3000:]}")
    return json.loads(path.read_text())


def _tests_of(one, mutant):
    """The tests of a file that run the line of a fault, the quickest first; of a line that runs at import all."""
    lines = one["lines"].get(mutant.path, {})
    tests = lines.get(str(mutant.line), [])
    return sorted(tests or (one["seconds"] if str(mutant.line) in lines else ()), key=one["seconds"].get)


def noticed(tree, mutant, seconds, work):
    """Whether tests fail with a fault, or do not end in time; and the first of them."""
    runs = []
    for file in _test_files(mutant.room):
        one = mapped(tree, mutant.room, file, work)
        tests = _tests_of(one, mutant)
        if tests and (by := _failed(tree, mutant, file, seconds, tests)):
            return True, by
        # What one test made, a fixture or a compiled function, another may look at: the file whole.
        runs += [file] if tests and len(tests) < len(one["seconds"]) else []
    return next(((True, by) for file in runs if (by := _failed(tree, mutant, file, seconds))), (False, ""))


def _failed(tree, mutant, file, seconds, tests=None):
    with tree.planted(mutant.path, mutant.code):
        code = tree.run([file], seconds, tests)
    failed = [line for line in tree.output().splitlines() if line.startswith(("FAILED", "ERROR"))]
    # 5: no test was left.
    return (
        "" if code in (0, 5) else "not in time" if code is None else " ".join(failed[:1])[:200] or f"exit code {code}"
    )


class Results:
    """What is known of faults: each is kept under the file's code with it, a survivor under that and the tests."""

    def __init__(self, work):
        self._path = work / "results.jsonl"
        work.mkdir(parents=True, exist_ok=True)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        self._kept = {one["key"]: one["noticed"] for one in map(json.loads, lines)}

    def of(self, mutant):
        """Whether it is noticed, or None where it was not planted yet."""
        return self._kept.get(self._key(mutant, True)) or self._kept.get(self._key(mutant, False))

    def add(self, mutant, found, by):
        record = {"key": self._key(mutant, found), "noticed": found, "by": by, **mutant._asdict(), "code": None}
        self._kept[record["key"]] = found
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _key(self, mutant, found):
        tests = () if found else ((ROOT / file).read_text() for file in _test_files(mutant.room))
        return _sum(mutant.path, mutant.code, *tests)


def measure(room, mutants, work, seconds, trees):
    """{mutant: whether it is noticed}, of one room, with what is kept in the folder."""
    results = Results(work)
    rest = [mutant for mutant in mutants if results.of(mutant) is None]
    print(f"{room}: {len(mutants)} faults, {len(rest)} to be planted", flush=True)
    free = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def in_a_tree(mutant):
        tree = free.get()
        try:
            plant(tree, mutant)
        finally:
            free.put(tree)

    def plant(tree, mutant):
        begun = time.monotonic()
        found, by = noticed(tree, mutant, seconds, work)
        results.add(mutant, found, by)
        word = f"noticed by {by}" if found else "SURVIVED"
        print(f"{time.monotonic() - begun:.0f} s {mutant.path}:{mutant.line} {word}", flush=True)
        print(f"    - {mutant.before}\n    + {mutant.after}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
        list(pool.map(in_a_tree, rest))
    return {mutant: results.of(mutant) for mutant in mutants}


def _share(found):
    return f"{sum(found) / len(found):.0%}" if found else ""


def _reason(mutant, reasons):
    for one in reasons:
        if mutant.path.endswith(one["path"]) and (mutant.before, mutant.after) == (one["before"], one["after"]):
            return one["reason"]
    return "**no reason is known**"


def table(results, places, seed):
    """The results as Markdown: noticed by room, then each survivor and its reason."""
    reasons = tomllib.loads(REASONS.read_text())["survivor"]
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants`: small faults of cosmic-ray, each planted alone in a copy of the code, and whether",
        f"the tests of its room fail. A sample of the places where a fault can be, drawn with seed {seed}.",
        "",
        "| room | places | planted | noticed | |",
        "|---|---|---|---|---|",
    ]
    for room in places:
        found = [found for mutant, found in results.items() if mutant.room == room]
        lines.append(f"| {room} | {places[room]} | {len(found)} | {sum(found)} | {_share(found)} |")
    found = [*results.values()]
    lines.append(f"| all | {sum(places.values())} | {len(found)} | {sum(found)} | {_share(found)} |")
    lines += ["", "## Not noticed", "", "| where | before | after | why it may live |", "|---|---|---|---|"]
    for mutant, found in results.items():
        if not found:
            before, after = (text.replace("|", "\\|") for text in (mutant.before, mutant.after))
            where = mutant.path.removeprefix("keras_lstm_gates/")
            lines.append(f"| {where} | `{before}` | `{after}` | {_reason(mutant, reasons)} |")
    return "\n".join(lines) + "\n"


def _measured(drawn, options):
    results = {}
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        prepared = options.work.resolve() / "prepared"
        trees = [Tree(Path(folder).resolve() / f"tree{number}", prepared) for number in range(options.jobs)]
        for room, (chosen, _) in drawn.items():
            results |= measure(room, chosen, options.work, options.seconds, trees)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", action="append", choices=list(ROOMS), help="again for more; without one all of them")
    parser.add_argument("--size", type=int, default=15, help="how many faults of each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=600.0, help="after which a test file counts as failed")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 1) // 2))
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "mutants", help="the folder of what is kept")
    parser.add_argument("--planted", action="store_true", help="only the table of the faults that were planted so far")
    parser.add_argument("--output", type=Path, help="a file for the table, in Markdown")
    options = parser.parse_args()
    drawn = {room: sample(room, options.size, options.seed) for room in options.room or ROOMS}
    options.work.mkdir(parents=True, exist_ok=True)
    if options.planted:
        kept = Results(options.work)
        results = {one: kept.of(one) for chosen, _ in drawn.values() for one in chosen}
        results = {one: found for one, found in results.items() if found is not None}
    else:
        results = _measured(drawn, options)
    text = table(results, {room: places for room, (_, places) in drawn.items()}, options.seed)
    print(text)
    if options.output is not None:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
