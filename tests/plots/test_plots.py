"""The picture shows the numbers of the trace."""

import keras
import numpy as np
import pytest
from small import small_model

from keras_lstm_gates import plots, statistics, tracing


@pytest.fixture(scope="module")
def tree():
    return tracing.trace(*small_model())


def test_panels_show_the_real_steps_of_the_sample(tree):
    figure = plots.gates(tree, sample=1)
    panels = {axes.get_title(loc="left").split("$")[1][-2]: axes for axes in figure.axes if axes.get_title(loc="left")}
    assert sorted(panels) == ["c", "f", "g", "h", "i", "o", "x"]
    order = np.argsort(tree["lstm"]["f"].values[1, :4].mean(axis=0))
    for name in "ifgoch":
        (image,) = panels[name].images
        np.testing.assert_array_equal(image.get_array(), tree["lstm"][name].values[1, :4, order])
        low, high = image.get_clim()
        assert (low, high) == (0, 1) if name in "ifo" else low == -high
    assert len(panels["x"].lines) == 3
    assert len(panels["x"].lines[0].get_xdata()) == 4


def test_a_masked_step_between_real_ones_stays_empty():
    model, x = small_model()
    x = x.copy()
    x[0, 1] = 0.0
    tree = tracing.trace(model, x)
    assert tree["lstm"]["mask"].values[0, :3].tolist() == [True, False, True]
    image = next(axes.images[0] for axes in plots.gates(tree, sample=0).axes if axes.images)
    drawn, steps = image.get_array(), x.shape[1]
    assert image.get_extent()[:2] == [-0.5, steps - 0.5]
    assert drawn.shape[1] == steps
    assert np.ma.getmaskarray(drawn)[:, 1].all()
    assert not np.ma.getmaskarray(drawn)[:, np.arange(steps) != 1].any()


def test_colours_grow_lighter_with_the_value():
    for colours in (plots.GATE_COLOURS, plots.STATE_COLOURS):
        lightness = colours(np.linspace(0, 1, 64))[:, :3] @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"layer": "gru"}, r"expected one of the layers \['lstm'\]; received 'gru'"),
        ({"sample": 5}, "expected a sample from 0 to 4; received 5"),
    ],
)
def test_bad_arguments(tree, arguments, text):
    with pytest.raises(ValueError, match=text):
        plots.gates(tree, **arguments)


def text_model(vocabulary):
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(4, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, keras.layers.Bidirectional(keras.layers.LSTM(5), name="both")(x))
    return tracing.trace(model, np.array([[1, 2, 3, 1, 2, 0]]), progress=False, vocabulary=vocabulary)


def test_saturation_draws_every_unit_of_every_layer():
    tree = text_model(None)
    figure = plots.saturation(tree)
    numbers = statistics(tree)["both/backward"]
    panels = dict(zip("ifog", figure.axes, strict=True))
    for gate, axes in panels.items():
        forward, backward = axes.collections
        np.testing.assert_allclose(
            backward.get_offsets().T,
            [numbers[name].sel(saturating=gate) for name in ("left_saturated", "right_saturated")],
        )
        assert len(forward.get_offsets()) == 5
        assert axes.get_xlabel() == "share of steps < 0.1"
    assert len(plots.saturation(tree, layer="both/forward").axes[0].collections) == 1


def test_memory_draws_half_lives_in_order(tree):
    (axes,) = plots.memory(tree).axes
    lives = axes.lines[0].get_ydata()
    np.testing.assert_allclose(lives, np.sort(statistics(tree)["lstm"]["half_life"])[::-1])
    assert axes.lines[1].get_ydata()[0] == 6
    assert "steps" in axes.get_ylabel()


def test_tokens_are_coloured_by_the_unit():
    tree = text_model(["", "a$", "<b>", "\n"])
    figure = plots.tokens(tree, unit=2, gate="f", layer="both/forward", width=4)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["a$", "<b>", "↵", "a$", "<b>"]
    assert [patch.get_y() for patch in axes.patches] == [0, 1, 1, 2, 3]
    f = tree["both/forward"]["f"].values[0, :5, 2]
    for patch, value in zip(axes.patches, f, strict=True):
        assert patch.get_facecolor() == plots.GATE_COLOURS(float(value))


def test_gates_over_tokens():
    figure = plots.gates(text_model(["", "a", "b", "c"]), layer="both/backward")
    assert [text.get_text() for text in figure.axes[0].texts] == list("abcab")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"unit": 5}, "a unit from 0 to 4; received 5"),
        ({"unit": 0, "gate": "z"}, r"a gate of \['i', 'f', 'g', 'o', 'c', 'h'\]; received 'z'"),
        ({"unit": 0}, "a trace with a vocabulary"),
    ],
)
def test_bad_arguments_of_tokens(arguments, text):
    with pytest.raises(ValueError, match=text):
        plots.tokens(text_model(None), **arguments)
