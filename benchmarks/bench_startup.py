"""What opening a file and one `predict` cost a new process, beside `import tensorflow`.

    python benchmarks/bench_startup.py [--repeats 5]

Writes benchmarks/startup.md: ratios to `import tensorflow` in the same run; wall-clock time of a whole process and its
largest resident memory. The processes take turns.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PRESET = "shakespeare_plays"
_RUN = "import sys, numpy as np, edge; edge.Runner(sys.argv[1]).predict(np.arange(50) % 80)"
_SAVED_MODEL = (
    "import sys, numpy as np, tensorflow as tf; "
    "tf.saved_model.load(sys.argv[1]).signatures['predict'](tokens=tf.constant(np.arange(50)[None] % 80, 'int32'))"
)


def main():
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "startup.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HERE.parent / "keras_lstm_gates" / "edge.py", folder)
        saved = HERE.parent / "saved_models" / PRESET
        shutil.copy(saved / "model.tflite", folder)
        programs = {
            "`import tensorflow`": ["import tensorflow"],
            "`import tensorflow`, `saved_model.load`, one `predict`": [_SAVED_MODEL, str(saved / "saved_model")],
            "`import numpy`": ["import numpy"],
            "`import edge`": ["import edge"],
            "edge: open a file beside its manifest.json, one `predict`": [_RUN, str(saved / "model.tflite")],
            "edge: open a file without one, one `predict`": [_RUN, str(folder / "model.tflite")],
        }
        measured = {title: [] for title in programs}
        for _ in range(options.repeats):
            for title, (code, *arguments) in programs.items():
                measured[title].append(_process([sys.executable, "-c", code, *arguments], folder))
    options.out.write_text(report(measured))


def _process(command, folder):
    """(seconds, MiB at most) of a process; of the trial's process the time, and the memory of the larger of the two."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def report(measured):
    """The medians as Markdown."""
    medians = {title: np.median(values, axis=0) for title, values in measured.items()}
    control = next(iter(medians.values()))
    repeats = len(next(iter(measured.values())))
    lines = [
        "# Start-up and memory of `edge.py`",
        "",
        "Written by `python benchmarks/bench_startup.py`. A new Python process a line; medians of "
        f"{repeats} that took turns, on {platform.machine()} with {os.cpu_count()} cores and Python "
        f"{platform.python_version()}. The file is the preset `{PRESET}`, 50 tokens. Ratios are to the first line.",
        "",
        "| the process | time | ratio | largest memory | ratio |",
        "|---|---|---|---|---|",
    ]
    for title, (seconds, size) in medians.items():
        lines.append(
            f"| {title} | {seconds:.2f} s | {seconds / control[0]:.2f} | {size:.0f} MiB | {size / control[1]:.2f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
