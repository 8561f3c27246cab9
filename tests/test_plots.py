"""The picture shows the numbers of the trace."""

import numpy as np
import pytest
from small import small_model

from keras_lstm_gates import plots, tracing


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
