"""The gradients of models as numbers, picture and words: `summary`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from keras_lstm_gates import plots
from keras_lstm_gates.gradients.chain import compare
from keras_lstm_gates.gradients.verdicts import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from keras_lstm_gates._support.annotations import Arrays


class Summary(NamedTuple):
    """Numbers, picture and words.

    Attributes:
        tree: `xarray.DataTree` of `compare`.
        figure: `matplotlib.figure.Figure` of `plots.gradient_chain`.
        verdicts: list of `Verdict`, each prints as a sentence.
    """

    tree: Any
    figure: Any
    verdicts: list


def summary(
    models: keras.Model | Sequence[keras.Model] | dict[str, keras.Model],
    x: Arrays,
    y: Any = None,
    loss: Any = None,
    *,
    layer: str | None = None,
    **options: Any,
) -> Summary:
    """`compare`, its picture and its verdicts in one call.

    Args:
        models, x, y, loss, **options: see `compare`; a single model stands for a list of one.
        layer: str, the layer whose terms are drawn; None takes the first.

    Returns:
        `Summary(tree, figure, verdicts)`.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((12, 1)), keras.layers.LSTM(4, name="lstm")], name="small")
        >>> result = summary(model, np.ones((2, 12, 1)))
        >>> [verdict.layer for verdict in result.verdicts], len(result.figure.axes)
        (['lstm'], 3)
    """
    models = models if isinstance(models, (list, tuple, dict)) else [models]
    tree = compare(models, x, y, loss, **options)
    return Summary(tree, plots.gradient_chain(tree, layer=layer), verdict(tree))
