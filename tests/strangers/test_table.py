"""The lists and the page that shows them."""

from strangers import outcomes, table
from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS
from strangers.stages import STAGES


def test_the_page_is_of_today():
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run: python tests/strangers/table.py"


def test_the_lists_name_pairs_that_run():
    pairs = outcomes.pairs()
    assert {*REFUSALS, *KNOWN_FAULTS} <= set(pairs)
    assert not REFUSALS.keys() & KNOWN_FAULTS.keys()


def test_sixty_models_run_through_every_stage():
    assert sum(not case.brief for case in CASES.values()) >= 60


def test_the_quick_selection_has_every_model_and_every_stage_of_each_kind():
    quick = [one.values for one in outcomes.parameters(tuple(STAGES)) if not one.marks]
    kinds = {case.kind for case in CASES.values()}
    assert {(CASES[name].kind, stage) for name, stage in quick} == {(kind, stage) for kind in kinds for stage in STAGES}
    assert {name for name, _ in quick} == set(CASES)
