"""The entry point of the command line: errors that a user can fix are printed as one line."""

import logging
import os
import sys
import warnings
from pathlib import Path

from keras_lstm_gates.cli import (  # noqa: F401  they join the app
    demo,
    deployment,
    explaining,
    forecasting,
    inspecting,
    questions,
    shrinking,
    steering,
    tracing,
    training,
    tuning,
    zoo,
)
from keras_lstm_gates.cli.app import app


def main():
    """Run the command line; an error that a user can fix is printed as one line, and the exit code is 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for library in ("absl", "matplotlib", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)
    # The filters stay as they are: `python -W error` still turns them into errors.
    warnings.showwarning = _warn
    try:
        app()
    except (ValueError, OSError, ArithmeticError, ImportError) as error:
        _fail(error)
    except MemoryError as error:
        _fail(f"out of memory: {error}")
    except Exception as error:
        # TensorFlow's errors on a full or read-only disk are not OSErrors; its classes may not be importable.
        if not any(kind.__module__.startswith("tensorflow") for kind in type(error).__mro__):
            raise
        _fail(error)


def _warn(message, category, filename, lineno, file=None, line=None):
    """Show a warning of this package as one line; those of the libraries are for who programs with them."""
    if issubclass(category, UserWarning) and Path(filename).is_relative_to(_PACKAGE):
        print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


_PACKAGE = Path(__file__).parents[1]


def _fail(error):
    text = " ".join(str(error).split())
    print(f"error: {text[:1000]}", file=sys.stderr)
    sys.exit(1)
