"""Every exported format against the stock model, for another batch and length, in a process that did not build it."""

import pytest

from strangers import outcomes

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it")


@pytest.mark.parametrize(("name", "stage"), outcomes.parameters(["saved_model", "tflite", "onnx", "micro"]))
def test_as_stock(name, stage, process, saved):
    outcomes.check(name, stage, process.answer({"name": name, "stage": stage, "folder": saved(name)}))
