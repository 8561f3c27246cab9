"""Early stopping and the best weights, on losses that were written down beforehand."""

import keras
import numpy as np
import pytest

from keras_lstm_gates.training.checkpoints import Checkpoints

LOSSES = [5.0, 3.0, 4.0, 3.0, 2.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0]
EPOCHS = len(LOSSES)
# 3.0 at the fourth epoch and 2.0 at the sixth are no lower than before. With a patience of 3 the eighth epoch is the
# last, and the fifth the best; with one of 2 the third and fourth are in vain, so that the second is the best.
ENDINGS = [(3, 8, 5.0), (2, 4, 2.0), (1, 3, 2.0)]


class Script(keras.callbacks.Callback):
    """After epoch n (from 1) every weight is n, and the losses are those written down."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def on_epoch_end(self, epoch, logs=None):
        for weight in self.model.weights:
            weight.assign(np.full(weight.shape, epoch + 1.0))
        logs.pop("val_loss", None)
        logs[self.name] = LOSSES[epoch]


def _model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    return model


def _fitted(model, callbacks, first=0, epochs=EPOCHS, name="val_loss"):
    x = np.zeros((2, 1))
    history = model.fit(
        x,
        x,
        initial_epoch=first,
        epochs=epochs,
        callbacks=[Script(name), *callbacks],
        verbose=0,
        validation_data=(x, x),
    )
    return [epoch + 1 for epoch in history.epoch]


def _weights(model):
    return {float(number) for weight in model.get_weights() for number in weight.ravel()}


@pytest.mark.parametrize(("patience", "last", "best"), ENDINGS)
@pytest.mark.parametrize("name", ["val_loss", "loss"])
def test_training_stops_after_patience_and_takes_the_best(tmp_path, patience, last, best, name):
    model = _model()
    checkpoints = Checkpoints(model, tmp_path / "checkpoint.npz", patience)
    assert _fitted(model, [checkpoints], name=name)[-1] == last == checkpoints.epoch
    assert checkpoints.stopped
    assert _weights(model) == {last}
    checkpoints.take_best()
    assert _weights(model) == {best}
    # Keras's own early stopping agrees with what is written above.
    stock = _model()
    stopping = keras.callbacks.EarlyStopping(name, patience=patience, mode="min", restore_best_weights=True)
    assert _fitted(stock, [stopping], name=name)[-1] == last
    assert _weights(stock) == {best}


@pytest.mark.parametrize("killed_after", range(1, 9))
def test_a_resumed_training_stops_where_an_undisturbed_one_does(tmp_path, killed_after):
    path = tmp_path / "checkpoint.npz"
    model = _model()
    _fitted(model, [Checkpoints(model, path, 3)], epochs=killed_after)
    model = _model()
    resumed = Checkpoints(model, path, 3)
    assert resumed.epoch == killed_after
    assert _weights(model) == {killed_after}
    if not resumed.stopped:
        assert _fitted(model, [resumed], first=resumed.epoch)[-1] == 8
    else:
        assert killed_after == 8
    assert resumed.history["val_loss"] == LOSSES[:8]
    resumed.take_best()
    assert _weights(model) == {5.0}


def test_without_patience_all_epochs_are_trained_and_the_last_weights_kept(tmp_path):
    model = _model()
    checkpoints = Checkpoints(model, tmp_path / "checkpoint.npz", None)
    assert _fitted(model, [checkpoints])[-1] == len(LOSSES)
    assert not checkpoints.stopped
    checkpoints.take_best()
    assert _weights(model) == {len(LOSSES)}


def test_a_reader_writes_nothing(tmp_path):
    model = _model()
    _fitted(model, [Checkpoints(model, tmp_path / "checkpoint.npz", 3, writes=False)])
    assert not list(tmp_path.iterdir())


def test_the_last_good_epoch_stays_when_the_weights_are_lost(tmp_path):
    model = _model()
    _fitted(model, [Checkpoints(model, tmp_path / "checkpoint.npz", None)], epochs=2)
    checkpoints = Checkpoints(model, tmp_path / "checkpoint.npz", None)
    model.weights[0].assign([[np.nan]])
    checkpoints.set_model(model)
    with pytest.raises(FloatingPointError, match="weights that are not finite at step 2"):
        checkpoints.on_epoch_end(2, {"loss": 1.0})
    assert Checkpoints(_model(), tmp_path / "checkpoint.npz", None).epoch == 2
