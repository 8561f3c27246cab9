"""Where a training lost its numbers: each kind of loss is named by its layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lstm_gates import training
from keras_lstm_gates.models import SequenceClassifier
from keras_lstm_gates.training.finiteness import first_not_finite

X = np.ones((4, 5, 3), "float32")
Y = np.arange(4) % 2


@keras.saving.register_keras_serializable("tests")
class SquareRootOfZero(keras.layers.Layer):
    """Finite forward, its gradient infinite: x + sqrt(0 x)."""

    def call(self, x):
        return x + keras.ops.sqrt(keras.ops.abs(0.0 * x))


def batches(*inputs):
    return tf.data.Dataset.from_tensor_slices((np.stack(inputs), np.stack([Y] * len(inputs))))


def classifier(rate=1e-3, **arguments):
    model = SequenceClassifier(features=3, classes=2, units=4, dropout=0.1, noise=0.1, seed=1, **arguments)
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return model


def test_nothing_is_found_where_all_is_finite():
    assert first_not_finite(classifier(), batches(X, X, X)) is None


@pytest.mark.parametrize("layer", ["lstm", "probabilities"])
def test_the_first_layer_forward(layer):
    model = classifier()
    kernel = model.get_layer(layer).weights[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    assert first_not_finite(model, batches(X)) == f"the output of the layer '{layer}' is not finite"


def test_the_inputs():
    broken = X.copy()
    broken[1, 2, 0] = np.inf
    assert first_not_finite(classifier(), batches(X, broken)) == "the inputs of its batch are not finite"


def test_the_first_gradient_on_the_way_back():
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="below")(inputs)
    x = SquareRootOfZero()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax", name="above")(x))
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert first_not_finite(model, batches(X[:, 0])) == "the gradient of the layer 'below' is not finite"


def test_the_step_itself():
    found = first_not_finite(classifier(rate=float("inf")), batches(X))
    assert found == "the step made the weights of the layer 'lstm' not finite"


def test_a_last_step_that_breaks_the_weights_is_no_finished_run(tmp_path, monkeypatch):
    """The loss is computed before the step: after the last one only the weights tell."""
    recipe = training.Recipe(dataset="japanese_vowels", units=4, epochs=2, seed=5)

    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.get_layer("probabilities").bias.assign(np.full(9, np.nan))

    fit = keras.Model.fit
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, *a, callbacks, **k: fit(self, *a, callbacks=[Breaks(), *callbacks], **k)
    )
    with pytest.raises(FloatingPointError, match=r"weights that are not finite at step 18: not reproduced when"):
        training.fit(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "model.keras").exists()
    monkeypatch.undo()
    # The checkpoint of the first epoch is good, and the run goes on from it.
    assert np.isfinite(training.fit(recipe, tmp_path / "run", resume=True).metrics["test_cross_entropy"])
