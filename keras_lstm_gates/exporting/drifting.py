"""How far a file in smaller numbers leaves its model: gate by gate, and step by step along the sequence."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting import comparing
from keras_lstm_gates.exporting.signatures import request_for
from keras_lstm_gates.tracing.gate_statistics import ALWAYS, CLOSED, OPEN

if TYPE_CHECKING:
    import keras

    from keras_lstm_gates._support.annotations import Arrays, StrPath


SATURATING = "ifgo"


def drift(model: keras.Model, file: StrPath, data: Arrays, signature: str | None = None) -> xr.Dataset:
    """Run a TFLite file beside its model, and tell where and when they part.

    A unit's gate is always open, always closed (`keras_lstm_gates.statistics`), or neither: its saturation class. A
    warning names the units that are in another class in the file.

    Args:
        model: `keras.Model`, the one that was exported.
        file: str or `Path`, a .tflite file that `export` wrote.
        data: float (samples, time, features), or int (samples, time); of several inputs a list, or a dict by name.
        signature: "step", which runs on from the states that the file itself gave; "gates"; "predict", which shows no
            gates; or None for the first of these that the file has.

    Returns:
        `xarray.Dataset`:
            mean_difference, largest_difference (output, time)  absolute, over samples and units, of real steps; NaN
                where every sample is masked or an output has fewer steps, infinite where the file's answer is not
                finite and the model's is. An output that is given once a sequence stands at the last step
            growth (output)         mean_difference of the last quarter of the steps / of the first quarter; NaN for an
                output that is given once, or that is exact at first
            class_changes (output)  the number of units that are in another saturation class, of i, f, g, o
        with the attributes model, file and signature. `keras_lstm_gates.plots.drift` draws it.

    Raises:
        ValueError: a file of another model: "model.tflite is not of this model: expected the outputs [...] ...", a
            signature that the file has not, and what `export` and `keras_lstm_gates.edge.Runner` raise.

    Example:
        `drift(model, "exported/model_int8.tflite", data)["growth"].sel(output="c")`
    """
    runner, request = Runner(file), request_for(model, data)
    known = [name for name in ("step", "gates", "predict") if name in runner.signatures and name in request.signatures]
    if signature is None and known:
        signature = known[0]
    if signature not in known:
        raise ValueError(f"expected a signature of {known}; received {signature!r}")
    reference = comparing.reference(request, request.data)
    expected = {name: values for name, (values, _) in reference.outputs[signature].items()}
    received = _received(runner, signature, request, expected)
    lengths = _lengths(request, reference)
    steps = max(lengths)
    means, largest, changes = [], [], []
    for name, values in expected.items():
        difference = comparing.difference_of(received[name], values)
        real = reference.masks.get(name, np.ones(values.shape[:2], bool))
        over_time = name in reference.masks or (values.ndim > 2 and values.shape[1] in lengths)
        for how, of_outputs in ((np.mean, means), (np.max, largest)):
            of_outputs.append(_each_step(how, difference, real, steps, over_time))
        changes.append(0)
        if name in reference.masks and name[-1] in SATURATING:
            units = _units_that_changed(values[real], received[name][real])
            changes[-1] = len(units)
            if units:
                warnings.warn(f"{name} leaves its saturation class: {'; '.join(units)}", stacklevel=2)
    return xr.Dataset(
        {
            "mean_difference": (("output", "time"), np.array(means)),
            "largest_difference": (("output", "time"), np.array(largest)),
            "growth": ("output", _growth(np.array(means))),
            "class_changes": ("output", changes),
        },
        coords={"output": list(expected), "time": np.arange(steps)},
        attrs={"model": model.name, "file": runner.path.name, "signature": signature},
    )


def _lengths(request, reference):
    """How many time steps the sequences and the LSTMs have."""
    series = {
        one.shape[1] for one in request.data.values() if one.ndim > 2 or (one.ndim == 2 and one.dtype.kind == "i")
    }
    return series | {mask.shape[1] for mask in reference.masks.values()}


def _received(runner, signature, request, expected):
    """{output: array} that a file answers along the data, of the names and shapes of what is expected."""
    own, taken = request.signatures[signature], runner.signatures[signature]
    for side, names, of_file in (
        ("inputs", own.inputs, taken["inputs"]),
        ("outputs", own.model.output, taken["outputs"]),
    ):
        if set(names) != set(of_file):
            raise ValueError(
                f"{runner.path} is not of this model: expected the {side} {sorted(names)} of {signature!r}; "
                f"received {sorted(of_file)}"
            )
    batch = next(iter(taken["inputs"].values()))[0]
    received = comparing.run(runner.call, signature, own, request.data, batch)
    for name, values in expected.items():
        if received[name].shape != values.shape:
            raise ValueError(
                f"{runner.path} is not of this model: expected {name!r} of shape {values.shape}; "
                f"received {received[name].shape}"
            )
    return received


def _each_step(how, difference, real, steps, over_time):
    """(time,) of differences (samples, time, ...): of the real steps, NaN where there is none."""
    values = np.full(steps, np.nan)
    if not over_time:
        values[-1] = how(difference)
        return values
    for step in range(real.shape[1]):
        if real[:, step].any():
            values[step] = how(difference[real[:, step], step])
    return values


def _growth(means):
    """The mean of the last quarter of the real steps over that of the first."""
    growth = []
    for of_output in means:
        real = of_output[~np.isnan(of_output)]
        quarter = -(-len(real) // 4)
        first = real[:quarter].mean()
        growth.append(real[-quarter:].mean() / first if len(real) > 1 and 0 < first < np.inf else np.nan)
    return np.array(growth)


def _units_that_changed(before, after):
    """["unit 3 always open, then neither", ...] of a gate's values (steps, units) in the model and in the file."""
    differences = []
    for unit, classes in enumerate(zip(_classes(before), _classes(after), strict=True)):
        if classes[0] != classes[1]:
            differences.append(f"unit {unit} {classes[0]} in the model, {classes[1]} in the file")
    return differences


def _classes(values):
    size = np.abs(values)
    is_open, is_closed = (size > OPEN).mean(axis=0) > ALWAYS, (size < CLOSED).mean(axis=0) > ALWAYS
    return np.select([is_open, is_closed], ["always open", "always closed"], "neither").tolist()
