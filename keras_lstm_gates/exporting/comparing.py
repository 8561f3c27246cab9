"""An exported file against the model: how far each output is off, and how long a call takes."""

import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_lstm_gates.edge import filled_batches
from keras_lstm_gates.exporting import steered

TOLERANCES = {"float32": 1e-4, "float16": 0.01, "dynamic_int8": 0.2, "int8": 0.2}
"""How far each output of a file may be from the model's.

In float32 the largest difference counts, of an output up to 1; of a larger one its share of the size. In smaller
numbers, of the file or of the model itself, a gate may turn the other way at one step and be right again at the next,
so there the root mean square of the differences counts, as a share of that of the output, or of 0.1 where that is less.
It finds a file that is broken: how good one is says `keras_lstm_gates.drift`, and the task's own metric.

A number that is not finite agrees with the same one only.
"""

TIMED_SECONDS = 0.03
OTHER_SAMPLES = 3


class Reference(NamedTuple):
    """What the model gives along some sequences.

    Attributes:
        data: {input: array (samples, time, ...)}.
        outputs: {signature: {output: (values, where they count)}}.
        masks: {gate's name: bool (samples, time), True = a real step}.
        numbers: {input: array (1, time, units)}, the scales and shifts that `steer` is given.
    """

    data: Any
    outputs: dict
    masks: dict
    numbers: dict

    def inputs_of(self, signature):
        """{input: array} that a `keras_lstm_gates.exporting.signatures.Signature` is given."""
        return {**self.data, **(self.numbers if signature.numbers else {})}


def reference(request, data):
    """The `Reference` of a `keras_lstm_gates.exporting.signatures.Request` along sequences, {input: array}."""
    batch = next(iter(request.inputs.values())).shape[0]
    gates, masks = (_along_batches(model, data, batch) for model in (request.gates, request.masks))
    numbers = next((one.numbers for one in request.signatures.values() if one.numbers), {})
    given, then = steered.trial_numbers(numbers, gates), {}
    if given:
        most = max(values.shape[1] for values in given.values())
        then = _along_batches(request.steered(steered.pairs(numbers, given), most), data, batch)
    outputs = {}
    for name, signature in request.signatures.items():
        answers = then if signature.numbers else gates
        outputs[name] = {output: (answers[output], True) for output in signature.model.output}
        if signature.states:
            # What a masked step shows, which is not what `gates` shows: `keras_lstm_gates.exporting.stepping.step_of`.
            outputs[name] |= {one: (answers[one], mask[..., None]) for one, mask in masks.items() if one[-1] in "ifgo"}
    return Reference(data, outputs, masks, given)


class References:
    """What files of a request are compared with; each `Reference` is computed once."""

    def __init__(self, request):
        self._request = request
        self._every = []

    def of(self, sizes):
        """A list of `Reference` for a file of these `Sizes`: along the data, and where it may, at another length.

        A file that mistakes samples for steps would be right where both are as many: so they never are.
        """
        if not self._every:
            self._every = [reference(self._request, self._request.data), *_of_another_length(self._request)]
        return self._every if sizes.time is None else self._every[:1]


def _of_another_length(request):
    """[`Reference`] of a few sequences that are shorter than the data, or longer; empty where the model takes none."""
    free = {name for name, tensor in request.inputs.items() if tensor.shape[1:2] == (None,)}
    for change in (lambda steps: 2 * steps // 3, lambda steps: steps + 1):
        lengths = {name: change(request.data[name].shape[1]) for name in free}
        if not free or any(length in (0, request.data[name].shape[1]) for name, length in lengths.items()):
            continue
        rows = {name: _of_length(array, lengths.get(name)) for name, array in request.data.items()}
        samples = _other_than(OTHER_SAMPLES, {*_lengths(rows), *_lengths(request.data)})
        rows = {name: np.resize(array, (samples, *array.shape[1:])) for name, array in rows.items()}
        try:
            # The model may need more steps than these.
            return [reference(request, rows)]
        except (ValueError, tf.errors.OpError):
            continue
    return []


def _of_length(array, length):
    """Sequences cut off, or begun again at their end, to so many steps; None leaves them as they are."""
    return array if length is None else array[:, np.arange(length) % array.shape[1]]


def _lengths(data):
    return {array.shape[1] for array in data.values() if array.ndim > 1}


def _other_than(samples, lengths):
    """So many samples, or fewer, or where that leaves none more, but never as many as these lengths."""
    fewer = (count for count in range(samples, 0, -1) if count not in lengths)
    return next(fewer, None) or max(lengths) + 1


def _along_batches(model, data, batch):
    """{output: array (samples, ...)} of a model that takes lists, in batches of its own where it has them."""
    samples = samples_of(data)
    parts = [model([*rows.values()], training=False) for rows in filled_batches(data, batch or samples)]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts])[:samples] for name in parts[0]}


def samples_of(data):
    """How many samples {input: array} has."""
    return len(next(iter(data.values())))


def compare(file, signatures, references, tolerances, reduced):
    """{signature: {output: largest difference}} of an `ExportedFile`.

    Args:
        file: `keras_lstm_gates.exporting.exported_files.ExportedFile`.
        signatures: {name: `Signature`}, those of the file.
        references: list of `Reference`.
        tolerances: {precision: float}, as `TOLERANCES`.
        reduced: bool, whether the model computes in fewer bits than float32.

    Raises:
        ArithmeticError: that of `differences`.
    """
    precision = "float16" if reduced and file.precision == "float32" else file.precision
    largest: dict[str, dict[str, float]] = {name: {} for name in signatures}
    for number, one in enumerate(references):
        # One step knows no length.
        names = [name for name, signature in signatures.items() if number == 0 or not signature.states]
        answers = {name: file.run(name, signatures[name], one.inputs_of(signatures[name])) for name in names}
        expected = {name: _of_first_samples(one.outputs[name], answers[name]) for name in names}
        off = differences(file.path.name, answers, expected, precision, tolerances[precision])
        for name, outputs in off.items():
            for output, difference in outputs.items():
                largest[name][output] = max(difference, largest[name].get(output, 0.0))
    return largest


def _of_first_samples(outputs, answers):
    """{output: (values, where they count)} of as many samples as were answered."""
    samples = len(next(iter(answers.values())))
    return {
        output: (values[:samples], counts if counts is True else counts[:samples])
        for output, (values, counts) in outputs.items()
    }


def run(call, name, signature, data, batch=None):
    """A signature along the data: {output: array (samples, ...)}, of `step` each output as `gates` has it.

    Args:
        call: function of the signature's name and {input: array} to {output: array}.
        name: str.
        signature: `keras_lstm_gates.exporting.signatures.Signature`.
        data: {input: array (samples, time, ...)}; scales and shifts are (1, time, units).
        batch: int, samples that a call takes, or None for any number.
    """
    data, numbers = _apart(signature, data)
    samples = samples_of(data)
    batch = batch or _other_than(samples, _lengths(data))
    parts = []
    for rows in filled_batches(data, batch):
        if signature.states:
            parts.append(_along(call, name, signature, *rows.values(), numbers))
        else:
            parts.append(call(name, {**rows, **numbers}))
    return {key: np.concatenate([part[key] for part in parts])[:samples] for key in parts[0]}


def differences(file_name, received, expected, precision, tolerance):
    """{signature: {output: largest difference}} of what was received and what a `Reference` has.

    Args:
        file_name: str, for the error.
        received: {signature: {output: array}}.
        expected: {signature: {output: (values, where they count)}}.
        precision: str, of the file, which decides what is held against the tolerance.
        tolerance: float, as those of `TOLERANCES`.

    Raises:
        ArithmeticError: "model.tflite differs from the model: gates/c by 0.02, allowed 0.0001", a name is lost, or a
            shape is another.
    """
    largest: dict[str, dict[str, Any]] = {}
    for signature, outputs in expected.items():
        if set(received[signature]) != set(outputs):
            raise ArithmeticError(
                f"{file_name} lost a name: expected {signature} with {sorted(outputs)}; "
                f"received {sorted(received[signature])}"
            )
        largest[signature] = {}
        for name, (values, counts) in outputs.items():
            if received[signature][name].shape != values.shape:
                raise ArithmeticError(
                    f"{file_name} differs from the model: expected {signature}/{name} of shape {values.shape}; "
                    f"received {received[signature][name].shape}"
                )
            difference = np.where(counts, difference_of(received[signature][name], values), 0.0)
            sizes = np.where(np.isfinite(values), np.abs(values.astype("float64")), 0.0)
            largest[signature][name] = float(np.max(difference))
            if precision == "float32":
                off, allowed = largest[signature][name], tolerance * max(1.0, float(np.max(sizes)))
            else:
                off, allowed = _root_mean_square(difference), tolerance * max(0.1, _root_mean_square(sizes))
            if not off <= allowed:
                raise ArithmeticError(
                    f"{file_name} differs from the model: {signature}/{name} by {off:.2g}, allowed {allowed:.2g}"
                )
    return largest


def difference_of(received, values):
    """|received - values| in float64; infinite where one is not finite and the other not the same."""
    received, values = (np.asarray(one).astype("float64") for one in (received, values))
    same = (received == values) | (np.isnan(received) & np.isnan(values))
    with np.errstate(invalid="ignore"):
        off = np.abs(received - values)
    return np.where(same, 0.0, np.where(np.isfinite(off), off, np.inf))


def _root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values, dtype="float64"))))


def _apart(signature, data):
    """The data without scales and shifts, and those of them that a signature takes."""
    numbers = {key: data[key] for key in signature.numbers}
    return {key: values for key, values in data.items() if key not in numbers}, numbers


def latency_ms(call, name, signature, data, batch=None):
    """`fastest_ms` of a call for the first sequence or step of the data."""
    data, numbers = _apart(signature, data)
    places = np.resize(np.arange(samples_of(data)), batch or 1)
    inputs = {key: values[places] for key, values in data.items()}
    if signature.states:
        inputs, numbers = _first_step(signature, *inputs.values()), _at(numbers, 0)
    return fastest_ms(lambda: call(name, {**inputs, **numbers}))


def fastest_ms(function):
    """Milliseconds of one call here, the fastest of those in `TIMED_SECONDS`: all latencies are measured so."""
    fastest, end = np.inf, time.perf_counter() + TIMED_SECONDS
    while time.perf_counter() < end or fastest == np.inf:
        started = time.perf_counter()
        function()
        fastest = min(fastest, time.perf_counter() - started)
    return round(1000 * fastest, 4)


def _along(call, name, signature, data, numbers):
    inputs, steps = _first_step(signature, data), []
    for step, x in enumerate(data.swapaxes(0, 1)):
        steps.append(call(name, {**inputs, "x": x, **_at(numbers, step)}))
        inputs = {state: steps[-1][output] for state, output in signature.states.items()}
    return {
        key: np.stack([step[key] for step in steps], axis=1) if key in signature.every_step else steps[-1][key]
        for key in steps[0]
    }


def _at(numbers, step):
    return {key: values[:, step] for key, values in numbers.items()}


def _first_step(signature, data):
    """The first step of the data, and zeros for every state."""
    zeros = {state: np.zeros((len(data), signature.inputs[state].shape[-1]), "float32") for state in signature.states}
    return {"x": data[:, 0], **zeros}
