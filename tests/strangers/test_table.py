"""The lists and the page that shows them."""

from strangers import outcomes, table
from strangers.corpus import CASES
from strangers.refusals import KNOWN_FAULTS, REFUSALS
from strangers.stages import STAGES


def test_the_page_names_the_models_stages_and_refusals_of_today():
    known, run, _ = table.PAGE.read_text(encoding="utf-8").partition(table.RUN)
    assert known == table.known(), "run: python tests/strangers/table.py"
    assert run


def test_the_page_tells_what_a_run_recorded(tmp_path):
    case = '<testcase name="test_as_stock[{}]">{}</testcase>'
    said = "Failed: ('one_time_step', 'traced'): ValueError: of | no kind Traceback (most recent call last): line 1"
    failure = f'<failure message="{said}"/>'
    cases = [case.format("one_time_step-called", ""), case.format("one_time_step-traced", failure)]
    (tmp_path / "run.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    text = table.run(table.recorded([tmp_path / "run.xml"]))
    pairs = len(outcomes.pairs())
    assert f"**of {pairs} pairs 2 were run; 1 were served, 0 refused by name, 0 wrong as listed above, and 1" in text
    assert f"| `traced` | {len(CASES)} | 1 | 0 | 0 | 0 | 1 |" in text
    assert f"| `gradients` | {len(CASES)} | 0 | 0 | 0 | 0 | 0 |" in text
    assert "| `traced` | ValueError: of / no kind | `one_time_step` |" in text


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
