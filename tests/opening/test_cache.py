"""What is called again and again with one model leaves nothing behind in it, and lets the model go."""

import gc
import weakref

import keras
import pytest
import xarray as xr
from small import small_model

from keras_lstm_gates import exporting, gradient_chain, tracing

CALLS = {
    "trace": lambda model, x: tracing.trace(model, x, progress=False),
    "gradient_chain": lambda model, x: gradient_chain(model, x),
    "export": lambda model, x: exporting.export(model, "exported", x, ("saved_model",)),
}


def layers():
    gc.collect()
    return sum(isinstance(one, keras.layers.Layer) for one in gc.get_objects())


@pytest.mark.parametrize("name", CALLS)
def test_further_calls_make_no_layers_that_stay(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data = small_model()
    CALLS[name](model, data[:2])
    before = layers()
    CALLS[name](model, data[:2])
    assert layers() == before > 0
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_a_model_that_changes_is_followed_anew():
    model, data = small_model()
    first = gradient_chain(model, data)
    model.set_weights([2 * weights for weights in model.get_weights()])
    other, _ = small_model()
    other.set_weights(model.get_weights())
    numbers, expected = (gradient_chain(one, data)["lstm"].to_dataset() for one in (model, other))
    xr.testing.assert_equal(numbers, expected)
    assert not numbers.equals(first["lstm"].to_dataset())
