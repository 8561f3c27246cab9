"""The command: `python -m damage [--only .npy recipe] [--share 1.0] [--work runs/readers]`, in tests/."""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from damage import runs  # noqa: E402
from damage.subjects import SUBJECTS  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(SUBJECTS), choices=SUBJECTS)
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs of each reader")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input: others are other files")
    parser.add_argument("--work", type=Path, default=Path("runs/readers"), help="keeps what went wrong")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "readers.md")
    options = parser.parse_args()
    rows = {}
    for name in options.only:
        started = time.monotonic()
        numbers = range(options.first, options.first + int(SUBJECTS[name].inputs * options.share))
        results = runs.through(name, numbers, options.work)
        rows[name] = results, time.monotonic() - started
        print(runs.line(name, *rows[name]), flush=True)
        for one in [one for one in results if one["ended"] not in runs.GOOD][:20]:
            print("   ", one, flush=True)
    options.out.write_text(runs.page(rows))
    sys.exit(any(one["ended"] not in runs.GOOD for results, _ in rows.values() for one in results))


main()
