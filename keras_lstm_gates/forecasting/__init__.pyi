"""What `_HOMES` in __init__.py hands on, for editors and type checkers."""

from keras_lstm_gates.forecasting.backtests import backtest as backtest
from keras_lstm_gates.forecasting.forecasters import Forecaster as Forecaster
from keras_lstm_gates.forecasting.loading import load as load
from keras_lstm_gates.forecasting.scoring import scores as scores
from keras_lstm_gates.forecasting.traced import with_times as with_times
