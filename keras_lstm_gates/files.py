"""Files and folders that appear whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def replaced_when_whole(path):
    """Yield a temporary path beside `path`, in the same file system; on success it takes the name `path`.

    What is written there may be a file or a folder. When the body raises, nothing of it remains and whatever stood at
    `path` before stands there unchanged.

    Args:
        path: str or `Path`, the final name. Its folder is made where there is none.

    Raises:
        OSError: the system's, with `path` as its file name: a full disk, a read-only folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replaced_when_whole(folder / "numbers.txt") as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> (folder / "numbers.txt").read_text(), len(list(folder.iterdir()))
        ('1 2 3', 1)
    """
    path = Path(path)
    workplace = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        new = workplace / path.name
        yield new
        if path.is_dir():
            # A folder cannot be replaced in one step: the old one steps aside first.
            os.replace(path, workplace / "old")
        os.replace(new, path)
    except OSError as error:
        if error.errno is None:
            raise
        # Name what could not be written instead of its temporary place.
        raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        if workplace is not None:
            shutil.rmtree(workplace, ignore_errors=True)
