"""Does the card hold? Its figure measured again: with the Keras model, and with the file for devices."""

from typing import NamedTuple

from keras_lstm_gates import datasets, training
from keras_lstm_gates.zoo.files import card, load
from keras_lstm_gates.zoo.registry import preset

WITHIN = 0.005
"""How far, relative to the card's, a figure may be off: on another machine a few argmaxes fall the other way."""


class Evaluation(NamedTuple):
    """What the card claims, what was measured now, and whether that holds."""

    name: str
    metric: str
    claimed: float
    measured: float
    holds: bool


def evaluate(name):
    """Measure the figure of a preset's card again, on the test part of its data.

    Args:
        name: str, of `list()`.

    Returns:
        `Evaluation`. It holds if the figure is within 0.5 % of the card's.

    Raises:
        ValueError, FileNotFoundError: as `load`.
    """
    entry, claims = preset(name), card(name)
    found = training.evaluate(load(name, gates=False), entry.recipe, datasets.load(entry.recipe).test)[entry.metric]
    claimed = claims["quality"]["shipped"]
    return Evaluation(name, entry.metric, claimed, found, abs(found - claimed) <= WITHIN * abs(claimed))
