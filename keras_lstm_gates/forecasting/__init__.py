"""Forecasts of a user's own tables by a trained model, with names and times.

The names are imported when they are first used: what a shard is called is known without TensorFlow.
"""

from keras_lstm_gates._support import lazy

_HOMES = {
    "Forecaster": "keras_lstm_gates.forecasting.forecasters",
    "backtest": "keras_lstm_gates.forecasting.backtests",
    "load": "keras_lstm_gates.forecasting.loading",
    "scores": "keras_lstm_gates.forecasting.scoring",
    "with_times": "keras_lstm_gates.forecasting.traced",
}

__all__ = sorted(_HOMES)
__getattr__ = lazy.attributes(__name__, _HOMES)
