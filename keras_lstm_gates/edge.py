"""Run an exported .tflite file: NumPy and the LiteRT interpreter only, no TensorFlow and no Keras.

This file uses nothing else of its package: copy it to a device as it is, and `pip install numpy ai-edge-litert` there.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import typing
from pathlib import Path

import numpy as np

# The trial of a file: its seconds; numbers of time steps until two work; bytes besides 16 times the file's size.
TRIAL_SECONDS, TRIAL_STEPS, TRIAL_BYTES = 60, (2, 7, 1, 50, 400), 2**30
_STEPS, _NUMBERS = ("step", "steer_step"), ("/scale", "/shift")
_TOKENS = "expected tokens that the model knows; received {} to {}"


class Runner:
    """The signatures of one exported file, called with NumPy arrays.

    Args:
        path: str or `Path`, a .tflite file that `keras_lstm_gates.exporting` wrote.
        threads: int > 0, of the interpreter. Calls of a `Runner` and its streams from several threads take turns.
        trial: bool. A damaged file can crash the interpreter's process. So a file is first run on a few inputs in a
            process of its own, which takes about as long as starting Python with NumPy; where a manifest.json beside it
            holds its sha256, that is compared instead. False skips the trial. Neither stops a malicious file.

    Attributes:
        signatures: {signature: {"inputs": {name: shape}, "outputs": {name: shape}}}, -1 for an axis of any length.

    Raises:
        FileNotFoundError: "no such file: model.tflite".
        ValueError: "model.tflite differs from its manifest.json: expected sha256 e3b0…; received 5feb…"; "... is not a
            whole TFLite file: ..."; "... has no named signatures; ..."; "... does not run: ...".
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1, trial: bool = True) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"no such file: {self.path}")
        content = self.path.read_bytes()
        if content[4:8] != b"TFL3":
            received = f"received {content[4:8]!r} in a file of {len(content)} bytes"
            raise ValueError(f"{self.path} is not a whole TFLite file: expected b'TFL3' at byte 4; {received}")
        if not _as_its_manifest_says(self.path, content) and trial:
            _run_in_process(self.path)
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            names = self._interpreter.get_signature_list()
            self._runners = {name: self._interpreter.get_signature_runner(name) for name in names}
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{self.path} is not a whole TFLite file: {_one_line(error)}") from None
        self._lock = threading.Lock()
        if not self._runners:
            raise ValueError(f"{self.path} has no named signatures; expected a file of keras_lstm_gates.exporting")
        self.signatures = {}
        for name, runner in self._runners.items():
            details = {"inputs": runner.get_input_details(), "outputs": runner.get_output_details()}
            shapes = {side: {key: _shape(one) for key, one in of_side.items()} for side, of_side in details.items()}
            self.signatures[name] = shapes
            _check_signature(self.path, name, **shapes)

    def predict(self, x: "np.typing.ArrayLike | dict") -> dict[str, np.ndarray]:
        """The model's own outputs by name for one sequence, (time, features) or tokens (time,), or a batch of them."""
        return self.run("predict", x)

    def gates(self, x: "np.typing.ArrayLike | dict") -> dict[str, np.ndarray]:
        """The model's own outputs and every gate by name, for what `predict` takes."""
        return self.run("gates", x)

    def forecast(self, table: typing.Any) -> dict[str, np.ndarray]:
        """What follows a table's last rows: {target: (horizon,) ...}, of quantiles {"load q0.1": (horizon,) ...}.

        Args:
            table: {column: values}, or a pandas frame, its rows in the order of time. Columns are found by the names
                in the manifest.json beside a forecaster's file, in their own units, a calendar's by the times; others
                are not read. Columns known in the future go on for `horizon` rows, where the target is nan.
        """
        recipe, columns, later, times, targets, names = _forecaster(self.path)
        window, horizon, target = recipe["window"], recipe["horizon"], targets[0]
        values = {name: _column(table, name, columns, recipe, times) for name in columns if name not in later}
        known, parts = np.flatnonzero(np.isfinite(values[target])), []
        end = max(known, default=-1) + 1 if later else len(values[target])
        for name in columns:
            last = end + horizon * (name in later)
            part = values[later.get(name, name)][max(last - window, 0) : last]
            if len(part) < window:
                behind = f", and behind the last {target!r} {horizon} of {sorted(later.values())}" if later else ""
                raise ValueError(f"expected {window} rows before the forecast{behind}; received {len(values[target])}")
            parts.append(_finite(part, "float32", f" in the column {name!r}"))
        forecast = next(iter(self.predict(np.stack(parts, axis=1)).values()))
        if forecast.size != horizon * len(names):
            raise ValueError(f"expected {names} for {horizon} steps; received a forecast of shape {forecast.shape}")
        return dict(zip(names, forecast.reshape(len(targets), horizon, -1).swapaxes(1, 2).reshape(-1, horizon)))

    def steer(self, x: "np.typing.ArrayLike | dict", interventions: dict[str, tuple]) -> dict[str, np.ndarray]:
        """What `gates` gives where value = scale * value + shift on some gates and states; later steps feel it.

        Args:
            x: as `run` takes it.
            interventions: {"lstm/f": (scale, shift)}, of one LSTM also "f": numbers, (units,), or (time, units).
        """
        return self._run("steer", x, self.numbers("steer", interventions))

    def stream(self) -> "Stream":
        """A new sequence, given step by step: a `Stream`."""
        return Stream(self)

    def run(self, signature: str, x: "np.typing.ArrayLike | dict") -> dict[str, np.ndarray]:
        """Call a signature of whole sequences.

        Args:
            signature: str, one of `signatures`, not `step`.
            x: float, (time, features), or (samples, time, features); for a model of tokens int, (time,), or (samples,
                time); for several inputs {input name: array}. All finite. The samples run one after the other.

        Returns:
            {output name: array}, with a sample axis in front where x has one. A `ValueError` says what does not fit,
            the signature, rank or size, a number not finite in float32, a token.
        """
        if signature in _STEPS:
            raise ValueError(f"{signature!r} takes one step and the states; expected stream(), then push(x)")
        return self._run(signature, x, self.numbers(signature, {}))

    def _run(self, signature, x, numbers):
        details = {key: one for key, one in self.input_details(signature).items() if key not in numbers}
        if not isinstance(x, dict):
            x = dict.fromkeys(details, x) if len(details) == 1 else {}
        if x.keys() != details.keys():
            raise ValueError(f"expected {{input name: array}} of {sorted(details)}; received {sorted(x)}")
        x = {key: _checked(np.asarray(x[key]), key, ("time", "features"), one) for key, one in details.items()}
        alone = {values.ndim < len(details[key]["shape"]) for key, values in x.items()}
        samples = {key: values[None] if True in alone else values for key, values in x.items()}
        counts = {len(values) for values in samples.values()}
        if len(alone) > 1 or len(counts) > 1:
            raise ValueError(f"expected as many samples of every input; received {_shapes_of(x)}")
        batch = int(next(iter(details.values()))["shape"][0])
        parts = [self.call(signature, {**rows, **numbers}) for rows in filled_batches(samples, batch)]
        outputs = {key: np.concatenate([part[key] for part in parts])[: max(counts)] for key in parts[0]}
        return {key: value[0] for key, value in outputs.items()} if True in alone else outputs

    def numbers(self, signature: str, interventions: dict[str, tuple]) -> dict[str, np.ndarray]:
        """{input name: array} of every scale and shift that a signature takes, of `steer`'s interventions."""
        endings = _NUMBERS if signature.startswith("steer") else ()
        details = {key: one for key, one in self.input_details(signature).items() if key.endswith(endings)}
        numbers = {key: _of_steps(key, float(key.endswith("/scale")), one) for key, one in details.items()}
        gates = sorted({key.rpartition("/")[0] for key in details})
        for key, pair in interventions.items():
            # Six gates are those of one LSTM.
            gate = f"{gates[0].rpartition('/')[0]}/{key}" if len(gates) == 6 and "/" not in key else key
            if gate not in gates:
                raise ValueError(f"expected interventions on gates of {gates}; received {key!r}")
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError(f"expected (scale, shift) for {key!r}; received {pair!r}")
            for name, value in zip((gate + ending for ending in _NUMBERS), pair):
                numbers[name] = _of_steps(name, value, details[name])
        return numbers

    def input_details(self, signature: str) -> dict[str, dict]:
        """{input name: the interpreter's details} of a signature; for an unknown one a `ValueError`."""
        if signature not in self._runners:
            raise ValueError(f"expected one of the signatures {sorted(self._runners)}; received {signature!r}")
        return self._runners[signature].get_input_details()

    def call(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Copies of its outputs for {input name: array of exactly its shape and dtype}; a failure is a `ValueError`."""
        try:
            with self._lock:
                outputs = {key: np.array(value) for key, value in self._runners[signature](**inputs).items()}
                if signature not in _STEPS:
                    # Otherwise a fused LSTM would start the next sequence from the states in which this one ended.
                    self._interpreter.reset_all_variables()
                return outputs
        except (RuntimeError, ValueError) as error:
            steps = {key: value.shape[1] for key, value in inputs.items() if key.endswith(_NUMBERS) and value.ndim == 3}
            if "BROADCAST_TO" in str(error) and max(steps.values(), default=1) > 1:
                raise ValueError(f"expected as many steps as each LSTM reads, or 1; received {steps}") from None
            tokens = [value for value in inputs.values() if value.dtype.kind == "i"]
            if tokens and "gather index out of bounds" in str(error):
                raise ValueError(_TOKENS.format(tokens[0].min(), tokens[0].max())) from None
            received = f"{signature!r} with {_shapes_of(inputs)}"
            raise ValueError(f"{self.path} failed in its signature {received}: {_one_line(error)}") from None


class Stream:
    """One sequence, given step by step to an exported file's signature `step`; the states are kept here.

    Args:
        runner: `Runner` of a file with the signature `step` (else a `ValueError`), which any number of streams share.

    Attributes:
        states: {name: array (batch, units)}: state_h and state_c, of several LSTMs "<layer>/state_h" …. Another stream
            of the file that is given them goes on from there.
    """

    def __init__(self, runner: Runner) -> None:
        if "step" not in runner.signatures:
            raise ValueError(f"{runner.path} has no signature 'step': it has {sorted(runner.signatures)}")
        self._runner = runner
        self._details = runner.input_details("step")
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence: all states are zeros."""
        self._states = {key: np.zeros(one["shape"], one["dtype"]) for key, one in self._details.items() if key != "x"}

    @property
    def states(self) -> dict[str, np.ndarray]:
        return {name: value.copy() for name, value in self._states.items()}

    @states.setter
    def states(self, states: dict[str, np.ndarray]) -> None:
        expected = {name: tuple(int(size) for size in self._details[name]["shape"]) for name in self._states}
        if _shapes_of(states) != expected:
            raise ValueError(f"expected states of shapes {expected}; received {_shapes_of(states)}")
        states = {name: np.array(value) for name, value in states.items()}
        for name in [name for name, value in states.items() if value.dtype.kind not in "fiu"]:
            raise ValueError(f"expected states of numbers; received {name!r} of dtype {states[name].dtype}")
        self._states = {name: _finite(value, "float32", f" in {name!r}") for name, value in states.items()}

    def push(self, x: typing.Any, interventions: dict[str, tuple] | None = None) -> dict[str, np.ndarray]:
        """One step.

        Args:
            x: float (features,), or a token, an int; with a batch axis in front where the file has a larger batch.
            interventions: as those of `Runner.steer`, on this step alone, each a number or (units,); the file's
                signature `steer_step` takes them.

        Returns:
            {output name: array}: the model's outputs and the gates of this step, with a batch axis where x has one.
            A `ValueError` (another shape, a number that is not finite, an unknown token) leaves the states unchanged.
        """
        signature = "steer_step" if interventions else "step"
        numbers = self._runner.numbers(signature, interventions or {})
        detail = self._details["x"]
        x = _checked(np.asarray(x), "x", ("features",), detail)
        alone = x.ndim < len(detail["shape"])
        outputs = self._runner.call(signature, {"x": x[None] if alone else x, **self._states, **numbers})
        self._states = {state: outputs[follower(state)] for state in self._states}
        return {name: value[0] for name, value in outputs.items()} if alone else outputs


def filled_batches(inputs: dict[str, np.ndarray], batch: int) -> typing.Iterator[dict[str, np.ndarray]]:
    """Yield {input name: array} in batches of that size, the last one padded with its last sample."""
    last = len(next(iter(inputs.values()))) - 1
    for start in range(0, last + 1, batch):
        places = np.minimum(np.arange(start, start + batch), last)
        yield {name: values[places] for name, values in inputs.items()}


def follower(state: str) -> str:
    """The output that is a state's next value: "lstm/state_h" is followed by "lstm/h"."""
    path, slash, name = state.rpartition("/")
    return path + slash + name.removeprefix("state_")


def _shapes_of(arrays):
    return {name: np.shape(value) for name, value in arrays.items()}


def _checked(x, name, axes, detail):
    """x in the interpreter's dtype, with or without a batch axis, checked."""
    shape, axes = _shape(detail)[1:], axes[: len(detail["shape"]) - 1]
    rank, tokens = len(shape), detail["dtype"] in (np.int32, np.int64)
    kinds, meant = ("b", "bools") if detail["dtype"] is np.bool_ else ("fiu", "numbers")
    kinds, meant = ("iu", "token numbers, ints") if tokens else (kinds, meant)
    if x.dtype.kind not in kinds:
        raise ValueError(f"expected {meant}; received an array of dtype {x.dtype}")
    own = x.shape[x.ndim - rank :]
    if x.ndim not in (rank, rank + 1) or x.size == 0 or any(size not in (-1, one) for size, one in zip(shape, own)):
        sizes = " and ".join(f"{'any number of' if size == -1 else size} {axis}" for size, axis in zip(shape, axes))
        raise ValueError(
            f"expected {name} of shape ({', '.join(axes)}{',' * (rank == 1)}) or ({', '.join(('samples', *axes))}"
            f"{',' * (rank == 0)}){' with ' * (rank > 0)}{sizes}; received shape {x.shape}"
        )
    if not tokens:
        return _finite(x, detail["dtype"])
    # A gather operator reads negative numbers from the end.
    if x.min() < 0 or x.max() > np.iinfo(detail["dtype"]).max:
        raise ValueError(_TOKENS.format(x.min(), x.max()))
    return x.astype(detail["dtype"])


def _of_steps(name, value, detail):
    """A scale or a shift as its input takes it, (1, time, units) or (1, units); of any number of steps 1 or its own."""
    value, known = np.asarray(value), _shape(detail)[1:]
    shape = (1,) * (len(known) - value.ndim) + value.shape
    fits = len(shape) == len(known) and all(size == -1 or own in (1, size) for own, size in zip(shape, known))
    if value.dtype.kind not in "fiu" or not fits:
        sizes, received = ", ".join("any" if size == -1 else str(size) for size in known), (value.dtype, value.shape)
        raise ValueError(f"expected {name!r} as a number, or to broadcast to ({sizes}); received {received}")
    full = [own if size == -1 else size for own, size in zip(shape, known)]
    return np.broadcast_to(_finite(value, "float32", f" in {name!r}"), full)[None].copy()


def _finite(x, dtype, where=""):
    """x in that dtype, checked after the cast, which may overflow."""
    with np.errstate(over="ignore"):
        received, x = x, x.astype(dtype)
    if not np.isfinite(x).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"expected finite numbers{where}; received {received[place]} at index {place}")
    return x


def _shape(detail):
    return tuple(int(size) for size in detail["shape_signature"])


def _one_line(error):
    text = " ".join(str(error).split())
    return text if len(text) <= 400 else f"{text[:400]} …"  # the interpreter may repeat itself


def _check_signature(path, name, inputs, outputs):
    """Raise a `ValueError` unless a signature of these shapes can be called by `run` or `Stream`."""
    ranks, message = [len(shape) for shape in inputs.values()], f"{path} does not run: expected"
    if name not in _STEPS:
        if not ranks or min(ranks) < 1 or ranks == [1]:
            raise ValueError(f"{message} {name!r} of (batch, time, ...); received {inputs}")
        return
    states = {key: outputs.get(follower(key)) for key in inputs if key != "x" and not key.endswith(_NUMBERS)}
    if "x" not in inputs or min(ranks) < 1 or any(inputs[key] != after for key, after in states.items()):
        message += f" the signature {name!r} with x and states, each with an output of its shape that follows it"
        raise ValueError(f"{message}; received inputs {inputs} and outputs {outputs}")


def _as_its_manifest_says(path, content):
    """Whether manifest.json beside the file lists this sha256; a `ValueError` where it lists another."""
    try:
        formats = _manifest(path)["formats"].values()
        sums = [one["sha256"][path.name] for one in formats if path.name in one["sha256"]]
    except (LookupError, TypeError, AttributeError):
        return False  # no manifest, or another program's
    received = hashlib.sha256(content).hexdigest()
    if sums and received not in sums:
        raise ValueError(f"{path} differs from its manifest.json: expected sha256 {sums[0]}; received {received}")
    return bool(sums)


def _manifest(path):
    try:
        return dict(json.loads((path.parent / "manifest.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _forecaster(path):
    """Its recipe, columns, {column: the one it repeats, some steps before}, times, targets, names of forecasts."""
    try:
        recipe, names = (_manifest(path)["trained_on"][key] for key in ("recipe", "names"))
        columns, later, times = names["features"], names.get("later", {}), names.get("table", {}).get("time", [])
        targets = [recipe["target"]] if type(recipe["target"]) is str else recipe["target"]
        forecasts = [f"{target} q{one:g}" for target in targets for one in recipe["quantiles"]] or targets
        named = {*targets, *later.values()} <= {*columns}
        if named and all([range(recipe["window"]), range(recipe["horizon"]), targets]):
            return recipe, columns, later, times, targets, forecasts
        raise LookupError
    except (LookupError, TypeError, AttributeError, ValueError):
        raise ValueError(f"expected a manifest.json beside {path} that names the columns of a forecaster") from None


def _column(table, name, columns, recipe, times):
    """A column's numbers: the table's own, or those of the calendar."""
    if name in table:
        return np.asarray(table[name], "float64")
    function, _, span = name.partition(" of ")
    if span not in (recipe.get("calendar") or ()) or len(times) != 1 or times[0] not in table or recipe.get("timezone"):
        made = f", those of the calendar from one column of times in UTC, {times}" if recipe.get("calendar") else ""
        raise ValueError(f"expected the columns {columns}{made}; received {[*table]}, without {[name]}")
    at = np.asarray(table[times[0]], "datetime64[us]")
    days, years = at.astype("datetime64[D]"), at.astype("datetime64[Y]")
    day, year = (at - days) / np.timedelta64(1, "D"), (at - years) / ((years + 1).astype(at.dtype) - years)
    week = ((days.astype(int) + 3) % 7 + day) / 7  # 1970 began on a Thursday.
    return {"sin": np.sin, "cos": np.cos}[function](2 * np.pi * {"day": day, "week": week, "year": year}[span])


def _run_in_process(path):
    """Raise a `ValueError` unless another process can call every signature of the file."""
    # `python -c` puts the working folder first on the path: a foreign numpy.py may lie there.
    code = "import sys; sys.path[:] = filter(None, sys.path); import runpy; "
    code += f"runpy.run_path({os.path.abspath(__file__)!r})['_run_all'](sys.argv[1])"
    paths = os.pathsep.join(place for place in sys.path if place and os.path.abspath(place) != os.getcwd())
    own, command = {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}, [sys.executable, "-c", code, str(path)]
    options = {"capture_output": True, "text": True, "errors": "replace", "env": {**os.environ, **own}}
    try:
        process = subprocess.run(command, timeout=TRIAL_SECONDS, **options)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path} does not run: no answer within {TRIAL_SECONDS} s") from None
    code = process.returncode
    if code != 0:
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        lines = [line for line in process.stderr.splitlines() if line.strip() and code > 0]
        raise ValueError(lines[-1] if lines else f"{path} does not run: the interpreter {ended}")


def _run_all(path):
    """Call every signature as a user might; on an error, end the process with one line that says what went wrong."""
    try:
        _limit_memory(TRIAL_BYTES + 16 * os.path.getsize(path))
        runner = Runner(path, trial=False)
        for name in runner.signatures:
            _run_signature(runner, name)
    except Exception as error:
        message = _one_line(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {_one_line(error)}"
        sys.exit(message if message.startswith(path) else f"{path} does not run: {message}")


def _run_signature(runner, name):
    details, rng, failed = runner.input_details(name), np.random.default_rng(0), []
    for tried, time in enumerate(TRIAL_STEPS, 1):
        noise = {}
        for key, one in details.items():
            values = 3 * rng.normal(size=[time if size == -1 else size for size in _shape(one)])
            # Tokens: 0 and 1.
            noise[key] = (values > 0 if np.dtype(one["dtype"]).kind == "i" else values).astype(one["dtype"])
        try:
            for inputs in ({key: np.zeros_like(value) for key, value in noise.items()}, noise):
                if name == "step":
                    runner.stream().push(inputs["x"])
                runner.call(name, inputs)
                for key in [key for key, values in inputs.items() if values.dtype.kind == "i"]:
                    # An unknown token must be an error, not a crash.
                    with contextlib.suppress(ValueError):
                        runner.call(name, {**inputs, key: np.full_like(inputs[key], np.iinfo(inputs[key].dtype).max)})
        except ValueError as error:
            failed.append(error)  # A model may need more time steps.
        if tried - len(failed) == 2:
            return
    if len(failed) == len(TRIAL_STEPS):
        raise failed[0]


def _limit_memory(size):
    """Limit this process to that many more bytes of memory; on other systems than Linux there is no limit."""
    if sys.platform.startswith("linux"):
        import resource

        size += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size if most == resource.RLIM_INFINITY else min(size, most), most))
