"""The picture shows the numbers of the trace."""

import itertools

import keras
import numpy as np
import pytest
from small import small_model

from keras_lstm_gates import plots, statistics, tracing


@pytest.fixture(scope="module")
def tree():
    return tracing.trace(*small_model())


def panels_of(figure):
    """{panel: axes}, of several channels the first, by the title's bold letter."""
    titled = [axes for axes in figure.axes if axes.get_title(loc="left")]
    return {axes.get_title(loc="left").split("{")[1].partition("}")[0]: axes for axes in titled}


def sequences_model(features, units=4, layer=keras.layers.LSTM):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((None, features))
    return keras.Model(inputs, layer(units, name="layer")(keras.layers.Masking()(inputs)))


def traced(x, columns=None, **options):
    return tracing.trace(sequences_model(x.shape[-1], **options), x, progress=False, columns=columns)


def centre_of(axes, step):
    """Where a step stands in the picture, in its whole widths."""
    figure = axes.figure
    return figure.transFigure.inverted().transform(axes.transData.transform((step, 0)))[0]


def test_panels_show_the_real_steps_of_the_sample(tree):
    panels = panels_of(plots.gates(tree, sample=1))
    assert list(panels) == ["x", "f", "i", "g", "o", "c", "h"]
    order = np.argsort(tree["lstm"]["f"].values[1, :4].mean(axis=0))
    for name in "ifgoch":
        (image,) = panels[name].images
        np.testing.assert_array_equal(image.get_array(), tree["lstm"][name].values[1, :4, order])
        low, high = image.get_clim()
        assert (low, high) == (0, 1) if name in "ifo" else low == -high


@pytest.mark.parametrize("channels", [3, 12])
def test_every_step_of_the_input_stands_above_its_column(channels, rng):
    figure = plots.gates(traced(rng.normal(size=(1, 7, channels))))
    panels, bars = panels_of(figure), [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    columns = [axes for axes in figure.axes if axes not in bars]
    assert len(bars) == (6 if channels == 3 else 7)
    assert next(iter(panels)) == "x"
    for axes in columns:
        box = axes.get_position()
        assert (box.x0, box.x1) == pytest.approx((columns[0].get_position().x0, columns[0].get_position().x1), abs=1e-6)
        for step in range(7):
            assert centre_of(axes, step) == pytest.approx(box.x0 + (step + 0.5) / 7 * box.width, abs=1e-6)
    tops = [axes.get_position().y1 for axes in columns]
    assert tops == sorted(tops, reverse=True)
    assert min(bar.get_position().x0 for bar in bars) > columns[0].get_position().x1


def test_channels_have_a_scale_of_their_own_and_their_names(rng):
    x = rng.normal(size=(2, 9, 3)) * [1, 1000, 0] + [0, 5, 2.5]
    names = ["load, MW", "price of a $ and another $, €/MWh", "sun"]
    tree = traced(x.astype("float32"), names)
    figure = plots.gates(tree, sample=1)
    rows = [axes for axes in figure.axes if axes.lines]
    assert panels_of(figure)["x"].get_title(loc="left").endswith("input: 3 channels")
    for axes, channel, name in zip(rows, tree["input"].values[1].T, names, strict=True):
        (line,) = axes.lines
        np.testing.assert_array_equal(line.get_xdata(), range(9))
        np.testing.assert_array_equal(line.get_ydata(), channel)
        assert axes.get_yticks().tolist() == sorted({float(channel.min()), float(channel.max())})
        texts = [float(text.get_text().replace("−", "-").replace(",", "")) for text in axes.get_yticklabels()]
        np.testing.assert_allclose(texts, axes.get_yticks(), atol=0.021 * np.ptp(channel))
        assert " ".join(axes.get_ylabel().split()) == name
    figure.draw_without_rendering()
    for axes in rows:
        assert axes.yaxis.label.get_window_extent().x0 >= 0
        assert axes.yaxis.label.get_window_extent().x1 <= axes.get_window_extent().x0


@pytest.mark.parametrize("channels", [2, 9])
def test_long_names_keep_their_beginning_and_their_end(channels, rng):
    names = [f"mean flow of water through the northern pipe number {number}, m³/s" for number in range(channels)]
    figure = plots.gates(traced(rng.normal(size=(1, 5, channels)), names))
    figure.draw_without_rendering()
    rows = [axes.yaxis.label for axes in figure.axes if axes.lines] or panels_of(figure)["x"].get_yticklabels()
    assert len(rows) == channels
    for number, label in enumerate(rows):
        text = label.get_text().replace("\n", "")
        assert text.startswith("mean flow")
        assert text.endswith(f"{number}, m³/s")
        assert label.get_text().count("\n") <= 2
        assert label.get_window_extent().x0 >= 0


@pytest.mark.parametrize("columns", [None, ["a", "b"]])
def test_channels_without_as_many_names_are_numbered(columns, rng):
    tree = traced(rng.normal(size=(1, 5, 3)))
    tree.attrs |= {} if columns is None else {"columns": columns}
    labels = [axes.get_ylabel() for axes in plots.gates(tree).axes if axes.lines]
    assert labels == ["channel 0", "channel 1", "channel 2"]


def test_one_channel_is_no_channels(rng):
    title = panels_of(plots.gates(traced(rng.normal(size=(1, 5, 1)))))["x"].get_title(loc="left")
    assert title.endswith("input: 1 channel")


@pytest.mark.parametrize("channels", [9, 40])
def test_many_channels_are_rows_of_a_heat_map(channels, rng):
    x = rng.normal(size=(1, 6, channels)) * np.arange(channels)  # the first is constant
    x[0, 2] = 0  # masked
    names = [f"sensor {number}" for number in range(channels)]
    axes = panels_of(plots.gates(traced(x, names)))["x"]
    assert axes.get_title(loc="left").endswith(f"input: {channels} channels, each on a scale of its own")
    drawn, kept = axes.images[0].get_array(), [0, 1, 3, 4, 5]
    assert np.ma.getmaskarray(drawn)[:, 2].all()
    real = x[0, kept, 1:]
    expected = (real - real.min(axis=0)) / np.ptp(real, axis=0)
    np.testing.assert_allclose(drawn[1:, kept], expected.T, atol=1e-6)
    np.testing.assert_array_equal(drawn[0, kept], 0.5)
    assert axes.images[0].get_clim() == (0, 1)
    assert axes.images[0].get_extent()[2:] == [channels - 0.5, -0.5]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == names if channels == 9 else axes.get_ylabel() == "channel"


@pytest.mark.parametrize("scale", [0.5, 40.0])
def test_states_are_coloured_up_to_their_99th_percentile_and_arrows_tell_of_more(scale, rng):
    tree = traced(rng.normal(size=(1, 50, 3)))
    node = tree["layer"]
    c = (scale * rng.uniform(-1, 1, node["c"].shape)).astype("float32")
    c[0, 3, 1] = 3 * scale
    node["c"].values[:] = c
    figure = plots.gates(tree)
    axes = panels_of(figure)["c"]
    limit = max(1.0, np.percentile(np.abs(c), 99))
    assert axes.images[0].get_clim() == pytest.approx((-limit, limit))
    assert axes.images[0].colorbar.extend == ("max" if scale == 0.5 else "both")
    assert panels_of(figure)["h"].images[0].colorbar.extend == "neither"
    assert axes.images[0].colorbar.get_ticks() == pytest.approx([-limit, 0, limit])


def test_steps_count_from_0_where_a_sample_starts_with_padding(rng):
    x = rng.normal(size=(1, 8, 2))
    x[0, :3] = 0
    figure = plots.gates(traced(x))
    panels = panels_of(figure)
    assert panels["x"].lines[0].get_xdata().tolist() == [3, 4, 5, 6, 7]
    assert panels["h"].images[0].get_extent()[:2] == [2.5, 7.5]
    assert {axes.get_xlim() for axes in figure.axes if axes.get_label() != "<colorbar>"} == {(2.5, 7.5)}
    figure.draw_without_rendering()
    shown = [text.get_text() for text in panels["h"].get_xticklabels() if text.get_visible()]
    assert [step for step in shown if step in "34567"] == list("34567")


def test_a_single_step_of_a_single_unit(rng):
    x = rng.normal(size=(1, 1, 2))
    figure = plots.gates(traced(x, units=1))
    figure.draw_without_rendering()
    panels = panels_of(figure)
    assert panels["x"].lines[0].get_markevery() == [0]
    assert panels["x"].get_yticks() == pytest.approx([x[0, 0, 0]])
    assert panels["f"].images[0].get_array().shape == (1, 1)
    ticks = [axis.get_majorticklocs() for axis in (panels["f"].xaxis, panels["f"].yaxis)]
    assert [[tick for tick in of_axis if -0.5 <= tick <= 0.5] for of_axis in ticks] == [[0], [0]]
    assert figure.get_suptitle() == "Layer 'layer', sample 0: 1 step"


def test_a_step_between_masked_ones_is_a_dot_in_long_sequences(rng):
    x = rng.normal(size=(1, 100, 1))
    x[0, [4, 6]] = 0
    line = panels_of(plots.gates(traced(x)))["x"].lines[0]
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [4, 6]
    assert line.get_markevery() == [5]


def test_a_gru_has_its_panels_in_order(rng):
    x = rng.normal(size=(1, 6, 2))
    tree = traced(x, layer=keras.layers.GRU)
    panels = panels_of(plots.gates(tree))
    assert list(panels) == ["x", "z", "r", "candidate", "h"]
    order = np.argsort(tree["layer"]["z"].values[0].mean(axis=0))
    for name in ("z", "r", "candidate", "h"):
        np.testing.assert_allclose(panels[name].images[0].get_array(), tree["layer"][name].values[0][:, order].T)


def test_the_steps_of_a_time_distributed_read_their_own_input(rng):
    x = rng.normal(size=(2, 3, 5, 2)).astype("float32")
    inputs = keras.Input((3, 5, 2))
    model = keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.LSTM(4), name="each")(inputs))
    tree = tracing.trace(model, x, progress=False, columns=["a", "b"])
    (path,) = tracing.nodes(tree)
    rows = [axes for axes in plots.gates(tree, path, sample=4).axes if axes.lines]
    for axes, channel in zip(rows, x[1, 1].T, strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), channel)


def sub_sequences_traced(channels, rng, columns):
    """A CNN-LSTM's input (sample, step, inner step, channel), and its trace."""
    x = rng.normal(size=(2, 5, 4, channels)).astype("float32")
    inputs = keras.Input((5, 4, channels))
    each = keras.layers.TimeDistributed(keras.layers.Conv1D(3, 2))(inputs)
    hidden = keras.layers.LSTM(4, name="lstm")(keras.layers.TimeDistributed(keras.layers.Flatten())(each))
    return x, tracing.trace(keras.Model(inputs, hidden), x, progress=False, columns=columns)


def test_the_inner_steps_of_sub_sequences_stand_side_by_side_within_their_step(rng):
    x, tree = sub_sequences_traced(2, rng, ["load", "wind"])
    figure = plots.gates(tree, sample=1)
    rows = [axes for axes in figure.axes if axes.lines]
    assert [axes.get_ylabel() for axes in rows] == ["load", "wind"]
    for axes, channel in zip(rows, x[1].reshape(20, 2).T, strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), channel)
        np.testing.assert_allclose(axes.lines[0].get_xdata(), np.arange(20) / 4 - 0.5 + 1 / 8)
    assert panels_of(figure)["x"].get_title(loc="left").endswith("2 channels, 4 inner steps in each step")


def test_many_channels_of_sub_sequences_are_a_heat_map(rng):
    x, tree = sub_sequences_traced(9, rng, [f"sensor {number}" for number in range(9)])
    image = panels_of(plots.gates(tree))["x"].images[0]
    low, high = x[0].min(axis=(0, 1)), x[0].max(axis=(0, 1))
    np.testing.assert_allclose(image.get_array(), ((x[0] - low) / (high - low)).reshape(20, 9).T, rtol=1e-5)
    assert image.get_extent() == [-0.5, 4.5, 8.5, -0.5]


def test_an_input_of_another_length_stands_above_no_column(rng):
    inputs = keras.Input((12, 2))
    x = keras.layers.LSTM(4)(keras.layers.Conv1D(3, 2, strides=2)(inputs))
    figure = plots.gates(tracing.trace(keras.Model(inputs, x), rng.normal(size=(1, 12, 2)), progress=False))
    assert panels_of(figure)["x"].get_title(loc="left").endswith("input: not one value a step")
    assert not any(axes.lines for axes in figure.axes if axes.get_label() != "<colorbar>")


def test_an_input_without_the_steps_of_a_time_distributed_stands_above_no_column(rng):
    inputs = keras.Input((6, 3))
    x = keras.layers.TimeDistributed(keras.layers.LSTM(4))(keras.layers.Reshape((2, 3, 3))(inputs))
    tree = tracing.trace(keras.Model(inputs, x), rng.normal(size=(1, 6, 3)), progress=False)
    figure = plots.gates(tree, sample=1)
    assert panels_of(figure)["x"].get_title(loc="left").endswith("input: not one value a step")


def test_a_sample_without_a_real_step_is_refused(rng):
    x = rng.normal(size=(2, 4, 2))
    x[1] = 0
    with pytest.raises(ValueError, match="expected a sample with a real step; received 1, all of whose steps are"):
        plots.gates(traced(x), sample=1)


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
    assert [text.get_position()[0] for text in figure.axes[0].texts] == [0, 1, 2, 3, 4]
    assert {text.get_rotation() for text in figure.axes[0].texts} == {0}


def test_ids_without_words_are_written_as_numbers():
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, keras.layers.LSTM(2)(keras.layers.Embedding(99, 3)(inputs)))
    axes = panels_of(plots.gates(tracing.trace(model, np.array([[22, 5, 1, 84]]), progress=False)))["x"]
    assert [text.get_text() for text in axes.texts] == ["22", "5", "1", "84"]
    assert axes.get_title(loc="left").endswith("input: 4 token ids")


def over_tokens(texts, steps):
    """The texts of a picture of so many steps that each have one of some tokens, one after the other."""
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, keras.layers.LSTM(2)(keras.layers.Embedding(len(texts), 3)(inputs)))
    ids = np.arange(steps)[None] % len(texts)
    figure = plots.gates(tracing.trace(model, ids, progress=False, vocabulary=texts))
    figure.set_dpi(130)
    figure.draw_without_rendering()
    return panels_of(figure)["x"]


@pytest.mark.parametrize(
    ("vocabulary", "steps", "rotation"),
    [
        (["a", "W", "\n", "$"], 20, 0),
        (["a", "W", "\n", "$"], 128, 0),
        (["of", "international", "understanding", "a"], 3, 0),
        (["of", "international", "understanding", "a"], 14, 90),
        (["of", "international", "understanding", "a"], 70, 90),
        (["x" * 60, "understanding"], 20, 90),
    ],
)
def test_tokens_do_not_touch(vocabulary, steps, rotation):
    axes = over_tokens(vocabulary, steps)
    assert len(axes.texts) == steps
    boxes = [text.get_window_extent() for text in axes.texts]
    for step, (text, box) in enumerate(zip(axes.texts, boxes, strict=True)):
        assert text.get_rotation() == rotation
        assert text.get_fontsize() >= 4
        assert (box.x0 + box.x1) / 2 == pytest.approx(axes.transData.transform((step, 0))[0], abs=1)
        assert box.y0 > axes.get_window_extent().y0 - 2
        assert box.y1 < axes.get_window_extent().y1 + 4
    assert all(first.x1 <= second.x0 for first, second in itertools.pairwise(boxes))
    shown = [text.get_text() for text in axes.texts[: len(vocabulary)]]
    whole = [token.replace("\n", "↵") for token in vocabulary]
    assert [text.rstrip("…") for text in shown] == [
        token[: len(text.rstrip("…"))] for text, token in zip(shown, whole, strict=False)
    ]
    assert "x" * 60 in vocabulary or shown == whole[: len(shown)]


@pytest.mark.parametrize(("vocabulary", "steps"), [(["a", "b"], 200), (["understanding", "of"], 100)])
def test_of_more_tokens_than_can_be_read_the_title_tells(vocabulary, steps):
    axes = over_tokens(vocabulary, steps)
    assert not axes.texts
    title = f"input: {steps} tokens, too many to write each above its step"
    assert axes.get_title(loc="left").endswith(title)


def test_tokens_of_another_number_of_steps_are_refused():
    inputs = keras.Input((8,), dtype="int32")
    x = keras.layers.Conv1D(3, 2, strides=2)(keras.layers.Embedding(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.LSTM(2, name="lstm")(x))
    tree = tracing.trace(model, np.ones((1, 8), int), progress=False, vocabulary=list("abcd"))
    with pytest.raises(ValueError, match="expected one input with a token for each of the steps of 'lstm'"):
        plots.tokens(tree, 0)
    assert panels_of(plots.gates(tree))["x"].get_title(loc="left").endswith("input: not one value a step")


def test_tokens_of_a_time_distributed_are_those_of_its_step():
    inputs = keras.Input((2, 3), dtype="int32")
    x = keras.layers.TimeDistributed(keras.layers.LSTM(2), name="each")(keras.layers.Embedding(4, 3)(inputs))
    ids = np.array([[[0, 1, 2], [3, 2, 1]]])
    tree = tracing.trace(keras.Model(inputs, x), ids, progress=False, vocabulary=list("abcd"))
    assert [text.get_text() for text in panels_of(plots.gates(tree, sample=1))["x"].texts] == list("dcb")
    assert [text.get_text() for text in plots.tokens(tree, 0, sample=1).axes[0].texts] == list("dcb")


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
