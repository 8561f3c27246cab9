"""Models with fewer units give what they gave, or what the whole model gives that reads nothing of these units."""

import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from opening import keras2

import keras_lstm_gates
from keras_lstm_gates import GatedLSTM
from keras_lstm_gates.layers import Bidirectional
from keras_lstm_gates.shrinking import shrink
from keras_lstm_gates.shrinking.evidence import Evidence, silenced
from keras_lstm_gates.shrinking.plans import plan_of
from keras_lstm_gates.steering import ablate

L = keras.layers
GATES = "ifgo"


def data(samples=6, steps=4, seed=0):
    x = np.random.default_rng(seed).normal(size=(samples, steps, 3)).astype("float32")
    x[1, 2:] = 0
    x[2, :1] = 0
    return x


def sequence():
    return keras.Input((4, 3), name="sequence")


def lstm(units=4, **options):
    return L.LSTM(units, bias_initializer="normal", **options)


def stacked():
    x = sequence()
    y = lstm(return_sequences=True, name="first")(L.Masking()(x))
    y = L.BatchNormalization(gamma_initializer="normal")(L.Dropout(0.1)(y))
    y = lstm(5, name="second")(y)
    return keras.Model(x, L.Dense(2)(y))


def sequential():
    return keras.Sequential([sequence(), lstm(return_sequences=True), L.TimeDistributed(L.Dense(2))])


def both_directions(merge_mode, kind=L.Bidirectional, one=lstm):
    def build():
        x = sequence()
        y = kind(one(return_sequences=True), merge_mode=merge_mode, name="both")(L.Masking()(x))
        y = L.Concatenate()(y) if merge_mode is None else y
        return keras.Model(x, L.GRU(2)(y))

    return build


def shared():
    x = sequence()
    one = lstm(name="lstm")
    y = L.Concatenate()([one(x), one(x[:, ::-1]), L.Flatten()(x)])
    return keras.Model(x, L.Dense(2)(y))


def shared_head():
    x = sequence()
    head = L.Dense(2)
    return keras.Model(x, [head(lstm(name="a")(x)), head(lstm(name="b")(x))])


def nested():
    x, inner = sequence(), keras.Input((4, 3))
    encoder = keras.Model(inner, lstm(return_sequences=True, name="lstm")(inner), name="encoder")
    head = keras.Sequential([keras.Input((4, 4)), L.Flatten(), L.Dense(2)], name="head")
    return keras.Model(x, head(encoder(x)))


def encoder_and_decoder():
    x = sequence()
    _, *states = lstm(return_state=True, name="encoder")(x)
    y = lstm(return_sequences=True, name="decoder")(x, initial_state=states)
    return keras.Model(x, L.Dense(2)(y))


def directions_and_decoder():
    x = sequence()
    _, a, b, c, d = L.Bidirectional(lstm(2, return_state=True), name="both")(x)
    states = [L.Concatenate()([a, c]), L.Concatenate()([b, d])]
    return keras.Model(x, L.Dense(2)(lstm(4, name="decoder")(x, initial_state=states)))


def residual():
    x = sequence()
    y = lstm(return_sequences=True, name="a")(x)
    y = L.Add()([y, lstm(return_sequences=True, name="b")(y)])
    return keras.Model(x, L.Dense(2)(L.GlobalAveragePooling1D()(y)))


def pooled_by_attention():
    x = sequence()
    y = lstm(return_sequences=True, name="lstm")(x)
    weights = keras.ops.exp(L.Dense(1)(y))
    return keras.Model(x, L.Dense(2)(keras.ops.sum(y * weights, axis=1)))


def reshaped():
    x = sequence()
    y = L.Conv1D(2, 2, padding="same")(lstm(return_sequences=True, name="lstm")(x))
    z = L.Reshape((16,))(lstm(return_sequences=True, name="second", use_bias=False)(x))
    z = L.Activation("tanh")(L.Reshape((4, 4))(L.RepeatVector(4)(lstm()(x))) * 2.0)
    return keras.Model(
        x, [y, L.Dense(2, use_bias=False)(z), L.Dense(3)(L.Reshape((16,))(lstm(return_sequences=True)(x)))]
    )


def cells():
    x = sequence()
    y = L.RNN(L.LSTMCell(4), return_sequences=True, name="rnn")(x)
    y = GatedLSTM(4, return_sequences=True, return_gates=True, name="gated")(y)
    y = L.SimpleRNN(3, return_sequences=True)(L.Concatenate()([y["output"], y["f"]]))
    return keras.Model(x, L.Dense(2)(y[:, -1, :]))


BUILDS = {
    "stacked": stacked,
    "sequential": sequential,
    "concat": both_directions("concat"),
    "sum": both_directions("sum"),
    "mul": both_directions("mul", Bidirectional, lambda **options: GatedLSTM(4, **options)),
    "both outputs": both_directions(None),
    "shared": shared,
    "shared head": shared_head,
    "nested": nested,
    "encoder and decoder": encoder_and_decoder,
    "directions and decoder": directions_and_decoder,
    "residual": residual,
    "pooled by attention": pooled_by_attention,
    "reshaped": reshaped,
    "cells": cells,
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_a_model_that_reads_nothing_of_some_units_is_the_one_without_them(build):
    keras.utils.set_random_seed(1)
    plan, smaller, silent = without_half(build())
    assert not plan.refused
    assert smaller.count_params() < silent.count_params()
    x = data()
    for now, before in zip(*(keras.tree.flatten(one(x)) for one in (smaller, silent)), strict=True):
        np.testing.assert_allclose(now, before, rtol=0, atol=1e-6)
    kinds = [[type(layer) for layer in one.layers] for one in (smaller, silent)]
    assert kinds[0] == kinds[1]


def set_gates(layer, unit, recurrent=True, **gates):
    """Let gates of a unit be numbers before their activation, whatever comes; alone, if it is not read by its layer."""
    kernel, inner, bias = layer.get_weights()
    units = layer.cell.units
    for gate, number in gates.items():
        column = GATES.index(gate) * units + unit
        kernel[:, column] = inner[:, column] = 0
        bias[column] = number
    if not recurrent:
        inner[unit] = 0
    layer.set_weights([kernel, inner, bias])


def planted():
    """Two layers: in the first unit 0 never writes, 1 never shows; in the second 1 stands still and 3 is read by none.

    Unit 2 of the first and 0 of the second stand still too, and their own layers read them.
    """
    keras.utils.set_random_seed(2)
    x = sequence()
    first, second = lstm(return_sequences=True, name="first"), lstm(5, name="second")
    head = L.Dense(2, name="head")
    model = keras.Model(x, head(second(first(L.Masking()(x)))))
    still = {"i": 0.5, "f": -60, "g": 1.0, "o": 0.3}
    set_gates(first, 0, i=-60)
    set_gates(first, 1, o=-60)
    set_gates(first, 2, **still)
    set_gates(second, 0, **still)
    set_gates(second, 1, recurrent=False, **still)
    kernel, inner, bias = second.get_weights()
    inner[3] = 0
    second.set_weights([kernel, inner, bias])
    kernel, bias = head.get_weights()
    kernel[3] = 0
    head.set_weights([kernel, bias])
    return model


def test_units_that_say_nothing_go_and_every_output_stays():
    model = planted()
    before, x = model.get_weights(), data()
    shrunk = shrink(model, x, progress=False)
    assert shrunk.removed[["layer", "unit", "why"]].values.tolist() == [
        ["first", 0, "never writes"],
        ["first", 1, "never shows"],
        ["second", 1, "stands still"],
        ["second", 3, "never shows"],
    ]
    assert shrunk.removed["exact"].all()
    assert np.abs(shrunk.model.predict(x, verbose=0) - model.predict(x, verbose=0)).max() < 1e-6
    assert shrunk.kept == {"first": [2, 3], "second": [0, 2, 4]}
    assert shrunk.sizes["units"].tolist() == [9, 5]
    assert shrunk.sizes["parameters"].tolist() == [model.count_params(), shrunk.model.count_params()]
    assert all(map(np.array_equal, before, model.get_weights())), "the given model has changed"
    # What stood still went into the bias of what reads it: by hand.
    h = 1 / (1 + np.exp(-0.3)) * np.tanh(1 / (1 + np.exp(-0.5)) * np.tanh(1.0))
    kernel, bias = model.get_layer("head").get_weights()
    np.testing.assert_allclose(shrunk.model.get_layer("head").get_weights()[1], bias + h * kernel[1], atol=1e-6)


def test_what_its_own_layer_reads_from_the_second_step_on_is_not_exact():
    model = planted()
    shrunk = shrink(model, data(), keep={"second": 2}, progress=False)
    last = shrunk.removed.set_index(["layer", "unit"]).loc[("second", 0)]
    assert last["why"] == "stands still"
    assert not last["exact"]
    assert shrunk.model.get_layer("second").units == 2
    assert shrunk.model.get_layer("first").units == 2
    assert shrunk.sizes["change of the outputs"]["after"] > 0
    assert "stands still" in shrunk._repr_html_()


def attended():
    x = sequence()
    y = lstm(return_sequences=True, name="attended")(x)
    y = L.Attention(name="attention")([y, y])
    return keras.Model(x, L.Dense(2)(lstm(name="last")(y)))


def normalized():
    x = sequence()
    y = L.LayerNormalization(name="normalization")(lstm(return_sequences=True, name="first")(x))
    y = L.Lambda(lambda one: one * 2, name="doubled")(lstm(return_sequences=True, name="second")(y))
    return keras.Model(x, L.Dense(2)(lstm(name="third")(y)))


def shown():
    x = sequence()
    y = lstm(return_sequences=True, name="shown")(x)
    return keras.Model(x, [y, L.Dense(2)(lstm(name="last")(y))])


def within_each_step():
    x = keras.Input((2, 4, 3))
    y = L.TimeDistributed(lstm(name="words"), name="each")(x)
    return keras.Model(x, L.Dense(2)(lstm(name="last")(y)))


class OwnLSTM(L.LSTM):
    pass


def own():
    x = sequence()
    return keras.Model(x, L.Dense(2)(lstm(name="last")(OwnLSTM(4, return_sequences=True, name="own")(x))))


def started_from_elsewhere():
    x = sequence()
    states = [L.Dense(4)(L.Flatten()(x)), L.Dense(4)(L.Flatten()(x))]
    y = L.Concatenate()([lstm(name="started")(x, initial_state=states), lstm(name="last")(x)])
    return keras.Model(x, L.Dense(2)(y))


REFUSED = {
    attended: {"attended": "its units go into 'attention', a Attention, which is read as a whole"},
    normalized: {
        "first": "its units go into 'normalization', a LayerNormalization, which is read as a whole",
        "second": "its units go into 'doubled', a Lambda, which is read as a whole",
    },
    shown: {"shown": "its units are an output of the model"},
    within_each_step: {"each/words": "it is within 'each', a TimeDistributed, which stays as it is"},
    own: {"own": "cannot open the layer 'own': expected LSTM, GatedLSTM, or RNN over LSTMCell or GatedLSTMCell; "
          "received the class OwnLSTM, whose step may differ. Leave it out with layers=[...]"},
    started_from_elsewhere: {"started": "the initial state of 'started' joins its units with what is no LSTM's"},
}  # fmt: skip


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_an_lstm_whose_units_go_elsewhere_is_refused_by_name_and_the_others_shrink(build):
    plan = plan_of(build())
    assert plan.refused == REFUSED[build]
    last = plan.model.get_layer("third" if build is normalized else "last")
    assert plan.cells == [last.cell]
    roots = list(plan.groups)[:2]
    smaller = plan.smaller(plan.model.get_weights(), roots)
    assert smaller.get_layer(last.name).units == 2


def test_units_that_go_with_those_of_a_refused_lstm_stay():
    x = sequence()
    _, *states = lstm(return_state=True, name="encoder")(x)
    y = lstm(return_sequences=True, name="decoder")(x, initial_state=states)
    message = (
        "expected an LSTM that can lose units in 'm'; received 'encoder': its units go with those of 'decoder': its "
        "units are an output of the model; 'decoder': its units are an output"
    )
    with pytest.raises(ValueError, match=message):
        plan_of(keras.Model(x, y, name="m"))


def test_a_layer_that_something_acts_on_and_one_left_out_keep_their_size():
    from keras_lstm_gates.steering import Set

    x = sequence()
    y = GatedLSTM(4, return_sequences=True, interventions={"i": Set(1.0, units=[0])}, name="steered")(x)
    y = lstm(return_sequences=True, name="other")(y)
    model = keras.Model(x, L.Dense(2)(lstm(name="last")(y)))
    plan = plan_of(model, layers=["last", "steered"])
    assert plan.refused == {
        "steered": "something acts on its gates",
        "other": "it is not among the layers that may lose units",
    }


def small(units=6, **options):
    keras.utils.set_random_seed(3)
    x = sequence()
    model = keras.Model(x, L.Dense(1)(lstm(units, name="lstm")(x)), name="small")
    model.compile("adam", "mse")
    return model


def test_what_matters_least_by_ablation_goes_first_and_the_rest_is_tuned():
    model, x = small(), data(40)
    y = np.random.default_rng(5).normal(size=(40, 1)).astype("float32")
    lines = []
    shrunk = shrink(model, x, y, keep={"lstm": 5}, fine_tune=2, learning_rate=0.01, batch_size=8, progress=lines.append)
    worse = ablate(model, x, y, progress=False)["worse"].values
    assert shrunk.removed["unit"].tolist() == [int(worse.argmin())]
    np.testing.assert_allclose(shrunk.removed["worse"], worse.min(), rtol=1e-4)
    before = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(shrunk.sizes["mse"], [before, shrunk.model.evaluate(x, y, verbose=0)], rtol=1e-4)
    assert shrunk.sizes["mse"]["after"] < shrunk.curve["mse"].iloc[-1]
    assert lines[0] == "constant: 0 removed, 6 units left"
    assert lines[-1].startswith("epoch 2 of 2: loss ")
    assert float(shrunk.model.optimizer.learning_rate) == pytest.approx(0.01)


@pytest.mark.full
def test_the_exported_files_of_both_are_weighed_and_timed():
    shrunk = shrink(small(8), data(40), keep=0.5, export=True, progress=False)
    assert list(shrunk.sizes) == ["units", "parameters", "bytes", "milliseconds", "change of the outputs"]
    assert 0 < shrunk.sizes["bytes"]["after"] < shrunk.sizes["bytes"]["before"]
    assert (shrunk.sizes["milliseconds"] > 0).all()


def test_units_go_until_the_outputs_change_by_more_than_the_tolerance():
    model, x = small(5), data(40)
    shrunk = shrink(model, x, tolerance=0.2, validation_data=(x[:30], None), progress=False)
    (name,) = set(shrunk.curve) - {"units", "parameters"}
    assert name == "change of the outputs"
    assert 1 <= shrunk.model.get_layer("lstm").units < 5
    now, before = (one.predict(x[:30], verbose=0) for one in (shrunk.model, model))
    change = np.abs(now - before).mean() / np.abs(before - before.mean(0)).mean()
    np.testing.assert_allclose(shrunk.sizes[name], [0, change], rtol=1e-4)
    assert 0 < change <= 0.2


def test_what_another_unit_says_too_is_read_of_that_one():
    model, x = small(), data(40)
    layer, head = model.get_layer("lstm"), model.layers[-1]
    # Unit 0 does what unit 4 does, and half of what is read of 4 is read of 0.
    kernel, inner, bias = (one.reshape(*one.shape[:-1], 4, 6) for one in layer.get_weights())
    for one in (kernel, inner, bias):
        one[..., 0] = one[..., 4]
    inner[0] = inner[4] = inner[4] / 2
    layer.set_weights([one.reshape(*one.shape[:-2], 24) for one in (kernel, inner, bias)])
    rows, constant = head.get_weights()
    rows[0] = rows[4] = 0.1
    head.set_weights([rows, constant])
    shrunk = shrink(model, x, keep={"lstm": 5}, progress=False)
    (unit,) = shrunk.removed["unit"]
    assert unit in (0, 4)
    assert shrunk.sizes["change of the outputs"]["after"] < 0.01
    stays = shrunk.kept["lstm"].index(4 - unit)
    np.testing.assert_allclose(shrunk.model.layers[-1].get_weights()[0][stays], 0.2, atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 1.5}, r"expected keep in \(0, 1\], a share, or \{path: number of units\}; received 1.5"),
        ({"keep": {"gru": 2}}, r"expected keep of the LSTMs \['lstm'\]; received 'gru'"),
        ({"keep": {"lstm": 9}}, "expected keep of 1 to 6 units of 'lstm'; received 9"),
        ({"tolerance": -1}, "expected a tolerance of 0 or more; received -1"),
        ({"metric": "mae"}, "expected targets y for the metric 'mae'; received none"),
        ({"fine_tune": 1}, "expected targets y and a compiled model to fine-tune; received no targets"),
        ({"y": np.zeros(3)}, "expected targets of 6 samples; received 3"),
        ({"layers": "dense"}, r"expected layers of \['lstm'\], which hold an LSTM; received 'dense'"),
    ],
)
def test_what_cannot_be_asked_for_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        shrink(small(), data(), progress=False, **options)


def test_models_without_a_graph_with_states_or_without_an_lstm_are_refused():
    class Subclassed(keras.Model):
        pass

    x = keras.Input((4, 3), batch_size=2)
    models = {
        "whose graph can be followed; received 'subclassed', a Subclassed": Subclassed(name="subclassed"),
        "expected LSTMs that begin each batch anew": keras.Model(x, L.Dense(1)(lstm(stateful=True)(x))),
        "expected an LSTM that can lose units in 'grus'; received no LSTM": keras.Model(x, L.GRU(2)(x), name="grus"),
    }
    for message, model in models.items():
        with pytest.raises(ValueError, match=message):
            shrink(model, data()[:2], progress=False)


def saved(folder):
    """A smaller model, saved, and what it says."""
    plan = plan_of(planted())
    smaller = plan.smaller(plan.model.get_weights(), plan.settled([0, 4, 5]))
    smaller.save(folder / "smaller.keras")
    return smaller


def test_the_smaller_model_is_one_of_keras_alone(tmp_path):
    smaller = saved(tmp_path)
    with zipfile.ZipFile(tmp_path / "smaller.keras") as archive:
        assert b"keras_lstm_gates" not in archive.read("config.json")
    loaded = keras.models.load_model(tmp_path / "smaller.keras")
    assert type(loaded.get_layer("first")) is L.LSTM
    assert loaded.get_layer("first").units == 3
    np.testing.assert_allclose(loaded(data()), smaller(data()), atol=1e-6)


@pytest.mark.full
def test_the_smaller_model_loads_in_a_process_without_this_package(tmp_path):
    smaller = saved(tmp_path)
    np.save(tmp_path / "x.npy", data())
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.models.load_model('smaller.keras')\n"
        "np.save('y.npy', model(np.load('x.npy')))\n"
        "assert not any(name.startswith('keras_lstm_gates') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), smaller(data()), atol=1e-6)


def without_half(model):
    """(plan, model without every second group of units, the same of the whole size that reads nothing of them)."""
    plan = plan_of(model)
    roots = plan.settled(list(plan.groups)[::2])
    nothing = {key: (*np.zeros((3, len(reader.units))), None) for key, reader in plan.follower.readers.items()}
    values = silenced(plan, plan.model.get_weights(), Evidence(nothing, None, None, None), roots)
    plan.model.set_weights(values)
    return plan, plan.smaller(values, roots), plan.model


FOREIGN = {
    "encoder_decoder": {},
    "merged_sum": {
        "bidirectional_2/forward": "its units are an output of the model",
        "bidirectional_2/backward": "its units go with those of 'bidirectional_2/forward': its units are an output of "
        "the model",
    },
    "words_and_letters": {
        "time_distributed_6/lstm_35": "it is within 'time_distributed_6', a EachStep, which stays as it is"
    },
}


@pytest.mark.parametrize("name", FOREIGN)
def test_models_of_keras_2(name, written):
    path, weights = next(iter(written.ways(name)))
    model = keras_lstm_gates.load_model(path, weights=weights)
    plan, smaller, silent = without_half(model)
    assert plan.refused == FOREIGN[name]
    assert smaller.count_params() < model.count_params()
    for now, before in zip(*(keras2.answers(one, written.inputs(name)) for one in (smaller, silent)), strict=True):
        np.testing.assert_allclose(now, before, rtol=0, atol=1e-6)


def test_a_file_of_keras_2_loses_a_unit_that_says_nothing(written):
    ((path, _), *_) = written.ways("sentiment")
    model = keras_lstm_gates.load_model(path)
    (layer,) = (one for one in model.layers if isinstance(one, L.LSTM))
    set_gates(layer, 1, o=-60)
    (x,) = written.inputs("sentiment")
    shrunk = shrink(model, x, progress=False)
    assert shrunk.removed.values.tolist() == [[layer.name, 1, "never shows", True, 0.0]]
    assert np.abs(shrunk.model.predict(x, verbose=0) - model.predict(x, verbose=0)).max() < 1e-6
