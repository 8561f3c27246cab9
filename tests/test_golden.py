"""Files that an earlier version wrote still open, with the numbers that it gave."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small import arrays
from tuned_models import FIT, line

from keras_lstm_gates import load_model, load_weights, tracing, tuning
from keras_lstm_gates.recipes import Recipe

# The golden model was never trained, so its optimizer had no state to save; Keras's warnings.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it"),
]

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def expected():
    return arrays(GOLDEN / "expected.npz")


def test_a_model(expected):
    """GatedLSTM in a Bidirectional of ours, a cell of ours, ChronoBias, and the per-step loss."""
    model = load_model(GOLDEN / "model.keras")
    np.testing.assert_allclose(model.predict(expected["data"], verbose=0), expected["model"], atol=1e-6)
    assert model.loss.name == "summed_cross_entropy"


def test_an_opened_model(expected):
    opened = load_model(GOLDEN / "opened.keras").predict(expected["data"], verbose=0)
    names = [name for name in expected if name.startswith("opened:")]
    assert len(names) == 4 * 6 + 1
    for name in names:
        value = opened[name.removeprefix("opened:").replace("|", "/")]
        np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)


def test_weights(expected):
    model = load_model(GOLDEN / "model.keras")
    model.set_weights([np.zeros_like(weights) for weights in model.get_weights()])
    load_weights(model, GOLDEN / "model.weights.h5")
    np.testing.assert_allclose(model.predict(expected["data"], verbose=0), expected["model"], atol=1e-6)


def test_a_trace(expected, tmp_path):
    zipfile.ZipFile(GOLDEN / "trace.zarr.zip").extractall(tmp_path)
    tree = tracing.load(tmp_path / "trace.zarr")
    np.testing.assert_allclose(tree["label"], expected["model"], atol=1e-6)
    assert set(tracing.nodes(tree)) == {"both/forward", "both/backward", "rnn"}
    now = tracing.trace(load_model(GOLDEN / "model.keras"), expected["data"], progress=False)
    for path, node in tracing.nodes(tree).items():
        for gate in "ifgoch":
            np.testing.assert_allclose(node[gate], now[path][gate], atol=1e-6, err_msg=f"{path}/{gate}")


def test_a_run_folder():
    assert Recipe.from_dict(json.loads((GOLDEN / "run" / "recipe.json").read_text())).units == 2
    assert load_model(GOLDEN / "run" / "model.keras").count_params() == 4 * 2 * (12 + 2 + 1) + 9 * 3


def test_a_search_goes_on(tmp_path):
    shutil.copytree(GOLDEN / "search", tmp_path / "search")
    before = json.loads((GOLDEN / "search" / "search.json").read_text())["trials"]
    search = tuning.search(line, tmp_path / "search", tuner="random", trials=3, fit=FIT)
    assert search.trials[:2] == before
    assert len(search.trials) == 3


@pytest.mark.parametrize("name", ["../../../outside", "{folder}/outside", "..", "a/b"])
def test_a_search_whose_trials_lead_elsewhere_is_refused(tmp_path, name):
    shutil.copytree(GOLDEN / "search", tmp_path / "search")
    name = name.format(folder=tmp_path)
    file = tmp_path / "search" / "oracle.json"
    content = json.loads(file.read_text())
    content["trials"][1]["trial_id"] = name
    # It would begin again.
    content["oracle"] |= {"retry_queue": [name], "start_order": ["0", name], "run_times": {"0": 1, name: 1}}
    file.write_text(json.dumps(content))
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=f"expected a trial with a name that stays in its folder.*{name!r}"):
        tuning.search(line, tmp_path / "search", tuner="random", trials=3, fit=FIT)
    left = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} - set(before)
    assert {path.parts[0] for path in left} <= {"search"}
