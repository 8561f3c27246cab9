"""The picture of several sizes shows the numbers of the tables."""

import pandas as pd
import pytest

from keras_lstm_gates import plots


def test_a_point_a_size_and_the_card_as_a_band():
    curve = pd.DataFrame({"units": [8, 4], "parameters": [400, 150], "accuracy": [0.9, 0.8]})
    figure = plots.shrinking({"one": curve, "two": curve.assign(accuracy=[0.9, 0.85])}, card=(0.88, 0.02))
    (axes,) = figure.axes
    one, two = (line for line in axes.lines if line.get_marker() == "o")
    assert one.get_xydata().tolist() == [[400, 0.9], [150, 0.8]]
    assert two.get_ydata().tolist() == [0.9, 0.85]
    assert [text.get_text() for text in axes.texts] == ["8", "4", "8", "4"]
    assert axes.get_ylabel() == "accuracy"
    box = axes.patches[0].get_bbox()
    assert [box.y0, box.y1] == pytest.approx([0.86, 0.9])
    assert len(plots.shrinking(curve).axes[0].lines) == 1


def test_tables_that_measure_different_things_are_refused():
    curve = pd.DataFrame({"units": [8], "parameters": [400], "accuracy": [0.9]})
    with pytest.raises(ValueError, match=r"expected curves that measure one thing; received \['accuracy', 'loss'\]"):
        plots.shrinking({"one": curve, "two": curve.rename(columns={"accuracy": "loss"})})
