"""What the architectures of models.py are: functions that build models, with keras-hub's `from_preset`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Generic, ParamSpec

from keras_lstm_gates.presets.files import card, load

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from keras_lstm_gates._support.annotations import StrPath

Options = ParamSpec("Options")


class Architecture(Generic[Options]):
    """A function that builds an untrained model, with the `from_preset` of keras-hub's classes for a trained one.

    Attributes:
        task: str, the task of `keras_lstm_gates.recipes.Recipe` whose models it builds.
    """

    def __init__(self, build: Callable[Options, keras.Model], task: str) -> None:
        functools.update_wrapper(self, build)
        self._build, self.task = build, task

    def __call__(self, *args: Options.args, **kwargs: Options.kwargs) -> keras.Model:
        return self._build(*args, **kwargs)

    def from_preset(self, preset: StrPath) -> keras.Model:
        """A trained model of the zoo, as it was trained: to predict, to fine-tune, to open.

        Args:
            preset: str, of `keras_lstm_gates.zoo.list()`, or the path of a folder of that form. Every file's hash is
                checked, and nothing is fetched: presets are folders of this package or of one that registers its own.

        Returns:
            `keras.Model`; the same as `keras_lstm_gates.zoo.load(preset, gates=False)`.

        Raises:
            ValueError: a preset of another architecture: "expected a preset of classification for
                SequenceClassifier; received 'daily_stocks', of forecasting"; and as `keras_lstm_gates.zoo.load`.

        Example:
            >>> from keras_lstm_gates.models import SequenceClassifier
            >>> model = SequenceClassifier.from_preset("japanese_vowels")
            >>> model.output_shape
            (None, 9)
        """
        task = card(preset)["recipe"]["task"]
        if task != self.task:
            expected = f"expected a preset of {self.task} for {self._build.__name__}"
            raise ValueError(f"{expected}; received {str(preset)!r}, of {task}")
        return load(preset, gates=False)


def architecture(task: str) -> Callable[[Callable[Options, keras.Model]], Architecture[Options]]:
    """A decorator that makes an `Architecture` of a function that builds the models of a task."""
    return functools.partial(Architecture, task=task)
