"""Train a model by a recipe, into a run folder that holds all that is needed to reproduce it."""

from keras_lstm_gates.losses import Pinball, SummedCrossEntropy
from keras_lstm_gates.recipes import RECIPES, Recipe
from keras_lstm_gates.training.automatic_keys import settled
from keras_lstm_gates.training.metrics import evaluate
from keras_lstm_gates.training.runs import Run, build, environment, fit_epochs
from keras_lstm_gates.training.several import fit, folders

__all__ = [
    "RECIPES",
    "Pinball",
    "Recipe",
    "Run",
    "SummedCrossEntropy",
    "build",
    "environment",
    "evaluate",
    "fit",
    "fit_epochs",
    "folders",
    "settled",
]
