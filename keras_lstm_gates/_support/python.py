"""Python in another process, without imports from its working folder."""

import contextlib
import os
import sys
from pathlib import Path

_PACKAGES = str(Path(__file__).parents[2])
"""The folder that this package is in."""


def command(code, *arguments):
    """The command line of a new Python process that runs `code`.

    `python -c` puts the working folder first on the path, so a foreign `numpy.py` there would be run.

    Example:
        >>> command("print(1)")[1:]
        ['-c', 'import sys; sys.path[:] = filter(None, sys.path); print(1)']
    """
    return [sys.executable, "-c", f"import sys; sys.path[:] = filter(None, sys.path); {code}", *arguments]


def environment(**variables):
    """The environment of that process: this one's, with this process's import path and `variables`.

    The working folder is not on the path, unless this package is in it: then it comes last.
    """
    here = os.getcwd()
    paths = [path for path in sys.path if path and os.path.abspath(path) != here]
    path = os.pathsep.join(dict.fromkeys([*paths, _PACKAGES]))
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": path, **variables}


@contextlib.contextmanager
def environment_for_multiprocessing():
    """Give what `multiprocessing` starts meanwhile that environment: it passes on this process's and takes no other.

    Its first line is run by `python -c` too, and imports long before it is told this process's path.
    """
    before = dict(os.environ)
    os.environ.update(environment())
    try:
        yield
    finally:
        for name in ("PYTHONPATH", "PYTHONSAFEPATH"):
            os.environ.pop(name)
            if name in before:
                os.environ[name] = before[name]
