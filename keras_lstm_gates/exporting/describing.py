"""What stands beside the files: manifest.json for programs, README.md for whoever receives the folder."""

import hashlib
import platform

from keras_lstm_gates._support.versions import versions
from keras_lstm_gates.exporting.comparing import samples_of
from keras_lstm_gates.gates import DESCRIPTIONS

FUSED = {"UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM"}
"""Operators that are a whole LSTM, of TFLite and of ONNX."""

SUMMARIES = {
    "predict": "the model's outputs for whole sequences",
    "gates": "these, and every gate of every step",
    "step": "one time step: outputs, gates, and the next states",
    "steer": "what `gates` gives where each gate is scale * value + shift",
    "steer_step": "what `step` gives where each gate is scale * value + shift",
}


def manifest(model_name, request, results, missing, trained_on=None):
    """The manifest of a folder.

    Args:
        model_name: str.
        request: `keras_lstm_gates.exporting.signatures.Request`.
        results: {format: (`keras_lstm_gates.exporting.exported_files.ExportedFile`, {signature: {output: difference}},
            {signature: milliseconds of a call})}.
        missing: {signature that there is not: why}.
        trained_on: as of `export`.

    Returns:
        Plain data. Shapes have null for an axis of any length; sizes are in bytes; `largest_error` is the largest
        absolute difference from the Keras model along the data that the files were compared on; `steps` are those of
        the longest input.
    """
    return {
        "model": model_name,
        "made_with": versions("keras_lstm_gates", "keras", "tensorflow"),
        "compared_on": {
            "samples": samples_of(request.data),
            "steps": max((values.shape[1] for values in request.data.values() if values.ndim > 1), default=1),
        },
        "machine": {"system": platform.system(), "processor": platform.machine(), "python": platform.python_version()},
        "signatures": {name: _signature(name, one) for name, one in request.signatures.items()},
        "missing": missing,
        "formats": {name: _format(*of_format) for name, of_format in results.items()},
        **({} if trained_on is None else {"trained_on": trained_on.to_dict()}),
    }


def _signature(name, signature):
    entry = {
        "meaning": SUMMARIES[name],
        **{
            side: {
                key: {"shape": list(tensor.shape), "dtype": tensor.dtype, "meaning": signature.meanings[side][key]}
                for key, tensor in tensors.items()
            }
            for side, tensors in (("inputs", signature.inputs), ("outputs", signature.model.output))
        },
    }
    return {**entry, "states": signature.states} if signature.states else entry


def meanings(signature, inputs, gates):
    """{"inputs" or "outputs" of a signature: {name: what it is}}.

    Args:
        signature: `keras_lstm_gates.exporting.signatures.Signature`.
        inputs: names of the model's own inputs.
        gates: names of the gates among the outputs.
    """

    def of_input(name):
        return _INPUTS.get(name, "the model's input") if name in inputs else _meaning(name, gates, signature)

    return {
        "inputs": {name: of_input(name) for name in signature.inputs},
        "outputs": {name: _meaning(name, gates, signature) for name in signature.model.output},
    }


def _meaning(name, gates, signature):
    if name in signature.numbers:
        path, gate, kind = name.rsplit("/", 2)
        nothing = {"scale": 1, "shift": 0}[kind]
        return f"{kind} of the {DESCRIPTIONS[gate]} of the layer {path}, {nothing} where nothing acts"
    if name in signature.states:
        return f"{DESCRIPTIONS[name[-1]]} of the step before, zeros at first"
    if name in gates:
        path, _, gate = name.rpartition("/")
        return DESCRIPTIONS[gate] + (f" of the layer {path}" if path else "")
    return "one time step" if name == "x" else "the model's output"


_INPUTS = {
    "sequence": "sequences (batch, time, features)",
    "tokens": "sequences of token numbers (batch, time)",
}


def _format(file, differences, latencies):
    path, parts = file.path, {file.path.name: file.path}
    if path.is_dir():
        inner = sorted(part for part in path.rglob("*") if part.is_file())
        parts = {f"{path.name}/{part.relative_to(path).as_posix()}": part for part in inner}
    entry = {
        "path": path.name,
        "precision": file.precision,
        "bytes": sum(part.stat().st_size for part in parts.values()),
        **file.sizes._asdict(),
        **file.facts,
        "sha256": {key: hashlib.sha256(part.read_bytes()).hexdigest() for key, part in parts.items()},
        "signatures": {
            signature: {
                "precision": file.precisions.get(signature, file.precision),
                "largest_error": errors,
                "latency_ms": latencies.get(signature),
            }
            for signature, errors in differences.items()
        },
    }
    for signature, counts in file.operators.items():
        lstm = "fused" if FUSED & set(counts) else "builtin"
        entry["signatures"][signature] |= {"lstm": lstm, "operators": counts}
    return entry


def readme(manifest, usages):
    """The folder's README.md as text, with what each format's function of `usages` says of its use."""
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
        for name, entry in of_format["signatures"].items():
            latency = "" if entry["latency_ms"] is None else f"{entry['latency_ms']:.3g}"
            lines.append(
                f"| `{of_format['path']}` | {of_format['bytes'] / 1024:,.0f} KiB | `{name}` | {entry['precision']} | "
                f"{max(entry['largest_error'].values()):.0e} | {latency} |"
            )
    lines += ["", "Times: one sequence, or one step, of the compared length, on the machine that wrote the folder.", ""]
    for name, signature in manifest["signatures"].items():
        lines += [f"## `{name}`: {signature['meaning']}", "", "| | name | shape | what it is |", "|---|---|---|---|"]
        for side in ("inputs", "outputs"):
            for key, entry in signature[side].items():
                label, meaning, number = f"`{key}`", entry["meaning"], key.endswith(("/scale", "/shift"))
                if number and name.startswith("steer") and side == "inputs":
                    path, _, others = key.rpartition("/i/scale")
                    if others:
                        continue
                    label = f"`{key}`, `{path}/i/shift` … `{path}/h/shift`"
                    meaning = f"a scale and a shift of each of i, f, g, o, c, h of the layer {path}"
                shape = ", ".join("any" if size is None else str(size) for size in entry["shape"])
                lines.append(f"| {side[:-1]} | {label} | ({shape}) {entry['dtype']} | {meaning} |")
        if name.startswith("steer"):
            lines += [
                "",
                "Give all of them: a scale is 1 and a shift 0 where nothing acts. An axis of any size may be 1, for "
                "all samples or all steps alike.",
            ]
        if "states" in signature:
            pairs = ", ".join(f"`{output}` is the next `{state}`" for state, output in signature["states"].items())
            lines += ["", f"Begin with zeros; then {pairs}. A masked step leaves states and outputs as they were."]
        lines.append("")
    lines += [f"There is no `{name}`: {why}.\n" for name, why in manifest["missing"].items()]
    lines += _columns(manifest)
    whole = (one["inputs"] for name, one in manifest["signatures"].items() if "states" not in one)
    inputs = [name for name in next(whole, ["sequence"]) if not name.endswith(("/scale", "/shift"))]
    return "\n".join([*lines, *(line for usage in usages for line in usage(manifest, inputs))])


def _columns(manifest):
    """What a forecaster reads of a table, for the README."""
    recipe = manifest.get("trained_on", {}).get("recipe", {})
    if recipe.get("task") != "forecasting":
        return []
    columns = ", ".join(f"`{name}`" for name in manifest["trained_on"]["names"]["features"])
    target = recipe["target"]
    targets = f"`{target}`" if isinstance(target, str) else " and ".join(f"`{name}`" for name in target)
    return [
        f"It reads {recipe['window']} rows of the columns {columns}, in this order and in their own units, and "
        f"forecasts {targets} for the next {recipe['horizon']}; `edge.Runner(file).forecast(table)` finds "
        "them by name.",
        "",
    ]
