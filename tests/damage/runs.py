"""Mutations through a reader, in processes with bounded memory and time that may not run, reach or write anything."""

import collections
import contextlib
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np

from damage import mutations
from damage.subjects import REFUSALS, SUBJECTS, contents

GOOD = ("read", "refused")
PART = 250
"""Inputs of one process."""
SECONDS = 60.0
"""The most for one input: the machine may be busy."""
BYTES = 6 * 2**30
"""The most of address space beside what a process begins with."""
RUNS_CODE = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
    "socket.connect",
    "subprocess.Popen",
)


def through(name, numbers, work, part=PART):
    """[{"number", "ended", "said"}] of the mutated inputs of these numbers.

    "ended" is "read", "refused" (a ValueError or FileNotFoundError of one line), "raised" (anything else), "ran" (code,
    or a file was written elsewhere), "hung", or how the process ended. What is not good is kept in `work`.
    """
    work = Path(work) / re.sub(r"\W+", "_", name).strip("_")
    if not (work / "corpus").is_dir():
        (work / "corpus").mkdir(parents=True)
        _in_a_copy(lambda say: SUBJECTS[name].write(work / "corpus"), lambda line: None)
    originals = contents(work / "corpus")
    results, waiting = [], list(numbers)
    while waiting:
        batch, told = waiting[:part], []
        ended = _in_a_copy(lambda say: _read_all(name, originals, batch, work, say), told.append)  # noqa: B023
        results += told
        waiting = waiting[len(told) :]
        if ended and len(told) < len(batch):
            results.append({"number": batch[len(told)], "ended": ended, "said": ""})
            waiting = waiting[1:]
    return results


def made(name, originals, number):
    """(file name, content) of an input."""
    rng = np.random.default_rng([number, len(name)])
    file, content = originals[int(rng.integers(len(originals)))]
    others = [other for _, other in originals]
    if SUBJECTS[name].archive:
        others = [mutations.unpacked(other) for other in others]
        changed = mutations.mutated(mutations.unpacked(content), rng, others)
        return file, mutations.packed({key: one for key, one in changed.items() if not one.startswith(b"a link: ")})
    return file, mutations.mutated(content, rng, others)


def _read_all(name, originals, numbers, work, say):
    """Read each input, and say how that ended."""
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + BYTES, taken + BYTES))
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.simplefilter("ignore")
    ran = []
    with tempfile.TemporaryDirectory() as place:
        tempfile.tempdir = place
        if name != "TFLite":  # Its reader starts a process for each file.
            sys.addaudithook(lambda event, arguments: ran.append(event) if _runs(event, arguments, place) else None)
        for number in numbers:
            file, content = made(name, originals, number)
            path = Path(place) / "input" / (SUBJECTS[name].name or file)
            _put(path, content)
            ran.clear()
            ended, said = _read(SUBJECTS[name].read, path)
            if ran:
                ended, said = "ran", f"{ran[0]}; {said}"
            if ended not in GOOD:
                shutil.copytree(path.parent, work / str(number), symlinks=True, dirs_exist_ok=True)
            say({"number": number, "ended": ended, "said": said})
            shutil.rmtree(path.parent)


def _runs(event, arguments, place):
    if event in RUNS_CODE:
        return True
    if event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = arguments[0]
        return not isinstance(path, int) and not os.path.abspath(os.fsdecode(path)).startswith((place, "/dev/"))
    return False


def _read(read, path):
    try:
        read(path)
    except REFUSALS as error:
        said = str(error)
        return ("refused" if len(said.splitlines()) == 1 else "raised"), f"{type(error).__name__}: {said}"[:300]
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return "raised", f"{type(error).__name__}: {error}"[:300] + f" ({Path(at.filename).name}:{at.lineno})"
    return "read", ""


def _put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        if content.startswith(mutations.LINK.encode()):
            place = content.decode(errors="replace").removeprefix(mutations.LINK).replace("\0", "0")[:99]
            path.symlink_to(place or "nowhere")
        else:
            path.write_bytes(content)
        return
    path.mkdir(exist_ok=True)
    for name, one in content.items():
        with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            _put(path / name, one)


def _in_a_copy(action, hear):
    """Run an action in a copy of this process, and hear what it says; returns how it ended, "" for by itself."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            action(lambda one: os.write(writer, (json.dumps(one) + "\n").encode()))
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    ended, rest = "", b""
    with open(reader, "rb", buffering=0) as pipe:
        while True:
            if not select.select([pipe], [], [], SECONDS)[0]:
                ended = "hung"
                os.kill(pid, signal.SIGKILL)
                break
            received = pipe.read(1 << 16)
            if not received:
                break
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                hear(json.loads(line))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return ended or (f"ended with {code}" if code else "")


def line(name, results, seconds):
    """A row of the table."""
    counts = collections.Counter(one["ended"] for one in results)
    bad = len(results) - sum(counts[key] for key in GOOD)
    return f"| {name} | {len(results)} | {counts['refused']} | {counts['read']} | {bad} | {seconds:.0f} |"


def rows_of(path):
    """{reader: [its row, what is wrong, ...]} of a page."""
    rows = {}
    for text in path.read_text().splitlines() if path.exists() else ():
        if text.startswith(("| ", "- ")):
            rows.setdefault(text[2:].split(" | ")[0].split(", input ")[0], []).append(text)
    return rows


def lines(name, results, seconds):
    """A row of the table, and a line for each input that ended badly."""
    bad = [one for one in results if one["ended"] not in GOOD]
    wrong = [f"- {name}, input {one['number']}: {one['ended']}, {one['said']}" for one in bad]
    return [line(name, results, seconds), *wrong]


def page(rows):
    """The table as Markdown."""
    known = [rows[name] for name in SUBJECTS if name in rows]
    total = sum(int(row.split(" | ")[1]) for row, *_ in known)
    bad = [text for _, *wrong in known for text in wrong]
    texts = [
        "# Damaged and foreign files",
        "",
        f"Written by `make fuzz`: {total:,} inputs, mutations of files of each kind (bits, bytes, blocks, numbers and",
        "parts of other files; of JSON single values; of archives and folders their members, and links), each read in",
        f"a process of bounded memory and time. **{len(bad)} ended in anything but a result or one line of a",
        "ValueError or FileNotFoundError**; none may run code, connect, or write elsewhere. benchmarks/fuzzing.md has",
        "4,000 more .tflite files, which are run as well.",
        "",
        "| reader | inputs | refused | read | anything else | seconds |",
        "|---|---|---|---|---|---|",
        *(row for row, *_ in known),
        "",
        *bad,
    ]  # fmt: skip
    return "\n".join([*texts, ""] if bad else texts)
