"""Baselines for forecasts of volatility: HAR and GARCH(1,1)."""

import numpy as np

from keras_lstm_gates.datasets import forecasting, tables


def har(history, targets, test_history):
    """Forecasts by the regression on the last day, the mean of 5 days and the mean of 22.

    Args:
        history: (windows, at least 22) float, log volatility up to the origin, in the training part.
        targets: (windows, horizon).
        test_history: (others, at least 22).

    Returns:
        (others, horizon).

    Source: Corsi 2009, A simple approximate long-memory model of realized volatility, equation 9, on logarithms and
    with a regression for each day ahead.
    """

    def design(history):
        columns = [history[:, -1], history[:, -5:].mean(axis=1), history[:, -22:].mean(axis=1), np.ones(len(history))]
        return np.stack(columns, axis=1).astype(np.float64)

    return design(test_history) @ np.linalg.lstsq(design(history), targets, rcond=None)[0]


def garch(recipe):
    """Forecasts by a GARCH(1,1) of each share's daily returns, for all windows of the test part in their order.

    The model is fitted by maximum likelihood to the training part and reads the returns up to each forecast's origin.
    Its volatility is from close to close, the target's is within the day: the mean difference of their logarithms over
    the days of the window is added.

    Args:
        recipe: `Recipe` that forecasts the column log_volatility of a table with the column log_return.

    Returns:
        (windows, horizon).
    """
    series = forecasting.series(recipe)
    frame, part = series.frame, series.part
    groups = frame[tables.GROUP].to_numpy() if tables.GROUP in frame else np.zeros(len(frame))
    returns = frame["log_return"].to_numpy()
    present, following, persistence, long_run = np.empty((4, len(frame)))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        training = returns[rows][part[rows] == 0]
        omega, alpha, beta = fit_garch(training - training.mean())
        filtered = variances(returns[rows] - training.mean(), omega, alpha, beta)
        present[rows], following[rows] = filtered[:-1], filtered[1:]
        persistence[rows], long_run[rows] = alpha + beta, omega / (1 - alpha - beta)

    starts = series.starts[2][:, None]
    window, ahead = starts + np.arange(recipe.window), np.arange(recipe.horizon)
    difference = frame[recipe.target].to_numpy()[window] - 0.5 * np.log(present[window])
    origin = window[:, -1:]
    variance = long_run[origin] + persistence[origin] ** ahead * (following[origin] - long_run[origin])
    return 0.5 * np.log(variance) + difference.mean(axis=1, keepdims=True)


def variances(returns, omega, alpha, beta):
    """s_{t+1} = omega + alpha r_t^2 + beta s_t from the stationary omega / (1 - alpha - beta): (T,) to (T + 1,)."""
    s = [omega / (1 - alpha - beta)]
    for square in (returns**2).tolist():
        s.append(omega + alpha * square + beta * s[-1])
    return np.array(s)


def fit_garch(returns):
    """(omega, alpha, beta) of the largest normal likelihood, with alpha + beta < 1.

    Source: Bollerslev 1986, Generalized autoregressive conditional heteroskedasticity.
    """
    from scipy import optimize

    spread = returns.std()
    returns = returns / spread

    def loss(parameters):
        omega, alpha, beta = parameters
        if alpha + beta >= 0.9999:
            return 1e10
        s = variances(returns, omega, alpha, beta)[:-1]
        return 0.5 * np.mean(np.log(s) + returns**2 / s)

    bounds = [(1e-6, 10.0), (1e-6, 0.999), (1e-6, 0.999)]
    starts = [(0.05, 0.05, 0.9), (0.1, 0.1, 0.8)]
    fits = [optimize.minimize(loss, start, bounds=bounds, method="Nelder-Mead") for start in starts]
    omega, alpha, beta = min(fits, key=lambda fit: fit.fun).x
    return omega * spread**2, alpha, beta
