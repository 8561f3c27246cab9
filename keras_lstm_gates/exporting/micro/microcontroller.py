"""An exported `step` on microcontrollers: TensorFlow Lite for Microcontrollers (TFLM) runs it; its C++ sources.

NumPy, the LiteRT interpreter and `tflite-micro` only: importing this file loads neither Keras nor TensorFlow.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_lstm_gates._support import python
from keras_lstm_gates.edge import follower
from keras_lstm_gates.exporting.micro.sources import sources

ARENA_UNIT = 256
"""Bytes; the smallest arena is told as a multiple of this."""


class Trial(NamedTuple):
    """What `try_out` found.

    Attributes:
        arena: int, bytes of the smallest tensor arena with which TFLM ran, a multiple of `ARENA_UNIT`. Measured on
            this machine; a 32-bit device, with shorter pointers, needs less.
        outputs: {name: (time, ...)}, of the sequence.
    """

    arena: int
    outputs: dict[str, Any]


class MicroRunner:
    """A .tflite file of one signature `step`, run by TFLM with the states kept here.

    Args:
        content: bytes of the file. Its first graph is the step: TFLM knows no other.
        arena: int > 0, bytes for the tensors, or None for plenty.

    Raises:
        ValueError: "expected a file whose one signature is 'step'; received ['gates', 'predict']".
        RuntimeError: TFLM's own: an operator it does not know, or too small an arena. Its reason is on stderr.
    """

    def __init__(self, content, arena=None):
        from tflite_micro import runtime

        self.inputs, self.outputs = _places(content)
        self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena)
        self._input_details = [self._interpreter.get_input_details(place) for place in range(len(self.inputs))]
        self._output_details = [self._interpreter.get_output_details(place) for place in range(len(self.outputs))]
        self.reset()

    def reset(self):
        """Begin a new sequence: all states are zeros."""
        self._states = {
            name: np.zeros(self._input_details[place]["shape"], "float32")
            for name, place in self.inputs.items()
            if name != "x"
        }

    def push(self, x):
        """One step: x, (features,), or a token's number, to {output name: its values}, without a batch axis."""
        for name, values in {"x": x, **self._states}.items():
            details = self._input_details[self.inputs[name]]
            values = _quantized(np.asarray(values).reshape(details["shape"]), details)
            self._interpreter.set_input(values, self.inputs[name])
        self._interpreter.invoke()
        results = {
            name: _dequantized(self._interpreter.get_output(place), self._output_details[place])
            for name, place in self.outputs.items()
        }
        self._states = {name: results[follower(name)] for name in self._states}
        return {name: values[0] for name, values in results.items()}

    def run(self, sequence):
        """A sequence, (time, features) or (time,), from zero states: {output name: (time, ...)}."""
        self.reset()
        steps = [self.push(x) for x in sequence]
        return {name: np.stack([step[name] for step in steps]) for name in self.outputs}


def try_out(content, sequence):
    """Find the arena that a file needs and run a sequence, in a process of its own: TFLM may end it.

    Args:
        content: bytes of a .tflite file whose one signature is `step`.
        sequence: (time, features), or (time,) of tokens.

    Returns:
        `Trial(arena, outputs)`.

    Raises:
        ModuleNotFoundError: "tflite-micro is not installed: pip install 'keras_lstm_gates[micro]'".
        RuntimeError: "TFLM cannot run it: ...", with what it said.
    """
    import importlib.util

    if importlib.util.find_spec("tflite_micro") is None:
        raise ModuleNotFoundError("tflite-micro is not installed: pip install 'keras_lstm_gates[micro]'")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "step.tflite").write_bytes(content)
        np.save(folder / "x.npy", sequence)
        code = f"from {__name__} import _try_out; _try_out(sys.argv[1])"
        process = python.command(code, str(folder))
        done = subprocess.run(process, env=python.environment(), capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith(("  ", "Trace"))]
            raise RuntimeError(f"TFLM cannot run it: {' | '.join(lines[-4:]) or f'it ended with {done.returncode}'}")
        with np.load(folder / "out.npz") as out:
            outputs = {key.replace("\\", "/"): out[key] for key in out.files}
    return Trial(int(outputs.pop("arena size")), outputs)


def write(content, folder, sequence):
    """Write what a microcontroller's project needs: the file as a C array, the arena's size, and a sample that runs it.

    Args:
        content: bytes of a .tflite file whose one signature is `step`, float32, or int8 of `quantizing.quantize`, whose
            inputs and outputs are floats too. TFLM runs neither float16 nor dynamic int8.
        folder: `Path` of an existing folder; gets step.tflite, model_data.h, model_data.cc, example.h, example.cc and
            main.cc.
        sequence: (time, features) or (time,); at most 16 of its steps become the sample's input.

    Returns:
        `Trial(arena, outputs)`, of the whole sequence.
    """
    trial = try_out(content, sequence)
    inputs, outputs = _places(content)
    folder = Path(folder)
    (folder / "step.tflite").write_bytes(content)
    for name, text in sources(content, inputs, outputs, trial.arena, np.asarray(sequence)[:16], trial.outputs).items():
        (folder / name).write_text(text)
    return trial


def _try_out(folder):
    folder = Path(folder)
    content = (folder / "step.tflite").read_bytes()
    sequence = np.load(folder / "x.npy")
    outputs = MicroRunner(content).run(sequence)

    def runs(arena):
        # Where the arena is too small, TFLM refuses some files and crashes with others.
        process = os.fork()
        if process == 0:
            try:
                MicroRunner(content, arena).push(sequence[0])
            except RuntimeError:
                os._exit(1)
            os._exit(0)
        return os.waitpid(process, 0)[1] == 0

    low, high = 0, 4
    while not runs(high * ARENA_UNIT):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if runs(middle * ARENA_UNIT) else (middle, high)
    outputs = {name.replace("/", "\\"): values for name, values in outputs.items()}
    np.savez(folder / "out.npz", **outputs, **{"arena size": high * ARENA_UNIT})


def _places(content):
    """({input name: its place in the graph}, {output name: its place}): TFLM knows places only."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    signatures = list(interpreter.get_signature_list())
    if signatures != ["step"]:
        raise ValueError(f"expected a file whose one signature is 'step'; received {signatures}")
    step = interpreter.get_signature_runner("step")

    def places(named, ordered):
        order = [one["index"] for one in ordered]
        return {name: order.index(one["index"]) for name, one in sorted(named.items())}

    return (
        places(step.get_input_details(), interpreter.get_input_details()),
        places(step.get_output_details(), interpreter.get_output_details()),
    )


def _quantized(values, details):
    if not np.issubdtype(details["dtype"], np.int8):
        return values.astype(details["dtype"])
    scale, zero = _scale(details)
    return np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)


def _dequantized(values, details):
    if not np.issubdtype(details["dtype"], np.int8):
        return values.copy()
    scale, zero = _scale(details)
    return ((values.astype("float32") - zero) * scale).astype("float32")


def _scale(details):
    parameters = details["quantization_parameters"]
    return parameters["scales"][0], parameters["zero_points"][0]
