"""Processes that are killed just before their n-th change to the files below a folder, for every n."""

import contextlib
import itertools
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
EXCHANGE = "keras_lstm_gates.exchange"


def at_every_change(folder, action, prepare):
    """Run an action in processes of their own: the n-th is killed before its n-th change below a folder.

    This process must have no threads that the action needs.

    Args:
        folder: `Path`.
        action: function without arguments.
        prepare: function without arguments, before each.

    Yields:
        (n, what it was about to do) after each kill; it ends with the first process that ends by itself.

    Raises:
        ChildProcessError: a process ended in another way.
    """
    for number in itertools.count(1):
        prepare()
        ended, what = _killed_before(number, folder, action)
        if ended == 0:
            return
        if ended != -signal.SIGKILL:
            raise ChildProcessError(f"expected an end by SIGKILL before change {number}; received {ended}: {what}")
        yield number, what


def before(number, folder, action):
    """Run an action in a process of its own that is killed before its n-th change below a folder.

    Raises:
        ChildProcessError: the process ended in another way.
    """
    ended, what = _killed_before(number, folder, action)
    if ended != -signal.SIGKILL:
        raise ChildProcessError(f"expected an end by SIGKILL before change {number}; received {ended}: {what}")


def alone(action):
    """Run an action in a process of its own.

    Raises:
        ChildProcessError: it did not end by itself.
    """
    ended = _in_a_copy(lambda: None, action)
    if ended != 0:
        raise ChildProcessError(f"expected an end by itself; received {ended}")


def copied_at_every_change(folder, action, into):
    """Run an action in a process of its own, and copy a folder to `into`/n before its n-th change in there.

    A copy is what SIGKILL at this moment leaves: what is written, and nothing that the process holds in memory.

    Returns:
        [what it was about to do].
    """
    folder, into = os.path.realpath(folder), Path(into)
    into.mkdir()
    copying = threading.Lock()
    own = threading.local()

    def copy(what):
        if getattr(own, "copies", False):
            return
        own.copies = True
        with copying:
            number = len(list(into.iterdir())) + 1
            # What another thread removes meanwhile is not there.
            with contextlib.suppress(shutil.Error, FileNotFoundError):
                shutil.copytree(folder, into / str(number), symlinks=True)
            (into / str(number) / "what").write_text(what)
        own.copies = False

    ended = _in_a_copy(lambda: _hook(folder, copy), action)
    if ended != 0:
        raise ChildProcessError(f"expected an end by itself; received {ended}")
    told = []
    for number in range(1, len(list(into.iterdir())) + 1):
        told.append((into / str(number) / "what").read_text())
        (into / str(number) / "what").unlink()
    return told


@contextlib.contextmanager
def told_of_changes(folder, tell):
    """Call `tell(what)` just before each change below a folder that this process makes meanwhile."""
    listening, hook = True, _hook(os.path.realpath(folder), tell)
    # Python has no way to take it away.
    sys.addaudithook(lambda event, arguments: hook(event, arguments) if listening else None)
    try:
        yield
    finally:
        listening = False


def _killed_before(number, folder, action):
    """(exit code, or minus the signal; what the process was about to do)."""
    reader, writer = os.pipe()
    counter = itertools.count(1)

    def kill(what):
        if next(counter) == number:
            os.write(writer, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    ended = _in_a_copy(lambda: _hook(os.path.realpath(folder), kill), action)
    os.close(writer)
    with os.fdopen(reader) as file:
        return ended, file.read()


def _in_a_copy(hook, action):
    """The exit code, or minus the signal, of a copy of this process that ran an action."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            listener = hook()
            if listener is not None:
                sys.addaudithook(listener)
            action()
            code = 0
        except SystemExit as error:
            code = error.code or 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _hook(folder, tell):
    """An audit hook that calls `tell(what)` just before each change below a folder."""

    def hook(event, arguments):
        if event not in CHANGES and event != EXCHANGE:
            return
        if event == "open" and not _writes(*arguments):
            return
        path = _whole(event, arguments)
        if path is not None and (path + "/").startswith(folder + "/"):
            tell(f"{event} {os.path.relpath(path, folder)}")

    return hook


def _writes(path, mode, flags):
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _whole(event, arguments):
    """The first path of an event, from the root on, or None for a file that has no path."""
    path = arguments[0]
    if isinstance(path, int):
        return None
    path = os.fsdecode(path)
    directories = [one for one in arguments[1:] if isinstance(one, int) and one >= 0]
    if event in ("os.remove", "os.mkdir", "os.rmdir") and not os.path.isabs(path) and directories:
        path = os.path.join(os.readlink(f"/proc/self/fd/{directories[-1]}"), path)
    return os.path.abspath(path)
