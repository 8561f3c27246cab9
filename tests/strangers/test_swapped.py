"""LSTMs swapped for `GatedLSTM` in the process that built the model: the numbers of stock Keras."""

import functools
import traceback

import pytest

from strangers import outcomes, stages, subjects

# Keras says so of every nested model that is given a mask.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it")

built = functools.lru_cache(maxsize=1)(subjects.built)


@pytest.mark.parametrize(("name", "stage"), outcomes.parameters(["called", "trained", "trained_compiled"]))
def test_as_stock(name, stage):
    try:
        stages.STAGES[stage](built(name))
        answer = {}
    except Exception as error:
        answer = {"kind": type(error).__name__, "text": str(error), "traceback": traceback.format_exc()}
    outcomes.check(name, stage, answer)
