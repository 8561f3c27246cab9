"""How good a model is, or how far its answers are from what they were: a number a sample, and the mean of it."""

import keras
import numpy as np

from keras_lstm_gates.opening.graphs import graph_of
from keras_lstm_gates.steering.measures import Metric

CHANGE = "change of the outputs"
"""The name of what is measured without targets."""


class Scores:
    """What is measured of a model's answers to some samples.

    Args:
        model: whose loss is taken where `metric` is None.
        metric, y: as `keras_lstm_gates.steering.ablate` takes them; y None: how far the answers are from what they
            were, their mean distance in units of the outputs' own mean distance from their mean.
        mask: bool (sample, time), the real steps.
        answers: [each output], what the model that is shrunk says.

    Attributes:
        name: str.
        higher_is_better: bool.
        intact: the mean of what is measured of the model that is shrunk.
    """

    def __init__(self, model, metric, y, mask, answers):
        self._model, self._metric, self._y, self._mask, self._answers = model, metric, y, mask, answers
        self._spreads = [np.abs(one - one.mean(0)).mean() or 1.0 for one in map(_float, answers)]
        whole = None if y is None else Metric(model, metric, y, mask)
        self.name = CHANGE if whole is None else whole.name
        self.higher_is_better = whole is not None and whole.higher_is_better
        self.intact = self.mean(answers)

    def mean(self, answers):
        """The mean over the samples of what is measured of [each output]."""
        return float(np.mean(self.of(None)(self._packed(answers))))

    def worse(self, answers):
        """How much worse the mean is than that of the model that is shrunk."""
        difference = self.mean(answers) - self.intact
        return -difference if self.higher_is_better else difference

    def of(self, rows):
        """The function of a model's output for some samples, None for all, to a number a sample."""
        rows = slice(None) if rows is None else rows
        if self._y is not None:
            y = keras.tree.map_structure(lambda one: np.asarray(one)[rows], self._y)
            return Metric(self._model, self._metric, y, self._mask[rows])
        return lambda outputs: self.change(outputs, rows)

    def change(self, outputs, rows):
        """How far a model's output for some samples is from what it was, a number a sample."""
        changes = [
            np.abs(_float(now) - _float(before)[rows]).reshape(len(now), -1).mean(1) / spread
            for now, before, spread in zip(keras.tree.flatten(outputs), self._answers, self._spreads, strict=True)
        ]
        return np.mean(changes, axis=0)

    def _packed(self, answers):
        return keras.tree.pack_sequence_as(graph_of(self._model).output, list(answers))


def _float(array):
    return np.asarray(array).astype(np.float64)
