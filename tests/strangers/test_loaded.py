"""The same, saved and loaded in a process where other layers were built before."""

import pytest

from strangers import outcomes

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it")


@pytest.mark.parametrize(("name", "stage"), outcomes.parameters(["called_when_loaded", "trained_when_loaded"]))
def test_as_stock(name, stage, process, saved):
    outcomes.check(name, stage, process.answer({"name": name, "stage": stage, "folder": saved(name)}))
