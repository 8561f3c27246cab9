"""The same, saved and loaded in a process where other layers were built before."""

import pytest

from strangers import outcomes

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it")

STAGES = [name for name in outcomes.NAMES if name.endswith(outcomes.LOADED)]


@pytest.mark.parametrize(("name", "stage"), outcomes.pairs(STAGES))
def test_as_stock(name, stage, process, saved):
    job = {"name": name, "stage": stage.removesuffix(outcomes.LOADED), "folder": saved(name)}
    outcomes.check(name, stage, process.answer(job))
