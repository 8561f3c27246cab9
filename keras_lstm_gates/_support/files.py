"""Files and folders that appear whole or not at all, also where the process is killed.

What is written grows in a hidden folder `.NAME.unfinished` beside its place, and takes that place in one step. A killed
process leaves this folder; the next one that writes the same name cleans it up.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lstm_gates._support import locks

if TYPE_CHECKING:
    from collections.abc import Callable

    from keras_lstm_gates._support.annotations import StrPath


UNFINISHED = ".unfinished"
_NEW, _OLD, _READY = "new", "old", "ready"


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
    """Yield a temporary path in the same file system as `path`; on success it takes the place of `path` in one step.

    It may become a file or a folder. When the body raises, or the process is killed, what was at `path` before is
    unchanged.

    Args:
        path: str or `Path`, the final name. Its folder is created if missing.

    Raises:
        OSError: the system's, with `path` as its file name: a full disk, a read-only folder, a file in place of a
            folder.
        BlockingIOError: another process writes it, as `keras_lstm_gates._support.locks.alone`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replaced_when_whole(folder / "numbers.txt") as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> (folder / "numbers.txt").read_text(), len(list(folder.iterdir()))
        ('1 2 3', 1)
    """
    path = Path(path)
    workplace = _beside(path)
    with _workplace(workplace, path):
        (workplace / _NEW).mkdir()
        new = workplace / _NEW / path.name
        yield new
        _put(new, path, workplace)


def read_json(path):
    """The plain data of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(
    path: StrPath, content: Any, *, indent: int | None = 2, default: Callable[[Any], Any] | None = None
) -> None:
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
    """Yield a temporary folder; on success its entries are those of `folder`, all in one step.

    Entries of `folder` with other names stay. When the body raises, or the process is killed, `folder` is unchanged.
    A folder that cannot change places with another one, as it is a file system's own, the working folder or in a folder
    that may not be written to, gets the entries one by one; where a kill interrupts that, the next call finishes it.

    Args:
        folder: str or `Path`. It is created if missing.

    Raises:
        OSError: the system's, with `folder` as its file name: a full disk, a read-only folder.
        BlockingIOError: another process fills it, as `keras_lstm_gates._support.locks.alone`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with filled_when_whole(folder) as temporary:
        ...     for name in ("one.txt", "two.txt"):
        ...         _ = (temporary / name).write_text(name)
        >>> sorted(path.name for path in folder.iterdir())
        ['one.txt', 'two.txt']
    """
    folder = Path(os.path.realpath(folder))
    stays = _stays(folder)
    workplace = folder / UNFINISHED if stays else _beside(folder)
    with _workplace(workplace, folder):
        new = workplace / _NEW
        new.mkdir()
        yield new
        if stays:
            os.rename(new, workplace / _READY)  # `_recover` moves what is ready.
        else:
            if folder.is_dir():
                _carry_over(folder, new)
            _put(new, folder, workplace)


def remove(path):
    """Remove a file, a link, or a folder with all in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def clean(folder, name="*", patience=None):
    """Bring all that killed processes were writing in a folder into its old or its new state; nothing is left behind.

    Args:
        folder: `Path`, in which no other process writes that.
        name: str, of what they were writing; all by default.
        patience: float, seconds to wait for another process, as `keras_lstm_gates._support.locks.alone`.

    Raises:
        BlockingIOError: another process is writing it.
    """
    for workplace in folder.glob(f".{name}{UNFINISHED}"):
        with _workplace(workplace, folder / workplace.name.removeprefix(".").removesuffix(UNFINISHED), patience):
            pass


def _beside(path):
    return path.parent / f".{path.name}{UNFINISHED}"


@contextlib.contextmanager
def _workplace(workplace, path, patience=None):
    """The temporary folder for what becomes `path`; the system's errors name `path`."""
    try:
        with locks.alone(workplace, path, patience):
            _recover(workplace, path)
            try:
                yield
            finally:
                _recover(workplace, path)
    except OSError as error:
        # Name the destination instead of the temporary path.
        if error.errno is None:
            text = str(error)
            for temporary in (workplace / _NEW / path.name, workplace / _NEW, workplace):
                text = text.replace(str(temporary), str(path))
            raise type(error)(text) from error
        if _is_elsewhere(error.filename, workplace, path):
            raise
        raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            workplace.rmdir()


def _is_elsewhere(name, *places):
    """Whether a file of this name, which may be None or a number, lies in none of some folders."""
    if not isinstance(name, str | bytes | os.PathLike):
        return False
    file = Path(os.path.realpath(os.fsdecode(name)))
    return not any(file.is_relative_to(os.path.realpath(place)) for place in places)


def _recover(workplace, path):
    """Bring `path` into its old or its new state, whichever was whole, and clear the workplace."""
    if os.path.lexists(workplace / _OLD) and not os.path.lexists(path):
        os.rename(workplace / _OLD, path)
    ready = workplace / _READY
    for entry in sorted(ready.iterdir()) if ready.is_dir() else ():
        if (path / entry.name).is_dir():
            remove(path / entry.name)
        os.replace(entry, path / entry.name)
    for leftover in workplace.iterdir():
        if leftover.name != locks.LOCK:
            remove(leftover)


def _put(new, path, workplace):
    """Let `new` take the place of `path` in one step, or in two that `_recover` can undo."""
    if not path.is_dir():
        os.replace(new, path)
    elif not new.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    elif not _exchange(new, path):
        os.rename(path, workplace / _OLD)
        os.rename(new, path)


def _exchange(one, other):
    """Whether two paths have changed places; not where the system or the file system has no such step."""
    sys.audit("keras_lstm_gates.exchange", str(one), str(other))
    if _renameat2 is None:
        return False
    if _renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


# Of Linux alone; Python has no function for it.
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
_HERE, _EXCHANGE = -100, 2


def _stays(folder):
    """Whether another folder cannot take the place of this one."""
    if not folder.is_dir():
        return False
    within, begun = Path.cwd().is_relative_to(folder), (folder / UNFINISHED).exists()
    return within or begun or os.path.ismount(folder) or not os.access(folder.parent, os.W_OK)


def _carry_over(folder, new):
    """Give a folder the entries that only the old one has."""
    shutil.copymode(folder, new)
    for entry in folder.iterdir():
        if os.path.lexists(new / entry.name) or entry.name.endswith(UNFINISHED):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True, copy_function=_link)
        else:
            _link(entry, new / entry.name)


def _link(old, new):
    """The same file under another name, or a copy where the file system has no second names."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)
