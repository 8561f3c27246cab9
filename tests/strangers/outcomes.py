"""Whether what a stage said of a model is what the lists say: served, refused by name, or a known fault."""

import pytest

from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS
from strangers.stages import LIGHT, QUICKEST, STAGES


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


def pairs(stages=tuple(STAGES)):
    """(name, stage) of each pair that these stages run, case by case."""
    return [(case.name, stage) for case in CASES.values() for stage in stages if not case.brief or stage in LIGHT]


def quick():
    """The pairs of the quick selection: each model in one of the quickest stages, each kind in every stage."""
    chosen = {(name, QUICKEST[place % len(QUICKEST)]) for place, name in enumerate(CASES)}
    for kind in {case.kind: None for case in CASES.values()}:
        for place, stage in enumerate(STAGES):
            of_kind = [pair for pair in pairs([stage]) if CASES[pair[0]].kind == kind]
            if chosen.isdisjoint(of_kind):
                # Another model for each stage, as far as there are so many.
                chosen.add(of_kind[place % len(of_kind)])
    return chosen


def parameters(stages):
    """The parameters of a test: `pairs`; those beyond the quick selection are marked `full`."""
    chosen = quick()
    return [
        pytest.param(*pair, marks=() if pair in chosen else pytest.mark.full, id="-".join(pair))
        for pair in pairs(stages)
    ]
