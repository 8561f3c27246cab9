"""docs/strangers.md: which pairs of a model and a stage are served, and what the others say.

Run `python tests/strangers/table.py` after a change of the corpus or of refusals.py. The tests hold every pair to
these lists, so that the page says what they saw.
"""

import sys
from collections import defaultdict
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent.parent.parent), str(Path(__file__).parent.parent)]

from strangers import outcomes
from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS
from strangers.stages import STAGES

PAGE = Path(__file__).parent.parent.parent / "docs" / "strangers.md"


def page():
    """The page's text."""
    pairs = outcomes.pairs()
    refused = [pair for pair in pairs if pair in REFUSALS]
    faults = [pair for pair in pairs if pair in KNOWN_FAULTS]
    served = len(pairs) - len(refused) - len(faults)
    lines = [
        "# Strangers' models",
        "",
        f"{len(CASES)} models of Keras's own layers, built as public examples and issue threads build them, and "
        f"{len(STAGES)} stages: **{len(pairs)} pairs, of which {served} are served, {len(refused)} refused by name"
        f" and {len(faults)} wrong today**. Each is compared with stock Keras, or with the equations in NumPy's "
        "float64, in `tests/strangers/`; `make test` runs a selection of every kind and stage, `make test-all` the "
        "rest. Models that are near to another run through the light stages only. "
        "`python tests/strangers/table.py` writes this page.",
        "",
        "| stage | what is compared | pairs | served | refused | wrong |",
        "|---|---|---|---|---|---|",
    ]
    for name, stage in STAGES.items():
        own = [pair for pair in pairs if pair[1] == name]
        of = [sum(pair in some for pair in own) for some in (REFUSALS, KNOWN_FAULTS)]
        told = stage.__doc__.strip().splitlines()[0]
        lines.append(f"| `{name}` | {told} | {len(own)} | {len(own) - sum(of)} | {of[0]} | {of[1]} |")
    lines += ["", "## What is refused, and why", "", *_reasons(refused, REFUSALS)]
    if faults:
        lines += ["", "## What is wrong today", "", *_reasons(faults, KNOWN_FAULTS)]
    lines += ["", "## The models", ""]
    kinds = defaultdict(list)
    for case in CASES.values():
        kinds[case.kind].append(f"`{case.name}`")
    lines += [f"- {kind}: {', '.join(names)}" for kind, names in kinds.items()]
    return "\n".join(lines) + "\n"


def _reasons(pairs, table):
    models = defaultdict(list)
    for name, stage in pairs:
        models[stage, table[name, stage]].append(f"`{name}`")
    return [
        "| stage | says | models |",
        "|---|---|---|",
        *(f"| `{stage}` | {text} | {', '.join(names)} |" for (stage, text), names in models.items()),
    ]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
