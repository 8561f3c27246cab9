"""A recipe's keys: what each expects, and the tasks that have a use for it."""

import dataclasses
import re

import pytest

from keras_lstm_gates.recipes import RECIPES, TASKS, Recipe, keys_of

FORECASTING = {
    "features": ("a",),
    "group": "month",
    "season": 7,
    "horizon": 6,
    "quantiles": (0.1, 0.9),
    "autoregression": 3,
}


@pytest.mark.parametrize("task", [task for task in TASKS if task != "forecasting"])
@pytest.mark.parametrize(("key", "value"), FORECASTING.items())
def test_keys_of_a_forecast_belong_to_forecasts(task, key, value):
    assert getattr(Recipe(dataset="x", task="forecasting", **{key: value}), key) == value
    text = f"expected {key} only in a recipe of the task forecasting; received {key}={value!r} with task='{task}'"
    with pytest.raises(ValueError, match=re.escape(text)):
        Recipe(dataset="x", task=task, **{key: value})


@pytest.mark.parametrize(
    ("key", "value", "tasks"),
    [
        ("bidirectional", True, "classification or labelling"),
        ("longest", 9, "classification or labelling"),
        ("pooling", "mean", "classification"),
        ("window", 9, "forecasting or language"),
    ],
)
def test_keys_of_other_tasks(key, value, tasks):
    for task in TASKS:
        if task in tasks.split(" or "):
            assert getattr(Recipe(dataset="x", task=task, **{key: value}), key) == value
        else:
            with pytest.raises(ValueError, match=f"expected {key} only in a recipe of the task {tasks}; received"):
                Recipe(dataset="x", task=task, **{key: value})


def test_every_key_expects_something():
    for field in dataclasses.fields(Recipe):
        with pytest.raises(ValueError, match=f"expected {field.name} of a recipe to be .+; received "):
            Recipe(**{"dataset": "x", field.name: object()})


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_plain_data_and_back(recipe):
    assert set(recipe.to_dict()) == set(keys_of(recipe.task))
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    # A file of before has every key.
    assert Recipe.from_dict(dataclasses.asdict(recipe)) == recipe
