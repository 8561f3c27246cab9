"""Names for the types that many public signatures share; for type checkers, never imported by a program."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import ArrayLike

StrPath: TypeAlias = str | os.PathLike[str]
"""A file or a folder."""

Arrays: TypeAlias = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]
"""The inputs of a model: an array, or a list or dict of them where it has several."""

Places: TypeAlias = int | slice | ArrayLike | None
"""Units, steps or samples: an int, a slice, a list of ints or a bool mask; None for all."""

Activation: TypeAlias = str | Callable[..., Any] | None
"""An activation as Keras takes it."""

LossLike: TypeAlias = str | Callable[..., Any] | None
"""The name of a loss of Keras, a `keras.losses.Loss`, or a function of (y, predictions) to a number a sample."""

Progress: TypeAlias = bool | Callable[[int], object]
"""Whether a bar is shown; or a function that is called with the number done."""
