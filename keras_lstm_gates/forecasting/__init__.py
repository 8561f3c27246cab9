"""Forecasts of a user's own tables by a trained model, with names and times."""

from keras_lstm_gates.forecasting.forecasters import Forecaster, load
from keras_lstm_gates.forecasting.scoring import scores

__all__ = ["Forecaster", "load", "scores"]
