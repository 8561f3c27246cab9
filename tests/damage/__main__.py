"""The command: `python -m damage [--only .npy recipe] [--share 1.0] [--work runs/readers]`, in tests/.

With --only the page keeps its other rows.
"""

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
    rows, wrong = runs.rows_of(options.out), False
    for name in options.only:
        started = time.monotonic()
        numbers = range(options.first, options.first + int(SUBJECTS[name].inputs * options.share))
        results = runs.through(name, numbers, options.work)
        rows[name] = runs.lines(name, results, time.monotonic() - started)
        print(*rows[name][:21], sep="\n", flush=True)
        wrong |= len(rows[name]) > 1
        options.out.write_text(runs.page(rows))
    sys.exit(wrong)


main()
