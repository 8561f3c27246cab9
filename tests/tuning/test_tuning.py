"""Searches: each tuner, kills and resumption, and one clear line for each mistake."""

import dataclasses
import errno
import io
import json
import multiprocessing
import os
import re
import signal
import socket
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow_datasets as tfds
from keras_tuner import Objective
from rich.console import Console
from tuned_models import FIT, Counted, line

from keras_lstm_gates import datasets, tuning
from keras_lstm_gates.recipes import Recipe
from keras_lstm_gates.tuning import figures, hparams, hypermodel, results, spaces
from keras_lstm_gates.tuning.oracles import make_oracle
from keras_lstm_gates.tuning.trials import record_file, write_record


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("tuner", "options"),
    [("random", {}), ("bayesian", {"initial_points": 2}), ("hyperband", {"epochs": 2}), ("grid", {})],
)
def test_each_tuner_searches_and_goes_on_from_its_folder(tmp_path, tuner, options):
    model = Counted(tmp_path / "notes")
    options = {"tuner": tuner, "fit": FIT, **options}
    first = tuning.search(model, tmp_path / "search", trials=2, **options)
    longer = tuning.search(model, tmp_path / "search", trials=3, **options)
    assert [trial["status"] for trial in longer.trials] == ["completed"] * 3
    assert longer.trials[:2] == first.trials
    assert (tmp_path / "notes").read_text().count("begin") == 3
    assert longer.best["score"] == min(trial["score"] for trial in longer.trials)
    written = json.loads((tmp_path / "search" / "search.json").read_text())
    assert written["trials"] == longer.trials
    assert len((tmp_path / "search" / "trials.csv").read_text().splitlines()) == 4


class Scored(keras_tuner.HyperModel):
    """Its score is one of the numbers of a list, of a loss or of an accuracy; 0 does not train."""

    def __init__(self, name, history=False):
        super().__init__()
        self.name, self.history = name, history

    def build(self, hp):
        hp.Choice("number", [3.0, 0.0, 9.0, 1.0])
        return line(hp)

    def fit(self, hp, model, **arguments):
        number = hp.get("number")
        if number == 0:
            raise ValueError("no number")
        if not self.history:
            return {self.name: number}
        history = keras.callbacks.History()
        history.history = {"epoch_number": [0.0, 1.0, 2.0], self.name: [number - 1, number + 1, number]}
        return history


@pytest.mark.parametrize(
    ("objective", "best"),
    [("val_accuracy", 9.0), ("val_loss", 1.0), (Objective("figure", "max"), 9.0), (Objective("figure", "min"), 1.0)],
)
@pytest.mark.parametrize("history", [False, True])
def test_a_search_maximises_or_minimises(tmp_path, objective, best, history):
    name = getattr(objective, "name", objective)
    found = tuning.search(Scored(name, history), tmp_path / "search", tuner="grid", objective=objective, trials=4)
    assert [trial["status"] for trial in found.trials] == ["completed", "failed", "completed", "completed"]
    assert found.best["values"]["number"] == best
    falls = found.settings["objective"]["direction"] == "min"
    assert falls == (best == 1.0)
    # Of a history the best epoch counts: the second where the objective rises, the first where it falls.
    difference = 0.0 if not history else -1.0 if falls else 1.0
    assert found.best["score"] == best + difference
    if history:
        assert found.best["metrics"]["epoch_number"] == (0.0 if falls else 1.0)
    scores = figures.best_so_far(found).axes[0].lines[1].get_ydata()
    assert list(scores) == list(np.array([3.0, 3.0, 1.0] if falls else [3.0, 9.0, 9.0]) + difference)


def test_hyperband_trains_the_highest_on_where_the_objective_rises(tmp_path):
    found = tuning.search(
        Scored("figure"), tmp_path / "search", tuner="hyperband", epochs=3, objective=Objective("figure", "max")
    )
    by_number = {trial["trial"]: trial["values"]["number"] for trial in found.trials}
    longest = [trial for trial in found.trials if "tuner/trial_id" in trial["values"]]
    assert longest
    rung = [trial["values"]["number"] for trial in found.trials if trial["values"]["tuner/epochs"] < 3]
    assert {by_number[trial["values"]["tuner/trial_id"]] for trial in longest} == {max(rung)}


def test_the_metrics_of_a_recipes_trial_are_those_of_its_kept_epoch(monkeypatch):
    losses = {"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [5.0, 2.0, 3.0, 4.0]}
    monkeypatch.setattr(hypermodel.training, "fit_epochs", lambda *_, **__: SimpleNamespace(history=losses))
    monkeypatch.setattr(hypermodel, "_data", lambda recipe: None)
    for patience, kept in ((None, {"loss": 1.0, "val_loss": 4.0}), (2, {"loss": 3.0, "val_loss": 2.0})):
        recipe = Recipe(dataset="japanese_vowels", patience=patience)
        assert tuning.GatedLSTMHyperModel(recipe).fit(keras_tuner.HyperParameters(), None) == kept


def _search(folder, notes, address):
    tuning.search(Counted(notes, seconds=0.5, killed_by=(2,)), folder, trials=5, workers=2, threads=1, fit=FIT)


def test_a_killed_worker_and_killing_all_lose_nothing_and_run_nothing_twice(tmp_path):
    notes = tmp_path / "notes"
    chief = multiprocessing.get_context("spawn").Process(target=_search, args=(tmp_path / "search", notes, None))
    chief.start()
    # The second training kills its own worker, which is started again; then the chief and all its processes are killed.
    while not notes.exists() or notes.read_text().count("end") < 2:
        assert chief.is_alive()
        time.sleep(0.05)
    children = Path(f"/proc/{chief.pid}/task/{chief.pid}/children").read_text().split()
    assert len(children) >= 2
    for pid in (chief.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    chief.join()
    found = tuning.search(Counted(notes), tmp_path / "search", trials=5, workers=2, threads=1, fit=FIT)
    uninterrupted = tuning.search(line, tmp_path / "alone", trials=5, fit=FIT)
    assert [trial["values"] for trial in found.trials] == [trial["values"] for trial in uninterrupted.trials]
    assert [trial["status"] for trial in found.trials] == ["completed"] * 5
    assert {trial["score"] for trial in found.trials} == {trial["score"] for trial in uninterrupted.trials}
    ended = Counter(re.findall("end (.*)", notes.read_text()))
    assert len(ended) == 5
    assert set(ended.values()) == {1}


def test_a_trial_that_ended_just_before_a_kill_is_not_given_to_its_worker_again(tmp_path):
    def oracle():
        made = make_oracle("random", Objective("loss", "min"), trials=3, minutes=None, seed=0)
        made.hyperparameters.Float("rate", 0.0, 1.0)
        made.verbose = 0
        made.start(tmp_path / "state.json")
        return made

    killed = oracle()
    killed._set_project_dir(tmp_path, "trials")
    trial = killed.create_trial("tuner0")
    killed.update_trial(trial.trial_id, {"loss": 1.0})
    trial.status = "COMPLETED"
    killed.end_trial(trial)
    again = oracle()
    again._set_project_dir(tmp_path, "trials")
    assert list(again.ended_after) == [trial.trial_id]
    assert again.create_trial("tuner0").trial_id != trial.trial_id


def diverging(hp):
    model = line(hp)
    if hp.get("momentum") == 0.9:
        model.compile(loss=lambda y, p: p * float("nan"))
    elif hp.get("momentum") == 0.5:
        raise MemoryError("too much")
    return model


def test_a_failing_trial_says_why_and_the_search_goes_on(tmp_path, capfd):
    found = tuning.search(diverging, tmp_path / "search", tuner="random", trials=6, fit=FIT)
    reasons = {trial["values"]["momentum"]: trial.get("reason") for trial in found.trials}
    assert reasons == {
        0.0: None,
        0.5: "MemoryError: too much",
        0.9: "FloatingPointError: loss became nan in epoch 1",
    }
    assert "Traceback" not in capfd.readouterr().err
    oracle = json.loads((tmp_path / "search" / "oracle.json").read_text())
    assert Counter(trial["status"] for trial in oracle["trials"]) == Counter(
        "COMPLETED" if trial["status"] == "completed" else "FAILED" for trial in found.trials
    )


def test_a_model_over_budget_is_reported_and_not_trained(tmp_path):
    model = Counted(tmp_path / "notes")
    with pytest.raises(ValueError, match=r"received none of 2; trial 1: over budget, parameters 2 > 1"):
        tuning.search(model, tmp_path / "search", trials=2, budget={"parameters": 1}, fit=FIT)
    assert not (tmp_path / "notes").exists()
    assert [trial["figures"] for trial in tuning.read(tmp_path / "search").trials] == [{"parameters": 2}] * 2


@pytest.mark.full
def test_a_search_under_budgets_of_the_tflite_file_chooses_what_fits_and_measures_it(tmp_path):
    recipe = Recipe(dataset="japanese_vowels", epochs=1)
    space = {key: getattr(recipe, key, 0.0) for key in spaces.SPACE} | {"units": [4, 64]}
    model = tuning.GatedLSTMHyperModel(recipe, space)
    options = {"tuner": "grid", "sample": model.sample()}
    found = tuning.search(model, tmp_path / "size", budget={"tflite_bytes": 60_000, "latency_ms": 1e6}, **options)
    small, large = found.trials
    assert (small["status"], large["status"], found.best) == ("completed", "over budget", small)
    # What the recurrent kernel, the kernel, the biases and the dense layer take as float32 is the most of a file.
    assert small["figures"]["tflite_bytes"] > 4 * small["figures"]["parameters"]
    assert large["figures"]["tflite_bytes"] > 4 * large["figures"]["parameters"] > 60_000
    assert re.fullmatch(r"tflite_bytes [\d,]+ > 60,000", large["reason"])
    assert small["figures"]["latency_ms"] > 0
    assert "score" not in large
    with pytest.raises(ValueError, match=r"received none of 2; trial 0001: over budget, latency_ms \S+ > 1e-06"):
        tuning.search(model, tmp_path / "latency", budget={"latency_ms": 1e-6}, **options)


def other(hp):
    hp.Choice("momentum", [0.0, 0.1])
    return line(hp)


def test_a_changed_search_is_refused_with_the_difference(tmp_path):
    tuning.search(line, tmp_path / "search", trials=1, fit=FIT)
    with pytest.raises(ValueError, match=r'space momentum \{"values": \[0.0, 0.1\]\} where it was .*\[0.0, 0.5, 0.9\]'):
        tuning.search(other, tmp_path / "search", trials=1, fit=FIT)
    with pytest.raises(ValueError, match=r"seed 3 where it was 0"):
        tuning.search(line, tmp_path / "search", trials=1, fit=FIT, seed=3)


def test_mistakes_give_one_clear_line(tmp_path, monkeypatch):
    def refused(kind, match, **options):
        with pytest.raises(kind, match=match):
            tuning.search(line, tmp_path / "search", **{"trials": 1, "fit": FIT} | options)

    refused(ValueError, r"expected tuner to be one of .*; received 'annealing'", tuner="annealing")
    refused(ValueError, "expected trials to be an int > 0; received 0", trials=0)
    refused(ValueError, "expected epochs, those of a full training", tuner="hyperband")
    refused(ValueError, "expected a budget of .*; received 'flops'", budget={"flops": 1})
    refused(ValueError, "expected the chief as HOST:PORT.*; received 'here'", role="chief", chief="here")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(OSError, f"an address the chief can listen at; received {address}", role="chief", chief=address)
    monkeypatch.setattr("keras_lstm_gates.tuning.chief_and_workers.CHIEF_SECONDS", 0.1)
    refused(ConnectionError, f"no chief answers at {address}", role="worker", chief=address)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file/search"):
        tuning.search(line, tmp_path / "file" / "search", trials=1, fit=FIT)
    monkeypatch.setattr("tempfile.TemporaryFile", _read_only)
    refused(OSError, "Read-only file system: .*search")


def _read_only(dir):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))


def test_an_objective_that_no_training_gives_ends_the_search(tmp_path):
    with pytest.raises(
        Exception, match=r"expected a training that gives the objective 'val_los'; received .*'val_loss'"
    ):
        tuning.search(line, tmp_path / "search", trials=1, fit=FIT, objective="val_los")


def test_a_recipe_is_searched_without_its_test_data(tmp_path, monkeypatch):
    recipe = Recipe(dataset="japanese_vowels", epochs=1, batch_size=27)  # The data of no other test's search.
    read = []
    builder = type(tfds.builder(recipe.dataset))
    as_dataset = builder.as_dataset
    monkeypatch.setattr(
        builder, "as_dataset", lambda self, split, **rest: read.append(split) or as_dataset(self, split, **rest)
    )
    space = {key: getattr(recipe, key, 0.0) for key in spaces.SPACE} | {"units": [2, 3]}
    model = tuning.GatedLSTMHyperModel(recipe, space | {"gate_l1.f": 0.0, "layers": [1]})
    found = tuning.search(model, tmp_path / "search", tuner="grid")
    assert [trial["values"] for trial in found.trials] == [{"units": 2, "layers": 1}, {"units": 3, "layers": 1}]
    best = Recipe.from_file(results.write_best(found, model))
    assert best == dataclasses.replace(recipe, units=found.best["values"]["units"])
    assert read == ["train"]
    datasets.load(recipe)
    assert read == ["train", "train", "test"]
    longer = tuning.GatedLSTMHyperModel(recipe, model.space | {"epochs": 2})
    with pytest.raises(ValueError, match="received model epochs 2 where it was 1: take a new folder"):
        tuning.search(longer, tmp_path / "search", tuner="grid")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("units=256:16", "expected a range low < high for units; received 256:16"),
        ("learning_rate=0:1:log", "expected a range on a log scale to begin above 0 for learning_rate; received 0:1"),
        ("dropout=0.1:1.5", r"expected dropout of a recipe to be a number in \[0, 1\); received 1.5"),
        ("unit=3", "expected keys of .*; received 'unit'"),
        ("units", r"expected --set key=value, key=low:high\[:log\] or key=\[a, b\]; received 'units'"),
        ("units=[]", r"expected one or more choices for units; received \[\]"),
    ],
)
def test_an_impossible_space_is_refused(text, error):
    with pytest.raises(ValueError, match=error):
        tuning.GatedLSTMHyperModel(Recipe(dataset="japanese_vowels"), dict([spaces.parse(text)]))


def test_figures_and_tensorboard_of_a_search_that_one_hyperparameter_decides(tmp_path):
    folder = tmp_path / "search"
    values = np.random.default_rng(0).uniform(size=(30, 2))
    space = {"decides": {"sampling": "log"}, "idle": {}}
    trials = [
        {
            "trial": f"{place:02d}",
            "status": "completed",
            "values": {"decides": float(10**a), "idle": float(b)},
            "score": float(a),
            "ended_after": float(place),
        }
        for place, (a, b) in enumerate(values)
    ]
    settings = {"objective": {"name": "val_loss", "direction": "min"}, "space": space}
    found = tuning.Search(folder, settings, trials, trials[0], 30.0)
    for trial in trials:
        record = {"history": [{"epoch": 0, "val_loss": trial["score"]}], "metrics": {}}
        write_record(record_file(folder, trial["trial"]), record)
    by_name, r2 = figures.importance(found)
    (decides, _), (idle, deviation) = by_name["decides"], by_name["idle"]
    assert r2 > 0.9
    assert decides > 1
    assert abs(idle) < max(3 * deviation, 0.05)
    figures.write(found)
    hparams.write(found)
    assert {"best_so_far.png", "parallel_coordinates.png", "importance.png"} <= {p.name for p in folder.iterdir()}
    assert len(list((folder / "tensorboard").glob("*/events*"))) == 30
    assert figures.importance(found._replace(trials=trials[:9])) is None


@pytest.mark.full
def test_a_trial_that_kills_its_process_twice_is_marked_and_the_search_goes_on(tmp_path):
    model = Counted(tmp_path / "notes", killed_by=(1, 2))
    found = tuning.search(model, tmp_path / "search", trials=2, workers=1, threads=1, fit=FIT)
    failed, completed = found.trials
    assert (failed["status"], completed["status"]) == ("failed", "completed")
    assert failed["reason"] == "its worker process ended 2 times, at last with signal SIGKILL (out of memory?)"


@pytest.mark.parametrize("width", [100, 80, 48, 30])
def test_the_table_shows_what_varies_as_far_as_the_terminal_has_room(width):
    rates = {"learning_rate": 0.00123456, "units": 64, "layers": 1, "recurrent_dropout": 0.25, "schedule": "constant"}
    trials = [
        {"trial": f"{n:04d}", "status": "completed", "values": rates | {"units": 64 + n}, "score": 0.123456 + n}
        | {"figures": {"parameters": 123_456, "tflite_bytes": 98_765}, "seconds": 12.3456}
        for n in range(3)
    ]
    trials[0]["values"] = {name: 0.5 if name == "learning_rate" else value for name, value in rates.items()}
    trials[2]["values"]["recurrent_dropout"], trials[2]["values"]["schedule"] = 0.125, "cosine"
    del trials[2]["score"]
    trials[2] |= {"status": "over budget", "reason": "tflite_bytes 98,765 > 60,000"}
    settings = {"objective": {"name": "val_loss", "direction": "min"}, "budget": {"tflite_bytes": 60_000}, "space": {}}
    found = tuning.Search(None, settings, trials, trials[0], 37.0)
    console = Console(width=width, file=io.StringIO())
    console.print(tuning.TrialTable(found, "runs/search"))
    printed = console.file.getvalue()
    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed
    assert "layers" not in printed
    assert re.search(r"\n +1 +1.123 ", printed)
    assert re.search(r"\n +2 +over budget ", printed)
    assert "trial 2 over budget: tflite_bytes 98,765 > 60,000" in " ".join(printed.split())
    shown, _, rest = printed.partition("completed")
    assert ("98,765" in shown, "0.00123" in shown) == (True, width > 30)
    for name in ("schedule", "parameters", "seconds"):
        assert (name in shown) != (name in rest)
    assert ("12.3" in shown) == (width >= 80)
