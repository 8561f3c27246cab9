"""What is known of the arguments before TensorFlow, whose import takes seconds: a mistake is told at once.

The functions that take one value are callbacks of typer: they give the value back, and None is no mistake.
"""

import logging
import os
import sys
from pathlib import Path

from keras_lstm_gates._support.standard_error import standard_error_to
from keras_lstm_gates.recipe_keys import is_table


def import_tensorflow():
    """Import it without its messages on the processor and the missing GPU; a command's checks come before.

    Raises:
        MemoryError: "TensorFlow with 2 threads takes 3.2 GiB of addresses, and this process may have 2.5 (ulimit -v)":
            where it gets no memory for a thread it ends the process.
    """
    needed, most = ADDRESSES + (os.cpu_count() or 1) * ADDRESSES_OF_A_THREAD, _address_limit()
    if "tensorflow" not in sys.modules and most is not None and most < needed:
        raise MemoryError(
            f"TensorFlow with {os.cpu_count()} threads takes {needed / 2**30:.1f} GiB of addresses, and this process "
            f"may have {most / 2**30:.1f} (ulimit -v)"
        )
    with standard_error_to(os.devnull):
        import tensorflow  # noqa: F401
    # absl sets its own level when it is imported.
    logging.getLogger("absl").setLevel(logging.ERROR)


ADDRESSES, ADDRESSES_OF_A_THREAD = 3 * 2**30, 2**27
"""Bytes, as a model is traced: about 3.1 GiB with two threads, each of which has a stack and an arena of the heap."""


def _address_limit():
    """Bytes of addresses that this process may have, or None where there is no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def exists(path):
    """A file or folder.

    Raises:
        FileNotFoundError: "no such file: model.keras".
    """
    if path is not None and not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    return path


def file(path):
    """A file, no folder."""
    if path is not None and path.is_dir():
        raise IsADirectoryError(f"expected a file; received the folder {path}")
    return exists(path)


def python_files(modules):
    """Names of modules, and paths of .py files."""
    for name in modules or ():
        if name.endswith(".py"):
            file(Path(name))
    return modules


def folder(path):
    """A folder that may be there or not."""
    if path is not None and path.exists() and not path.is_dir():
        raise NotADirectoryError(f"expected a folder; received the file {path}")
    return path


def model(path):
    """A model's file or folder, or a preset."""
    if path is not None and not path.exists():
        exists(run_of(path))
    return path


def run(name):
    """The folder or file of a run, or a preset."""
    if not run_of(name).exists():
        raise FileNotFoundError(f"no such run: expected a folder with model.keras, or an export; received {name}")
    return name


def run_of(name):
    """The path of a run: a folder or file as it is, or the folder of a preset of the zoo."""
    if Path(name).exists():
        return Path(name)
    from keras_lstm_gates.presets.registry import home, presets

    return home(str(name)) if str(name) in presets() else Path(name)


def preset(name):
    """A preset of the zoo, or a folder as one has it; "" is all of them."""
    if name and not Path(name).is_dir():
        from keras_lstm_gates.presets.registry import preset as known

        known(name)
    return name


def recipe(name):
    """A recipe or a table where the name is that of a file."""
    if is_table(name) or name.lower().endswith(".json"):
        file(Path(name))
    return name


def one_of(option, *values):
    """The callback of an option that takes one of a few values, or several of them.

    Raises:
        ValueError: "expected --norms auto, exact or estimated; received 'fast'".
    """

    def checked(given):
        for value in given if isinstance(given, list | tuple) else [given]:
            if value is not None and value not in values:
                raise ValueError(f"expected {option} {', '.join(values[:-1])} or {values[-1]}; received {value!r}")
        return given

    return checked


def data(path, random):
    """Raise where not one of a file of data and --random is given."""
    if (path is None) == (random is None):
        raise ValueError(f"expected a file of data or --random N; received {'neither' if path is None else 'both'}")


def at_or_all(at, every):
    """Raise where both are given."""
    if every and at is not None:
        raise ValueError(f"expected --at or --all; received both, --at {at}")
