"""Does the card hold? Its figure, measured again with the Keras model."""

from __future__ import annotations

from typing import NamedTuple

from keras_lstm_gates import datasets, training
from keras_lstm_gates.presets.files import card, load
from keras_lstm_gates.presets.registry import preset

WITHIN = 0.005
"""How far a figure may be from the card's, relative to it: on another machine a few argmaxes differ."""


class Evaluation(NamedTuple):
    """The card's figure, the same measured now, and whether they agree."""

    name: str
    metric: str
    claimed: float
    measured: float
    holds: bool


def evaluate(name: str) -> Evaluation:
    """Measure the figure of a preset's card again, on the test part of its data.

    Args:
        name: str, of `list()`.

    Returns:
        `Evaluation`. It holds if the figure is within 0.5 % of the card's.

    Raises:
        ValueError, FileNotFoundError: as `load`.
    """
    entry, claims = preset(name), card(name)
    metrics = training.evaluate(load(name, gates=False), entry.recipe, datasets.load(entry.recipe).test)
    claimed, measured = claims["quality"]["shipped"], metrics[entry.metric]
    return Evaluation(name, entry.metric, claimed, measured, abs(measured - claimed) <= WITHIN * abs(claimed))
