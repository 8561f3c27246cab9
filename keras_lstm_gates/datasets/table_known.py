"""Columns that are known in the future: what stands in them some steps later is read beside each row."""

import numpy as np

from keras_lstm_gates.datasets.table_files import GROUP


def later(columns, recipe):
    """{name: the column that it repeats, `horizon` steps before} of the columns that a recipe knows in the future.

    The last `horizon` steps of a window then hold the values of all steps to come.

    Args:
        columns: of str, the inputs of a table; of a category "city=Oslo".
        recipe: `Recipe`: known, horizon.

    Example:
        >>> from keras_lstm_gates.recipes import Recipe
        >>> recipe = Recipe(dataset="x.csv", task="forecasting", target="load", known=("holiday",), horizon=24)
        >>> later(["load", "holiday"], recipe)
        {'holiday +24': 'holiday'}
    """
    known = [name for name in columns if name in recipe.known or name.partition("=")[0] in recipe.known]
    return {f"{name} +{recipe.horizon}": name for name in known}


def measured(columns, recipe):
    """The columns without those that `later` names."""
    repeated = later(columns, recipe)
    return [name for name in columns if name not in repeated]


def joined(frame, columns, recipe):
    """The table with the columns that `later` names of these, of its own group each; the frame's attributes kept."""
    repeated = later(columns, recipe)
    if not repeated:
        return frame
    of_groups = frame.groupby(frame[GROUP]) if GROUP in frame else frame
    moved = {name: of_groups[column].shift(-recipe.horizon) for name, column in repeated.items()}
    attributes, frame = frame.attrs, frame.assign(**moved)
    frame.attrs = attributes
    return frame


def beyond(frame, target):
    """(rows,) bool: whether no row from here on, of its group, holds the target."""
    empty = frame[target].isna()
    backwards = (empty.groupby(frame[GROUP]) if GROUP in frame else empty).transform(
        lambda values: values[::-1].cummin()[::-1]
    )
    return np.asarray(backwards, bool)
