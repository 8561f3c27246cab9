"""Where a process's standard error goes, that of its libraries in C++ too."""

import contextlib
import os
import sys


@contextlib.contextmanager
def standard_error_to(path):
    """Append what this process, or one that it starts meanwhile, writes on its standard error to a file.

    Args:
        path: str or `Path`; `os.devnull` for nowhere.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> log = Path(tempfile.mkdtemp()) / "log"
        >>> with standard_error_to(log):
        ...     _ = os.write(2, b"told by C++")
        >>> log.read_text()
        'told by C++'
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(path, "a") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
