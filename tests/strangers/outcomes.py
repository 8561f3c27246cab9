"""Whether what a stage said of a model is what the lists say: served, refused by name, or a known fault."""

import pytest

from strangers.case import Case
from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS
from strangers.stages import STAGES, SWAPPED

LOADED = "_when_loaded"
"""What the name of a stage ends with that ran already in the process that built the model."""

NAMES = [*STAGES, *(f"{stage}{LOADED}" for stage in STAGES if stage in SWAPPED)]
"""Every stage of the lists and the table."""

LIGHT = {"called", "exposed", "traced", "gradients"}
"""Stages of a second or so: the quick selection runs them on every quick case, and the others each on a few."""


def check(name, stage, answer):
    """Fail unless the answer, {} or {"kind", "text", "traceback"}, is what the lists say of the pair."""
    pair = name, stage
    expected = REFUSALS.get(pair, KNOWN_FAULTS.get(pair))
    if not answer:
        if expected is not None:
            pytest.fail(f"{pair} is served now: take it off the list of tests/strangers/refusals.py", pytrace=False)
        return
    said = f"{answer['kind']}: {' '.join(answer['text'].split())}"
    if expected is None:
        pytest.fail(f"{pair}: {said[:600]}\n{answer['traceback'][-3000:]}", pytrace=False)
    if expected not in said:
        pytest.fail(f"{pair}: expected an error that says {expected!r}; received {said[:600]}", pytrace=False)
    if pair in REFUSALS and answer["kind"] not in ("ValueError", "StockRefusesError"):
        pytest.fail(f"{pair}: expected a ValueError; received {said[:600]}", pytrace=False)


def pairs(stages):
    """The parameters of a test: (name, stage), case by case; those beyond the quick selection are marked `full`."""
    found = []
    for place, case in enumerate(CASES.values()):
        for number, stage in enumerate(stages):
            marks = () if _is_quick(case, place, stage, number) else pytest.mark.full
            found.append(pytest.param(case.name, stage, marks=marks, id=f"{case.name}-{stage}"))
    return found


_QUICK = [case.name for case in CASES.values() if case.quick]


def _is_quick(case: Case, place, stage, number):
    if not case.quick:
        return False
    return stage in LIGHT or _QUICK.index(case.name) % 6 == NAMES.index(stage) % 6
