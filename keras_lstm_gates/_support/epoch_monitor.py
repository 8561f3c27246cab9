"""A callback that measures after epochs within a share of the training's time and writes TensorBoard curves."""

import time

import keras
import tensorflow as tf


class EpochMonitor(keras.callbacks.Callback):
    """The time budget and the curves of a monitor; the subclass defines what is measured and where it is written.

    A subclass calls `begin` at the end of its `on_train_begin` and `measure_within_budget` after each epoch, and has a
    method `measure(step)` that returns the curves: {tag: number}.

    Args:
        budget: float in (0, 1], the largest share of the time since the training began that measurements may take, or
            None for no limit. A measurement is expected to take as long as the one before it.
        events: str or `Path`, the folder of TensorBoard's files, or None for none.

    Attributes:
        seconds: float, time spent on the measurements of the last training within the budget.

    Raises:
        ValueError: "expected a budget in (0, 1] or None; received 2".
    """

    def __init__(self, budget, events):
        super().__init__()
        if budget is not None and not 0 < budget <= 1:
            raise ValueError(f"expected a budget in (0, 1] or None; received {budget}")
        self.budget, self.seconds = budget, 0.0
        self._events, self._writer = events, None
        self._cost = self._training_start = None

    def begin(self, first):
        """Call `first`, a measurement outside the budget that gives its cost, and start the clock."""
        if self._events is not None:
            self._writer = tf.summary.create_file_writer(str(self._events))
        started = time.perf_counter()
        first()
        self._training_start = time.perf_counter()
        self._cost, self.seconds = self._training_start - started, 0.0

    def measure_within_budget(self, step):
        """`measure(step)` and its curves, or nothing where that would take too long."""
        started = time.perf_counter()
        if self.budget is not None and self.seconds + self._cost > self.budget * (started - self._training_start):
            return
        self.draw(self.measure(step), step)
        self._cost = time.perf_counter() - started
        self.seconds += self._cost

    def draw(self, curves, step):
        """A point of each curve of {tag: number}."""
        if self._writer is None:
            return
        # One record for all curves: `tf.summary.scalar` would run an operation for each.
        record = tf.compat.v1.Summary()
        for tag, value in curves.items():
            record.value.add(tag=tag, simple_value=value)
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(record.SerializeToString(), step=step)
        self._writer.flush()

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
