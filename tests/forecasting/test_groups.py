"""Several series in one table: each scaled by its own numbers; static and categorical columns read by name."""

import json

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates import datasets, exporting, forecasting, training
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.forecasting.scoring import scores
from keras_lstm_gates.recipes import Recipe, resolve
from keras_lstm_gates.residual_models import Frame
from keras_lstm_gates.training.descriptions import described

STORES = {"corner": ("Oslo", 1.0), "market": ("Bergen", 100.0), "mall": ("Oslo", 10_000.0)}


def stores(rows=150):
    """Days of three stores, of one kind and each of its own size, with a city that never changes."""
    frames, days = [], np.arange(rows)
    for number, (name, (city, size)) in enumerate(STORES.items()):
        rng = np.random.default_rng(number)
        sold = size * (10 + 3 * np.sin(days * 2 * np.pi / 7 + number) + rng.normal(0, 0.3, rows))
        when = pd.date_range("2023-01-01", periods=rows, freq="D")
        frames.append(pd.DataFrame({"day": when, "store": name, "city": city, "sold": sold, "rain": rng.random(rows)}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    stores().to_csv(folder / "stores.csv", index=False)
    given = {"target": "sold", "group": "store", "window": 14, "horizon": 3, "units": 3, "epochs": 1}
    run = training.fit(resolve(str(folder / "stores.csv"), given), folder / "run")
    windows = forecasting.load(folder / "run").windows(folder / "stores.csv")
    exporting.export(run.model, folder / "ex", windows.inputs, trained_on=described(folder / "run"))
    return folder


@pytest.mark.full
def test_each_group_counts_by_its_own_numbers(folder):
    recipe = Recipe.from_file(folder / "run" / "recipe.json")
    assert recipe.scaling == "window"
    assert recipe.relative_to in ("last", "season")
    data = datasets.load(recipe)
    inputs, targets, weights = (np.concatenate(parts) for parts in zip(*data.train.as_numpy_iterator(), strict=True))
    assert weights.shape == (len(targets), 1)
    sizes = np.round(np.log10(inputs[:, 0, data.names["features"].index("sold")] / 8) / 2)
    spreads = [(weights[sizes == size] * (targets[sizes == size].std())).mean() for size in (0, 1, 2)]
    np.testing.assert_allclose(spreads, spreads[0], rtol=0.2)
    assert len(next(iter(data.test))) == 2
    without = datasets.load(recipe.replaced({"scaling": "training"}))
    assert len(next(iter(without.train))) == 2


@pytest.mark.full
def test_a_small_group_is_forecast_as_well_as_a_large_one(folder):
    forecaster, frame = forecasting.load(folder / "run"), stores()
    ratios = {}
    for name, of_store in frame.groupby("store"):
        figures = scores(forecaster, of_store)["mae"]
        ratios[name] = figures["model"] / figures[["persistence", "seasonal naive"]].min()
    assert max(ratios.values()) < 1.1
    # A store of another size than any in the training.
    of_corner = frame[frame["store"] == "corner"]
    expected = forecaster.forecast(of_corner)["sold q0.5"]
    grown = forecaster.forecast(of_corner.assign(sold=of_corner["sold"] * 1e6))["sold q0.5"]
    np.testing.assert_allclose(grown / 1e6, expected, atol=0.3)


def test_the_floor_of_a_windows_spread_is_that_of_the_smallest_group():
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(50, 8, 1)), 1e4 * rng.normal(size=(50, 8, 1))
    both, targets = np.concatenate([small, large]), np.zeros((100, 2))
    options = {"place": 0, "horizon": 2, "relative_to": "last", "scaling": "window"}
    alone = Frame.fitted(small, targets[:50], **options).window_floor
    grouped = Frame.fitted(both, targets, groups=np.repeat([3.0, 0.1], 50)[:, None], **options).window_floor
    assert grouped == pytest.approx(alone)
    assert Frame.fitted(both, targets, **options).window_floor > 100 * alone


def test_static_and_categorical_columns_keep_their_values(folder):
    names = json.loads((folder / "run" / "names.json").read_text())
    assert set(names["features"]) == {"city=Bergen", "city=Oslo", "sold", "rain"}
    forecaster, frame = forecasting.load(folder / "run"), stores()
    corner = frame[frame["store"] == "corner"]
    expected = forecaster.forecast(frame)
    assert expected["group"].tolist() == [name for name in sorted(STORES) for _ in range(3)]
    of_corner = expected[expected["group"] == "corner"].reset_index(drop=True)
    # A table that holds one of the values alone.
    pd.testing.assert_frame_equal(forecaster.forecast(corner), of_corner, rtol=1e-5)
    result = Runner(folder / "ex" / "model.tflite").forecast(corner.assign(**{"city=Oslo": 1, "city=Bergen": 0}))
    np.testing.assert_allclose(result["sold q0.5"], of_corner["sold q0.5"], rtol=1e-4)
    with pytest.raises(ValueError, match=r"expected one of \['Bergen', 'Oslo'\] in the column 'city'.*received 'Rome'"):
        forecaster.forecast(corner.assign(city="Rome"))
