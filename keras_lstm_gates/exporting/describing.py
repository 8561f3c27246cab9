"""What stands beside the files: manifest.json for programs, README.md for whoever receives the folder."""

import hashlib
import platform

from keras_lstm_gates._support.versions import versions
from keras_lstm_gates.exporting.operators import FUSED, onnx_operators, operators
from keras_lstm_gates.gates import DESCRIPTIONS

SUMMARIES = {
    "predict": "the model's outputs for whole sequences",
    "gates": "these, and every gate of every step",
    "step": "one time step: outputs, gates, and the next states",
}


def manifest(model, wanted, formats):
    """The manifest of a folder.

    Args:
        model: `keras.Model`.
        wanted: `keras_lstm_gates.exporting.signatures.Asked`.
        formats: {format: {"path": `Path` of the file, "batch": int or None, "time": int or None, "differences":
            {signature: {output: float}}, "latency_ms": {signature: float}, "precision": str, "precisions": {signature:
            its own precision}, ...}}.

    Returns:
        Plain data. Shapes have null for an axis of any length; sizes are in bytes; `largest_error` is the largest
        absolute difference from the Keras model along the data that the files were compared on.
    """
    return {
        "model": model.name,
        "made_with": versions("keras_lstm_gates", "keras", "tensorflow"),
        "compared_on": {"samples": len(wanted.data), "steps": int(wanted.data.shape[1])},
        "machine": {"system": platform.system(), "processor": platform.machine(), "python": platform.python_version()},
        "signatures": {name: _signature(name, signature, wanted) for name, signature in wanted.signatures.items()},
        "missing": wanted.missing,
        "formats": {name: _format(**of_format) for name, of_format in formats.items()},
    }


def _signature(name, signature, wanted):
    told = {
        "meaning": SUMMARIES[name],
        "inputs": {
            key: {"shape": list(tensor.shape), "dtype": tensor.dtype, "meaning": _meaning(key, wanted.masks, signature)}
            for key, tensor in signature.inputs.items()
        },
        "outputs": {
            key: {"shape": list(tensor.shape), "dtype": tensor.dtype, "meaning": _meaning(key, wanted.masks, signature)}
            for key, tensor in signature.model.output.items()
        },
    }
    return {**told, "states": signature.states} if signature.states else told


def _meaning(name, gates, signature):
    if name in signature.states:
        return f"{DESCRIPTIONS[name[-1]]} of the step before, zeros at first"
    if name in gates:
        path, _, gate = name.rpartition("/")
        return DESCRIPTIONS[gate] + (f" of the layer {path}" if path else "")
    return {
        "x": "one time step",
        "sequence": "sequences (batch, time, features)",
        "tokens": "sequences of token numbers (batch, time)",
    }.get(name, "the model's output")


def _format(path, batch, time, differences, latency_ms, precision="float32", precisions=(), **more):
    parts = {path.name: path}
    if path.is_dir():
        found = sorted(part for part in path.rglob("*") if part.is_file())
        parts = {f"{path.name}/{part.relative_to(path).as_posix()}": part for part in found}
    told = {
        "path": path.name,
        "precision": precision,
        "bytes": sum(part.stat().st_size for part in parts.values()),
        "batch": batch,
        "time": time,
        **more,
        "sha256": {key: hashlib.sha256(part.read_bytes()).hexdigest() for key, part in parts.items()},
        "signatures": {
            signature: {
                "precision": dict(precisions).get(signature, precision),
                "largest_error": errors,
                "latency_ms": latency_ms.get(signature),
            }
            for signature, errors in differences.items()
        },
    }
    for part in parts.values():
        for signature, counts in _operators(part).items():
            lstm = "fused" if FUSED & set(counts) else "builtin"
            told["signatures"][signature] |= {"lstm": lstm, "operators": counts}
    return told


def _operators(path):
    if path.suffix == ".onnx":
        return {path.stem: onnx_operators(path.read_bytes())}
    return operators(path.read_bytes()) if path.suffix == ".tflite" else {}


def readme(manifest):
    """The folder's README.md as text."""
    lines = [
        f"# {manifest['model']}",
        "",
        "An LSTM model exported with its gates as named outputs, by keras_lstm_gates "
        f"{manifest['made_with']['keras_lstm_gates']}. Every file was run and compared with the Keras model on "
        f"{manifest['compared_on']['samples']} sequences of {manifest['compared_on']['steps']} steps. `manifest.json` "
        "has all of this for programs, with shapes, operators and sha256 sums.",
        "",
        "| file | size | signature | precision | largest error | milliseconds a call |",
        "|---|---|---|---|---|---|",
    ]
    for of_format in manifest["formats"].values():
        for name, told in of_format["signatures"].items():
            latency = "" if told["latency_ms"] is None else f"{told['latency_ms']:.3g}"
            lines.append(
                f"| `{of_format['path']}` | {of_format['bytes'] / 1024:,.0f} KiB | `{name}` | {told['precision']} | "
                f"{max(told['largest_error'].values()):.0e} | {latency} |"
            )
    lines += ["", "Times: one sequence, or one step, of the compared length, on the machine that wrote the folder.", ""]
    for name, signature in manifest["signatures"].items():
        lines += [f"## `{name}`: {signature['meaning']}", "", "| | name | shape | what it is |", "|---|---|---|---|"]
        for side in ("inputs", "outputs"):
            for key, told in signature[side].items():
                shape = ", ".join("any" if size is None else str(size) for size in told["shape"])
                lines.append(f"| {side[:-1]} | `{key}` | ({shape}) {told['dtype']} | {told['meaning']} |")
        if name == "step":
            pairs = ", ".join(f"`{output}` is the next `{state}`" for state, output in signature["states"].items())
            lines += ["", f"Begin with zeros; then {pairs}. A masked step leaves states and outputs as they were."]
        lines.append("")
    lines += [f"There is no `{name}`: {why}.\n" for name, why in manifest["missing"].items()]
    return "\n".join([*lines, *_how(manifest)])


def _how(manifest):
    (sequence,) = next((one["inputs"] for name, one in manifest["signatures"].items() if name != "step"), ["sequence"])
    lines = []
    if "tflite" in manifest["formats"]:
        lines += [
            "## On a device",
            "",
            "    pip install numpy ai-edge-litert        # and edge.py of keras_lstm_gates, one file, no other package",
            "",
            "    runner = edge.Runner('model.tflite')",
            f"    runner.predict({sequence})",
        ]
        lines += ["    runner.gates(" + sequence + ")"] if "gates" in manifest["signatures"] else []
        lines += ["    stream = runner.stream()", "    stream.push(x)"] if "step" in manifest["signatures"] else []
        lines.append("")
    if "saved_model" in manifest["formats"]:
        lines += [
            "## On a server",
            "",
            "    signatures = tf.saved_model.load('saved_model').signatures      # needs TensorFlow only",
            *(f"    signatures['{name}']({sequence}={sequence})" for name in manifest["signatures"] if name != "step"),
            "",
        ]
    if "onnx" in manifest["formats"]:
        files = manifest["formats"]["onnx"]["signatures"]
        lines += [
            "## With ONNX Runtime",
            "",
            *(
                f"    onnxruntime.InferenceSession('onnx/{name}.onnx').run(None, {{'{sequence}': {sequence}}})"
                for name in files
                if name != "step"
            ),
            "",
        ]
    arenas = {one["path"]: one["arena_bytes"] for one in manifest["formats"].values() if "arena_bytes" in one}
    if arenas:
        lines += ["## On a microcontroller", ""]
        lines += [f"`{path}/main.cc` is a sample; the arena needs {arena} bytes." for path, arena in arenas.items()]
        lines.append("")
    return lines
