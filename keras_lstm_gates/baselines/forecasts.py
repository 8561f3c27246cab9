"""Forecasts that need a few windows and no training worth the name: persistence, seasonal naive, ridge regression."""

import numpy as np

WINDOWS = 4000
"""The most windows to fit on."""

RIDGE = 1e-3
"""The penalty of the ridge regression, a window, on standardized columns."""


def fitted(recipe, columns, x, y):
    """The baselines of a forecasting recipe, from windows of its training part.

    Args:
        recipe: `Recipe`, for target, horizon, window and season.
        columns: list of str, those of the windows.
        x: (windows, window, columns) float.
        y: (windows, horizon).

    Returns:
        {name: function of (windows, window, columns) to (windows, horizon)}: persistence (the last value); the seasonal
        naive forecast (the last season, where the recipe names one that fits in the window); ridge regression.

    Example:
        >>> from keras_lstm_gates.recipes import Recipe
        >>> recipe = Recipe(dataset="x.csv", task="forecasting", target="load", window=3, horizon=2)
        >>> x = np.arange(30.0).reshape(10, 3, 1)
        >>> fitted(recipe, ["load"], x, x[:, -1:, 0] + [1, 2])["persistence"](x[:1]).tolist()
        [[2.0, 2.0]]
    """
    place = columns.index(recipe.target)
    forecasts = {"persistence": lambda windows: np.repeat(windows[:, -1:, place], recipe.horizon, axis=1)}
    if recipe.season is not None and recipe.season <= recipe.window:
        again = np.resize(np.arange(recipe.season), recipe.horizon) + recipe.window - recipe.season
        forecasts["seasonal naive"] = lambda windows: windows[:, again, place]
    forecasts["ridge regression"] = _ridge(x, y)
    return forecasts


def _ridge(x, y):
    mean, spread = x.mean(axis=(0, 1)), x.std(axis=(0, 1)) + 1e-9

    def design(windows):
        scaled = (windows - mean) / spread
        return np.concatenate([scaled.reshape(len(windows), -1), np.ones((len(windows), 1))], axis=1)

    a = design(x).astype(np.float64)
    weights = np.linalg.solve(a.T @ a + len(a) * RIDGE * np.eye(a.shape[1]), a.T @ y)
    return lambda windows: design(windows) @ weights
