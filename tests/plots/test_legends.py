"""No legend lies on a line, and axes of whole numbers have whole ticks."""

import keras
import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import compare, plots, trace
from keras_lstm_gates.plots import forecasts
from keras_lstm_gates.training.summary import learning_curves


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.LSTM(5, return_sequences=True, name="lstm"), keras.layers.LSTM(3, name="top")]
    x = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
    return keras.Sequential([keras.Input((6, 2)), *layers, keras.layers.Dense(1)]), x


def scores(folds):
    index = pd.MultiIndex.from_product([[*range(1, folds + 1), "all"], ["model", "persistence"]])
    columns = {name: np.linspace(0.1, 1, len(index)) for name in ("mae", "coverage", "nominal")}
    return pd.DataFrame(columns, index=index.set_names(["fold", "forecast"]))


def a_forecast():
    result = pd.DataFrame({"row": [8, 9], "load q0.1": [1.0, 2], "load q0.9": [2.0, 3], "actual": [1.5, np.nan]})
    return plots.forecast(result, pd.DataFrame({"row": [5, 6, 7], "load": [1.0, 3, 2]}), "load")


def a_curve(name):
    return pd.DataFrame({"units": [2, 4, 8], "parameters": [20, 60, 200], name: [0.3, 0.2, 0.1]})


PICTURES = {
    "gradients": lambda model, x: plots.gradient_chain(compare({"m": model}, x)),
    "backtest": lambda model, x: forecasts.backtest(scores(2)),
    "forecast": lambda model, x: a_forecast(),
    "shrinking": lambda model, x: plots.shrinking({"one": a_curve("loss"), "two": a_curve("loss")}, card=(0.2, 0.1)),
    "memory": lambda model, x: plots.memory(trace(model, x, progress=False)),
    "curves": lambda model, x: learning_curves({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]}),
}
WHOLE = {"time step", "lag in steps, back from the last", "fold", "row", "unit, by rank", "epoch"}


@pytest.mark.parametrize("name", PICTURES)
def test_a_legend_covers_no_panel_and_names_all(small, name):
    figure = PICTURES[name](*small)
    figure.draw_without_rendering()
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    assert legends
    for legend in legends:
        box = legend.get_window_extent()
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y0 >= figure.bbox.y0 - 1
        assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
    named = {text.get_text() for legend in legends for text in legend.get_texts()}
    assert named >= {label for axes in figure.axes for label in axes.get_legend_handles_labels()[1]}


@pytest.mark.parametrize("name", PICTURES)
def test_steps_have_whole_numbers(small, name):
    figure = PICTURES[name](*small)
    figure.draw_without_rendering()
    for axes in figure.axes:
        if axes.get_xlabel() in WHOLE:
            assert [tick for tick in axes.get_xticks() if tick != round(tick)] == []
