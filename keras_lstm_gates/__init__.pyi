"""What `_HOMES` in __init__.py hands on, for editors and type checkers."""

from keras_lstm_gates.attribution import attribute as attribute
from keras_lstm_gates.attribution import explain as explain
from keras_lstm_gates.attribution import ledger as ledger
from keras_lstm_gates.exporting import drift as drift
from keras_lstm_gates.exporting import export as export
from keras_lstm_gates.gates import Gates as Gates
from keras_lstm_gates.gradients import GradientMonitor as GradientMonitor
from keras_lstm_gates.gradients import compare as compare
from keras_lstm_gates.gradients import gradient_chain as gradient_chain
from keras_lstm_gates.gradients import verdict as verdict
from keras_lstm_gates.initializers import ChronoBias as ChronoBias
from keras_lstm_gates.layers.cell import GatedLSTMCell as GatedLSTMCell
from keras_lstm_gates.layers.lstm import GatedLSTM as GatedLSTM
from keras_lstm_gates.opening.exposing import expose as expose
from keras_lstm_gates.opening.readers import load_model as load_model
from keras_lstm_gates.opening.readers.weights import load_weights as load_weights
from keras_lstm_gates.reporting import report as report
from keras_lstm_gates.tracing import trace as trace
from keras_lstm_gates.tracing.gate_statistics import statistics as statistics
from keras_lstm_gates.tracing.monitor import GateMonitor as GateMonitor

__version__: str
