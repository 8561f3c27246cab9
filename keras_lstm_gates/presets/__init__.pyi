"""What `_HOMES` in __init__.py hands on, for editors and type checkers."""

from keras_lstm_gates.presets.architecture import Architecture as Architecture
from keras_lstm_gates.presets.files import card as card
from keras_lstm_gates.presets.files import list as list
from keras_lstm_gates.presets.files import load as load
from keras_lstm_gates.presets.registry import Preset as Preset
from keras_lstm_gates.presets.registry import preset as preset
from keras_lstm_gates.presets.registry import presets as presets
