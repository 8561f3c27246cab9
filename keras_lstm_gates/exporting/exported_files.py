"""What a format's writer is given, and what it gives back for every file."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Sizes(NamedTuple):
    """The sizes of the axes batch and time in a file; None for an axis of any length."""

    batch: int | None
    time: int | None

    def shape(self, tensor):
        """The shape of a signature's input, a `keras.KerasTensor`, in the file."""
        _, *others = tensor.shape
        if others and others[0] is None:
            others[0] = self.time
        return (self.batch, *others)


class ExportedFile(NamedTuple):
    """A file, or a folder of files, of one format and precision.

    Attributes:
        name: str, of the format: "tflite", in another precision "tflite_int8".
        path: `Path`.
        sizes: `Sizes` of its batch and time.
        run: function of a signature's name, its `Signature` and sequences to {output: array}, as
            `keras_lstm_gates.exporting.comparing.run` gives it; of the first sequences, where one at a time is slow.
        call: function of a signature's name and {input: array} to {output: array}, to be timed; or None.
        precision: str, of `keras_lstm_gates.exporting.tflite.quantizing.PRECISIONS`.
        precisions: {signature: its precision}, where that is another.
        operators: {signature: {operator: how many}}, where the file tells them.
        facts: {name: value}, more for the manifest.
    """

    name: str
    path: Path
    sizes: Sizes
    run: Callable
    call: Callable | None = None
    precision: str = "float32"
    precisions: dict[str, str] = {}
    operators: dict[str, dict[str, int]] = {}
    facts: dict[str, Any] = {}


def named(inputs):
    """How Python spells the inputs of these names: {'sequence': sequence}."""
    return "{" + ", ".join(f"{name!r}: {re.sub(r'[^0-9A-Za-z_]', '_', name)}" for name in inputs) + "}"


def sizes(inputs, batch, time, free):
    """The sizes of a file: the model's own where it has them, else those that are wanted.

    Args:
        inputs: list of `keras.KerasTensor`, the model's, (batch, time, ...), with None for a free axis.
        batch, time: int, or None for the model's own; time is that of all inputs that leave it free.
        free: bool, whether the format leaves an axis free that is free in the model.

    Returns:
        `Sizes`.

    Raises:
        ValueError: "expected time=12, the model's own number of steps; received time=7".
    """
    own_batch, own_times = inputs[0].shape[0], [tensor.shape[1] for tensor in inputs if len(tensor.shape) > 1]
    own_time = own_times[0] if own_times and None not in own_times else None
    if own_time is not None and time not in (None, own_time):
        raise ValueError(f"expected time={own_time}, the model's own number of steps; received time={time}")
    if own_batch is None and free:
        return Sizes(None, own_time)
    return Sizes(batch or own_batch or 1, own_time or (None if free else time))
