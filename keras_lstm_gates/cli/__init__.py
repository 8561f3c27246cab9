"""The command line: `keras-lstm-gates`. Each module here holds the commands of one kind."""

import logging
import os
import sys

from keras_lstm_gates.cli import demonstrating, deploying, looking, training, tuning, zoo  # noqa: F401  they join the app
from keras_lstm_gates.cli.app import app


def main():
    """Run the command line; what a user can mend is printed as one line, and the exit code is 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        app()
    except (ValueError, OSError, ArithmeticError, ImportError) as error:
        _fail(error)
    except Exception as error:
        # TensorFlow's own errors on a full or read-only disk are no OSError; without TensorFlow there are none.
        if not any(kind.__module__.startswith("tensorflow") for kind in type(error).__mro__):
            raise
        _fail(error)


def _fail(error):
    text = " ".join(str(error).split())
    print(f"error: {text[:600]}", file=sys.stderr)
    sys.exit(1)
