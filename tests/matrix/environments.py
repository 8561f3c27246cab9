"""Which versions are tried together, which are refused, and which tests say whether they serve."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Environment(NamedTuple):
    """Versions that are installed together: of everything else the newest that fit, or with `floors` the oldest."""

    name: str
    python: str
    tensorflow: str
    keras: str
    why: str
    floors: bool = False

    @property
    def requirements(self):
        """What pip is asked for beside this package. A nightly Keras takes the place of the released one."""
        released = [] if self.keras == "nightly" else [f"keras=={self.keras}.*"]
        return [f"tensorflow=={self.tensorflow}.*", *released]


class Refusal(NamedTuple):
    """Versions that pip must refuse to install with this package."""

    name: str
    python: str
    requirement: str
    why: str


# Every Python meets two TensorFlows and two Keras, every TensorFlow two Keras; TensorFlow 2.19 has no Python 3.13.
ENVIRONMENTS = (
    Environment("floors", "3.11", "2.19", "3.12", "the oldest release of all that setup.cfg allows", floors=True),
    Environment("newest", "3.11", "2.21", "3.15", "what `make test` runs with"),
    Environment("py312-tf219", "3.12", "2.19", "3.15", "the oldest TensorFlow under the newest Keras"),
    Environment("py312-tf220", "3.12", "2.20", "3.12", "the oldest Keras under a newer TensorFlow"),
    Environment("py313-tf220", "3.13", "2.20", "3.15", "the first TensorFlow that has Python 3.13"),
    Environment("py313-tf221", "3.13", "2.21", "3.12", "the newest Python and TensorFlow under the oldest Keras"),
    Environment("nightly", "3.13", "2.21", "nightly", "the next Keras"),
)

REFUSALS = (
    Refusal("Python 3.10", "3.10", "keras", "numcodecs that does not run pickles, and zarr 3, need Python 3.11"),
    Refusal("Keras 3.10", "3.11", "keras==3.10.*", "a .keras file can run code in spite of safe mode"),
    Refusal("Keras 3.13", "3.11", "keras==3.13.*", "it lacks mends of safe mode that 3.12.4 and 3.15 have"),
    Refusal("Keras 3.14", "3.11", "keras==3.14.*", "it lacks mends of safe mode that 3.12.4 and 3.15 have"),
)

GROUPS = {
    "layers": ("layers/test_cell.py", "layers/test_lstm.py", "layers/test_bidirectional.py", "layers/test_drop_in.py"),
    "corpus": ("opening/test_exposing.py", "strangers"),
    "exports": (
        "exporting/test_exporting.py",
        "exporting/test_exporting_steps.py",
        "exporting/test_exporting_onnx.py",
    ),
    "traces": ("tracing/test_tracing.py",),
}
"""Files and folders below tests/, by what they tell."""

EXTRAS = ("onnx", "parquet")

REPORTED = ("tensorflow", "keras", "keras-nightly", "numpy", "xarray", "zarr", "pandas", "ai-edge-litert")


def interpreter(version):
    """The path of a Python of a version, "3.12", or None: on the PATH, where it can start, else one of pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    for path in filter(None, candidates):
        # A shim of pyenv is there for every version and starts only the chosen ones.
        said = subprocess.run([path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True)
        if said.returncode == 0:
            return said.stdout.strip()
    return None


def tests(group):
    """The paths of a group's tests.

    Raises:
        FileNotFoundError: a file of the group has moved.
    """
    paths = [ROOT / "tests" / name for name in GROUPS[group]]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"expected the tests {path} of the group {group!r}; there are none")
    return paths
