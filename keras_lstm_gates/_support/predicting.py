"""Predictions of models that this package makes."""

import contextlib
import logging


def predict_on_batch(model, x):
    """`model.predict_on_batch(x)`, `without_warning_of_graphs`."""
    with without_warning_of_graphs():
        return model.predict_on_batch(x)


@contextlib.contextmanager
def without_warning_of_graphs():
    """Without TensorFlow's warning that a function is "retracing" again and again.

    TensorFlow counts the graphs of all models as those of one function, so that five models, each of which predicts for
    the first time, are one that is traced anew five times.
    """
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_no_retracing)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_retracing)


def _is_no_retracing(record):
    return "triggered tf.function retracing" not in record.getMessage()
