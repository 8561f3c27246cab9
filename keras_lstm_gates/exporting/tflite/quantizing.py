"""An exported .tflite file in smaller numbers: float16, dynamic int8 and int8.

NumPy, the LiteRT interpreter and `ai-edge-quantizer` only: importing this file loads neither Keras nor TensorFlow.
"""

import pickle
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_lstm_gates._support import child_process
from keras_lstm_gates.edge import filled_batches, follower
from keras_lstm_gates.exporting.tflite.graphs import named, read, rewired, signatures_with, smaller_tables
from keras_lstm_gates.exporting.tflite.loops import WRITTEN_OUT

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")

_FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"

_LOOPS = {"WHILE", "IF", "CALL_ONCE"}
"""Operators with numbers within that the calibrator does not see."""

_FLOAT_IN_INT8 = ("EQUAL", "NOT_EQUAL", "GATHER")
"""Compared after rounding, a small feature would be 0 and its step masked; tables are done by `smaller_tables`."""


class Quantized(NamedTuple):
    """What `quantize` made.

    Attributes:
        content: bytes of the new .tflite file, its inputs and outputs as in the float32 file.
        precisions: {signature: its precision in this file}, see `quantize`.
    """

    content: bytes
    precisions: dict[str, str]


def quantize(content, precision, data):
    """Make the numbers of a .tflite file smaller.

        float16         weights in 16 bits, each step computed in float32
        dynamic_int8    weights in 8 bits, one scale a row; what they are multiplied with is rounded as it comes
        int8            weights in 8 bits, activations in 16, in ranges that the data set beforehand

    Inputs and outputs stay float32 (tokens int32). In an int8 file a signature with a loop, such as `predict` and
    `gates` of any number of time steps, is in dynamic_int8: what happens within the loop cannot be calibrated. `step`
    has no loop, nor have `predict` and `gates` that `export` makes of up to 100 time steps for int8: they write out
    every step, and the file is larger for it. `Quantized.precisions` tells which is which. Activations of 8 bits would
    not do: a forget gate could be 255/256 at most, and a cell state that grows to 100 would move in steps of 1.

    Args:
        content: bytes of a float32 .tflite file with named signatures: whole sequences, or one step with states.
        precision: one of `PRECISIONS`.
        data: float (samples, time, features), or int (samples, time), of a file with several inputs {input: array}:
            sequences like those that the file will read. The more of their extremes they hold, the better the ranges
            of int8.

    Returns:
        `Quantized(content, precisions)`.

    Raises:
        ValueError: int8 of a file whose every signature has a loop.
        ModuleNotFoundError: "ai-edge-quantizer is not installed: pip install 'keras_lstm_gates[quantize]'".
        ValueError: another precision, data without a sequence, or a file with the fused LSTM operator, whose weights
            the quantizer leaves as they are.
        RuntimeError: "int8 failed while calibrating the signature 'step': ...": the quantizer failed, or it crashed;
            it runs in a process of its own.

    Source: Jacob et al. 2018, Quantization and training of neural networks for efficient integer-arithmetic-only
    inference.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"expected one of the precisions {list(PRECISIONS)}; received {precision!r}")
    data = data if isinstance(data, dict) else {"": np.asarray(data)}
    for array in data.values():
        if (len(data) == 1 and array.ndim < 2) or 0 in array.shape:
            raise ValueError(f"expected one or more sequences, (samples, time, ...); received shape {array.shape}")
    names = _signatures(content)
    if precision == "float32":
        return Quantized(content, dict.fromkeys(names, precision))
    if signatures_with({_FUSED}, content):
        raise ValueError(f"expected a file without the operator {_FUSED}; received one, which cannot be quantized")
    loops = _not_calibrated(content) if precision == "int8" else ()
    if loops and loops == {*names}:
        raise ValueError(
            f"expected a signature without a loop for int8; received {sorted(names)}, which have one, and what happens "
            f"within it cannot be calibrated. With time=..., up to {WRITTEN_OUT}, there is none; else take dynamic_int8"
        )
    return Quantized(
        _made_apart(named(content), precision, data),
        {name: "dynamic_int8" if name in loops else precision for name in names},
    )


def _not_calibrated(content):
    """The signatures with a loop, and those whose scales and shifts the data do not tell."""
    return signatures_with(_LOOPS, content) | {name for name in _signatures(content) if name.startswith("steer")}


def outputs(content, data):
    """{signature: {output: (samples, ...)}} of a .tflite file; of `step` every output is (samples, time, ...)."""
    data = data if isinstance(data, dict) else {"": data}
    return {name: _joined(name, _calls(name, runner, data), data) for name, runner in _runners(content).items()}


def _runners(content):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=bytes(content), num_threads=1)
    return {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}


def _signatures(content):
    names = list(_runners(content))
    if not names:
        raise ValueError("expected a .tflite file with named signatures; received one without")
    return names


def _calls(signature, runner, data):
    """Yield (inputs, outputs) of every call of a signature along the data by batches; of a step with its states."""
    details = runner.get_input_details()
    batch = int(next(iter(details.values()))["shape"][0])

    def call(inputs):
        return inputs, {name: np.array(value) for name, value in runner(**inputs).items()}

    for rows in filled_batches(data, batch):
        if signature != "step":
            # The data of a single input need not bear its name.
            of_each = rows if len(rows) > 1 else dict.fromkeys(details, *rows.values())
            yield call({name: of_each[name].astype(detail["dtype"]) for name, detail in details.items()})
            continue
        states = {name: np.zeros(one["shape"], one["dtype"]) for name, one in details.items() if name != "x"}
        (sequences,) = rows.values()
        for x in sequences.swapaxes(0, 1):
            inputs, results = call({"x": x.astype(details["x"]["dtype"]), **states})
            states = {name: results[follower(name)] for name in states}
            yield inputs, results


def _joined(signature, calls, data):
    results = [one for _, one in calls]
    sequences, *_ = data.values()
    if signature != "step":
        return {name: np.concatenate([one[name] for one in results])[: len(sequences)] for name in results[0]}
    time = sequences.shape[1]
    streams = [results[start : start + time] for start in range(0, len(results), time)]
    return {
        name: np.concatenate([np.stack([step[name] for step in steps], axis=1) for steps in streams])[: len(sequences)]
        for name in results[0]
    }


def _made_apart(content, precision, data):
    """The new file's bytes. The quantizer runs the model, and a model that it cannot run may end its process."""
    import importlib.util

    if importlib.util.find_spec("ai_edge_quantizer") is None:
        raise ModuleNotFoundError("ai-edge-quantizer is not installed: pip install 'keras_lstm_gates[quantize]'")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "float32.tflite").write_bytes(content)
        with open(folder / "data.pickle", "wb") as file:
            pickle.dump(data, file)
        try:
            child_process.call("keras_lstm_gates.exporting.tflite.quantizing:_work", folder=name, precision=precision)
        except child_process.CrashError as error:
            stage = folder / "stage"
            doing = stage.read_text() if stage.exists() else "starting"
            raise RuntimeError(f"{precision} failed while {doing}: {error}") from None
        return (folder / "quantized.tflite").read_bytes()


def _work(folder, precision):
    from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    folder = Path(folder)
    content = (folder / "float32.tflite").read_bytes()
    quantizer = Quantizer(bytearray(content))
    calibration = None
    if precision == "float16":
        _add_float16(quantizer)
    else:
        quantizer.add_dynamic_config(".*", "*", num_bits=8)
    static = [name for name in _signatures(content) if name not in _not_calibrated(content)]
    if precision == "int8" and static:
        data = pickle.loads((folder / "data.pickle").read_bytes())
        _add_int8(quantizer, content, static)
        # The default update, a moving average, cuts off the extremes.
        calibrator = Calibrator(
            content, num_threads=1, mode=CalibrationMode.CALIBRATION_PROFILER_BASED, qsv_update_func=min_max_update
        )
        for name in static:
            (folder / "stage").write_text(f"calibrating the signature {name!r}")
            inputs = [taken for taken, _ in _calls(name, _runners(content)[name], data)]
            calibrator.calibrate({name: inputs}, None)
        calibration = calibrator.get_model_qsvs()
    (folder / "stage").write_text(f"quantizing the signatures {_signatures(content)}")
    made = quantizer.quantize(calibration).quantized_model
    (folder / "quantized.tflite").write_bytes(
        smaller_tables(rewired(made), "FLOAT16" if precision == "float16" else "INT8")
    )


def _add_float16(quantizer):
    from ai_edge_quantizer import qtyping

    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    quantizer.update_quantization_recipe(".*", "*", config, algorithm_key="float_casting")


def _add_int8(quantizer, content, signatures):
    """A recipe for the operators of these signatures, which it knows by the tensors they write."""
    model = read(content)
    tensors = [
        re.escape(tensor.name.decode())
        for signature in model.signatureDefs
        if signature.signatureKey.decode() in signatures
        for tensor in model.subgraphs[signature.subgraphIndex].tensors
    ]
    scope = f"^(?:{'|'.join(tensors)})(?:;|$)"
    quantizer.add_static_config(scope, "*", activation_num_bits=16, weight_num_bits=8)
    for operator in ("INPUT", "OUTPUT", *_FLOAT_IN_INT8):
        quantizer.update_quantization_recipe(scope, operator, None, algorithm_key="no_quantize")
