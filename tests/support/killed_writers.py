"""Folders and files written by processes that are killed at every change; prints one line of JSON for each kill.

    python tests/support/killed_writers.py CASE FOLDER

It has no threads, so that its processes can be copies of it.
"""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import kills

from keras_lstm_gates._support import files

OLD = {"model/weights": "old", "manifest": "old", "mine/note": "mine"}
NEW = {"model/weights": "new", "model/more": "new", "manifest": "new"}


def contents(folder):
    """{path: text} of all files below a folder but the hidden unfinished ones; None where there is no folder."""
    if not folder.exists():
        return None
    paths = [path for path in folder.rglob("*") if path.is_file() and not _unfinished(path)]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def _unfinished(path):
    return any(part.endswith(files.UNFINISHED) for part in path.parts)


def write(folder, content):
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def fill(target):
    with files.filled_when_whole(target) as temporary:
        write(temporary, NEW)


def replace(target):
    with files.replaced_when_whole(target) as temporary:
        write(temporary, NEW)


def replace_file(target):
    with files.replaced_when_whole(target / "manifest") as temporary:
        temporary.write_text("new")


def stopped_filling(target):
    with contextlib.suppress(RuntimeError), files.filled_when_whole(target) as temporary:
        write(temporary, {"half": "new"})
        raise RuntimeError


def stopped_replacing(target):
    with contextlib.suppress(RuntimeError), files.replaced_when_whole(target):
        raise RuntimeError


CASES = {
    "a new folder": (fill, stopped_filling, {}, NEW, True),
    "an old folder": (fill, stopped_filling, OLD, {**OLD, **NEW}, True),
    "an old folder without the exchange": (fill, stopped_filling, OLD, {**OLD, **NEW}, False),
    "a folder that stays": (fill, stopped_filling, OLD, {**OLD, **NEW}, True),
    "a replaced folder": (replace, stopped_replacing, OLD, NEW, True),
    "a replaced folder without the exchange": (replace, stopped_replacing, OLD, NEW, False),
    "a file": (replace_file, files.clean, OLD, {**OLD, "manifest": "new"}, True),
}


def main(case, place):
    action, stopped, old, new, exchanges = CASES[case]
    target = place / "target"
    if not exchanges:
        files._renameat2 = None

    def prepare():
        os.chdir("/")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        write(target, old)
        if case == "a folder that stays":
            os.chdir(target)

    def state():
        """The contents' name, and what is left behind."""
        content = contents(target)
        name = "new" if content == new else "old" if content == (old or None) else "neither"
        return name, [str(path.relative_to(place)) for path in place.rglob("*") if _unfinished(path)]

    for number, what in kills.at_every_change(place, lambda: action(target), prepare):
        answer = {"number": number, "what": what, "at_once": state()[0]}
        shutil.copytree(place, place.with_name("copy"), symlinks=True)
        kills.alone(lambda: stopped(target))
        answer["after_a_failure"] = state()
        os.chdir("/")
        shutil.rmtree(place)
        os.rename(place.with_name("copy"), place)
        if case == "a folder that stays":
            os.chdir(target)
        kills.alone(lambda: action(target))
        print(json.dumps(answer | {"again": state()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
