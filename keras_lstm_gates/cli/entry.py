"""Where the command line starts: errors that a user can mend are one line."""

import logging
import os
import sys

from keras_lstm_gates._support.standard_error import standard_error_to
from keras_lstm_gates.cli import demo, deployment, inspection, training, tuning, zoo  # noqa: F401  they join the app
from keras_lstm_gates.cli.app import app

WITHOUT_TENSORFLOW = ("run",)
"""Commands that run where it is not installed."""


def main():
    """Run the command line; what a user can mend is printed as one line, and the exit code is 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        _import_tensorflow()
        app()
    except (ValueError, OSError, ArithmeticError, ImportError) as error:
        _fail(error)
    except Exception as error:
        # TensorFlow's own errors on a full or read-only disk are no OSError; without TensorFlow there are none.
        if not any(kind.__module__.startswith("tensorflow") for kind in type(error).__mro__):
            raise
        _fail(error)


def _import_tensorflow():
    """Before a command that needs it, and without what it tells every user of its processor and the missing GPU."""
    command, *options = sys.argv[1:] or [""]
    if command.startswith("-") or command in ("", *WITHOUT_TENSORFLOW) or "--help" in options:
        return
    with standard_error_to(os.devnull):
        import tensorflow  # noqa: F401


def _fail(error):
    text = " ".join(str(error).split())
    print(f"error: {text[:600]}", file=sys.stderr)
    sys.exit(1)
