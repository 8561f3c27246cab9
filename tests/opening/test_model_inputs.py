"""What a model reads: its inputs, their vocabularies, and data that are checked, batched and made up."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_lstm_gates import gradient_chain, trace
from keras_lstm_gates.opening import random_data, windows
from keras_lstm_gates.opening.inputs import inputs_of


def test_embeddings_are_found_wherever_they_read_an_input():
    inner = keras.Input((None,))
    encoder = keras.Model(inner, layers.Embedding(7, 3)(inner), name="encoder")
    sentence = keras.Sequential([keras.Input((5,)), layers.Embedding(6, 3), layers.LSTM(2)])
    words, document = keras.Input((None,), name="words"), keras.Input((4, 5), dtype="int32", name="document")
    pages, series = keras.Input((2, 3), dtype="int32", name="pages"), keras.Input((None, 3), name="series")
    of_pages = layers.LSTM(2)(layers.Embedding(5, 2)(layers.Reshape((6,))(pages)))
    shared = layers.Embedding(9, 3)
    outputs = [
        layers.LSTM(3)(layers.Concatenate()([encoder(words), series, shared(words)])),
        layers.LSTM(3)(layers.TimeDistributed(sentence)(document)),
        layers.LSTM(3)(shared(document[:, 0])),
        of_pages,
    ]
    inputs = inputs_of(keras.Model([words, document, pages, series], outputs))
    assert {name: one.vocabulary for name, one in inputs.items()} == {
        "words": 7,
        "document": 6,
        "pages": 5,
        "series": None,
    }
    assert inputs["words"].whole
    assert not inputs["series"].whole


def test_an_embedding_of_what_is_no_input_says_nothing():
    series = keras.Input((5, 3), name="series")
    of_largest = layers.Embedding(2, 4)(keras.ops.argmax(series, axis=-1))
    model = keras.Model(series, layers.LSTM(2)(of_largest))
    assert inputs_of(model)["series"].vocabulary is None


@pytest.fixture(scope="module")
def named():
    """A model whose list of inputs is not in the order of their names."""
    late, early = keras.Input((4, 3), name="b"), keras.Input((4, 3), name="a")
    x = layers.Concatenate()([layers.LSTM(2, name="late")(late), layers.LSTM(2, name="early")(early)])
    return keras.Model([late, early], layers.Dense(1, name="score")(x))


def test_data_by_name_go_where_they_belong(named, rng):
    data = {name: rng.normal(size=(5, 4, 3)).astype("float32") for name in "ab"}
    tree = trace(named, data, progress=False)
    expected = named([data["b"], data["a"]])
    np.testing.assert_allclose(tree["score"], expected, atol=1e-6)
    np.testing.assert_array_equal(tree["input_a"], data["a"])
    batches = trace(named, iter([data]), progress=False)
    np.testing.assert_allclose(batches["score"], expected, atol=1e-6)
    chain, listed = gradient_chain(named, data), gradient_chain(named, [data["b"], data["a"]])
    for layer in ("late", "early"):
        np.testing.assert_array_equal(chain[layer]["spectral"], listed[layer]["spectral"])
    with pytest.raises(ValueError, match=r"received \['a', 'c'\]: 'b' is missing, 'c' is unknown"):
        trace(named, {"a": data["a"], "c": data["b"]})


def fixed(**options):
    return keras.Sequential([keras.Input(batch_shape=(4, 6, 3)), layers.LSTM(2, name="lstm", **options)])


@pytest.mark.parametrize("samples", [1, 4, 7])
def test_a_fixed_batch_takes_any_number_of_samples(samples):
    keras.utils.set_random_seed(1)
    model = fixed(return_sequences=True)
    free = keras.Sequential([keras.Input((6, 3)), layers.LSTM(2, name="lstm", return_sequences=True)])
    free.set_weights(model.get_weights())
    (data,) = random_data(model, samples).values()
    received, expected = (trace(one, data, progress=False) for one in (model, free))
    assert received["lstm"]["h"].shape == (samples, 6, 2)
    for name in (*"ifgoch", "mask"):
        np.testing.assert_allclose(received["lstm"][name], expected["lstm"][name], atol=1e-6)
    received, expected = (gradient_chain(one, data, layer="lstm") for one in (model, free))
    np.testing.assert_allclose(received["spectral"], expected["spectral"], atol=1e-6)
    if samples != 4:
        with pytest.raises(ValueError, match=f"expected 4 sequences with targets.*; received {samples}"):
            gradient_chain(model, data, np.zeros((samples, 6, 2)), "mse")


def test_a_stateful_model_serves_what_it_can():
    model = fixed(stateful=True)
    data = np.ones((7, 6, 3), "float32")
    # The last batch is filled up; the samples before it go on where the batch before it ended.
    tree = trace(model, data, progress=False)
    whole = trace(model, np.ones((8, 6, 3), "float32"), progress=False)
    np.testing.assert_allclose(tree["lstm"]["c"], whole["lstm"]["c"][:7], atol=1e-7)
    with pytest.raises(
        ValueError, match=r"expected batches of 4 sequences for the model .*, which is stateful, and fewer"
    ):
        trace(model, iter([data[:3], data[:4]]), progress=False)
    with pytest.raises(ValueError, match=r"expected up to 4 sequences at once for the model .*, which is stateful"):
        trace(model, iter([data]), progress=False)
    with pytest.raises(ValueError, match=r"expected up to 4 sequences at once for the model .*, which is stateful"):
        gradient_chain(model, data)
    with pytest.raises(ValueError, match="expected batch_size=4, which the model fixes, or None; received 3"):
        trace(model, data, batch_size=3)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([[1, 9]], r"expected tokens from 0 to 8, .* for the input 'words'; received 9 at index \(0, 1\)"),
        ([[-1, 2]], r"received -1 at index \(0, 0\)"),
        ([[1, 2.5]], r"expected whole numbers, tokens, for the input 'words'; received 2.5 at index \(0, 1\)"),
    ],
)
def test_unknown_tokens(tokens, text):
    words = keras.Input((None,), name="words")
    model = keras.Model(words, layers.LSTM(2)(layers.Embedding(9, 2)(words)))
    for look in (trace, gradient_chain):
        with pytest.raises(ValueError, match=text):
            look(model, np.array(tokens))


def test_windows_of_several_axes():
    table = np.arange(14).reshape(7, 2)
    np.testing.assert_array_equal(windows(table, 3), table[:6].reshape(2, 3, 2))
    with pytest.raises(ValueError, match="expected a table of 8 or more steps for windows of 8; received 7"):
        windows(table, 8)
