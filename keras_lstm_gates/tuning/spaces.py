"""Search spaces as plain data: a recipe's key to a range, choices, or one fixed value."""

import json
import math

from keras_lstm_gates.recipes import Recipe, keys_of

SPACE = {
    "learning_rate": {"low": 3e-4, "high": 3e-2, "scale": "log"},
    "units": {"low": 16, "high": 256, "scale": "log"},
    "layers": [1, 2],
    "bidirectional": [False, True],
    "dropout": {"low": 0.0, "high": 0.5, "scale": "linear"},
    "recurrent_dropout": {"low": 0.0, "high": 0.3, "scale": "linear"},
    "forget_bias": [0.0, 1.0, 2.0],
    "chrono_t_max": [None, 20.0, 100.0],
    "gate_l1.f": [0.0, 1e-5, 1e-4],
    "schedule": ["constant", "cosine"],
    "batch_size": [16, 32, 64],
    "clip_norm": [None, 0.5, 1.0, 5.0],
    "weight_decay": {"low": 1e-6, "high": 1e-2, "scale": "log"},
}
"""The default space, the most important first: Greff et al. 2017 (learning rate, then size; they interact little).

Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber 2017, LSTM: a search space odyssey, find that the learning rate
matters most, then the hidden size, and the momentum hardly at all. Tallec & Ollivier 2018, Can recurrent neural
networks warp time?, start the biases for memories of up to t_max steps. Cited from memory; their rates were for SGD,
so the ranges here are our own, for AdamW, as are the keys that neither paper searches.
"""


def default_space(recipe):
    """`SPACE` without the keys that the recipe's task does not use."""
    keys = keys_of(recipe.task)
    return {key: values for key, values in SPACE.items() if key.partition(".")[0] in keys}


def parse(text):
    """(key, plain data) of "units=32", "units=16:256", "units=16:256:log" or "units=[32, 64]".

    Example:
        >>> parse("units=16:256:log"), parse("units=[32, 64]"), parse("schedule=cosine")
        (('units', {'low': 16, 'high': 256, 'scale': 'log'}), ('units', [32, 64]), ('schedule', 'cosine'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"expected --set key=value, key=low:high[:log] or key=[a, b]; received {text!r}")
    parts = value.split(":")
    if len(parts) in (2, 3) and not value.startswith(("[", '"', "{")):
        low, high = (_number(part, text) for part in parts[:2])
        return key, {"low": low, "high": high, "scale": parts[2] if len(parts) == 3 else "linear"}
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def checked(recipe, space):
    """The space, after trying both ends of every range and every choice on the recipe.

    Raises:
        ValueError: "expected a range low < high for units; received 256:16"; a value that the recipe refuses.
    """
    for key, values in space.items():
        if isinstance(values, dict):
            _check_range(key, values)
            tried = [values["low"], values["high"]]
        elif isinstance(values, list):
            if not values:
                raise ValueError(f"expected one or more choices for {key}; received []")
            tried = values
        else:
            tried = [values]
        for value in tried:
            with_values(recipe, {key: value})
    return space


def _check_range(key, values):
    if set(values) != {"low", "high", "scale"} or values["scale"] not in ("linear", "log"):
        raise ValueError(f"expected a range low:high or low:high:log for {key}; received {values}")
    low, high = values["low"], values["high"]
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"expected a range low < high for {key}; received {low}:{high}")
    if values["scale"] == "log" and low <= 0:
        raise ValueError(f"expected a range on a log scale to begin above 0 for {key}; received {low}:{high}")


def with_values(recipe, values):
    """The recipe with hyperparameters; "gate_l1.f" is one gate's factor.

    Example:
        >>> with_values(Recipe(dataset="japanese_vowels"), {"gate_l1.f": 1e-4, "units": 8}).gate_l1
        {'f': 0.0001}
    """
    plain = {key: value for key, value in values.items() if "." not in key}
    factors = dict(recipe.gate_l1)
    for key, value in values.items():
        name, dot, gate = key.partition(".")
        if dot:
            if name != "gate_l1":
                raise ValueError(f"expected gate_l1.<gate> as the only key with a dot; received {key!r}")
            factors[gate] = value
    # A factor of 0 means no regularizer.
    return Recipe.from_dict(recipe.to_dict() | plain | {"gate_l1": {gate: f for gate, f in factors.items() if f != 0}})


def _number(text, setting):
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"expected numbers low:high in --set; received {setting!r}") from None
