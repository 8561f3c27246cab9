"""`GatedLSTM` in the place of the installed `keras.layers.LSTM`: arguments, graphs, training, new processes."""

import inspect
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import MASKS
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from reference import lstm

from keras_lstm_gates.layers import Bidirectional, GatedLSTM, GatedLSTMCell
from keras_lstm_gates.recurrence import use_path

BATCH, TIME, FEATURES, UNITS = 8, 5, 3, 2
TESTS = Path(__file__).parents[1]


def sequences(seed=0, batch=BATCH):
    return np.random.default_rng(seed).normal(size=(batch, TIME, FEATURES)).astype("float32")


@pytest.mark.parametrize("method", ["__init__", "call", "build", "compute_output_shape"])
@pytest.mark.parametrize(
    ("ours", "stock"),
    [
        (GatedLSTM, keras.layers.LSTM),
        (GatedLSTMCell, keras.layers.LSTMCell),
        (Bidirectional, keras.layers.Bidirectional),
    ],
)
def test_signatures_are_those_of_the_installed_keras(ours, stock, method):
    expected, received = (
        [(one.name, one.default, one.kind) for one in inspect.signature(getattr(kind, method)).parameters.values()]
        for kind in (stock, ours)
    )
    own = {name for name, *_ in received} - {name for name, *_ in expected}
    assert [one for one in received if one[0] not in own] == expected
    assert own <= {"return_gates", "gate_regularizer", "implementation", "interventions", "sequences_mask"}
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for name, _, kind in received if name in own)


def test_config_and_attributes_are_those_of_the_installed_keras():
    stock, ours = (kind(UNITS, use_cudnn=False, name="lstm") for kind in (keras.layers.LSTM, GatedLSTM))
    assert isinstance(ours, keras.layers.LSTM)
    config = ours.get_config()
    for own in ("implementation", "return_gates", "gate_regularizer", "interventions"):
        del config[own]
    assert config == stock.get_config()
    # What keras.layers.Bidirectional reads or sets, and what a trainer asks a layer.
    names = (
        "go_backwards return_sequences return_state stateful zero_output_for_mask use_cudnn states built unroll "
        "supports_jit _call_has_training_arg _call_has_mask_arg"
    )
    assert {name: getattr(ours, name) for name in names.split()} == {
        name: getattr(stock, name) for name in names.split()
    }
    assert ours.supports_masking  # in Keras 3.16 its own does not
    assert [weight.name for weight in ours.weights] == [weight.name for weight in stock.weights]


@pytest.mark.parametrize("given", [("auto", "auto"), (False, False), (True, True)])
def test_bidirectional_keeps_use_cudnn(given):
    given, kept = given
    for wrapper in (keras.layers.Bidirectional, Bidirectional):
        both = wrapper(GatedLSTM(UNITS, use_cudnn=given))
        assert (both.forward_layer.use_cudnn, both.backward_layer.use_cudnn) == (kept, kept)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_use_cudnn_without_a_gpu_is_refused_when_it_is_called():
    for layer in (keras.layers.LSTM(UNITS, use_cudnn=True), GatedLSTM(UNITS, use_cudnn=True, name="mine")):
        layer(keras.Input((TIME, FEATURES)))
        with pytest.raises(ValueError, match=r"cuDNN is not supported"):
            layer(sequences())
    with pytest.raises(ValueError, match=r"layer 'mine': use_cudnn=True expected a GPU, received none"):
        layer(sequences())
    with pytest.raises(ValueError, match=r"use_cudnn must be 'auto', True or False; received use_cudnn='yes'"):
        GatedLSTM(UNITS, use_cudnn="yes")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"use_bias": False}, "use_bias=True, received use_bias=False"),
        ({"recurrent_dropout": 0.5}, "no recurrent dropout, received recurrent_dropout=0.5"),
        ({"unroll": True}, "unroll=False, received unroll=True"),
        ({"activation": "relu"}, "activation=keras.activations.tanh, received"),
        ({"implementation": 1, "dropout": 0.5}, "implementation=2, received implementation=1 with dropout=0.5"),
    ],
)
def test_use_cudnn_on_a_gpu_is_refused_where_the_kernel_cannot_serve(monkeypatch, arguments, text):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [kind])
    with pytest.raises(ValueError, match=f"use_cudnn=True expected {text}"):
        GatedLSTM(UNITS, use_cudnn=True, **arguments)(sequences())


@pytest.mark.parametrize("use_cudnn", ["auto", True, False])
@pytest.mark.parametrize("masked", [False, True])
def test_on_a_gpu_use_cudnn_is_passed_on_to_keras(monkeypatch, use_cudnn, masked):
    mask = np.arange(TIME) < np.arange(1, BATCH + 1)[:, None] if masked else None
    stock = keras.layers.LSTM(UNITS, return_sequences=True)
    expected = stock(sequences(), mask=mask)
    received = []

    class Spy(keras.layers.LSTM):
        """Keras's layer, told what it was told, that does without the kernel that this machine has not."""

        def __init__(self, *args, use_cudnn, **kwargs):
            received.append(use_cudnn)
            super().__init__(*args, use_cudnn=False, **kwargs)

    monkeypatch.setattr(keras.layers, "LSTM", Spy)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [kind])
    ours = GatedLSTM(UNITS, return_sequences=True, use_cudnn=use_cudnn)
    ours.build((None, TIME, FEATURES))
    ours.set_weights(stock.get_weights())
    np.testing.assert_allclose(ours(sequences(), mask=mask), expected, atol=1e-6)
    # Only who asks for cuDNN says by it that a mask pads on the right.
    assert received == ([use_cudnn] if use_cudnn is True or (use_cudnn and not masked) else [])
    assert ours.supports_jit == (use_cudnn is False)


def fed(layer, what, jit):
    """A graph that learns every size when it runs: what is `what` (a state or a mask) comes beside the sequences."""
    signature = [tf.TensorSpec((None, None, FEATURES))]
    if what == "mask":
        signature.append(tf.TensorSpec((None, None), tf.bool))
        return tf.function(lambda x, mask: layer(x, mask=mask), input_signature=signature, jit_compile=jit)
    signature.append(tf.TensorSpec((None, UNITS)))
    return tf.function(lambda x, h: layer(x, initial_state=[h, h]), input_signature=signature, jit_compile=jit)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("what", "right", "wrong"),
    [
        ("initial_state", (BATCH, UNITS), [(1, UNITS), (4, UNITS), (12, UNITS)]),
        ("mask", (BATCH, TIME), [(1, TIME), (12, TIME), (BATCH, 1), (BATCH, 9), (TIME, BATCH), (4, 10)]),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_a_graph(what, right, wrong, jit):
    stock, ours = keras.layers.LSTM(UNITS), GatedLSTM(UNITS, name="mine")
    for layer in (stock, ours):
        layer.build((None, None, FEATURES))
    ours.set_weights(stock.get_weights())
    arrays = {"mask": lambda shape: np.ones(shape, bool), "initial_state": lambda shape: np.ones(shape, "float32")}
    run = fed(ours, what, jit)
    for shape in wrong:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\b{shape[0]},{shape[1]}\b(.|\n)*mine.*/{what}_has"):
            run(sequences(), arrays[what](shape))
    expected = fed(stock, what, False)(sequences(), arrays[what](right))
    np.testing.assert_allclose(run(sequences(), arrays[what](right)), expected, atol=1e-6)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_stateful_model_refuses_another_batch(wrapped):
    layer = GatedLSTM(UNITS, stateful=True, name="mine")
    model = keras.Sequential(
        [keras.Input(batch_shape=(4, TIME, FEATURES)), Bidirectional(layer, name="mine") if wrapped else layer]
    )
    assert model.predict(sequences(), batch_size=4, verbose=0).shape[0] == BATCH
    for x, batch in ((sequences(), 8), (sequences()[:6], 4)):
        # Which of two refusals comes first is up to TensorFlow.
        text = r"mine.*/(initial_state_has_another_batch|EnsureShape)"
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            model.predict(x, batch_size=batch, verbose=0)


@pytest.mark.parametrize(
    "states",
    [
        lambda h: [h],
        lambda h: [h, h, h],
        lambda h: [],
        lambda h: [[h, h]],
        lambda h: np.stack([h, h]),
        lambda h: [h, h[:1]],
        lambda h: h,
    ],
)
def test_states_that_are_no_pair_are_refused(states):
    with pytest.raises(ValueError, match=r"layer 'mine': initial_state must be \[h, c\], each of shape \(8, 2\); rec"):
        GatedLSTM(UNITS, name="mine")(sequences(), initial_state=states(np.ones((BATCH, UNITS), "float32")))


def test_states_come_by_position_by_keyword_and_as_any_pair():
    h, c = (np.random.default_rng(k).normal(size=(BATCH, UNITS)).astype("float32") for k in (1, 2))
    stock, ours = keras.layers.LSTM(UNITS), GatedLSTM(UNITS)
    expected = stock(sequences(), [h, c])
    ours.build((None, TIME, FEATURES))
    ours.set_weights(stock.get_weights())
    outputs = [ours(sequences(), [h, c]), ours(sequences(), (h, c)), ours(sequences(), initial_state=(h, c))]
    inputs = [keras.Input((TIME, FEATURES)), keras.Input((UNITS,)), keras.Input((UNITS,))]
    outputs.append(
        keras.Model(inputs, ours(inputs[0], initial_state=inputs[1:])).predict([sequences(), h, c], verbose=0)
    )
    for output in outputs:
        np.testing.assert_allclose(output, expected, atol=1e-6)


@pytest.mark.parametrize("mask", [name for name in MASKS if name != "none"])
def test_masks_go_on_where_keras_ends_them(monkeypatch, mask):
    """As in Keras 3.16, whose RNNs and Bidirectional do not support masking."""
    for kind in (keras.layers.RNN, keras.layers.Bidirectional):

        def ending(self, *args, _init=kind.__init__, **kwargs):
            _init(self, *args, **kwargs)
            self.supports_masking = False

        monkeypatch.setattr(kind, "__init__", ending)
    first, both, last = (
        GatedLSTM(UNITS, return_sequences=True),
        Bidirectional(GatedLSTM(UNITS, return_sequences=True, return_gates=True)),
        GatedLSTM(UNITS),
    )
    sequence = keras.Input((None, FEATURES))
    middle = both(first(keras.layers.Masking()(sequence)))["output"]
    model = keras.Model(sequence, last(middle))
    real = np.array(MASKS[mask], bool)
    x = np.where(real[..., None], sequences(batch=3), 0)
    back = slice(None, None, -1)
    h = lstm(x, *first.get_weights(), mask=real)["h"]
    ways = [
        lstm(h, *both.get_weights()[:3], mask=real)["h"],
        lstm(h[:, back], *both.get_weights()[3:], mask=real[:, back])["h"][:, back],
    ]
    expected = lstm(np.concatenate(ways, axis=-1), *last.get_weights(), mask=real)["h"][:, -1]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_check_numerics_watches_training(run_eagerly):
    fitted = []
    tf.debugging.enable_check_numerics()
    try:
        for kind in (keras.layers.LSTM, GatedLSTM):
            model = keras.Sequential([keras.Input((TIME, FEATURES)), kind(UNITS)])
            model.compile("sgd", "mse", run_eagerly=run_eagerly)
            model.set_weights([np.cos(np.arange(w.size)).reshape(w.shape) for w in model.get_weights()])
            model.fit(sequences(), np.ones((BATCH, UNITS)), verbose=0, shuffle=False)
            fitted.append(model.get_weights())
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?i)\bnan\b"):
            model.predict(sequences() * np.nan, verbose=0)
    finally:
        tf.debugging.disable_check_numerics()
    for expected, received in zip(*fitted, strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dropout": 1.0},
        {"recurrent_dropout": 1.0, "dropout": 0.5, "seed": 1},
        {"dropout": np.float32(0.5), "seed": 1},
        {"implementation": 0, "units": np.int64(UNITS)},
    ],
)
def test_numbers_that_keras_takes(arguments, tmp_path):
    """Trained as stock is; what drops nothing drops nothing; and saved, as plain numbers."""
    arguments, fitted = {"units": UNITS, **arguments}, []
    # Keras's model refuses the NumPy units that its layer takes.
    of_stock = {**arguments, "units": int(arguments["units"])}
    if keras.version() < "3.15":
        # It trains with no rate of 1 yet, which drops nothing, and makes a mask a gate of recurrent dropout alone.
        of_stock |= {name: 0.0 for name in ("dropout", "recurrent_dropout") if arguments.get(name) == 1.0}
        of_stock |= {"implementation": 1, "use_cudnn": False} if "recurrent_dropout" in arguments else {}
    for kind, of_kind in ((keras.layers.LSTM, of_stock), (GatedLSTM, arguments)):
        model = keras.Sequential([keras.Input((TIME, FEATURES)), kind(**of_kind)])
        model.compile("sgd", "mse", jit_compile=False)
        model.set_weights([np.cos(np.arange(w.size)).reshape(w.shape) for w in model.get_weights()])
        model.fit(sequences(), np.ones((BATCH, UNITS)), batch_size=4, epochs=2, verbose=0, shuffle=False)
        fitted.append(model.get_weights())
    for expected, received in zip(*fitted, strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(sequences()), model(sequences()))
    assert {type(again.layers[0].get_config()[name]) for name in ("units", "dropout")} == {int, float}
    swapped = GatedLSTM.from_config(keras.layers.LSTM(**arguments).get_config())
    assert swapped.dropout == model.layers[0].dropout


LOADED = """
import sys, keras, numpy as np
from keras_lstm_gates.layers import Bidirectional, GatedLSTM
# Layers that were here before take the names that Keras gives first.
keras.Sequential([keras.Input((3, 2)), GatedLSTM(2, return_sequences=True), Bidirectional(GatedLSTM(1))])
for path in sys.argv[1:]:
    arrays = np.load(path.replace(".keras", ".npz"))
    outputs = keras.tree.flatten(keras.models.load_model(path).predict(arrays["x"], verbose=0))
    assert len(outputs) == len(arrays) - 1
    for k, received in enumerate(outputs):
        np.testing.assert_allclose(received, arrays[f"y{k}"], atol=2e-6, err_msg=path)
"""


def load_elsewhere(folder):
    """Open every model of `folder` in a new process and compare what it predicts with the arrays beside it."""
    paths = sorted(map(str, folder.glob("*.keras")))
    assert paths
    done = subprocess.run([sys.executable, "-c", LOADED, *paths], capture_output=True, text=True, cwd=TESTS.parent)
    assert done.returncode == 0, done.stderr


def save(folder, name, model, x, outputs):
    model.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.npz", x=x, **{f"y{k}": np.asarray(y) for k, y in enumerate(keras.tree.flatten(outputs))})


maybe = {
    "regularizer": st.sampled_from([None, "l2"]),
    "constraint": st.sampled_from([None, "max_norm"]),
}
configurations = st.fixed_dictionaries(
    {
        "activation": st.sampled_from(["tanh", "tanh", "tanh", "softsign", None]),
        "recurrent_activation": st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid"]),
        "use_bias": st.booleans(),
        "kernel_initializer": st.sampled_from(["glorot_uniform", "normal"]),
        "recurrent_initializer": st.sampled_from(["orthogonal", "normal"]),
        "bias_initializer": st.sampled_from(["zeros", "normal"]),
        "unit_forget_bias": st.booleans(),
        **{f"{of}_{kind}": values for of in ("kernel", "recurrent", "bias") for kind, values in maybe.items()},
        "activity_regularizer": maybe["regularizer"],
        "dropout": st.sampled_from([0.0, 0.0, 0.3]),
        "recurrent_dropout": st.sampled_from([0.0, 0.0, 0.4]),
        "seed": st.sampled_from([1, 2]),
        "return_sequences": st.booleans(),
        "return_state": st.booleans(),
        "go_backwards": st.booleans(),
        "stateful": st.booleans(),
        "unroll": st.booleans(),
        "use_cudnn": st.sampled_from(["auto", False]),
        "implementation": st.sampled_from([1, 2]),
        "zero_output_for_mask": st.booleans(),
        "dtype": st.sampled_from([None, "float32"]),
    }
)


def in_a_model(kind, options, time, masked):
    """The layer in a model of unknown batch (but where it is stateful), its outputs in a list."""
    sequence = keras.Input(batch_shape=(2 if options["stateful"] else None, time, FEATURES))
    layer = kind(UNITS, **options)
    layer.supports_masking = True  # Keras 3.16 says False: its loss would then count the masked steps.
    outputs = layer(keras.layers.Masking()(sequence) if masked else sequence)
    model = keras.Model(sequence, list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])
    model.compile("sgd", ["mse"] * len(model.outputs), jit_compile=False)
    return model


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # each try trains two models: what fails is not made smaller
    suppress_health_check=[HealthCheck.too_slow],
)
@given(options=configurations, fixed=st.booleans(), masked=st.booleans())
def trains_and_predicts_as_stock_keras(folder, options, fixed, masked):
    """Three steps of `fit`, a `predict` with a smaller last batch; the model and what it predicted are saved."""
    # Keras bugs: cuDNN is tried with four dropout masks; unrolled and backwards it zeroes other steps than the masked.
    assume(not (options["use_cudnn"] and options["dropout"] and options["implementation"] == 1))
    assume(not (options["unroll"] and options["go_backwards"] and options["zero_output_for_mask"]))
    time = TIME if fixed or options["unroll"] else None
    x = sequences(batch=6)
    x[[0, 0, 1, 3], [3, 4, 0, 2]] = 0
    results = []
    for kind in (keras.layers.LSTM, GatedLSTM):
        model = in_a_model(kind, options, time, masked)
        if results:
            model.set_weights(results[0][0])
        start = model.get_weights()
        # Its random dropout masks, which Keras draws here too, are set back below.
        shapes = [output.shape for output in keras.tree.flatten(model.predict(x, batch_size=2, verbose=0))]
        model.layers[-1].cell.seed_generator.state.assign([0, 5])
        if options["stateful"]:
            model.layers[-1].reset_state()
        model.fit(x, [np.ones(shape, "float32") for shape in shapes], batch_size=2, verbose=0, shuffle=False)
        if options["stateful"]:
            model.layers[-1].reset_state()
        outputs = keras.tree.flatten(model.predict(x, batch_size=2 if options["stateful"] else 4, verbose=0))
        results.append((start, model.trainable_weights, outputs))
    (_, expected_weights, expected), (_, weights, received) = results
    for have, want in zip((*weights, *received), (*expected_weights, *expected), strict=True):
        np.testing.assert_allclose(np.asarray(have), np.asarray(want), atol=1e-5)
    if not options["stateful"]:
        save(folder, f"model{len(list(folder.glob('*.keras')))}", model, x, received)


def test_trains_and_predicts_as_stock_keras_and_so_does_a_new_process(tmp_path):
    trains_and_predicts_as_stock_keras(tmp_path)
    load_elsewhere(tmp_path)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_the_portable_path_equals_the_equations(masked, go_backwards):
    mask = np.array(MASKS["gaps"], bool) if masked else None
    ours = GatedLSTM(UNITS, go_backwards=go_backwards, return_gates=True, bias_initializer="normal")
    x = sequences(batch=3)
    with use_path("portable"):
        received = ours(x, mask=mask)
    time = slice(None, None, -1) if go_backwards else slice(None)
    expected = lstm(x[:, time], *ours.get_weights(), mask=None if mask is None else mask[:, time])
    for name in "ifgoch":
        np.testing.assert_allclose(received[name], expected[name], atol=1e-6, err_msg=name)


@pytest.mark.full
def test_keras_own_tests():
    """The tests that the installed Keras has of its LSTM, cells and Bidirectional, with our layers in their place."""
    if not (Path(keras.__file__).parent / "src" / "layers" / "rnn" / "lstm_test.py").exists():
        pytest.skip("this Keras came without its tests")
    done = subprocess.run(
        [sys.executable, TESTS / "keras_own_tests.py"], capture_output=True, text=True, cwd=TESTS.parent
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.count(" 0 failed") == 4
