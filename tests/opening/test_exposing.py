"""An opened model predicts what the model predicts, shares its weights, and its gates obey the equations."""

import architectures
import keras
import numpy as np
import pytest
from keras import layers
from reference import lstm, sigmoid

from keras_lstm_gates.opening import exposing
from keras_lstm_gates.opening.exposing import expose

# Keras says so of every nested model that is given a mask, opened or not.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it")


@pytest.fixture(params=architectures.ALL, ids=lambda make: make.__name__, scope="module")
def architecture(request):
    keras.utils.set_random_seed(1)
    model, data, fed = request.param()
    rng = np.random.default_rng(2)
    # Trained weights are not small and biases not zero.
    model.set_weights([weights + 0.3 * rng.normal(size=weights.shape) for weights in model.get_weights()])
    return model, data, fed, expose(model)


def predicted(model, data):
    return keras.tree.map_structure(np.asarray, model(data, training=False))


def test_same_predictions_and_weights(architecture):
    model, data, _, opened = architecture
    results = predicted(opened, data)
    own = keras.tree.flatten(predicted(model, data))
    paths = {name.removesuffix("/h") for name in opened.output if name.endswith("/h")}
    names = [name for name in opened.output if name.rpartition("/")[0] not in paths]
    for value, name in zip(own, names, strict=True):
        np.testing.assert_allclose(results[name], value, atol=1e-6, err_msg=name)
    assert {id(variable) for variable in opened.weights} == {id(variable) for variable in model.weights}


def test_gates_obey_the_equations(architecture):
    model, data, fed, opened = architecture
    results = predicted(opened, data)
    # A GRU has no c; tests/opening/test_gru.py has its gates.
    assert {name.removesuffix("/c") for name in results if name.endswith("/c")} == set(fed)
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    hidden = {}
    for path, (cell, x, mask, state, backwards) in fed.items():
        x = hidden[x] if isinstance(x, str) else np.asarray(predicted(keras.Model(inputs, x), data))
        h0, c0 = (None, None) if state is None else predicted(keras.Model(inputs, list(state)), data)
        lead, x = x.shape[:-2], x.reshape(-1, *x.shape[-2:])
        mask = None if mask is None else mask.reshape(x.shape[:2])
        if backwards:
            x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
        squash = hard_sigmoid if cell.recurrent_activation is keras.activations.hard_sigmoid else sigmoid
        expected = lstm(x, *cell.get_weights(), mask=mask, h0=h0, c0=c0, sigmoid=squash)
        if backwards:
            expected = {name: value[:, ::-1] for name, value in expected.items()}
            mask = None if mask is None else mask[:, ::-1]
        real = np.ones(x.shape[:2], bool) if mask is None else mask
        for name in "ifgoch":
            value = results[f"{path}/{name}"]
            assert value.shape[:-2] == lead
            value = value.reshape(-1, *value.shape[-2:])
            np.testing.assert_allclose(value[real], expected[name][real], atol=2e-6, err_msg=f"{path}/{name}")
        hidden[path] = expected["h"]


def hard_sigmoid(z):
    return np.clip(z / 6 + 0.5, 0, 1)


def test_saves_and_loads(architecture, tmp_path):
    _, data, _, opened = architecture
    opened.save(tmp_path / "opened.keras")
    again = predicted(keras.models.load_model(tmp_path / "opened.keras"), data)
    for name, value in predicted(opened, data).items():
        np.testing.assert_allclose(again[name], value, atol=1e-6, err_msg=name)


def test_exports(tmp_path):
    import tensorflow as tf

    model, data, _ = architectures.imdb_bidirectional()
    opened = expose(model)
    opened.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    served = loaded.serve(tf.constant(data.astype("int32")))
    for name, value in predicted(opened, data).items():
        np.testing.assert_allclose(served[name], value, atol=1e-6, err_msg=name)


def test_a_step_of_training_moves_both():
    model, data, _ = architectures.weather_forecasting()
    opened = expose(model)
    before = predicted(opened, data)
    model.compile("sgd", "mse")
    model.fit(data, np.ones((5, 1)), verbose=0)
    after = predicted(opened, data)
    name = model.output_names[0]
    np.testing.assert_allclose(after[name], predicted(model, data), atol=1e-6)
    assert np.abs(after[name] - before[name]).max() > 1e-4


def test_opening_opened_again_changes_nothing():
    model, data, fed = architectures.weather_forecasting()
    (path,) = fed
    once = predicted(expose(model), data)
    twice = predicted(expose(expose(model)), data)
    np.testing.assert_array_equal(twice[f"{path}/f"], once[f"{path}/f"])


def test_only_the_named_layers():
    model, data, _ = architectures.addition()
    first, _, second, dense = (layer.name for layer in model.layers)
    opened = exposing.open_graph(model, layers=[second])
    assert list(opened.gates) == [second]
    np.testing.assert_allclose(predicted(expose(model, second), data)[dense], predicted(model, data), atol=1e-6)
    assert first != second


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.lstm = layers.LSTM(2)

    def call(self, x):
        return self.lstm(x)


class Holder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inside = layers.LSTM(2)

    def call(self, x):
        return self.inside(x)


class OwnLSTM(layers.LSTM):
    pass


def of(layer, **named):
    return keras.Sequential([keras.Input((4, 3)), layer], **named)


@pytest.mark.parametrize(
    ("make", "wanted", "text"),
    [
        (lambda: "model.keras", None, "expected a built Functional or Sequential model.*received 'model.keras'"),
        (Subclassed, None, "received 'mine', a Subclassed that is not built. A subclassed model has no graph"),
        (
            lambda: of(layers.Dense(2), name="plain"),
            None,
            "one or more LSTM or GRU layers; received 'plain' with Dense",
        ),
        (
            lambda: of(Holder(name="mine")),
            None,
            "cannot open the layer 'mine': it is a Holder that calls an LSTM in its",
        ),
        (lambda: of(OwnLSTM(2, name="own")), None, "the layer 'own': expected LSTM.*received the class OwnLSTM"),
        (
            lambda: of(layers.LSTM(2, name="a")),
            ["b"],
            r"expected layers of \['a'\].*received 'b', no layer of this model",
        ),
        (
            lambda: keras.Sequential([keras.Input((4, 3)), layers.LSTM(2, name="a"), layers.Dense(1, name="d")]),
            ["a", "d"],
            r"expected layers of \['a'\], which hold an LSTM or GRU; received 'd', a Dense",
        ),
        (
            lambda: of(layers.RNN(layers.LSTMCell(2), zero_output_for_mask=True, name="zero")),
            None,
            "'zero': zero_output_for_mask with return_sequences=False",
        ),
    ],
)
def test_what_cannot_be_opened_says_why(make, wanted, text):
    with pytest.raises(ValueError, match=text):
        expose(make(), wanted)
