"""The comparison of a file with its model, on numbers that are not finite too."""

import keras
import numpy as np
import pytest

from keras_lstm_gates import drift, exporting
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting import comparing
from keras_lstm_gates.exporting.comparing import difference_of, differences, latency_ms
from keras_lstm_gates.exporting.signatures import Signature

VALUES = np.array([[0.5, -1.0, 2.0]])


def compared(received, values, precision="float32", counts=True):
    expected = {"gates": {"g": (np.asarray(values), counts)}}
    received = {"gates": {"g": np.asarray(received)}}
    return differences("a", received, expected, precision, exporting.TOLERANCES[precision])["gates"]["g"]


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_no_agreement(wrong, precision):
    received = VALUES.copy()
    received[0, 1] = wrong
    with pytest.raises(ArithmeticError, match="a differs from the model: gates/g by inf"):
        compared(received, VALUES, precision)
    # Nor where the model gives it and the file does not.
    with pytest.raises(ArithmeticError, match="a differs from the model: gates/g by inf"):
        compared(VALUES, received, precision)
    assert compared(received, received, precision) == 0.0


@pytest.mark.parametrize(
    ("precision", "size", "allowed"),
    [
        # The largest difference of an output up to 1 ...
        *[("float32", size, 1e-4) for size in (0.01, 1.0)],
        # ... else its share.
        ("float32", 5.0, 5e-4),
        # The root mean square, as a share of that of the output, or of 0.1.
        *[("float16", size, 0.01 * size) for size in (0.5, 5.0)],
        ("float16", 0.01, 0.001),
        *[(precision, size, 0.2 * size) for precision in ("dynamic_int8", "int8") for size in (0.5, 5.0)],
    ],
)
def test_what_an_output_may_be_off(precision, size, allowed):
    values = np.array([[size, -size, size]])
    compared(values + 0.99 * allowed, values, precision)
    with pytest.raises(ArithmeticError, match=f"gates/g by .*, allowed {allowed:.2g}$"):
        compared(values + 1.01 * allowed, values, precision)


def test_an_infinite_output_does_not_widen_what_others_may_be_off():
    values, received = np.array([[np.inf, 1.0]]), np.array([[np.inf, 1.5]])
    for precision in ("float32", "int8"):
        with pytest.raises(ArithmeticError, match=r"gates/g by 0\.[35]"):
            compared(received, values, precision)
    with pytest.raises(ArithmeticError, match="by inf"):
        compared([[-np.inf]], [[np.inf]])


def test_what_does_not_count_does_not_count():
    received = VALUES.copy()
    received[0, 1] = np.nan
    assert compared(received, VALUES, counts=np.array([[True, False, True]])) == 0.0


def test_a_shape_that_would_broadcast_is_no_agreement():
    with pytest.raises(ArithmeticError, match=r"expected gates/g of shape \(2, 1\); received \(2, 2\)"):
        compared(np.zeros((2, 2)), np.zeros((2, 1)))


def test_differences_of_whole_numbers():
    assert difference_of(np.array([0], "uint8"), np.array([1], "uint8")).tolist() == [1.0]


class Called:
    """In the place of a file, and of the module `time`: each call takes 0.0123456789 s, and is kept."""

    def __init__(self):
        self.given, self._now = [], 0.0

    def __call__(self, name, inputs):
        self.given.append(inputs)
        self._now += 0.0123456789

    def perf_counter(self):
        return self._now


@pytest.mark.parametrize(("batch", "samples"), [(None, [0]), (2, [0, 1]), (5, [0, 1, 2, 0, 1])])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_latency_is_in_milliseconds_of_the_first_samples(steps, batch, samples, monkeypatch, rng):
    call = Called()
    monkeypatch.setattr(comparing, "time", call)
    data = {"sequence": rng.normal(size=(3, steps, 2))}
    whole = Signature(None, {"sequence": keras.KerasTensor((None, None, 2), name="sequence")})
    assert latency_ms(call, "gates", whole, data, batch) == 12.3457
    np.testing.assert_array_equal(call.given[-1]["sequence"], data["sequence"][samples])
    # One step from a state of zeros.
    inputs = {name: keras.KerasTensor((None, units), name=name) for name, units in (("x", 2), ("h", 3))}
    assert latency_ms(call, "step", Signature(None, inputs, {"h": "h_next"}), data, batch) == 12.3457
    np.testing.assert_array_equal(call.given[-1]["x"], data["sequence"][samples, 0])
    np.testing.assert_array_equal(call.given[-1]["h"], np.zeros((len(samples), 3)))


def test_drift_shows_a_nan(tmp_path, monkeypatch, rng):
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(3, return_sequences=True, name="lstm")])
    data = rng.normal(size=(2, 4, 2)).astype("float32")
    file = exporting.export(model, tmp_path, data, ("tflite",)).files["tflite"]
    call = Runner.call

    def broken(self, signature, inputs):
        outputs = call(self, signature, inputs)
        outputs["c"][0, 1, 2] = np.nan
        return outputs

    monkeypatch.setattr(Runner, "call", broken)
    parted = drift(model, file, data, signature="gates")
    assert parted["largest_difference"].sel(output="c").values[1] == np.inf
    assert parted["mean_difference"].sel(output="c").values[1] == np.inf
    assert np.isfinite(parted["largest_difference"].sel(output="h")).all()
