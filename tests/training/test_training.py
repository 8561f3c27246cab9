"""Training by a recipe: what the run folder holds, that a seed fixes the result, and what is refused."""

import dataclasses
import json
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_lstm_gates import datasets, expose, training
from keras_lstm_gates._support.files import write_json
from keras_lstm_gates.training import Recipe

QUICK = Recipe(dataset="japanese_vowels", units=4, epochs=2, noise=0.1, dropout=0.1, seed=5)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return training.fit(QUICK, tmp_path_factory.mktemp("runs") / "first")


def test_run_folder(run):
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "environment.json",
        "gate_saturation.png",
        "gate_statistics.json",
        "history.json",
        "learning_curves.png",
        "metrics.json",
        "model.keras",
        "names.json",
        "recipe.json",
    ]
    assert json.loads((run.folder / "names.json").read_text()) == datasets.load(QUICK).names
    assert Recipe.from_dict(json.loads((run.folder / "recipe.json").read_text())) == QUICK
    assert json.loads((run.folder / "environment.json").read_text())["keras"] == keras.__version__
    assert len(json.loads((run.folder / "history.json").read_text())["loss"]) == 2
    assert json.loads((run.folder / "metrics.json").read_text()) == run.metrics
    inputs = next(iter(datasets.load(QUICK).test))[0].numpy()
    f = expose(run.model)(inputs)["lstm/f"].numpy()[np.any(inputs != 0, axis=-1)]
    found = json.loads((run.folder / "gate_statistics.json").read_text())["lstm"]
    assert found["steps"] == len(f)
    np.testing.assert_allclose(found["f"]["mean"], f.mean(axis=0), atol=1e-5)
    for name in ("gate_saturation", "learning_curves"):
        assert (run.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    # 4 units of 4 gates of (12 + 4 + 1) weights, and 9 classes of (4 + 1).
    assert run.metrics["parameters"] == 4 * 4 * 17 + 9 * 5 == run.model.count_params()


def test_the_seed_fixes_the_weights_to_the_bit(run, tmp_path):
    again = training.fit(QUICK, tmp_path / "again")
    for first, second in zip(run.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    other = training.fit(dataclasses.replace(QUICK, seed=6, epochs=1), tmp_path / "other")
    assert not np.array_equal(run.model.get_weights()[-1], other.model.get_weights()[-1])


def test_the_saved_model_predicts_the_same(run):
    x = np.random.default_rng(0).normal(size=(3, 7, 12)).astype("float32")
    again = keras.models.load_model(run.folder / "model.keras")
    np.testing.assert_array_equal(run.model(x), again(x))


def test_an_earlier_run_is_not_overwritten(run):
    before = (run.folder / "model.keras").read_bytes()
    with pytest.raises(FileExistsError, match=r"expected a new or empty run folder; .*first holds 9 entries"):
        training.fit(QUICK, run.folder)
    assert (run.folder / "model.keras").read_bytes() == before


def test_unknown_key_is_refused():
    with pytest.raises(ValueError, match=r"expected keys of \['autoregression', .*\]; received 'learning_rat'"):
        Recipe.from_dict({"dataset": "japanese_vowels", "learning_rat": 0.1})


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    recipe = dataclasses.replace(QUICK, learning_rate=1e38, clip_norm=None, schedule="constant")
    with pytest.raises(
        FloatingPointError, match=r"the loss became \w+ at step \d+: the .* of the layer '\w+' is not finite; try"
    ):
        training.fit(recipe, tmp_path / "broken")
    assert not (tmp_path / "broken" / "model.keras").exists()


KILLED = """
import os, signal, sys, keras
from keras_lstm_gates import training
recipe = training.Recipe.from_file(sys.argv[1])
class Killer(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 18:
            os.kill(os.getpid(), signal.SIGKILL)
training.fit(recipe, sys.argv[2], callbacks=[Killer()])
"""


def test_a_killed_run_resumes_to_the_weights_of_an_undisturbed_one(tmp_path):
    recipe = dataclasses.replace(QUICK, epochs=4, validation=0.2, patience=3, recurrent_dropout=0.1)
    write_json(tmp_path / "recipe.json", recipe.to_dict())
    command = [sys.executable, "-c", KILLED, str(tmp_path / "recipe.json"), str(tmp_path / "killed")]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / "checkpoint.npz").exists()
    with pytest.raises(ValueError, match=r"expected the recipe of .*killed to resume it, units 4; received 5"):
        training.fit(dataclasses.replace(recipe, units=5), tmp_path / "killed", resume=True)
    resumed = training.fit(recipe, tmp_path / "killed", resume=True)
    undisturbed = training.fit(recipe, tmp_path / "undisturbed")
    for first, second in zip(resumed.model.get_weights(), undisturbed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    histories = [json.loads((run.folder / "history.json").read_text()) for run in (resumed, undisturbed)]
    assert histories[0] == histories[1]
    assert training.fit(recipe, tmp_path / "killed", resume=True).metrics == resumed.metrics


def test_a_run_that_was_killed_while_it_wrote_goes_on(run, tmp_path):
    """Temporary folders that nobody cleaned up, before there was a recipe and after."""
    for name, before in (("at the start", ()), ("later", ("recipe.json",))):
        folder = tmp_path / name
        for left in ("recipe.json", "checkpoint.npz"):
            new = folder / f".{left}.unfinished" / "new"
            new.mkdir(parents=True)
            (new / left).write_text("{")
        for file in before:
            (folder / file).write_bytes((run.folder / file).read_bytes())
        resumed = training.fit(QUICK, folder, resume=True)
        for first, second in zip(run.model.get_weights(), resumed.model.get_weights(), strict=True):
            np.testing.assert_array_equal(first, second)
        assert {path.name for path in folder.iterdir()} == {path.name for path in run.folder.iterdir()}
