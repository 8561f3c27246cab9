"""What `_HOMES` in __init__.py hands on, for editors and type checkers."""

from keras_lstm_gates.exporting.checksums import verified as verified
from keras_lstm_gates.exporting.comparing import TOLERANCES as TOLERANCES
from keras_lstm_gates.exporting.drifting import drift as drift
from keras_lstm_gates.exporting.writing import Exported as Exported
from keras_lstm_gates.exporting.writing import export as export
