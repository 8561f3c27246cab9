"""What `_HOMES` in __init__.py hands on, for editors and type checkers."""

from keras_lstm_gates.tuning.hypermodel import GatedLSTMHyperModel as GatedLSTMHyperModel
from keras_lstm_gates.tuning.results import Search as Search
from keras_lstm_gates.tuning.results import read as read
from keras_lstm_gates.tuning.searches import TUNERS as TUNERS
from keras_lstm_gates.tuning.searches import search as search
from keras_lstm_gates.tuning.tables import TrialTable as TrialTable
