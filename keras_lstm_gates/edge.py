"""Run an exported .tflite file: NumPy and the LiteRT interpreter only, no TensorFlow and no Keras.

This file uses nothing else of its package: copy it to a device as it is, beside `pip install numpy ai-edge-litert`.
"""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

TRIAL_SECONDS = 60
"""How long the calls of a file may take that is tried out."""


class Runner:
    """The signatures of one exported file, called with NumPy arrays.

    Args:
        path: str or `Path`, a .tflite file that `keras_lstm_gates.exporting` wrote.
        threads: int > 0, of the interpreter.
        trial: bool. The interpreter trusts what it reads: a damaged file can end the process. So the file is first
            run in a process of its own, which takes about as long as to start Python with NumPy. False leaves that
            out, for a file whose origin you know.

    Attributes:
        signatures: {signature: {"inputs": {name: shape}, "outputs": {name: shape}}}, with -1 for an axis of any
            length.

    Raises:
        FileNotFoundError: "no such file: model.tflite".
        ValueError: "model.tflite is not a whole TFLite file: ...".
        ValueError: "model.tflite does not run: the interpreter was ended by SIGSEGV".
        ValueError: "model.tflite has no named signatures; expected ...".
    """

    def __init__(self, path, threads=1, trial=True):
        from ai_edge_litert.interpreter import Interpreter

        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"no such file: {self.path}")
        content = self.path.read_bytes()
        if content[4:8] != b"TFL3":
            raise ValueError(
                f"{self.path} is not a whole TFLite file: expected the identifier b'TFL3' at byte 4; "
                f"received {content[4:8]!r} in a file of {len(content)} bytes"
            )
        if trial:
            _try_out(self.path)
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
        except ValueError as error:
            raise ValueError(f"{self.path} is not a whole TFLite file: {error}") from None
        self._runners = {
            name: self._interpreter.get_signature_runner(name) for name in self._interpreter.get_signature_list()
        }
        if not self._runners:
            raise ValueError(
                f"{self.path} has no named signatures; expected a file that keras_lstm_gates.exporting wrote"
            )
        self.signatures = {
            name: {"inputs": _shapes(runner.get_input_details()), "outputs": _shapes(runner.get_output_details())}
            for name, runner in self._runners.items()
        }

    def predict(self, x):
        """The model's own outputs by name for one sequence, (time, features) or tokens (time,), or a batch of them."""
        return self.run("predict", x)

    def gates(self, x):
        """The model's own outputs and every gate by name, for what `predict` takes."""
        return self.run("gates", x)

    def run(self, signature, x):
        """Call a signature.

        Args:
            signature: str, one of `signatures`.
            x: float, (time, features), or (samples, time, features); of a model of tokens int, (time,), or (samples,
                time). The samples run one after the other. Finite.

        Returns:
            {output name: array}, with a sample axis in front where x has one.

        Raises:
            ValueError: an unknown signature, another rank or feature size, a value that is not finite, or a token
                that the model does not know.
        """
        if signature not in self._runners:
            raise ValueError(f"expected one of the signatures {sorted(self._runners)}; received {signature!r}")
        ((name, detail),) = self._runners[signature].get_input_details().items()
        x = _checked(np.asarray(x), name, detail)
        if x.ndim == len(detail["shape"]) - 1:
            return {key: value[0] for key, value in self._call(signature, name, x[None]).items()}
        outputs = [self._call(signature, name, sample[None]) for sample in x]
        return {key: np.concatenate([output[key] for output in outputs]) for key in outputs[0]}

    def _call(self, signature, name, x):
        try:
            outputs = self._runners[signature](**{name: x})
        except RuntimeError as error:
            if "gather index out of bounds" not in str(error):
                raise
            raise _unknown_tokens(x) from None
        return {key: np.array(value) for key, value in outputs.items()}


def _checked(x, name, detail):
    """x as the interpreter takes it, with or without a batch axis."""
    shape = tuple(int(size) for size in detail["shape_signature"])[1:]
    tokens = np.issubdtype(detail["dtype"], np.integer)
    if tokens and x.dtype.kind not in "iu":
        raise ValueError(f"expected token numbers, an array of ints; received dtype {x.dtype}")
    if x.dtype.kind not in "fiu":
        raise ValueError(f"expected numbers; received an array of dtype {x.dtype}")
    rank = len(shape)
    if x.ndim not in (rank, rank + 1) or not _fits(x.shape[-rank:], shape):
        axes = ", ".join(("time", "features")[:rank])
        raise ValueError(
            f"expected {name} of shape ({axes}{',' * (rank == 1)}) or (samples, {axes}) with {_axes(shape)}; "
            f"received shape {x.shape}"
        )
    if not np.isfinite(x).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"expected finite numbers; received {x[place]} at index {place}")
    # Gathering counts negative numbers from the end.
    if tokens and x.min() < 0:
        raise _unknown_tokens(x)
    return x.astype(detail["dtype"])


def _unknown_tokens(x):
    return ValueError(f"expected tokens that the model knows; received {x.min()} to {x.max()}")


def _shapes(details):
    return {name: tuple(int(size) for size in detail["shape_signature"]) for name, detail in details.items()}


def _fits(shape, expected):
    return all(size == wanted or (wanted == -1 and size > 0) for size, wanted in zip(shape, expected, strict=True))


def _axes(shape):
    return ", ".join(
        f"{'any' if size == -1 else size} {axis}" for size, axis in zip(shape, ("time steps", "features"), strict=False)
    )


def _try_out(path):
    """Raise a `ValueError` unless a process of its own can call every signature of the file."""
    code = f"import runpy; runpy.run_path({__file__!r})['_trial']({str(path)!r})"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, errors="replace", timeout=TRIAL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path} does not run: no answer within {TRIAL_SECONDS} s") from None
    if done.returncode < 0:
        raise ValueError(f"{path} does not run: the interpreter was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode > 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"it ended with {done.returncode}"]
        raise ValueError(f"{path} is not a whole TFLite file: {said[-1]}")


def _trial(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        details = runner.get_input_details()
        runner(
            **{
                key: np.zeros([2 if size == -1 else size for size in detail["shape_signature"]], detail["dtype"])
                for key, detail in details.items()
            }
        )
