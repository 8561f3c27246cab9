"""Act on the gates of a model while it runs, and see what changes."""

from keras_lstm_gates.interventions import Mean, Replace, Scale, Set, Shift
from keras_lstm_gates.steering.ablations import ablate
from keras_lstm_gates.steering.batches import run_each
from keras_lstm_gates.steering.models import Steered, steer
from keras_lstm_gates.steering.patching import patch, patch_gates, patch_steps, patch_units
from keras_lstm_gates.steering.sensitivities import importance

__all__ = [
    "Mean",
    "Replace",
    "Scale",
    "Set",
    "Shift",
    "Steered",
    "ablate",
    "importance",
    "patch",
    "patch_gates",
    "patch_steps",
    "patch_units",
    "run_each",
    "steer",
]
