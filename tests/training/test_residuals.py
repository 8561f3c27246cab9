"""What a table leaves open is chosen from it; the linear path, the LSTMs' share and the intervals of a run."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from keras_lstm_gates import datasets, forecasting, training
from keras_lstm_gates.recipes import Recipe, resolve
from keras_lstm_gates.training import linear, residual_fit
from keras_lstm_gates.training.automatic_keys import season_of

QUICK = {"target": "y", "units": 3, "epochs": 2}


def months(rows=160, growth=0.01, noise=0.02, seed=0):
    """A series that grows by a percentage and repeats itself each year, in proportion to its level."""
    steps = np.arange(rows)
    v = growth * steps + 0.3 * np.sin(2 * np.pi * steps / 12) + 0.1 * np.cos(4 * np.pi * steps / 12)
    v = v + noise * np.random.default_rng(seed).normal(size=rows)
    return pd.DataFrame({"month": pd.date_range("2000-01-01", periods=rows, freq="MS"), "y": 100 * np.exp(v)})


def walk(rows=400):
    y = 100 + np.random.default_rng(3).normal(size=rows).cumsum()
    return pd.DataFrame({"day": pd.date_range("2020-01-01", periods=rows, freq="D"), "y": y})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on months.csv with nothing given but its size."""
    folder = tmp_path_factory.mktemp("residuals")
    months().to_csv(folder / "months.csv", index=False)
    return training.fit(resolve(str(folder / "months.csv"), QUICK), folder / "run")


def windows_of(y, window, horizon):
    starts = np.arange(len(y) - window - horizon + 1)[:, None]
    return y[starts + np.arange(window)][..., None], y[starts + window + np.arange(horizon)]


@pytest.mark.parametrize(("rows", "columns"), [(50, 6), (10, 30)])
def test_ridge_is_that_of_scikit_learn(rows, columns):
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 2, (rows, columns)), rng.normal(size=(rows, 2))
    x[:, 0] = 7.0  # A constant column takes no part.
    scaled = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    for penalty, (kernel, bias) in zip((0.01, 2.0), linear.ridge(x, y, (0.01, 2.0)), strict=True):
        expected = Ridge(alpha=penalty * rows, solver="svd").fit(scaled, y).predict(scaled)
        np.testing.assert_allclose(x @ kernel + bias, expected, atol=1e-5)
        assert (kernel[0] == 0).all()


@pytest.mark.parametrize(
    ("y", "step", "season"),
    [
        (months()["y"], pd.Timedelta(31, "D"), 12),
        (np.tile([1.0, 4.0, 2.0, 9.0], 30), pd.Timedelta(91, "D"), 4),
        (
            np.sin(np.arange(2000) * 2 * np.pi / 24) + np.sin(np.arange(2000) * 2 * np.pi / 168),
            pd.Timedelta(1, "h"),
            24,
        ),
        (np.tile([0.0, 1.0, 5.0, 2.0, 8.0, 3.0, 1.0], 30), None, 7),
        (walk()["y"], pd.Timedelta(1, "D"), None),
        (np.random.default_rng(0).normal(size=300), None, None),
        (np.ones(50), pd.Timedelta(1, "h"), None),
        (np.full(50, np.nan), None, None),
    ],
)
def test_the_season_of_a_series(y, step, season):
    assert season_of(y, step) == season


def test_of_what_grows_in_proportion_the_logarithm_is_learned():
    windows, targets = windows_of(months(200, growth=0.02)["y"].to_numpy(), 24, 12)
    assert linear.choose(windows, targets, 0, 12, {})["transform"] == "log"


def test_of_a_random_walk_nothing_is_learned_but_its_last_value():
    windows, targets = windows_of(walk(1500)["y"].to_numpy(), 20, 5)
    chosen = linear.choose(windows, targets, 0, None, {})
    assert (chosen["relative_to"], chosen["linear"]) == ("last", None)


def test_a_wave_in_noise_is_left_to_the_regression():
    # Of a wave y[t + 1] = 2 cos(w) y[t] - y[t - 1], which no forecast that repeats a value comes near to.
    noise = 0.05 * np.random.default_rng(0).normal(size=400)
    windows, targets = windows_of(np.sin(2 * np.pi * np.arange(400) / 17) + noise, 24, 5)
    assert linear.choose(windows, targets, 0, None, {})["linear"] == "target"


def test_what_is_given_is_not_chosen(tmp_path):
    months().to_csv(tmp_path / "months.csv", index=False)
    given = {"window": 30, "horizon": 6, "relative_to": None, "linear": "target", "scaling": "window", "season": 5}
    recipe = training.settled(resolve(str(tmp_path / "months.csv"), {"target": "y"} | given))
    assert {key: getattr(recipe, key) for key in given} == given
    assert "auto" not in dataclasses.asdict(recipe).values()
    assert training.settled(recipe) is recipe
    with pytest.raises(ValueError, match="leaves nothing open; received season='auto'"):
        datasets.load(resolve(str(tmp_path / "months.csv"), {"target": "y"}))
    with pytest.raises(ValueError, match="expected a season of at most the window's 4 steps"):
        recipe.replaced({"relative_to": "season", "window": 4})
    with pytest.raises(ValueError, match="expected window of a recipe of the task language to be a number"):
        Recipe(dataset="x", task="language", window="auto")


def test_the_folder_says_what_was_chosen(run):
    recipe = Recipe.from_file(run.folder / "recipe.json")
    assert (recipe.season, recipe.horizon, recipe.window) == (12, 12, 24)
    assert recipe.transform == "log"
    finish = json.loads((run.folder / "names.json").read_text())["finish"]
    assert finish["share"] in residual_fit.SHARES
    lines = residual_fit.told(recipe, finish, {"coverage": 0.75})
    assert lines[0].startswith("learned: the logarithm of y relative to")
    assert "75.0% of the test part lies between q0.1 and q0.9, nominally 80%" in lines[1]
    # It is trained from a table, and forecasts one.
    result = forecasting.load(run.folder).forecast(months())
    assert list(result) == ["time", "y q0.1", "y q0.5", "y q0.9", "actual"]
    truth = months(172, noise=0.0)["y"].to_numpy()[160:]
    assert np.abs(result["y q0.5"] / truth - 1).max() < 0.1


def test_the_intervals_hold_on_the_validation_part(run):
    recipe = Recipe.from_file(run.folder / "recipe.json")
    data = datasets.load(recipe)
    model = training.build(recipe, data)
    residual_fit.finish(model, dataclasses.replace(recipe, linear=None), data)
    inside = training.evaluate(model, recipe, data.validation)["coverage"]
    assert inside >= 0.8
    before = model.get_layer("spread").get_weights()[1]
    model.get_layer("spread").set_weights([model.get_layer("spread").get_weights()[0], before - 3])
    assert training.evaluate(model, recipe, data.validation)["coverage"] < inside
    residual_fit.finish(model, dataclasses.replace(recipe, linear=None), data)
    assert training.evaluate(model, recipe, data.validation)["coverage"] == pytest.approx(inside, abs=0.1)


def test_a_correction_that_does_harm_is_left_out(run):
    recipe = Recipe.from_file(run.folder / "recipe.json")
    data = datasets.load(recipe)
    model = training.build(recipe, data)
    head = model.get_layer("head")
    before = training.evaluate(model, recipe, data.validation)["mae"]
    head.set_weights([head.get_weights()[0], np.full_like(head.get_weights()[1], 50.0)])
    assert training.evaluate(model, recipe, data.validation)["mae"] > 2 * before
    facts = residual_fit.finish(model, dataclasses.replace(recipe, linear=None), data)
    assert facts["share"] == 0.0
    assert training.evaluate(model, recipe, data.validation)["mae"] == pytest.approx(before, rel=1e-5)


def test_an_epoch_draws_some_of_the_windows_anew(run):
    recipe = dataclasses.replace(Recipe.from_file(run.folder / "recipe.json"), epoch_size=40)
    data = datasets.load(recipe)
    drawn = [np.concatenate([y for _, y in data.train_at(epoch)]) for epoch in (0, 1, 0)]
    assert [len(y) for y in drawn] == [40, 40, 40]
    assert not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
