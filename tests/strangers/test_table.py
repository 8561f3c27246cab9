"""The lists and the page that shows them."""

from strangers import outcomes, table
from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS


def test_the_page_is_of_today():
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run: python tests/strangers/table.py"


def test_the_lists_name_pairs_that_run():
    pairs = outcomes.pairs()
    assert {*REFUSALS, *KNOWN_FAULTS} <= set(pairs)
    assert not REFUSALS.keys() & KNOWN_FAULTS.keys()


def test_sixty_models_run_through_every_stage():
    assert sum(not case.brief for case in CASES.values()) >= 60


def test_the_quick_selection_has_every_kind_and_stage():
    from strangers.stages import STAGES

    quick = [one for one in outcomes.parameters(list(STAGES)) if not one.marks]
    assert {stage for _, stage in (one.values for one in quick)} == set(STAGES)
    assert {CASES[name].kind for name, _ in (one.values for one in quick)} == {case.kind for case in CASES.values()}
