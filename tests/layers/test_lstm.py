"""`GatedLSTM` over its options, against stock Keras with the same weights and against the equations in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import MASKS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference import lstm

from keras_lstm_gates.gates import Gates
from keras_lstm_gates.layers import GatedLSTM
from keras_lstm_gates.layers.cell import GateWeights
from keras_lstm_gates.recurrence import use_path

BATCH, TIME, FEATURES, UNITS = 3, 5, 4, 2


def pair(dtype="float32", gates=True, **arguments):
    """A stock LSTM and ours, with the same weights, all of them random."""
    stock = keras.layers.LSTM(UNITS, dtype=dtype, bias_initializer="normal", **arguments)
    ours = GatedLSTM(UNITS, dtype=dtype, bias_initializer="normal", return_gates=gates, **arguments)
    for layer in (stock, ours):
        layer.build((BATCH, TIME, FEATURES))
    ours.set_weights(stock.get_weights())
    return stock, ours


def sequences(seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype(dtype)


def flat(outputs):
    """What a layer returned in stock Keras's order, from a tuple or from our dict."""
    if isinstance(outputs, dict):
        return [outputs[name] for name in ("output", "state_h", "state_c") if name in outputs]
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def pattern(name):
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


options = st.fixed_dictionaries(
    {
        "return_sequences": st.booleans(),
        "return_state": st.booleans(),
        "go_backwards": st.booleans(),
        "unroll": st.booleans(),
        "use_bias": st.booleans(),
        "implementation": st.sampled_from([1, 2]),
        "unit_forget_bias": st.booleans(),
        "activation": st.sampled_from(["tanh", "tanh", "softsign", None]),
        "recurrent_activation": st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid"]),
        "zero_output_for_mask": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(options=options, mask=st.sampled_from(sorted(MASKS)), state=st.booleans(), gates=st.booleans())
def test_values_and_gradients_equal_stock_keras(options, mask, state, gates):
    # Keras bug: unrolled and backwards, it zeroes the masked steps of the input's order, not of the output's.
    assume(not (options["unroll"] and options["go_backwards"] and options["zero_output_for_mask"]))
    stock, ours = pair(gates=gates, **options)
    x = tf.constant(sequences())
    mask = pattern(mask)
    h0, c0 = (tf.constant(np.random.default_rng(k).normal(size=(BATCH, UNITS)).astype("float32")) for k in (1, 2))
    results = []
    for layer in (stock, ours):
        with tf.GradientTape() as tape:
            tape.watch([x, h0, c0])
            outputs = flat(layer(x, mask=mask, initial_state=[h0, c0] if state else None))
            loss = sum(tf.reduce_sum(tf.sin(3 * value + place)) for place, value in enumerate(outputs))
        variables = [x, h0, c0, *(weight.value for weight in layer.trainable_variables)]
        results.append((outputs, tape.gradient(loss, variables, unconnected_gradients="zero")))
    (expected, expected_gradients), (received, received_gradients) = results
    for want, have in zip(expected, received, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-6)
    for want, have in zip(expected_gradients, received_gradients, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5 * max(1.0, float(np.abs(want).max())))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    mask=st.sampled_from(sorted(MASKS)),
    state=st.booleans(),
    go_backwards=st.booleans(),
    use_bias=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_gates_obey_the_equations(mask, state, go_backwards, use_bias, dtype):
    _, ours = pair(dtype=dtype, go_backwards=go_backwards, use_bias=use_bias, return_state=True)
    x, mask = sequences(dtype=dtype), pattern(mask)
    h0, c0 = (np.random.default_rng(k).normal(size=(BATCH, UNITS)).astype(dtype) for k in (1, 2))
    received = ours(x, mask=mask, initial_state=[h0, c0] if state else None)
    time = slice(None, None, -1) if go_backwards else slice(None)
    weights = [np.asarray(weight) for weight in ours.get_weights()]
    expected = lstm(
        x[:, time],
        *weights,
        mask=None if mask is None else mask[:, time],
        h0=h0 if state else None,
        c0=c0 if state else None,
    )
    for name in Gates._fields:
        assert keras.backend.standardize_dtype(received[name].dtype) == dtype
        np.testing.assert_allclose(
            received[name], expected[name], atol=1e-6 if dtype == "float32" else 1e-12, err_msg=name
        )


@pytest.mark.parametrize("name", Gates._fields)
def test_a_loss_on_any_gate_differentiates(name, mask):
    """Against central differences of the float64 reference, in the input and in every weight."""
    _, ours = pair(dtype="float64")
    x = tf.constant(sequences(dtype="float64"))
    towards = np.random.default_rng(5).normal(size=(BATCH, TIME, UNITS))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(ours(x, mask=mask)[name] * towards)
    gradients = tape.gradient(loss, [x, *(weight.value for weight in ours.trainable_variables)])
    point = [x.numpy(), *ours.get_weights()]
    for place, gradient in enumerate(gradients):
        direction = np.random.default_rng(place).normal(size=point[place].shape)
        step = 1e-6

        def at(offset, place=place, direction=direction):
            moved = [value + offset * direction if k == place else value for k, value in enumerate(point)]
            return np.sum(lstm(*moved, mask=mask)[name] * towards)

        np.testing.assert_allclose(
            np.sum(gradient * direction), (at(step) - at(-step)) / (2 * step), rtol=1e-6, atol=1e-7
        )


@pytest.mark.parametrize("arguments", [{}, {"dropout": 0.4, "seed": 3}])
def test_gates_beside_a_kernel_that_hides_them(arguments):
    """The cudnn path: h by `keras.layers.LSTM`, the gates recomputed; the same values and gradients."""
    results = []
    for path in ("compiled", "cudnn"):
        _, ours = pair(dtype="float64", **arguments)
        ours.set_weights([np.cos(np.arange(weight.size)).reshape(weight.shape) for weight in ours.get_weights()])
        x = tf.constant(sequences(dtype="float64"))
        with use_path(path), tf.GradientTape() as tape:
            tape.watch(x)
            outputs = ours(x, training=True)
            loss = sum(tf.reduce_sum(tf.sin(3 * value)) for value in outputs.values())
        results.append((outputs, tape.gradient(loss, [x, *(weight.value for weight in ours.trainable_variables)])))
    keras.tree.map_structure(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-11), *results)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy, mask):
    stock, ours = pair(dtype=policy, return_sequences=True)
    x = sequences()
    received, expected = ours(x, mask=mask), stock(x, mask=mask)
    exact = lstm(x, *ours.get_weights(), mask=mask)
    compute = policy.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(received["f"].dtype) == compute
    # As close to the truth as stock Keras is, to within the last bits of the type.
    last_bit = {"bfloat16": 2.0**-8, "float16": 2.0**-11}[compute]
    for name in Gates._fields:
        error = np.abs(np.asarray(received[name], "float64") - exact[name]).max()
        assert error < 16 * last_bit, name
    error_of_keras = np.abs(np.asarray(expected, "float64") - exact["h"]).max()
    assert np.abs(np.asarray(received["h"], "float64") - exact["h"]).max() < error_of_keras + 4 * last_bit


@pytest.mark.parametrize(
    "rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.4}]
)
@pytest.mark.parametrize("implementation", [1, 2])
def test_drops_what_keras_drops(rates, implementation):
    stock, ours = pair(seed=11, implementation=implementation, return_sequences=True, **rates)
    # Keras bug: with implementation=1 and dropout its LSTM fails before it falls back from cuDNN.
    stock.use_cudnn = False
    x = tf.constant(sequences())
    gradients = []
    for layer in (stock, ours):
        with tf.GradientTape() as tape:
            output = flat(layer(x, training=True))[0]
            loss = tf.reduce_sum(tf.sin(3 * output))
        gradients.append((output, tape.gradient(loss, [weight.value for weight in layer.trainable_variables])))
    (expected, expected_gradients), (received, received_gradients) = gradients
    np.testing.assert_allclose(received, expected, atol=1e-6)
    for want, have in zip(expected_gradients, received_gradients, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5 * max(1.0, float(np.abs(want).max())))
    assert np.abs(received - ours(x)["output"]).max() > 1e-3
    again = flat(ours(x, training=True))[0]
    assert np.abs(received - again).max() > 1e-3, "each batch has dropout masks of its own"


@pytest.mark.parametrize("name", ["left", "gaps"])
def test_unrolled_backwards_zeroes_the_masked_steps_of_the_output(name):
    """Steps after the first real one, which would repeat it; before it all is zero anyway."""
    mask = pattern(name)
    _, ours = pair(unroll=True, go_backwards=True, zero_output_for_mask=True, return_sequences=True)
    output = np.asarray(ours(sequences(), mask=mask)["output"])
    np.testing.assert_array_equal((output == 0).all(axis=-1), ~mask[:, ::-1])
    gates = lstm(sequences()[:, ::-1], *ours.get_weights(), mask=mask[:, ::-1])
    np.testing.assert_allclose(output, gates["h"] * mask[:, ::-1, None], atol=1e-6)


@pytest.mark.parametrize("use_bias", [True, False])
def test_the_forget_gate_alone_starts_open(use_bias):
    layers = [kind(UNITS, use_bias=use_bias) for kind in (keras.layers.LSTM, GatedLSTM)]
    for layer in layers:
        layer.build((None, TIME, FEATURES))
    stock, ours = layers
    assert len(ours.get_weights()) == len(stock.get_weights())
    if use_bias:
        np.testing.assert_array_equal(ours.get_weights()[2], stock.get_weights()[2])
        of_gates = {name: weights.b.tolist() for name, weights in ours.gate_weights().items()}
        assert of_gates == {"i": [0] * UNITS, "f": [1] * UNITS, "g": [0] * UNITS, "o": [0] * UNITS}


@pytest.mark.parametrize("return_sequences", [False, True])
def test_stateful_carries_the_state_as_keras_does(mask, return_sequences):
    stock, ours = pair(stateful=True, return_state=True, return_sequences=return_sequences)
    for batch in range(3):
        x = sequences(batch)
        expected = stock(x, mask=mask)
        for want, have in zip(flat(expected), flat(ours(x, mask=mask)), strict=True):
            np.testing.assert_allclose(have, want, atol=1e-6)
    for layer in (stock, ours):
        layer.reset_state()
    np.testing.assert_allclose(flat(ours(x))[0], flat(stock(x))[0], atol=1e-6)
    with pytest.raises(ValueError, match="stateful=True: expected the batch size 3 of the first batch; received 2"):
        ours(x[:2])


@pytest.mark.parametrize("batch", [None, BATCH])
@pytest.mark.parametrize("time", [None, TIME])
@pytest.mark.parametrize("gates", [False, True])
def test_functional_model(batch, time, gates):
    keras.utils.set_random_seed(0)
    sequence = keras.Input(batch_shape=(batch, time, FEATURES))
    masked = keras.layers.Masking()(sequence)
    layer = GatedLSTM(UNITS, return_sequences=True, return_gates=gates)
    outputs = layer(masked)
    model = keras.Model(sequence, outputs)
    x = sequences()
    x[1, 3:] = 0
    received = model.predict(x, verbose=0, batch_size=BATCH)
    expected = lstm(x, *layer.get_weights(), mask=np.any(x != 0, axis=-1))
    if gates:
        assert model.output["f"].shape == (batch, time, UNITS)
        for name in Gates._fields:
            np.testing.assert_allclose(received[name], expected[name], atol=1e-6)
        received = received["output"]
    np.testing.assert_allclose(received, expected["h"], atol=1e-6)


@pytest.mark.few(4)
@pytest.mark.parametrize("how", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}, {}])
@pytest.mark.parametrize("time", [None, TIME])
def test_fit_ends_where_keras_ends(how, time):
    """Three epochs of Adam on a `tf.data.Dataset` with a smaller last batch, masked, from the same weights."""
    x, y = np.random.default_rng(1).normal(size=(8, TIME, FEATURES)).astype("float32"), np.arange(8) % 2
    x[3, 2:] = 0
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    fitted = []
    for layer in (keras.layers.LSTM(UNITS), GatedLSTM(UNITS)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((time, FEATURES)), keras.layers.Masking(), layer, keras.layers.Dense(2, "softmax")]
        )
        if fitted:
            model.set_weights(fitted[0][0])
        start = model.get_weights()
        # Stock LSTM with a mask and XLA needs a fixed time axis; it only serves as the standard here.
        of_model = how if isinstance(layer, GatedLSTM) else {"jit_compile": False}
        model.compile("adam", "sparse_categorical_crossentropy", **of_model)
        model.fit(data, epochs=3, verbose=0, shuffle=False)
        fitted.append((start, model.get_weights()))
    for want, have in zip(fitted[0][1], fitted[1][1], strict=True):
        np.testing.assert_allclose(have, want, atol=2e-5)


def test_time_and_batch_may_change_from_call_to_call():
    _, ours = pair()
    for batch, time in ((1, 1), (2, 7), (40, 3), (5, 70)):
        x = np.random.default_rng(time).normal(size=(batch, time, FEATURES)).astype("float32")
        expected = lstm(x, *ours.get_weights())
        compiled = tf.function(lambda x: ours(x), input_signature=[tf.TensorSpec((None, None, FEATURES))])
        for received in (ours(x), compiled(x)):
            np.testing.assert_allclose(received["c"], expected["c"], atol=2e-6)


def test_config_round_trip():
    layer = GatedLSTM(
        UNITS,
        activation="softsign",
        return_gates=True,
        gate_regularizer={"f": keras.regularizers.L1(0.1)},
        implementation=1,
        dropout=0.25,
        go_backwards=True,
        kernel_regularizer="l2",
        recurrent_constraint="max_norm",
        seed=3,
    )
    again = GatedLSTM.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.return_gates, again.implementation, again.dropout, again.seed) == (True, 1, 0.25, 3)
    assert set(layer.get_config()) >= set(keras.layers.LSTM(UNITS).get_config())


def test_a_config_of_keras_becomes_ours():
    stock = keras.layers.LSTM(UNITS, return_sequences=True, dropout=0.1, use_bias=False)
    assert GatedLSTM.from_config(stock.get_config()).get_config().items() >= stock.get_config().items()


def test_positional_arguments_are_those_of_keras():
    stock = keras.layers.LSTM(UNITS, "softsign", "hard_sigmoid", False)
    ours = GatedLSTM(UNITS, "softsign", "hard_sigmoid", False)
    assert {**stock.get_config(), "name": ours.name}.items() <= ours.get_config().items()


def test_save_load_and_clone(tmp_path):
    sequence = keras.Input((None, FEATURES))
    outputs = GatedLSTM(UNITS, return_gates=True, gate_regularizer={"i": "l2"})(sequence)
    model = keras.Model(sequence, outputs)
    x = sequences()
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    clone.load_weights(tmp_path / "model.weights.h5")
    for again in (keras.models.load_model(tmp_path / "model.keras"), clone):
        for name, want in model(x).items():
            np.testing.assert_array_equal(again(x)[name], want)


def test_gate_weights_both_ways():
    _, ours = pair()
    weights = ours.gate_weights()
    kernel, recurrent_kernel, bias = ours.get_weights()
    np.testing.assert_array_equal(np.concatenate([weights[name].W for name in "ifgo"], axis=1), kernel)
    np.testing.assert_array_equal(np.concatenate([weights[name].R for name in "ifgo"], axis=1), recurrent_kernel)
    np.testing.assert_array_equal(weights["f"].b, bias[UNITS : 2 * UNITS])
    # A forget gate that is open whatever comes.
    ours.set_gate_weights({"f": GateWeights(weights["f"].W * 0, weights["f"].R * 0, weights["f"].b * 0 + 100)})
    out = ours(sequences())
    assert (np.asarray(out["f"]) == 1).all()
    np.testing.assert_array_equal(ours.gate_weights()["i"].W, weights["i"].W)


def test_gate_regularizer_counts_real_steps():
    mask = pattern("gaps")
    stock, ours = pair(return_sequences=True)
    regularized = GatedLSTM(UNITS, return_sequences=True, gate_regularizer={"f": keras.regularizers.L1(0.1), "h": "l2"})
    regularized.build((BATCH, TIME, FEATURES))
    regularized.set_weights(ours.get_weights())
    x = sequences()
    output = regularized(x, mask=mask)
    np.testing.assert_allclose(output, stock(x, mask=mask), atol=1e-6)
    gates = lstm(x, *ours.get_weights(), mask=mask)
    expected = [0.1 * np.abs(gates["f"][mask]).sum(), 0.01 * np.square(gates["h"][mask]).sum()]
    np.testing.assert_allclose(regularized.losses, expected, rtol=1e-5)


def test_gate_regularizer_trains_the_gate():
    model = keras.Sequential(
        [keras.Input((TIME, FEATURES)), GatedLSTM(UNITS, gate_regularizer={"f": keras.regularizers.L1(1.0)})]
    )
    before = model.layers[0].gate_weights()["f"].b.copy()
    model.compile(keras.optimizers.SGD(0.01), "mse")
    model.fit(sequences(), np.zeros((BATCH, UNITS)), verbose=0)
    assert (model.layers[0].gate_weights()["f"].b < before).all()


def test_regularizers_constraints_and_trainable_are_those_of_keras():
    x = sequences()
    arguments = {"kernel_regularizer": "l2", "bias_regularizer": "l1", "recurrent_constraint": "unit_norm"}
    stock, ours = pair(gates=False, activity_regularizer="l2", **arguments)
    stock(x)
    ours(x)
    np.testing.assert_allclose(ours.losses, stock.losses, rtol=1e-5)
    assert isinstance(ours.cell.recurrent_kernel.constraint, keras.constraints.UnitNorm)
    frozen = GatedLSTM(UNITS, trainable=False)
    frozen.build((None, TIME, FEATURES))
    assert frozen.trainable_variables == []


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GatedLSTM(0), "units must be a positive int; received units=0"),
        (lambda: GatedLSTM("3"), "units must be a positive int; received units='3'"),
        (
            lambda: GatedLSTM(2, gate_regularizer={"forget": "l1"}),
            r"gate_regularizer must have keys among \('i', 'f', 'g', 'o', 'c', 'h'\); received 'forget'",
        ),
        (
            lambda: GatedLSTM(2, return_gates=True, activity_regularizer="l2"),
            "expected gate_regularizer={'h': ...} instead of an activity_regularizer",
        ),
        (lambda: GatedLSTM(2)(np.zeros((3, 4))), r"expected ndim=3, found ndim=2"),
        (
            lambda: GatedLSTM(2)(np.zeros((3, 5, 4)), mask=np.ones((3, 4), bool)),
            r"mask must have the shape \(batch, time\) = \(3, 5\) of the sequences; received \(3, 4\)",
        ),
        (
            lambda: GatedLSTM(2)(np.zeros((3, 5, 4)), initial_state=[np.zeros((3, 2))]),
            r"initial_state must be \[h, c\], each of shape \(3, 2\); received shapes \[\(3, 2\)\]",
        ),
        (
            lambda: GatedLSTM(2)(np.zeros((3, 5, 4)), initial_state=[np.zeros((3, 2)), np.zeros((3, 1))]),
            r"each of shape \(3, 2\); received shapes \[\(3, 2\), \(3, 1\)\]",
        ),
        (
            lambda: keras.layers.Bidirectional(GatedLSTM(2, return_gates=True)),
            r"keras\.layers\.Bidirectional cannot carry the dict of return_gates=True; expected .*Bidirectional",
        ),
        (
            lambda: keras.layers.Bidirectional(GatedLSTM(2, return_gates=True, return_sequences=True)),
            r"keras\.layers\.Bidirectional cannot carry the dict of return_gates=True",
        ),
        (
            lambda: keras.layers.TimeDistributed(GatedLSTM(2, return_gates=True))(keras.Input((2, 5, 4))),
            r"this wrapper expects a layer with one output and cannot carry the dict of return_gates=True",
        ),
        (lambda: GatedLSTM(2).gate_weights(), r"the cell 'cell' has no weights yet"),
        (lambda: GatedLSTM(2, return_gate=True), r"return_gate"),
    ],
)
def test_mistakes(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_another_feature_size_after_build():
    _, ours = pair()
    with pytest.raises(
        ValueError, match=r"expected axis -1 of input shape to have value 4, but received .*\(3, 5, 3\)"
    ):
        ours(np.zeros((3, 5, 3)))


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"z": GateWeights(0, 0, 0)}, r"expected gates among \('i', 'f', 'g', 'o'\); received 'z'"),
        (
            {"f": GateWeights(np.zeros((4, 2)), np.zeros((2, 2)), None)},
            r"of gate 'f' with shapes \[\(4, 2\), \(2, 2\), \(2,\)\]; received \[\(4, 2\), \(2, 2\), None\]",
        ),
    ],
)
def test_bad_gate_weights(weights, text):
    with pytest.raises(ValueError, match=text):
        pair()[1].set_gate_weights(weights)
