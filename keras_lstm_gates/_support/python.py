"""Python in another process, which imports nothing from the folder that it works in."""

import os
import sys
from pathlib import Path

_PACKAGES = str(Path(__file__).parents[2])
"""The folder that this package is in."""


def command(code, *arguments):
    """The command line of a new Python process that runs `code`.

    `python -c` puts the working folder first on the path, where a `numpy.py` that somebody put there would be run.

    Example:
        >>> command("print(1)")[1:]
        ['-c', 'import sys; sys.path[:] = filter(None, sys.path); print(1)']
    """
    return [sys.executable, "-c", f"import sys; sys.path[:] = filter(None, sys.path); {code}", *arguments]


def environment(**variables):
    """The environment of that process: this one's, the path on which it finds what is imported here, and `variables`.

    The working folder is not on the path, unless this package is in it: then it comes last.
    """
    here = os.getcwd()
    paths = [path for path in sys.path if path and os.path.abspath(path) != here]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys([*paths, _PACKAGES])), **variables}
