"""Forecasts of a user's own tables by a trained model, with names and times."""

from keras_lstm_gates.forecasting.backtests import backtest
from keras_lstm_gates.forecasting.forecasters import Forecaster
from keras_lstm_gates.forecasting.loading import load
from keras_lstm_gates.forecasting.scoring import scores
from keras_lstm_gates.forecasting.traced import with_times

__all__ = ["Forecaster", "backtest", "load", "scores", "with_times"]
