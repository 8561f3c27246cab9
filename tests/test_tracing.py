"""A trace holds what the equations say, for every sample, with names."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import lstm
from small import small_model

from keras_lstm_gates import tracing
from keras_lstm_gates.layers import GatedLSTM


def test_trace_obeys_the_equations():
    model, data = small_model()
    tree = tracing.trace(model, data, batch_size=2)
    real = np.any(data != 0, axis=-1)
    expected = lstm((data - 0.1) / np.sqrt(2.0), *model.get_layer("lstm").get_weights(), mask=real)
    for name in "ifgoch":
        assert tree["lstm"][name].dims == ("sample", "time", "unit")
        np.testing.assert_allclose(tree["lstm"][name], expected[name], atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(tree["lstm"]["mask"], real)
    np.testing.assert_array_equal(tree["input"], data)
    np.testing.assert_allclose(tree["probabilities"], model(data), atol=1e-6)


def test_batches_of_different_lengths_and_targets():
    model, data = small_model()
    targets = np.array([0, 1, 1, 0, 1])
    batches = [(data[:2, :4], targets[:2]), (data[2:], targets[2:])]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(tf.TensorSpec((None, None, 3)), tf.TensorSpec((None,), tf.int64)),
    )
    tree = tracing.trace(model, dataset)
    whole = tracing.trace(model, np.concatenate([data[:2] * (np.arange(6) < 4)[:, None], data[2:]]))
    np.testing.assert_array_equal(tree["target"], targets)
    for name in (*"ifgoch", "mask"):
        np.testing.assert_allclose(tree["lstm"][name], whole["lstm"][name], atol=1e-6, err_msg=name)


def test_a_layer_without_a_mask_has_only_real_steps():
    sequence = keras.Input((5, 3))
    output = GatedLSTM(2, return_gates=True, name="memory")(sequence)["output"]
    model = keras.Model(sequence, keras.layers.Dense(1)(output))
    assert tracing.trace(model, np.zeros((2, 5, 3), "float32"))["memory"]["mask"].values.all()


def test_save_and_load(tmp_path):
    model, data = small_model()
    tree = tracing.trace(model, data)
    tracing.save(tree, tmp_path / "gates.zarr")
    again = tracing.load(tmp_path / "gates.zarr")
    assert again.identical(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["gates.zarr"]


def test_progress_is_told():
    model, data = small_model()
    seen = []
    tracing.trace(model, data, batch_size=2, progress=seen.append)
    assert seen == [2, 4, 5]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x[0], r"expected sequences of shape .* = \(any, any, 3\); received \(6, 3\)"),
        (lambda x: x[..., :2], r"= \(any, any, 3\); received \(5, 6, 2\)"),
        (
            lambda x: np.where(np.arange(6)[:, None] == 2, np.nan, x),
            r"finite numbers; received nan at index \(0, 2, 0\)",
        ),
        (lambda x: x[:0], "expected one or more sequences; received no data"),
    ],
)
def test_bad_data(change, text):
    model, data = small_model()
    with pytest.raises(ValueError, match=text):
        tracing.trace(model, change(data))
