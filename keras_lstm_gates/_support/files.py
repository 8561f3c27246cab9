"""Files and folders that appear whole or not at all."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path


def part_of_path(name, kind):
    """The name itself, where it can be that of a file or folder and leads nowhere else.

    Whatever names something in a file or in an answer, and becomes part of a path, comes through here.

    Args:
        name: str.
        kind: str, what errors call it.

    Raises:
        ValueError: it is no str, is empty, "." or "..", or holds a separator or a NUL.

    Example:
        >>> part_of_path("0007", "a trial")
        '0007'
        >>> part_of_path("../0007", "a trial")
        Traceback (most recent call last):
        ValueError: expected a trial with a name that stays in its folder, such as 'a_1', without a slash, a backslash
        or a NUL and not '.' or '..'; received '../0007'
    """
    # Without a name of its own: "", "." and, on Windows, "C:".
    alone = isinstance(name, str) and name != "" and Path(name).name == name and name != ".."
    if not alone or set(name) & set("/\\\0"):
        raise ValueError(
            f"expected {kind} with a name that stays in its folder, such as 'a_1', without a slash, a backslash or a "
            f"NUL and not '.' or '..'; received {name!r}"
        )
    return name


@contextlib.contextmanager
def replaced_when_whole(path):
    """Yield a temporary path beside `path`, in the same file system; on success it is renamed to `path`.

    It may become a file or a folder. When the body raises, it is removed and whatever was at `path` before is
    unchanged.

    Args:
        path: str or `Path`, the final name. Its folder is created if missing.

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
    with _workplace(path.parent, path) as workplace:
        new = workplace / path.name
        yield new
        if path.is_dir():
            # A folder cannot be replaced in one step: the old one is moved aside first.
            os.replace(path, workplace / "old")
        os.replace(new, path)


def write_json(path, content, *, indent=2, default=None):
    """Write plain data as a JSON file, whole or not at all.

    Args:
        path: str or `Path`.
        content: plain data.
        indent, default: of `json.dumps`.

    Raises:
        OSError: as `replaced_when_whole`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers.json"
        >>> write_json(path, {"numbers": [1, None]}, indent=None)
        >>> path.read_text().strip()
        '{"numbers": [1, null]}'
    """
    with replaced_when_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent, default=default) + "\n")


@contextlib.contextmanager
def filled_when_whole(folder):
    """Yield a temporary folder within `folder`; on success its entries are moved into `folder`.

    Entries of `folder` with other names stay. When the body raises, nothing new remains and what was there before is
    unchanged.

    Args:
        folder: str or `Path`. It is created if missing.

    Raises:
        OSError: the system's, with `folder` as its file name: a full disk, a read-only folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with filled_when_whole(folder) as temporary:
        ...     for name in ("one.txt", "two.txt"):
        ...         _ = (temporary / name).write_text(name)
        >>> sorted(path.name for path in folder.iterdir())
        ['one.txt', 'two.txt']
    """
    folder = Path(folder)
    made = not folder.exists()
    try:
        with _workplace(folder, folder) as workplace:
            new = workplace / "new"
            new.mkdir()
            yield new
            for path in sorted(new.iterdir()):
                with replaced_when_whole(folder / path.name) as temporary:
                    os.replace(path, temporary)
    finally:
        # `rmdir` removes an empty folder only.
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _workplace(parent, path):
    """A temporary hidden folder in `parent`; the system's errors name `path`."""
    workplace = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=parent))
        yield workplace
    except OSError as error:
        if error.errno is None:
            raise
        # Name the destination instead of the temporary path.
        raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        if workplace is not None:
            shutil.rmtree(workplace, ignore_errors=True)
