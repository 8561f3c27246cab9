"""GRUs are read: their gates as the equations have them, the models' answers as Keras has them."""

import keras
import numpy as np
import pytest
from keras import layers
from reference import gru, sigmoid

import keras_lstm_gates
from keras_lstm_gates import expose, plots, trace
from keras_lstm_gates.opening import open_graph

GATES = ("z", "r", "candidate", "h")


def weighted(model, seed=0):
    """The model with random weights, biases too."""
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.5, one.shape).astype(one.dtype) for one in model.get_weights()])
    return model


def backwards(named):
    return {name: values[:, ::-1] for name, values in named.items()}


def expected(cell, x, mask=None, go_backwards=False, **options):
    """The reference for a cell, with time as in the input."""
    x, mask = (x[:, ::-1], None if mask is None else mask[:, ::-1]) if go_backwards else (x, mask)
    kernel, recurrent_kernel, *bias = cell.get_weights()
    named = gru(x, kernel, recurrent_kernel, *bias, reset_after=cell.reset_after, mask=mask, **options)
    return backwards(named) if go_backwards else named


def agrees(received, wanted, path=""):
    for name in GATES:
        np.testing.assert_allclose(received[f"{path}{name}"], wanted[name], atol=2e-6, err_msg=name)


@pytest.mark.few(10)
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"use_bias": False},
        {"go_backwards": True},
        {"go_backwards": True, "return_sequences": True, "return_state": True},
        {"recurrent_activation": "relu", "activation": "sigmoid", "unroll": True},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
@pytest.mark.parametrize(
    "mask", [None, np.array([[0, 0, 1, 0, 1], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)], ids=["unmasked", "masked"]
)
def test_every_option(reset_after, options, mask, rng):
    """Without a mask, and with one that pads on the left, has gaps, and a row of nothing."""
    inputs = keras.Input((5, 3))
    x = inputs if mask is None else layers.Masking(mask_value=-9.0)(inputs)
    layer = layers.GRU(4, reset_after=reset_after, name="gru", **options)
    model = weighted(keras.Model(inputs, layer(x)))
    data = rng.normal(size=(3, 5, 3)).astype("float32")
    if mask is not None:
        data[~mask] = -9.0
    received = expose(model).predict(data, verbose=0)
    functions = {"sigmoid": lambda z: np.maximum(z, 0), "tanh": sigmoid} if "activation" in options else {}
    agrees(received, expected(layer.cell, data, mask, options.get("go_backwards", False), **functions), "gru/")
    own = [values for name, values in received.items() if "/" not in name]
    for one, other in zip(own, keras.tree.flatten(model.predict(data, verbose=0)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_directions_states_stacks_and_steps(rng):
    """Bidirectional under a mask, an encoder's state, a stack of mixed cells, below TimeDistributed."""
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    embedded = layers.Embedding(9, 3, mask_zero=True)(tokens)
    both = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True), name="both")
    x, forward, _ = both(embedded)
    decoder = layers.GRU(3, return_sequences=True, name="decoder")
    x = decoder(x, initial_state=forward)
    stack = layers.RNN([layers.GRUCell(2), layers.LSTMCell(3), layers.GRUCell(2, reset_after=False)], name="stack")
    pages = keras.Input((2, 4, 3), name="pages")
    each = layers.TimeDistributed(layers.GRU(2, name="page"), name="pages_read")(pages)
    model = weighted(keras.Model([tokens, pages], {"a": stack(x), "b": each}))
    ids = rng.integers(0, 9, size=(4, 6))
    ids[1, :2] = ids[2, 3:] = 0
    data = [ids, rng.normal(size=(4, 2, 4, 3)).astype("float32")]
    tree = trace(model, data, progress=False)
    stacked = ["stack/0", "stack/1", "stack/2"]
    paths = {"both/forward", "both/backward", "decoder", *stacked, "pages_read/page"}
    assert set(keras_lstm_gates.tracing.nodes(tree)) == paths
    for name, values in model.predict(data, verbose=0).items():
        np.testing.assert_allclose(tree[name], values, atol=1e-6)
    mask = ids != 0
    x = keras.Model(tokens, embedded)(ids).numpy()
    ahead = expected(both.forward_layer.cell, x, mask)
    behind = expected(both.backward_layer.cell, x, mask, go_backwards=True)
    agrees(tree["both/forward"], ahead)
    agrees(tree["both/backward"], behind)
    assert tree["both/backward"].attrs["reads"] == "backwards"
    # Keras's two directions show zeros at masked steps.
    read = np.concatenate([ahead["h"] * mask[..., None], behind["h"] * mask[..., None]], axis=-1)
    # Beside an initial state, Keras does not mask the layer; it hands the mask on.
    assert tree["decoder"]["mask"].values.all()
    agrees(tree["decoder"], expected(decoder.cell, read, h0=ahead["h"][:, -1]))
    assert tree["stack/1"]["f"].shape == (4, 6, 3)
    agrees(tree["stack/2"], expected(stack.cell.cells[2], tree["stack/1"]["h"].values, mask))
    of_pages = expected(model.get_layer("pages_read").layer.cell, data[1].reshape(8, 4, 3))
    agrees(tree["pages_read/page"], {name: values.reshape(4, 2, 4, 2) for name, values in of_pages.items()})
    np.testing.assert_array_equal(tree["both/forward"]["mask"], mask)


def test_a_stateful_model_goes_on_from_batch_to_batch(rng):
    layer = layers.GRU(4, stateful=True, return_sequences=True, name="gru")
    model = weighted(keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), layer]))
    data = rng.normal(size=(4, 5, 3)).astype("float32")
    traced = trace(model, data, progress=False)["gru"]
    first = expected(layer.cell, data[:2])
    second = expected(layer.cell, data[2:], h0=first["h"][:, -1])
    agrees(traced, {name: np.concatenate([first[name], second[name]]) for name in GATES})


def test_saved_loaded_and_opened_again(tmp_path, rng):
    inputs = keras.Input((None, 3))
    x = layers.GRU(4, return_sequences=True, name="gru")(layers.Masking()(inputs))
    model = weighted(keras.Model(inputs, layers.LSTM(2, name="lstm")(x)))
    data = rng.normal(size=(3, 5, 3)).astype("float32")
    data[1, 3:] = 0
    opened = expose(model)
    opened.save(tmp_path / "opened.keras")
    loaded = keras_lstm_gates.load_model(tmp_path / "opened.keras")
    for again in (loaded, expose(loaded)):
        assert sorted(again.output) == sorted(opened.output)
        for name, values in opened(data).items():
            np.testing.assert_allclose(again(data)[name], values, atol=1e-6, err_msg=name)


def test_layers_are_chosen_and_refused_by_name():
    class OwnGRU(layers.GRU):
        pass

    inputs = keras.Input((5, 3))
    x = layers.GRU(4, return_sequences=True, name="gru")(inputs)
    model = keras.Model(inputs, layers.LSTM(2, name="lstm")(OwnGRU(4, return_sequences=True, name="own")(x)))
    with pytest.raises(ValueError, match=r"cannot open the layer 'own': expected GRU, or RNN over GRUCell; received"):
        expose(model)
    assert sorted(name for name in expose(model, layers=["gru"]).output if "/" in name) == [
        f"gru/{name}" for name in sorted(GATES)
    ]
    # What acts on LSTMs alone does not look at them.
    assert list(open_graph(model).gates) == ["lstm"]
    with pytest.raises(ValueError, match=r"one or more LSTM layers; received .*; the gates of a GRU are for reading"):
        open_graph(keras.Model(inputs, x))


def test_dropout_is_for_training_alone(rng):
    model = keras.Sequential([keras.Input((5, 3)), layers.GRU(4, dropout=0.5, name="gru")])
    opened, data = expose(model), rng.normal(size=(3, 5, 3)).astype("float32")
    agrees(opened(data, training=False), expected(model.layers[0].cell, data), "gru/")
    with pytest.raises(ValueError, match="the gates of the layer 'gru' are for reading: expected training=False"):
        opened(data, training=True)


@pytest.mark.parametrize("format_", ["tflite", "onnx", "saved_model"])
def test_an_export_of_gru_gates_is_refused(tmp_path, format_, rng):
    model = keras.Sequential([keras.Input((5, 3)), layers.GRU(4, name="gru")], name="small")
    with pytest.raises(ValueError, match="received 'small' with GRU; the gates of a GRU are for reading alone"):
        keras_lstm_gates.export(model, tmp_path / "out", rng.normal(size=(3, 5, 3)), formats=(format_,))
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def mixed():
    """A trace of a GRU below an LSTM, under a mask."""
    inputs = keras.Input((None, 3))
    x = layers.GRU(4, return_sequences=True, name="gru")(layers.Masking()(inputs))
    model = weighted(keras.Model(inputs, layers.LSTM(3, name="lstm")(x)))
    data = np.random.default_rng(0).normal(size=(3, 5, 3)).astype("float32")
    data[1, 3:] = 0
    return trace(model, data, progress=False)


def test_statistics_of_a_gru(mixed):
    numbers = keras_lstm_gates.statistics(mixed, {"place": np.tile(np.arange(5), (3, 1))})["gru"]
    real, node = mixed["gru"]["mask"].values, mixed["gru"]
    assert numbers["gate"].values.tolist() == list(GATES)
    assert numbers["saturating"].values.tolist() == ["z", "r", "candidate"]
    for name in GATES:
        values = node[name].values[real].astype("float64")
        np.testing.assert_allclose(numbers["mean"].sel(gate=name), values.mean(axis=0), atol=1e-7)
    z, candidate = (node[name].values[real].astype("float64") for name in ("z", "candidate"))
    np.testing.assert_allclose(numbers["half_life"], np.log(0.5) / np.log(z).mean(axis=0))
    bias = candidate.mean(axis=0) / np.sqrt((candidate**2).mean(axis=0))
    np.testing.assert_allclose(numbers["candidate_bias"], bias)
    place = np.tile(np.arange(5.0), (3, 1))[real]
    expected_correlation = np.corrcoef(node["h"].values[real][:, 1], place)[0, 1]
    np.testing.assert_allclose(numbers["correlation"].sel(label="place", state="h")[1], expected_correlation)
    assert {"kind": "GRU", "activation": "tanh", "recurrent_activation": "sigmoid"}.items() <= node.attrs.items()


def test_pictures_of_a_gru(mixed):
    figure = plots.gates(mixed, layer="gru")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [name for name in GATES if any(title.startswith(f"$\\bf{{{name}}}$") for title in titles)] == list(GATES)
    picture = next(axes for axes in figure.axes if axes.get_title(loc="left").startswith("$\\bf{z}$"))
    np.testing.assert_allclose(
        np.sort(picture.images[0].get_array().ravel()), np.sort(mixed["gru"]["z"].values[0].ravel())
    )
    # Four panels of the LSTM and three of the GRU.
    assert len(plots.saturation(mixed).axes) == 7
    assert len(plots.memory(mixed).axes[0].lines) == 3
    with pytest.raises(ValueError, match=r"expected a gate of \['z', 'r', 'candidate', 'h'\]; received 'c'"):
        plots.tokens(mixed, 0, "c", layer="gru")


def test_a_store_pads_gates_alone(tmp_path):
    """Shorter batches, with an output that has the name of a gate."""
    inputs = keras.Input((None, 3))
    x = layers.GRU(2, return_sequences=True, name="gru")(inputs)
    model = weighted(keras.Model(inputs, layers.Dense(1, name="h")(x)))
    batches = [np.ones((64, 4, 3), "float32"), np.ones((2, 3, 3), "float32")]
    tree = trace(model, iter(batches), progress=False, to=tmp_path / "gates.zarr")
    assert tree["h"].values[-1, 3, 0] == 0
    np.testing.assert_array_equal(tree["gru"]["z"][-1, 3], tree["gru"]["z"][-1, 2])
