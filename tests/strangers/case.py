"""One model of the corpus: how it is built, and what a stage has to know of it."""

from typing import Any, NamedTuple

import keras
import numpy as np

CASES = {}
"""{name: `Case`} of the corpus, in the order in which its modules define them."""


class Case(NamedTuple):
    """A stock Keras model and data that fit it.

    Attributes:
        name: str, of the function that builds it.
        kind: str, the module of the corpus.
        build: function of nothing to (model, data, targets).
        loss: what `compile` takes.
        tolerance: float, how far float32 (or less) arithmetic may be off.
        brief: bool, whether it runs through the light stages only: it is near to another case.
        stateful: bool, whether a call begins where the one before ended.
    """

    name: str
    kind: str
    build: Any
    loss: Any = "mse"
    tolerance: float = 1e-5
    brief: bool = False
    stateful: bool = False


def case(build=None, **options):
    """Decorator: put the function that builds a model into `CASES`."""

    def register(function):
        name = function.__name__
        CASES[name] = Case(name, function.__module__.rpartition(".")[2], function, **options)
        return function

    return register if build is None else register(build)


def rng(seed=3):
    return np.random.default_rng(seed)


def series(*shape):
    """Random numbers, (samples, time, features)."""
    return rng().normal(size=shape).astype("float32")


def tokens(samples=5, time=7, top=11):
    """Random token numbers above 0, (samples, time)."""
    return rng().integers(1, top, size=(samples, time)).astype("int32")


MASKS = {
    "right": [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]],
    "left": [[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1]],
    "gaps": [[1, 0, 1, 1, 0, 1], [0, 1, 0, 1, 1, 0], [1, 1, 0, 0, 1, 1], [0, 1, 1, 0, 0, 0]],
    "empty row": [[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]],
}


def masked_series(pattern, features=3):
    """Series (4, 6, features) whose masked steps are 0."""
    return series(4, 6, features) * np.array(MASKS[pattern], "float32")[..., None]


def masked_tokens(pattern):
    """Tokens (4, 6) whose masked steps are 0."""
    return tokens(4, 6) * np.array(MASKS[pattern], "int32")


def with_targets(model, data):
    """(model, data, targets), of random targets of the shape and structure of the model's outputs."""
    outputs = model(data, training=False)
    random = rng(5)
    return model, data, keras.tree.map_structure(lambda one: random.normal(size=one.shape).astype("float32"), outputs)


def with_classes(model, data, classes):
    """(model, data, targets), of random class numbers of the outputs' leading axes."""
    outputs = model(data, training=False)
    return model, data, rng(5).integers(0, classes, size=outputs.shape[:-1])
