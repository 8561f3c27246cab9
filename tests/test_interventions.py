"""What is done to a gate as a scale and a shift, at the chosen places."""

import keras
import ml_dtypes  # noqa: F401  gives NumPy its bfloat16
import numpy as np
import pytest
import xarray as xr

from keras_lstm_gates.interventions import Mean, Replace, Scale, Set, Shift, composed, kept, listed, serialized

SAMPLES, STEPS, UNITS = 2, 5, 4


def acting(interventions, values, steps=STEPS, samples=SAMPLES):
    scale, shift = composed(listed(interventions, "f"), "lstm/f", UNITS, steps, samples)
    return scale * values + shift


@pytest.fixture
def values(rng):
    return rng.normal(size=(SAMPLES, STEPS, UNITS))


PLACES = [
    ({}, np.s_[:, :, :]),
    ({"units": 2}, np.s_[:, :, 2]),
    ({"units": [0, 3], "steps": -1}, np.s_[:, -1, [0, 3]]),
    ({"units": slice(1, 3), "steps": slice(1, 4)}, np.s_[:, 1:4, 1:3]),
    ({"steps": [0, 2]}, np.s_[:, [0, 2], :]),
    ({"steps": [True, False, False, True, False]}, np.s_[:, [0, 3], :]),
    ({"samples": [False, True], "units": [True, False, False, False]}, np.s_[1, :, 0]),
    ({"samples": 0, "steps": slice(3, 100)}, np.s_[0, 3:, :]),
]


@pytest.mark.parametrize(("chosen", "index"), PLACES, ids=[str(chosen) for chosen, _ in PLACES])
def test_each_kind_acts_on_the_chosen_places_alone(chosen, index, values, rng):
    other = rng.normal(size=values.shape)
    for intervention, expected in (
        (Set(0.5, **chosen), np.full_like(values, 0.5)),
        (Scale(-2.0, **chosen), -2 * values),
        (Shift(0.25, **chosen), values + 0.25),
        (Replace(other, **chosen), other),
    ):
        right = values.copy()
        right[index] = expected[index]
        np.testing.assert_allclose(acting(intervention, values), right, 0, 1e-15)


def test_several_act_in_their_order(values):
    acted = acting([Scale(2.0), Shift(1.0, units=[1]), Scale(3.0, steps=slice(2, 4)), Set(7.0, units=[3])], values)
    right = 2 * values
    right[:, :, 1] += 1
    right[:, 2:4] *= 3
    right[:, :, 3] = 7
    np.testing.assert_allclose(acted, right, 0, 1e-14)
    np.testing.assert_allclose(acting((np.ones((1, UNITS)) * 3, 1.0), values), 3 * values + 1)
    np.testing.assert_array_equal(acting([], values), values)


def test_of_any_number_of_steps_the_last_row_stands_for_all_later_ones():
    def rows(interventions):
        return (composed(listed(interventions, "f"), "f", UNITS).shift[0, :, 0]).tolist()

    assert rows(Set(1.0)) == [1]
    assert rows(Set(1.0, steps=slice(1, 3))) == [0, 1, 1, 0]
    assert rows(Set(1.0, steps=slice(2, None))) == [0, 0, 1]
    assert rows(Set(1.0, steps=[0, 2])) == [1, 0, 1, 0]
    assert rows(Set(1.0, steps=[False, True])) == [0, 1, 0]
    # Values of two steps are for these two.
    assert rows(Replace(np.full((1, 2, UNITS), 3.0))) == [3, 3, 0]
    assert rows([Set(1.0, steps=1), Shift(2.0)]) == [2, 3, 2]


def a_trace(values, mask):
    dims = ("sample", "time", "unit")
    node = xr.Dataset({"f": (dims, values), "mask": (dims[:2], mask)})
    return xr.DataTree.from_dict({"encoder/lstm": node})


def test_values_and_means_of_a_trace(values):
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], bool)
    tree = a_trace(values, mask)
    for trace in (tree, tree["encoder/lstm"], tree["encoder/lstm"].to_dataset()):
        scale, shift = composed(listed(Mean(trace, units=[1]), "f", "encoder/lstm"), "f", UNITS, STEPS)
        right = np.concatenate([values[0], values[1, :2]]).mean(0)[1]
        np.testing.assert_allclose((scale[0, 0], shift[0, 0]), [[1, 0, 1, 1], [0, right, 0, 0]])
        _, shift = composed(listed(Replace(trace), "f", "encoder/lstm"), "f", UNITS, STEPS, SAMPLES)
        np.testing.assert_array_equal(shift, values)


def test_values_of_a_trace_in_bfloat16(values):
    lower = values.astype("bfloat16")
    received = acting(Replace(lower, units=[1]), values)
    np.testing.assert_array_equal(received[..., 1], lower[..., 1].astype("float64"))


def test_a_layer_keeps_them_in_its_configuration(values):
    several = {"f": [Set(1.0, units=[1], steps=slice(0, 2)), Scale(0.5), Replace(values)], "h": (0.5, 0.0)}
    config = serialized(kept(several))
    again = kept(config)
    assert serialized(again) == config
    np.testing.assert_array_equal(acting(again["f"], values), acting(several["f"], values))
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Set(1.0))) == Set(1.0)


REFUSED = [
    (Set(1.0, units=4), r"interventions on 'lstm/f' expected units in \[-4, 4\); received 4"),
    (Set(1.0, steps=[1, 5]), r"expected steps in \[-5, 5\); received \[1, 5\]"),
    (Set(1.0, steps=slice(7, 9)), r"expected steps among 5; received slice\(7, 9, None\), which has none"),
    (Set(1.0, units=[True] * 3), r"expected a mask of 4 units; received one of 3"),
    (Set(1.0, samples=2), r"expected samples in \[-2, 2\); received 2"),
    (Replace(np.ones((5, 3))), r"broadcast to \(samples, steps, units\) = \(2, 5, 4\); received the shape \(1, 5, 3\)"),
    (0.5, r"expected Set, Scale, Shift, Replace, Mean, a list of them, or \(scale, shift\); received 0.5"),
]


@pytest.mark.parametrize(("intervention", "text"), REFUSED, ids=[str(at) for at in range(len(REFUSED))])
def test_what_is_no_place_of_the_layer_is_refused(intervention, text, values):
    with pytest.raises(ValueError, match=text):
        acting(intervention, values)


def test_other_refusals(values):
    with pytest.raises(ValueError, match="value must be a finite number; received nan"):
        Set(float("nan"))
    with pytest.raises(ValueError, match="expected a known number of samples to choose among"):
        acting(Set(1.0, samples=0), values, samples=None)
    with pytest.raises(ValueError, match="expected steps counted from the first where"):
        acting(Set(1.0, steps=-1), values, steps=None)
    with pytest.raises(ValueError, match="and an end to every second"):
        acting(Set(1.0, steps=slice(0, None, 2)), values, steps=None)
    with pytest.raises(ValueError, match="Mean expected a trace, or one LSTM of it"):
        Mean(values)
    with pytest.raises(ValueError, match="expected a trace with an LSTM and its gate 'f'; received"):
        acting(Mean(a_trace(values, np.ones(values.shape[:2], bool))), values)
    with pytest.raises(ValueError, match=r"interventions must have keys among \('i', .*; received 'forget'"):
        kept({"forget": Set(0.0)})
