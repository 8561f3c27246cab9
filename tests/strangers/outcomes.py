"""Whether what a stage said of a model is what the lists say: served, refused by name, or a known fault."""

import pytest

from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS
from strangers.stages import LIGHT, STAGES


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


def parameters(stages):
    """The parameters of a test: `pairs`; those beyond the quick selection are marked `full`."""
    quick = [case.name for case in CASES.values() if case.quick]
    order = list(STAGES)

    def marks(name, stage):
        # Every light stage of a quick case, and of the others two or three.
        chosen = name in quick and (stage in LIGHT - {"trained"} or quick.index(name) % 8 == order.index(stage) % 8)
        return () if chosen else pytest.mark.full

    return [pytest.param(*pair, marks=marks(*pair), id="-".join(pair)) for pair in pairs(stages)]
