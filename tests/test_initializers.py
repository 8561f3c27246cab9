"""`ChronoBias` and `ForgetBias`."""

import keras
import numpy as np
import pytest

from keras_lstm_gates.initializers import ChronoBias, ForgetBias
from keras_lstm_gates.layers.lstm import GatedLSTM


@pytest.mark.parametrize("kind", [keras.layers.LSTM, GatedLSTM])
def test_memories_are_spread_evenly_up_to_t_max(kind):
    layer = kind(4000, bias_initializer=ChronoBias(100, seed=3), unit_forget_bias=False, kernel_initializer="zeros")
    bias = np.asarray(ChronoBias(100, seed=3)((4 * 4000,), "float64")).reshape(4, 4000)
    i, f, g, o = bias
    np.testing.assert_array_equal(i, -f)
    assert not g.any()
    assert not o.any()
    memory = np.exp(f)
    assert 1 <= memory.min() < 1.2
    assert 98.5 < memory.max() <= 99.001
    assert np.histogram(memory, 10, (1, 99))[0] == pytest.approx(400, rel=0.2)
    assert keras.saving.serialize_keras_object(layer)["config"]["bias_initializer"]["config"] == {
        "t_max": 100.0,
        "seed": 3,
    }


def test_a_layer_starts_with_it_and_is_saved_with_it(tmp_path):
    inputs = keras.Input((5, 2))
    layer = keras.layers.LSTM(4, bias_initializer=ChronoBias(30, seed=1), unit_forget_bias=False)
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_array_equal(np.asarray(layer.cell.bias), np.asarray(ChronoBias(30, seed=1)((16,))))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.layers[-1].cell.bias_initializer, ChronoBias)
    assert again.layers[-1].cell.bias_initializer.t_max == 30.0


def test_the_seed_decides():
    one, same, other = (np.asarray(ChronoBias(50, seed=seed)((400,))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("t_max", [float("nan"), float("inf"), 2, 0, -5, "100", None, True])
def test_t_max_must_be_a_finite_number_above_2(t_max):
    with pytest.raises(ValueError, match=r"t_max must be a finite number > 2; received t_max=") as error:
        ChronoBias(t_max)
    assert str(error.value).endswith(f"t_max={t_max!r}")


@pytest.mark.parametrize("shape", [(5,), (2, 8)])
def test_only_the_bias_of_an_lstm_is_set(shape):
    with pytest.raises(ValueError, match=r"expected the bias of an LSTM, of shape \(4 \* units,\); received shape="):
        ChronoBias(10)(shape)


@pytest.mark.parametrize("kind", [keras.layers.LSTM, GatedLSTM])
def test_forget_bias_is_the_forget_gates_alone(kind):
    layer = kind(3, bias_initializer=ForgetBias(2.5), unit_forget_bias=False)
    layer.build((None, 5, 2))
    # In Keras's order of columns: i, f, g, o.
    np.testing.assert_array_equal(layer.get_weights()[2], [0, 0, 0, 2.5, 2.5, 2.5, 0, 0, 0, 0, 0, 0])
    again = kind.from_config(layer.get_config())
    assert again.cell.bias_initializer.value == 2.5
