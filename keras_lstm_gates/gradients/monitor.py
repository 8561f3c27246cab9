"""`GradientMonitor`: how far back the gradient reaches, each epoch of a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lstm_gates._support.epoch_monitor import EpochMonitor
from keras_lstm_gates._support.files import write_json
from keras_lstm_gates.gradients.chain import lag_gains
from keras_lstm_gates.gradients.recording import watch
from keras_lstm_gates.gradients.verdicts import judge

if TYPE_CHECKING:
    from keras_lstm_gates._support.annotations import Arrays, StrPath


class GradientMonitor(EpochMonitor):
    """Measures, before the first and after each epoch, the gradient over the lag on the same few sequences.

    It shows how the network learns when to let the gradient vanish and when to keep it. Where a measurement would take
    more than `budget` of the time since the training began, the epoch is skipped.

    Args:
        x: the model's input for a few sequences, as for `lag_gains`; 4 to 16 sequences are enough.
        folder: str or `Path`; gradients.json is written there, whole, after each epoch, and the TensorBoard scalars
            below folder/gradients.
        tensorboard: bool. False: no TensorBoard files.
        probes: int > 0, random vectors of the estimate.
        budget: float in (0, 1], the largest share of the training's time, or None to measure every epoch at any
            cost; the measurement before the training is free.

    Attributes:
        history: list of dicts, one a measurement: "epoch" (0 = before training), and "layers", by name a dict of
            "gain" (by lag, relative to lag 0, the median over the sequences), "vanishes_at" and "explodes_at"
            (see `Verdict`).
        seconds: float, time spent on the measurements after the epochs of the last training.

    Raises:
        ValueError: what `lag_gains` raises, at the beginning of the training; "expected a budget in (0, 1]
            or None; received 2".

    Cost: one pass over x, and time × probes vectors back through the recurrent kernel, a measurement.

    Example:
        >>> import keras, tempfile
        >>> model = keras.Sequential([keras.Input((12, 1)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> x = np.zeros((8, 12, 1), "float32")
        >>> monitor = GradientMonitor(x[:4], tempfile.mkdtemp(), tensorboard=False, budget=None)
        >>> _ = model.fit(x, np.zeros(8), epochs=2, verbose=0, callbacks=[monitor])
        >>> [point["epoch"] for point in monitor.history], len(monitor.history[0]["layers"]["lstm"]["gain"])
        ([0, 1, 2], 13)
    """

    def __init__(
        self, x: Arrays, folder: StrPath, tensorboard: bool = True, probes: int = 16, budget: float | None = 0.05
    ) -> None:
        super().__init__(budget, Path(folder) / "gradients" if tensorboard else None)
        self.x, self.folder, self.probes = x, Path(folder), probes
        self.history = []
        self._watched = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Measure the untrained model."""
        self._watched = watch(self.model)
        lag_gains(self.model, self.x, self.probes, watched=self._watched)  # compiles
        self.begin(lambda: self.draw(self.measure(0), 0))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure after an epoch, where the budget allows it."""
        self.measure_within_budget(epoch + 1)

    def measure(self, step: int) -> dict[str, float]:
        layers = {}
        for name, gain in lag_gains(self.model, self.x, self.probes, watched=self._watched).items():
            verdict = judge(self.model.name, name, gain)
            layers[name] = {
                "gain": [float(f"{value:.6g}") for value in gain],
                "vanishes_at": verdict.vanishes_at,
                "explodes_at": verdict.explodes_at,
            }
        self.history.append({"epoch": step, "layers": layers})
        write_json(self.folder / "gradients.json", self.history, indent=None)
        return {
            f"{name}/{tag}": value
            for name, numbers in layers.items()
            for tag, value in _curves(np.array(numbers["gain"]), numbers["vanishes_at"])
        }


def _curves(gain, vanishes_at):
    """The scalars of a layer for TensorBoard: (tag, number)."""
    lags = len(gain) - 1
    for lag in sorted({1, *(10**power for power in range(1, 5)), lags}):
        if lag <= lags:
            yield f"log10 gain at lag {lag}", np.log10(max(gain[lag], 1e-300))
    yield "lags above 1e-3", lags if vanishes_at is None else vanishes_at
