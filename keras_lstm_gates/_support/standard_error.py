"""Redirection of a process's standard error, including that of its C++ libraries."""

import contextlib
import os
import sys


@contextlib.contextmanager
def standard_error_to(path):
    """Append the standard error of this process, and of those that it starts meanwhile, to a file.

    Args:
        path: str or `Path`; `os.devnull` for nowhere.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> log = Path(tempfile.mkdtemp()) / "log"
        >>> with standard_error_to(log):
        ...     _ = os.write(2, b"from C++")
        >>> log.read_text()
        'from C++'
    """
    sys.stderr.flush()
    original = os.dup(2)
    try:
        with open(path, "a") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(original, 2)
        os.close(original)
