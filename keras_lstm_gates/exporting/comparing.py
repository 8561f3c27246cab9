"""An exported file against the model: how far each output is off, and how long a call takes."""

import time
from typing import Any

import numpy as np

TOLERANCES = {"float32": 1e-4, "float16": 0.01, "dynamic_int8": 0.2, "int8": 0.2}
"""How far each output of a file may be from the model's.

In float32 the largest difference counts, of an output up to 1; of a larger one its share of the size. In smaller
numbers a gate may turn the other way at one step and be right again at the next, so there the root mean square of the
differences counts, as a share of that of the output, or of 0.1 where that is less. It finds a file that is broken: how
good one is says `keras_lstm_gates.drift`, and the task's own metric.
"""

TIMED_SECONDS = 0.03


def expected(wanted):
    """What the model gives along the data of `Asked`: {signature: {output: (values, where they count)}}."""
    gates = {name: np.asarray(values) for name, values in wanted.gates([wanted.data]).items()}
    found = {}
    for signature, (model, _, states, _) in wanted.signatures.items():
        found[signature] = {name: (gates[name], True) for name in model.output}
        if states:
            # At a masked step `step` says that nothing enters and nothing is forgotten; `gates` repeats the last one.
            for name, mask in wanted.masks.items():
                if name[-1] in "ifgo":
                    found[signature][name] = (gates[name], mask[..., None])
    return found


def run(call, name, signature, data, batch=None):
    """A signature along the data: {output: array (samples, ...)}, of `step` each output as `gates` has it.

    Args:
        call: function of the signature's name and {input: array} to {output: array}.
        name: str.
        signature: `keras_lstm_gates.exporting.signatures.Signature`.
        data: array, (samples, time, ...).
        batch: int, samples that a call takes, or None for any number.
    """
    batch = batch or len(data)
    parts = []
    for start in range(0, len(data), batch):
        # The last batch is filled up with its last sample.
        rows = np.minimum(np.arange(start, start + batch), len(data) - 1)
        if signature.states:
            parts.append(_along(call, name, signature, data[rows]))
        else:
            (sequence,) = signature.inputs
            parts.append(call(name, {sequence: data[rows]}))
    return {key: np.concatenate([part[key] for part in parts])[: len(data)] for key in parts[0]}


def differences(file_name, received, wanted, precision, tolerance):
    """{signature: {output: largest difference}} of what was received and what `expected` gives.

    Args:
        file_name: str, for the error.
        received: {signature: {output: array}}.
        wanted: {signature: {output: (values, where they count)}}.
        precision: str, of the file, which decides what is held against the tolerance.
        tolerance: float, as those of `TOLERANCES`.

    Raises:
        ArithmeticError: "model.tflite differs from the model: gates/c by 0.02, allowed 0.0001", or a name is lost.
    """
    found: dict[str, dict[str, Any]] = {}
    for signature, outputs in wanted.items():
        if set(received[signature]) != set(outputs):
            raise ArithmeticError(
                f"{file_name} lost a name: expected {signature} with {sorted(outputs)}; "
                f"received {sorted(received[signature])}"
            )
        found[signature] = {}
        for name, (values, counts) in outputs.items():
            difference = (received[signature][name] - values) * counts
            found[signature][name] = float(np.max(np.abs(difference)))
            if precision == "float32":
                off, allowed = found[signature][name], tolerance * max(1.0, float(np.max(np.abs(values))))
            else:
                off, allowed = _root_mean_square(difference), tolerance * max(0.1, _root_mean_square(values))
            if not off <= allowed:
                raise ArithmeticError(
                    f"{file_name} differs from the model: {signature}/{name} by {off:.2g}, allowed {allowed:.2g}"
                )
    return found


def _root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values, dtype="float64"))))


def latency_ms(call, name, signature, data, batch=None):
    """Milliseconds of one call here: of the first sequence or step of the data; the fastest of those in a moment."""
    some = data[np.resize(np.arange(len(data)), batch or 1)]
    inputs = _first_step(signature, some) if signature.states else dict.fromkeys(signature.inputs, some)
    fastest, end = np.inf, time.perf_counter() + TIMED_SECONDS
    while time.perf_counter() < end or fastest == np.inf:
        started = time.perf_counter()
        call(name, inputs)
        fastest = min(fastest, time.perf_counter() - started)
    return round(1000 * fastest, 4)


def _along(call, name, signature, data):
    inputs, steps = _first_step(signature, data), []
    for x in data.swapaxes(0, 1):
        steps.append(call(name, {**inputs, "x": x}))
        inputs = {state: steps[-1][output] for state, output in signature.states.items()}
    return {
        key: np.stack([step[key] for step in steps], axis=1) if key in signature.every_step else steps[-1][key]
        for key in steps[0]
    }


def _first_step(signature, data):
    """The first step of the data, and zeros for every state."""
    zeros = {state: np.zeros((len(data), signature.inputs[state].shape[-1]), "float32") for state in signature.states}
    return {"x": data[:, 0], **zeros}
