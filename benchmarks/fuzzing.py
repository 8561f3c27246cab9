"""Thousands of damaged .tflite files through `edge.Runner`: each has to run, or to be refused by one ValueError.

    python benchmarks/fuzzing.py [--files 4000] [--first 0] [--work runs/fuzzing]

Writes benchmarks/fuzzing.md, and keeps in the work folder each file that ended or hung the process. File number
n is the same in every run. The Runner is the one that users call, with a process of its own for each file; what it
takes is then called with sequences of several lengths, as a user would.
"""

import argparse
import collections
import json
import resource
import subprocess
import sys
from pathlib import Path

import mutations
import numpy as np

HERE = Path(__file__).parent
PART = 40
"""Files of one process."""
TRIAL_SECONDS = 15
BYTES = 6 * 2**30
"""Address space of the process that holds the Runner: one that wants more fails."""


def main():
    """Send the files through, part by part, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/fuzzing"))
    parser.add_argument("--out", type=Path, default=HERE / "fuzzing.md")
    options = parser.parse_args()
    originals = corpus(options.work / "corpus")
    found = []
    for first in range(options.first, options.first + options.files, PART):
        numbers = range(first, min(first + PART, options.first + options.files))
        found += through(originals, numbers, options.work)
        bad = sum(one["ended"] not in ("runs", "refused") for one in found)
        print(f"{len(found)} files: {bad} ended the process, hung, or raised something else", flush=True)
    options.out.write_text(report(found, originals))


def through(originals, numbers, work, trial=True):
    """[{"number", "file", "mutation", "ended", "said"}] of the mutated files of these numbers.

    "ended" is "runs", "refused" (one ValueError of one line), "raised" (anything else), or how the process ended:
    without a trial of the Runner's, a crash.
    """
    work = Path(work)
    (work / "files").mkdir(parents=True, exist_ok=True)
    names, found, waiting = sorted(originals), {}, []
    for number in numbers:
        rng = np.random.default_rng(number)
        name = names[int(rng.integers(len(names)))]
        mutation, content = mutations.mutated(originals[name], rng)
        path = work / "files" / f"{number}.tflite"
        path.write_bytes(content)
        found[number] = {"number": number, "file": name, "mutation": mutation}
        waiting.append(path)
    while waiting:
        told, ended = _together(waiting, trial)
        for path, answer in zip(waiting, told):
            found[int(path.stem)] |= answer
        if ended is not None:
            path = waiting[len(told)]
            found[int(path.stem)] |= {"ended": ended, "said": ""}
            path.rename(work / path.name)
        waiting = waiting[len(told) + (ended is not None) :]
    for path in (work / "files").iterdir():
        path.unlink()
    return [found[number] for number in numbers]


def _together(paths, trial):
    """(answers of the files in their order, None, or how the process ended at the file after these)."""
    command = [sys.executable, "-c", _CHILD.format(str(HERE), trial), *map(str, paths)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=len(paths) * (TRIAL_SECONDS + 15))
        ended = None if done.returncode == 0 else f"ended with {done.returncode}"
        out = done.stdout
    except subprocess.TimeoutExpired as error:
        out, ended = error.stdout or b"", "hung"
    lines = [line for line in out.decode(errors="replace").splitlines() if line.startswith('{"ended"')]
    return [json.loads(line) for line in lines], ended


_CHILD = "import sys; sys.path.insert(0, {0!r}); import fuzzing; fuzzing.child(sys.argv[1:], {1})"


def child(paths, trial):
    """Open and call each file, and print a line for each."""
    from keras_lstm_gates import edge

    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    edge.TRIAL_SECONDS = TRIAL_SECONDS
    for path in paths:
        try:
            runner = edge.Runner(path, trial=trial)
        except ValueError as error:
            lines = str(error).splitlines()
            answer = {"ended": "refused" if len(lines) == 1 and lines[0] else "raised", "said": str(error)[:300]}
        except Exception as error:
            answer = {"ended": "raised", "said": f"{type(error).__name__}: {error}"[:300]}
        else:
            answer = _used(runner)
        print(json.dumps(answer), flush=True)


def _used(runner):
    rng, said = np.random.default_rng(0), ""
    for name in runner.signatures:
        for time in (3, 20, 100, 1, 41):
            try:
                _call(runner, name, time, rng)
            except ValueError as error:
                said = str(error)
                if "\n" in said:
                    return {"ended": "raised", "said": said[:300]}
            except Exception as error:
                return {"ended": "raised", "said": f"{type(error).__name__}: {error}"[:300]}
    return {"ended": "runs", "said": said[:300]}


def _call(runner, name, time, rng):
    details = runner.input_details(name)
    detail = details["x"] if name == "step" else next(iter(details.values()))
    shape = [time if size == -1 else int(size) for size in detail["shape_signature"]]
    steps = [time] if name == "step" else []
    if np.dtype(detail["dtype"]).kind == "i":
        x = rng.integers(0, 30, steps + shape)
    else:
        x = 10 ** rng.uniform(-2, 3) * rng.normal(size=steps + shape)
    if name == "step":
        stream = runner.stream()
        for one in x:
            stream.push(one)
    elif len(details) == 1:
        runner.run(name, x)


def corpus(folder):
    """{name: bytes}: files as `export` writes them, of every kind; made once."""
    folder = Path(folder)
    if not folder.is_dir():
        _export(folder)
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.tflite"))}


def _export(folder):
    import tempfile

    import keras

    from keras_lstm_gates import export
    from keras_lstm_gates._support.files import filled_when_whole
    from keras_lstm_gates.exporting.tflite import quantizing
    from keras_lstm_gates.models import SequenceClassifier

    rng = np.random.default_rng(0)
    tokens = keras.Input((None,), dtype="int32")
    inner = keras.layers.Embedding(300, 4)(tokens)
    inner = keras.layers.LSTM(4, return_sequences=True)(keras.layers.LSTM(5, return_sequences=True)(inner))
    floats = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.LSTM(4, return_sequences=True), keras.layers.Dense(2)]
    )
    made = {
        "masked": (SequenceClassifier(features=3, classes=2, units=4, seed=0), rng.normal(size=(4, 30, 3))),
        "tokens": (keras.Model(tokens, keras.layers.Dense(3)(inner)), rng.integers(0, 30, (4, 30))),
        "floats": (floats, rng.normal(size=(4, 30, 3))),
    }
    with filled_when_whole(folder) as temporary, tempfile.TemporaryDirectory() as workplace:
        for name, (model, data) in made.items():
            data = data.astype("int32" if data.dtype.kind == "i" else "float32")
            formats = ("tflite", "tflite_fused") if name == "floats" else ("tflite",)
            for kind, path in export(model, Path(workplace) / name, data, formats=formats).files.items():
                content = path.read_bytes()
                (temporary / f"{name}_{kind}.tflite").write_bytes(content)
                for precision in ("float16", "int8") if kind == "tflite" else ():
                    small = quantizing.quantize(content, precision, data).content
                    (temporary / f"{name}_{precision}.tflite").write_bytes(small)


def report(found, originals):
    """The counts as Markdown."""
    ways = collections.Counter((one["mutation"], "runs" if one["ended"] == "runs" else "refused") for one in found)
    bad = [one for one in found if one["ended"] not in ("runs", "refused")]
    kept = collections.Counter(one["ended"] for one in bad)
    why = collections.Counter(_kind(one["said"]) for one in found if one["ended"] == "refused")
    numbers = [one["number"] for one in found]
    lines = [
        "# Damaged files",
        "",
        f"Written by `python benchmarks/fuzzing.py`: the files {min(numbers)} to {max(numbers)}, mutations of "
        f"{len(originals)} files ({', '.join(sorted(originals))}), each opened by `edge.Runner` and called.",
        "",
        f"**{sum(one['ended'] == 'refused' for one in found)} were refused by one ValueError of one line, "
        f"{sum(one['ended'] == 'runs' for one in found)} ran, {len(bad)} did anything else**"
        + (f": {dict(kept)}." if bad else "."),
        "",
        "| mutation | ran | refused |",
        "|---|---|---|",
        *(f"| {name} | {ways[name, 'runs']} | {ways[name, 'refused']} |" for name in sorted({one for one, _ in ways})),
        "",
        "| refused, for | files |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in why.most_common()),
        "",
    ]
    if bad:
        lines += ["| number | file | mutation | ended | said |", "|---|---|---|---|---|"]
        lines += [" | ".join(["", *(str(one[key]) for key in one), ""]).strip() for one in bad]
    return "\n".join(lines)


def _kind(said):
    for kind in (
        "is not a whole TFLite file: expected the identifier",
        "is not a whole TFLite file",
        "no answer within",
        "the interpreter was ended by SIG",
        "failed in its signature",
        "expected the signature 'step'",
        "has no named signatures",
        "expected tokens that the model knows",
    ):
        if kind in said:
            at = said.index(kind)
            return said[at : at + len(kind) + (4 if kind.endswith("SIG") else 0)]
    return "another reason"


if __name__ == "__main__":
    main()
