"""docs/strangers.md: which pairs of a model and a stage are served, and what the others say.

    python tests/strangers/table.py [FILE.xml ...]

A file is what pytest wrote of a run, `--junitxml`; of a pair that several name the last counts. Without one the section
on the run stays as it is, and the rest, which can be known without a run, is written anew. `make strangers` does all.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent.parent.parent), str(Path(__file__).parent.parent)]

from strangers import outcomes
from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS
from strangers.stages import STAGES

PAGE = Path(__file__).parent.parent.parent / "docs" / "strangers.md"
RUN = "## The last run\n"


def known():
    """The page's text up to the section on the run."""
    pairs = outcomes.pairs()
    lines = [
        "# Strangers' models",
        "",
        f"{len(CASES)} models of Keras's own layers, built as public examples and issue threads build them, and "
        f"{len(STAGES)} stages: {len(pairs)} pairs. Each is compared with stock Keras, or with the equations in "
        "NumPy's float64, in `tests/strangers/`; `make test` runs each model through one stage and every stage of each "
        "kind, `make test-all` all of them. Models that are near to another run through the light stages only. "
        "`make strangers` writes this page.",
        "",
        "| stage | what is compared |",
        "|---|---|",
        *(f"| `{name}` | {stage.__doc__.strip().splitlines()[0]} |" for name, stage in STAGES.items()),
        "",
        "## The models",
        "",
    ]
    kinds = defaultdict(list)
    for case in CASES.values():
        kinds[case.kind].append(f"`{case.name}`")
    lines += [f"- {kind}: {', '.join(names)}" for kind, names in kinds.items()]
    for title, listed in (("What is refused, and why", REFUSALS), ("What is wrong today", KNOWN_FAULTS)):
        if listed:
            lines += ["", f"## {title}", "", *_reasons(listed)]
    return "\n".join([*lines, "", ""])


def recorded(paths):
    """{(model, stage): None, or what its failure said} of the pairs that the files name."""
    found = {}
    for path in paths:
        for test in ElementTree.parse(path).iter("testcase"):
            pair = re.fullmatch(r"test_as_stock\[(\w+)-(\w+)\]", test.get("name"))
            failures = [one.get("message", "") for one in test if one.tag in ("failure", "error")]
            if pair:
                found[pair.groups()] = failures[0] if failures else None
    return found


def run(found):
    """The section on a run: how many pairs of each stage were run, and what became of them."""
    pairs = [pair for pair in outcomes.pairs() if pair in found]
    counts = Counter((stage, _became((name, stage), found)) for name, stage in pairs)
    columns = ("served", "refused", "wrong", "failed")
    totals = {column: sum(counts[stage, column] for stage in STAGES) for column in columns}
    lines = [
        RUN,
        f"Keras {version('keras')}, TensorFlow {version('tensorflow')}: **of {len(outcomes.pairs())} pairs "
        f"{len(pairs)} were run; {totals['served']} were served, {totals['refused']} refused by name, "
        f"{totals['wrong']} wrong as listed above, and {totals['failed']} failed without being listed**.",
        "",
        f"| stage | pairs | run | {' | '.join(columns)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for stage in STAGES:
        numbers = [len(outcomes.pairs([stage])), sum(pair[1] == stage for pair in pairs)]
        lines.append(f"| `{stage}` | {' | '.join(map(str, numbers + [counts[stage, one] for one in columns]))} |")
    failed = {pair: _short(found[pair], pair) for pair in pairs if _became(pair, found) == "failed"}
    if failed:
        lines += ["", "What failed:", "", *_reasons(failed)]
    return "\n".join(lines) + "\n"


def _became(pair, found):
    if found[pair] is not None:
        return "failed"
    return "refused" if pair in REFUSALS else "wrong" if pair in KNOWN_FAULTS else "served"


def _short(message, pair):
    """The first 160 letters of what a failure said, without the pair and the traceback."""
    said, _, _ = message.removeprefix("Failed: ").removeprefix(f"{pair}: ").partition("Traceback (most recent call")
    said = " ".join(said.split())
    return said[:160].replace("|", "/")


def _reasons(table):
    models = defaultdict(list)
    for (name, stage), text in table.items():
        models[stage, text].append(f"`{name}`")
    return [
        "| stage | says | models |",
        "|---|---|---|",
        *(f"| `{stage}` | {text} | {', '.join(names)} |" for (stage, text), names in models.items()),
    ]


if __name__ == "__main__":
    if sys.argv[1:]:
        last = run(recorded(sys.argv[1:]))
    else:
        _, heading, rest = PAGE.read_text(encoding="utf-8").partition(RUN)
        last = heading + rest
    PAGE.write_text(known() + last, encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
