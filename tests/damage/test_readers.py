"""A small part of what `make fuzz` sends through the readers, the same in every run; and what it tells of bad ones."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, os, sys, time
from pathlib import Path
from damage import runs
from damage.subjects import SUBJECTS, Subject, write_recipes

def elsewhere(path):
    with open(sys.argv[1] + "/elsewhere", "w"):
        pass

def refused(lines):
    def read(path):
        raise ValueError(lines)
    return read

runs.SECONDS = 20.0
told = {}
for name, read in {
    "key": lambda path: {}["key"], "two lines": refused("one\\ntwo"), "abort": lambda path: os.abort(),
    "elsewhere": elsewhere, "system": lambda path: os.system("true"), "good": refused("one"),
}.items():
    SUBJECTS[name] = Subject(read, write_recipes, 3)
    told[name] = runs.through(name, range(2), sys.argv[1])
for name, numbers in {"run folder": [76], "ablation store": [106, 258]}.items():  # which once went wrong
    told[name] = runs.through(name, numbers, sys.argv[1])
for name in sys.argv[2:]:
    told[name] = runs.through(name, range(max(6, SUBJECTS[name].inputs // 80)), sys.argv[1])
print(json.dumps(told))
"""
# The others need an export, which takes long; `tests/exporting` has damaged ones of these.
READERS = (".keras", ".keras, its bytes", ".weights.h5", ".npy", ".npz", ".npz, its bytes", "table .csv")
READERS += ("sequences .csv", "Parquet", "Zarr", "recipe", "search folder", "preset")
READERS += ("rows of an ablation", ".pt of PyTorch", ".safetensors")


def test_a_damaged_file_is_read_or_refused_by_one_line_and_a_bad_reader_is_told(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), *READERS]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    for name in READERS:
        assert [one for one in told[name] if one["ended"] not in ("read", "refused")] == [], name
        assert "refused" in {one["ended"] for one in told[name]}, name
    endings = {
        "run folder": ["refused"],
        "ablation store": ["refused"] * 2,
        "key": ["raised"] * 2,
        "two lines": ["raised"] * 2,
        "abort": ["ended with -6"] * 2,
        "elsewhere": ["ran"] * 2,
        "system": ["ran"] * 2,
        "good": ["refused"] * 2,
    }
    assert {name: [one["ended"] for one in told[name]] for name in endings} == endings
