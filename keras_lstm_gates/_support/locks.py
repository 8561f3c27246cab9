"""One process at a time writes a folder."""

import contextlib

import filelock

LOCK = "lock"
PATIENCE = 5.0
"""Seconds that the next one waits for its turn: enough for a picture or a page, too few for a training."""


@contextlib.contextmanager
def alone(folder, path, patience=None):
    """Hold a folder for this process and thread while the body runs: a file `lock` in it is locked, and then removed.

    The lock ends with its process, however that ends; the file may then stay, and is no lock.

    Args:
        folder: `Path`. It is created if missing.
        path: str or `Path`, what is written, for the error.
        patience: float, seconds to wait for another process, -1 for as long as it takes; None for `PATIENCE`.

    Raises:
        BlockingIOError: "expected no other process to write runs/a; one has been writing it for 5 s".
        OSError: the system's: a read-only folder.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> with alone(folder, "runs/a"):
        ...     print([path.name for path in folder.iterdir()])
        ['lock']
        >>> list(folder.iterdir())
        []
    """
    patience = PATIENCE if patience is None else patience
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / LOCK, timeout=patience)
        try:
            lock.acquire(poll_interval=0.01)
        except filelock.Timeout:
            raise BlockingIOError(
                f"expected no other process to write {path}; one has been writing it for {patience:.0f} s"
            ) from None
        except FileNotFoundError:
            continue  # Another process has just finished, and taken the folder away.
        break
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
