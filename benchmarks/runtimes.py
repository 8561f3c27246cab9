"""Every exported file on every runtime: what works, the largest error, the latency, and why a cell is empty.

    python benchmarks/runtimes.py [--work runs/runtimes] [--again] [--workers 1]

Writes benchmarks/runtimes.md. What a run has found stands in the work folder and is not run again: start it again after
an interruption. Each runtime runs in a process of its own, so a crash is a cell of the table. LiteRT.js
needs Chromium and what `examples/browser/build.py` fetches by npm.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from runtime_calls import CALLS, stepped, whole

HERE = Path(__file__).parent
_COLOURS = re.compile(r"\x1b\[\d*m")
SECONDS = 60
TIME = 24
SEQUENCES = 16
"""Sequences that int8 is calibrated on; the first is the one that is run."""
ANY = ("tf.lite.Interpreter", "ai_edge_litert Interpreter", "ai_edge_litert CompiledModel", "LiteRT.js in Chromium")
FILES = {
    "saved_model": ("saved_model", ("tf.saved_model.load",)),
    "tflite": ("model.tflite", (*ANY, "tflite-micro")),
    "tflite_fused": ("model_fused.tflite", (*ANY, "tflite-micro")),
    "float16": ("model_float16.tflite", ANY),
    "dynamic_int8": ("model_dynamic_int8.tflite", ANY),
    "int8": ("model_int8.tflite", ANY),
    "onnx": ("onnx", ("ONNX Runtime",)),
    "micro": ("micro/step.tflite", ("tflite-micro",)),
    "micro int8": ("micro_int8/step.tflite", ("tflite-micro",)),
}
"""{what is exported: (its path, the runtimes it is for)}."""
MADE = {
    "tflite": (("saved_model", "tflite"), ("float32", "float16", "dynamic_int8", "int8")),
    "tflite_fused": (("tflite_fused",), ("float32",)),
    "onnx": (("onnx",), ("float32",)),
    "micro": (("micro",), ("float32", "int8")),
}
"""{by one call of `export`: its formats and precisions}."""
MADE_BY = {
    "saved_model": "tflite",
    "float16": "tflite",
    "dynamic_int8": "tflite",
    "int8": "tflite",
    "micro int8": "micro",
}
RUNTIMES = ("tf.saved_model.load", *ANY, "tflite-micro", "ONNX Runtime")


def models():
    """{name: (make the model, its data (samples, time, ...))}: every preset of the zoo, and opened ones."""
    import keras

    from keras_lstm_gates import datasets, zoo
    from keras_lstm_gates.models import SequenceClassifier

    rng = np.random.default_rng(0)

    def values(features):
        return rng.normal(size=(SEQUENCES, TIME, features)).astype("float32")

    def forecaster():
        layers = keras.layers
        return keras.Sequential(
            [keras.Input((TIME, 2)), layers.LSTM(16, return_sequences=True), layers.LSTM(8), layers.Dense(3)]
        )

    def tokens():
        layers = keras.layers
        words = keras.Input((TIME,), dtype="int32")
        x = layers.Bidirectional(layers.LSTM(8))(layers.Embedding(20, 6, mask_zero=True)(words))
        return keras.Model(words, layers.Dense(2, "softmax", name="classes")(x))

    def labeller():
        layers = keras.layers
        return keras.Sequential([keras.Input((TIME, 4)), layers.LSTM(16, return_sequences=True), layers.Dense(5)])

    def tested(name):
        some = datasets.load(zoo.preset(name).recipe).test.unbatch().take(SEQUENCES)
        return np.stack([np.resize(inputs, (TIME, *inputs.shape[1:])) for inputs, *_ in some.as_numpy_iterator()])

    return {
        **{f"{name} (zoo)": (partial(zoo.load, name, gates=False), partial(tested, name)) for name in zoo.list()},
        "classifier (ours)": (lambda: SequenceClassifier(12, 9, units=64, seed=0), lambda: values(12)),
        "stacked forecaster (Keras)": (forecaster, lambda: values(2)),
        "bidirectional classifier of tokens (Keras)": (
            tokens,
            lambda: rng.integers(0, 20, (SEQUENCES, TIME)).astype("int32"),
        ),
        "labeller (Keras)": (labeller, lambda: values(4)),
    }


def main():
    """Export what is not there, run what has not run, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/runtimes"))
    parser.add_argument("--out", type=Path, default=HERE / "runtimes.md")
    parser.add_argument("--again", action="store_true", help="run everything again")
    parser.add_argument("--workers", type=int, default=1, help="models at a time; with more than 1 latencies are high")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(*options.child)
    with ThreadPoolExecutor(options.workers) as pool:
        found = pool.map(lambda name: (name, of_model(name, options.work, options.again)), models())
        options.out.write_text(table(dict(found)))
    return 0


def of_model(name, work, again):
    """{file: {"why"}, or {signature: {runtime: {"error", "milliseconds"} or {"why"}}}} of a model."""
    folder = work / "".join(letter if letter.isalnum() else "_" for letter in name)
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    # The float32 file first: the model's own answers are kept with it.
    for kind in sorted(FILES, key=lambda kind: kind != "tflite"):
        made = MADE_BY.get(kind, kind)
        exported = cells(
            folder / f"export_{made}.json", ("export", made, name, folder), ["signatures"], again and made == kind
        )
        if "why" in exported["signatures"]:
            found[kind] = exported["signatures"]
            continue
        found[kind] = {signature: {} for signature in exported["signatures"]["names"]}
    for runtime in RUNTIMES:
        held = [kind for kind in FILES if runtime in FILES[kind][1] and "why" not in found[kind]]
        keys = [f"{kind}:{signature}" for kind in held for signature in found[kind]]
        path = folder / f"run_{runtime}.json".replace(" ", "_")
        for key, answer in cells(path, ("run", runtime, folder), keys, again).items():
            kind, _, signature = key.partition(":")
            found[kind][signature][runtime] = answer
            print(name, kind, signature, runtime, answer, flush=True)
    for kind in ("micro", "micro int8"):
        for answers in found[kind].values() if "why" not in found[kind] else ():
            answers["tflite-micro"]["arena"] = _arena((folder / FILES[kind][0]).with_name("main.cc"))
    return {kind: found[kind] for kind in FILES}


def _arena(main):
    return int(re.search(r"kArenaSize = (\d+);", main.read_text())[1])


def cells(path, arguments, keys, again):
    """{key: what a child process found, or {"why"}}, kept in a file; a key that ends the process is not tried again."""
    if again:
        path.unlink(missing_ok=True)
    while True:
        known = json.loads(path.read_text()) if path.exists() else {}
        missing = [key for key in keys if key not in known]
        if not missing:
            return known
        ended, said = _child(path, (*arguments, ",".join(missing)), SECONDS + 15 * len(missing))
        known = json.loads(path.read_text()) if path.exists() else {}
        if missing[0] not in known:
            known[missing[0]] = {"why": f"{ended}: {said[-1]}" if said else ended}
        for key in missing:
            if "TFLM" in known.get(key, {}).get("why", "") and "|" not in known[key]["why"]:
                # TFLM tells its reason on stderr only.
                known[key]["why"] = " | ".join([known[key]["why"], *said[-2:]])
        path.write_text(json.dumps(known))


def _child(path, arguments, seconds):
    """(how the process ended, the lines that it said)."""
    command = [sys.executable, __file__, "--child", *map(str, (arguments[0], path, *arguments[1:]))]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds, env=environment
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {seconds} s", []
    return f"ended with {done.returncode}", [line.strip() for line in done.stderr.splitlines() if line.strip()]


def child(what, path, *arguments):
    """What is asked of this process, each answer written as soon as it is there."""
    *arguments, keys = arguments
    path = Path(path)
    for key in keys.split(","):
        try:
            result = export(*arguments) if what == "export" else run(*arguments, *key.split(":"))
        except Exception as error:
            result = {"why": f"{type(error).__name__}: {' '.join(_COLOURS.sub('', str(error)).split())}"}
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, key: result}))
    return 0


def export(kind, name, folder):
    """Make a kind of file, and those made together with it, in the folder: {"names": its signatures}."""
    import keras

    from keras_lstm_gates import exporting, expose

    folder = Path(folder)
    make, sequences = models()[name]
    keras.utils.set_random_seed(0)
    model = make()
    if kind == "tflite":
        data = sequences()
        opened = expose(model)
        outputs = {key: np.asarray(value) for key, value in opened(data[:1]).items()}
        single = sum(key.endswith("/f") for key in outputs) == 1
        outputs = {key.rpartition("/")[2] if single and key[-2:-1] == "/" else key: v for key, v in outputs.items()}
        np.savez(folder / "expected.npz", **{key.replace("/", "|"): value for key, value in outputs.items()})
        np.save(folder / "data.npy", data)
    data = np.load(folder / "data.npy")
    formats, precisions = MADE[kind]
    signatures = ("predict",) if kind == "tflite_fused" else None
    with tempfile.TemporaryDirectory(dir=folder) as made:
        written = exporting.export(
            model, Path(made) / "exported", data, formats, precisions, signatures=signatures, time=TIME
        )
        for path in written.files.values():
            shutil.rmtree(folder / path.name, ignore_errors=True)
            path.replace(folder / path.name)
    names = next(iter(written.differences.values()))
    return {"names": [one for one in ("predict", "gates", "step") if one in names]}


def run(runtime, folder, kind, signature):
    """Run a signature on a runtime: the largest difference from the model, and the median latency of a call."""
    folder = Path(folder)
    data = np.load(folder / "data.npy")[:1]
    call = CALLS[runtime](folder / FILES[kind][0], signature)
    try:
        received, milliseconds = stepped(call, data) if signature == "step" else whole(call, data)
    finally:
        getattr(call, "close", lambda: None)()
    with np.load(folder / "expected.npz") as kept:
        expected = {key.replace("|", "/"): kept[key] for key in kept.files}
    errors = []
    for name, values in received.items():
        wanted = expected[name]
        if signature == "step" and wanted.ndim < 3:
            # An output of the whole sequence: its last step.
            values = values[:, -1]
        errors.append(float(np.abs(np.asarray(values, "float64") - wanted).max()))
    if not np.isfinite(errors).all():
        raise ArithmeticError("it answers NaN")
    return {"error": max(errors), "milliseconds": milliseconds}


def table(models):
    """The page: what works, then a table a model with a column a runtime, and the reasons of its empty cells."""
    reasons, parts = {}, []

    def note(why):
        return f"[{reasons.setdefault(why[:400], len(reasons) + 1)}]"

    for model, files in models.items():
        parts += ["", f"## {model}", "", f"| file | signature | {' | '.join(RUNTIMES)} |", _rule(2)]
        for kind, signatures in files.items():
            if "why" in signatures:
                shown = [note(signatures["why"]) if one in FILES[kind][1] else "" for one in RUNTIMES]
                parts.append(f"| {kind} | | {' | '.join(shown)} |")
                continue
            for signature, answers in signatures.items():
                shown = [_cell(answers[one], note) if one in answers else "" for one in RUNTIMES]
                parts.append(f"| {kind} | `{signature}` | {' | '.join(shown)} |")
    notes = [f"{number}. {why}" for why, number in reasons.items()]
    return "\n".join(
        [
            "# Every exported file on every runtime",
            "",
            f"Written by `python benchmarks/runtimes.py`. One sequence of {TIME} steps, with which the TFLite files",
            "are made. A cell has the largest difference from the Keras model over all outputs of the signature, in",
            "`step` along the sequence, and the median milliseconds of up to 50 calls, one thread, on the machine of",
            "that run; in LiteRT.js with the way to the browser and back. Other work may have shared the machine: take",
            "the latencies as a hint. `float16`, `dynamic_int8` and `int8` are the file `tflite` in smaller numbers,",
            f"int8 in ranges of {SEQUENCES} sequences, where `predict` and `gates` with a loop in them are in",
            "dynamic_int8. `micro` is `step` alone, as `export` writes it for a microcontroller, with the smallest",
            "arena that ran. tf.saved_model.load runs with this package out of reach. An empty cell: the file is not",
            "for that runtime.",
            "",
            "Of the signatures of all models, those that run:",
            "",
            *_summary(models),
            *parts,
            *(["", "Why not, in the runtime's own words:", "", *notes] if notes else []),
            "",
        ]
    )


def _rule(columns):
    return "|---" * (columns + len(RUNTIMES)) + "|"


def _cell(answer, note):
    if "why" in answer:
        return note(answer["why"])
    arena = f", arena {answer['arena'] / 1024:.1f} KiB" if "arena" in answer else ""
    return f"{answer['error']:.0e}, {answer['milliseconds']:.2g} ms{arena}"


def _summary(models):
    lines = [f"| file | {' | '.join(RUNTIMES)} |", _rule(1)]
    for kind, (_, runtimes) in FILES.items():
        shown = []
        for runtime in RUNTIMES:
            signatures = [files[kind] for files in models.values() if "why" not in files.get(kind, {"why": ""})]
            answers = [one[runtime] for named in signatures for one in named.values() if runtime in one]
            works = sum("why" not in one for one in answers)
            shown.append(f"{works} of {len(answers)}" if runtime in runtimes else "")
        lines.append(f"| {kind} | {' | '.join(shown)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
