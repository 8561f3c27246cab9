"""A trace holds what the equations say, for every sample, with names; a streamed one survives a kill."""

import gc
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import architectures
import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import lstm
from small import small_model

from keras_lstm_gates import tracing
from keras_lstm_gates.layers import GatedLSTM
from keras_lstm_gates.recurrence.paths import use_path
from keras_lstm_gates.tracing.opened_models import opened_model


def test_trace_obeys_the_equations():
    model, data = small_model()
    tree = tracing.trace(model, data, batch_size=2)
    real = np.any(data != 0, axis=-1)
    expected = lstm((data - 0.1) / np.sqrt(2.0), *model.get_layer("lstm").get_weights(), mask=real)
    for name in "ifgoch":
        assert tree["lstm"][name].dims == ("sample", "time", "unit")
        np.testing.assert_allclose(tree["lstm"][name], expected[name], atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(tree["lstm"]["mask"], real)
    np.testing.assert_array_equal(tree["input"], data)
    np.testing.assert_allclose(tree["probabilities"], model(data), atol=1e-6)


def test_names_of_the_features_stay_with_the_trace(tmp_path):
    names = ["load, MW", "wind, m/s", "sun"]
    tree = tracing.trace(*small_model(), progress=False, columns=names, to=tmp_path / "gates.zarr")
    assert list(tree.attrs["columns"]) == names
    assert tracing.channel_names(tree, 3) == names
    assert tracing.channel_names(tree, 2) == ["channel 0", "channel 1"]
    assert "columns" not in tracing.trace(*small_model(), progress=False).attrs


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (["load", "wind"], "expected a name for each of the 3 features; received 2 columns"),
        (list("abcd"), "expected a name for each of the 3 features; received 4 columns"),
        ("abc", "expected a list of names of the features as columns; received 'abc'"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_names_of_other_features_are_refused(columns, text, known, tmp_path):
    model, data = small_model()
    if not known:
        # What the model leaves free the data settle.
        inputs = keras.Input((None, None))
        pooled = keras.layers.Lambda(lambda x: keras.ops.mean(x, -1, keepdims=True), output_shape=(None, 1))(inputs)
        model = keras.Model(inputs, keras.layers.LSTM(2)(pooled))
    with pytest.raises(ValueError, match=text):
        tracing.trace(model, data, progress=False, columns=columns, to=tmp_path / "gates.zarr")
    assert not (tmp_path / "gates.zarr").exists()


def test_names_of_the_features_of_several_inputs_are_refused():
    inputs = [keras.Input((4, 2), name=name) for name in ("a", "b")]
    model = keras.Model(inputs, keras.layers.LSTM(2)(keras.layers.Concatenate()(inputs)))
    with pytest.raises(
        ValueError, match=r"expected columns for a model with one input; received one with \['a', 'b'\]"
    ):
        tracing.trace(model, [np.ones((1, 4, 2))] * 2, progress=False, columns=["x", "y"])


def test_outputs_whose_names_hold_a_slash(tmp_path):
    """The root of a trace has no "/" in its names, and two outputs do not take one name."""
    sequence = keras.Input((5, 2))
    h = keras.layers.LSTM(3, name="lstm")(sequence)
    scores, pairs = keras.layers.Dense(1)(h), keras.layers.Dense(2)(h)
    model = keras.Model(sequence, {"part/score": scores, "part_score": pairs})
    x = np.random.default_rng(0).normal(size=(4, 5, 2)).astype("float32")
    expected = model.predict(x, verbose=0)
    for tree in (tracing.trace(model, x), tracing.trace(model, x, to=tmp_path / "trace.zarr")):
        np.testing.assert_allclose(tree["part_score"], expected["part/score"], atol=1e-6)
        np.testing.assert_allclose(tree["output_part_score"], expected["part_score"], atol=1e-6)


def test_batches_of_different_lengths_and_targets():
    model, data = small_model()
    targets = np.array([0, 1, 1, 0, 1])
    batches = [(data[:2, :4], targets[:2]), (data[2:], targets[2:])]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(tf.TensorSpec((None, None, 3)), tf.TensorSpec((None,), tf.int64)),
    )
    tree = tracing.trace(model, dataset)
    whole = tracing.trace(model, np.concatenate([data[:2] * (np.arange(6) < 4)[:, None], data[2:]]))
    np.testing.assert_array_equal(tree["target"], targets)
    for name in (*"ifgoch", "mask"):
        np.testing.assert_allclose(tree["lstm"][name], whole["lstm"][name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 7), (4, 7, 2)])
def test_targets_of_any_shape_are_kept_and_each_array_says_what_it_is(shape, tmp_path):
    sequence = keras.Input((7, 2))
    model = keras.Model(sequence, keras.layers.Dense(2, name="said")(keras.layers.LSTM(3, name="lstm")(sequence)))
    x, y = np.ones((4, 7, 2), "float32"), np.arange(np.prod(shape)).reshape(shape)
    for tree in (
        tracing.trace(model, iter([(x[:3], y[:3]), (x[3:], y[3:])])),
        tracing.trace(model, iter([(x[:3], y[:3]), (x[3:], y[3:])]), to=tmp_path / "trace.zarr"),
    ):
        np.testing.assert_array_equal(tree["target"], y)
        assert {name: tree[name].attrs["role"] for name in ("input", "said", "target")} == {
            "input": "input", "said": "output", "target": "target",
        }  # fmt: skip


@pytest.mark.parametrize(
    "y", [None, {"a": np.ones(4)}, [np.ones(4), np.ones(4)], np.array(list("abcd")), np.float32(1)]
)
def test_what_is_no_one_array_of_numbers_is_no_target(y):
    sequence = keras.Input((7, 2))
    model = keras.Model(sequence, keras.layers.LSTM(3, name="lstm")(sequence))
    assert "target" not in tracing.trace(model, iter([(np.ones((4, 7, 2), "float32"), y)])).dataset


def test_targets_beside_arrays_are_those_of_batches(tmp_path):
    sequence = keras.Input((7, 2))
    model = keras.Model(sequence, keras.layers.LSTM(3, name="lstm")(sequence))
    x, y = np.ones((5, 7, 2), "float32"), np.arange(5)
    np.testing.assert_array_equal(tracing.trace(model, x, 2, targets=y)["target"], y)
    np.testing.assert_array_equal(tracing.trace(model, x, 2, targets=y, to=tmp_path / "trace.zarr")["target"], y)
    with pytest.raises(ValueError, match=r"expected targets of 5 samples; received shape \(4,\)"):
        tracing.trace(model, x, targets=y[:4])
    with pytest.raises(ValueError, match=r"expected arrays beside targets, or batches \(x, y\) without"):
        tracing.trace(model, iter([x]), targets=y)


def test_a_name_that_a_store_has_is_refused_of_a_layer_and_given_a_word_more_of_an_output(tmp_path):
    sequence = keras.Input((7, 2))
    model = keras.Model(sequence, keras.layers.LSTM(3, name="zarr.json")(sequence))
    with pytest.raises(ValueError, match=r"cannot trace the layer 'zarr.json': a store has a file of that name"):
        tracing.trace(model, np.ones((1, 7, 2), "float32"))
    model = keras.Model(sequence, {"zarr.json": keras.layers.LSTM(3, name="lstm")(sequence)})
    tree = tracing.trace(model, np.ones((1, 7, 2), "float32"), to=tmp_path / "trace.zarr")
    assert "output_zarr.json" in tree.dataset


def test_a_layer_says_whether_it_reads_the_input():
    words = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(9, 4)(words)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True), name="first")(x)
    second = keras.layers.LSTM(2, name="second")(x)
    beside = keras.layers.LSTM(2, name="beside")(keras.layers.Embedding(9, 5)(words))
    convolved = keras.layers.LSTM(2, name="convolved")(keras.layers.Conv1D(4, 2, padding="same")(x))
    model = keras.Model(words, keras.layers.Concatenate()([second, beside, convolved]))
    tree = tracing.trace(model, np.ones((2, 6), "int32"))
    assert {path: bool(node.attrs["reads_input"]) for path, node in tracing.nodes(tree).items()} == {
        "first/forward": True, "first/backward": True, "second": False, "beside": True, "convolved": False
    }  # fmt: skip


def test_a_layer_without_a_mask_has_only_real_steps():
    sequence = keras.Input((5, 3))
    output = GatedLSTM(2, return_gates=True, name="memory")(sequence)["output"]
    model = keras.Model(sequence, keras.layers.Dense(1)(output))
    assert tracing.trace(model, np.zeros((2, 5, 3), "float32"))["memory"]["mask"].values.all()


def test_save_and_load(tmp_path):
    model, data = small_model()
    tree = tracing.trace(model, data)
    tracing.save(tree, tmp_path / "gates.zarr")
    again = tracing.load(tmp_path / "gates.zarr")
    assert again.identical(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["gates.zarr"]


def test_progress_is_told():
    model, data = small_model()
    seen = []
    tracing.trace(model, data, batch_size=2, progress=seen.append)
    assert seen == [2, 4, 5]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x[0], r"expected sequences of shape .* = \(any, any, 3\); received \(6, 3\)"),
        (lambda x: x[..., :2], r"= \(any, any, 3\); received \(5, 6, 2\)"),
        (
            lambda x: np.where(np.arange(6)[:, None] == 2, np.nan, x),
            r"finite numbers; received nan at index \(0, 2, 0\)",
        ),
        (lambda x: x[:0], "expected one or more sequences; received no data"),
    ],
)
def test_bad_data(change, text):
    model, data = small_model()
    with pytest.raises(ValueError, match=text):
        tracing.trace(model, change(data))


def test_several_inputs_and_paths():
    model, data, fed = architectures.seq2seq_with_states()
    tree = tracing.trace(model, data, progress=False)
    assert list(tracing.nodes(tree)) == list(fed)
    assert tree["decoder"]["c"].shape == (3, 4, 4)
    for tensor, values in zip(model.inputs, data, strict=True):
        np.testing.assert_array_equal(tree[f"input_{tensor.name}"], values)


def test_directions_nesting_and_steps():
    model, data, _ = architectures.hierarchy_over_time()
    tree = tracing.trace(model, data, progress=False)
    backward = tracing.node(tree, "sentences/sentence/both/backward")
    assert backward["f"].dims == ("sample", "step", "time", "unit")
    assert backward.attrs["reads"] == "backwards"
    np.testing.assert_array_equal(backward["mask"], np.any(data != 0, axis=-1))


def test_an_output_that_is_the_lstm_itself():
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2, name="lstm")])
    tree = tracing.trace(model, np.ones((2, 4, 3), "float32"), progress=False)
    np.testing.assert_array_equal(tree["output_lstm"], tree["lstm"]["h"][:, -1])


RESERVED = ["input", "target", "sample", "time", "mask", "input_time", "input_a", "candidate"]
"""Names that a trace gives of its own."""


@pytest.mark.parametrize("name", RESERVED)
def test_names_of_a_trace_that_the_model_has_too(name, rng, tmp_path):
    """As an LSTM, as an output and as an input: every value stands under a name of its own, and is kept."""
    one, two = keras.Input((5, 3), name="a"), keras.Input((5, 3), name=name)
    # The first input would be `input_a`.
    y = keras.layers.LSTM(2, return_sequences=True, name="lstm" if name == "input_a" else "input_a")(one + two)
    of_input = keras.Model([one, two], keras.layers.Dense(1, name="score")(y))
    x = keras.layers.LSTM(2, return_sequences=True, name=name)(one)
    of_layer = keras.Model(one, {"target": keras.layers.Dense(1)(x), name: keras.layers.Dense(2)(x[:, -1])})
    data = [rng.normal(size=(4, 5, 3)).astype("float32") for _ in range(2)]
    for model, given in ((of_input, data), (of_layer, data[:1])):
        tree = tracing.trace(model, given if len(given) > 1 else given[0], progress=False)
        inputs = [array.values for array in tree.coords.values() if array.dims[0] == "sample"]
        assert len(inputs) == len(given)
        for received, expected in zip(inputs, given, strict=True):
            np.testing.assert_array_equal(received, expected)
        outputs = {array.shape: array.values for array in tree.data_vars.values()}
        for expected in keras.tree.flatten(model(given if len(given) > 1 else given[0])):
            np.testing.assert_allclose(outputs[tuple(expected.shape)], expected, atol=1e-6)
        assert len(tree.data_vars) == len(keras.tree.flatten(model.output))
        (path,) = tracing.nodes(tree)
        assert tree[path]["f"].shape == (4, 5, 2)
        tracing.save(tree, tmp_path / f"{len(given)}.zarr")
        assert tracing.load(tmp_path / f"{len(given)}.zarr").identical(tree)


def test_inputs_whose_names_hold_a_space(tmp_path, rng):
    """They are coordinates in a store too, and two that would be called alike stand apart."""
    names = ["wind speed", "wind_speed"]
    inputs = [keras.Input((5, 3), name=name) for name in names]
    model = keras.Model(inputs, keras.layers.LSTM(2, name="lstm")(inputs[0] - inputs[1]))
    data = {name: rng.normal(size=(4, 5, 3)).astype("float32") for name in names}
    tree = tracing.trace(model, data, progress=False)
    tracing.save(tree, tmp_path / "trace.zarr")
    loaded = tracing.load(tmp_path / "trace.zarr")
    assert loaded.identical(tree)
    for name, coordinate in zip(names, ["input_wind_speed", "input_input_wind_speed"], strict=True):
        np.testing.assert_array_equal(loaded.coords[coordinate], data[name])


@pytest.mark.parametrize("kind", ["generator", "pydataset"])
def test_other_data(kind):
    model, data = small_model()

    class Halves(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, place):
            return (data[:3], np.zeros(3)) if place == 0 else (data[3:], np.zeros(2))

    batches = Halves() if kind == "pydataset" else (batch for batch in [data[:3], data[3:]])
    tree = tracing.trace(model, batches, progress=False)
    whole = tracing.trace(model, data, progress=False)
    np.testing.assert_allclose(tree["lstm"]["c"], whole["lstm"]["c"], atol=1e-6)


def test_tokens():
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(3, 2)(inputs)
    model = keras.Model(inputs, keras.layers.LSTM(2)(x))
    tree = tracing.trace(model, np.array([[0, 2, 1]]), progress=False, vocabulary=["a", "b", "<script>"])
    assert tracing.tokens(tree, 0) == ["a", "<script>", "b"]


def test_streamed_is_what_is_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_lstm_gates.tracing.store.BLOCK", 4)
    model, data = small_model()
    data = np.concatenate([data] * 3)
    streamed = tracing.trace(model, data, batch_size=3, progress=False, to=tmp_path / "gates.zarr")
    kept = tracing.trace(model, data, batch_size=3, progress=False)
    assert streamed.identical(kept)
    assert [path.name for path in tmp_path.iterdir()] == ["gates.zarr"]
    with pytest.raises(FileExistsError, match=r"expected no file at .*gates.zarr; it exists"):
        tracing.trace(model, data, to=tmp_path / "gates.zarr")


def test_a_longer_batch_does_not_stream(tmp_path):
    model, data = small_model()
    with pytest.raises(ValueError, match=r"no batch longer than the first, .* received .*Pad the batches"):
        tracing.trace(model, iter([data[:2, :4], data]), progress=False, to=tmp_path / "gates.zarr")


def long_data(data):
    """100 sequences, all different, of the 5 of `small_model`."""
    return np.tile(data, (20, 1, 1)) * np.linspace(1, 2, 100, dtype="float32")[:, None, None]


def plain_stream():
    model, data = small_model()
    return model, long_data(data), 3


def stateful_stream():
    """Each batch of 5 begins with the states in which the last one ended."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(batch_shape=(5, 6, 3), name="x")], name="stateful")
    model.add(keras.layers.LSTM(4, stateful=True, name="lstm"))
    return model, long_data(small_model()[1]), 5


STREAM = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import keras
import test_tracing
from keras_lstm_gates import tracing
from keras_lstm_gates.tracing import store as streaming

name, stops_at = sys.argv[1], int(sys.argv[2])

def told(done):
    print(done, flush=True)
    if done >= stops_at:
        time.sleep(600)

streaming.BLOCK = 8
_, data, batch_size = getattr(test_tracing, name)()
tracing.trace(keras.saving.load_model(name + ".keras"), data, batch_size, told, to=name + ".zarr")
"""


def test_killed_and_resumed_is_identical(tmp_path, monkeypatch):
    def start(stream, stops_at):
        return subprocess.Popen(
            [sys.executable, "-c", STREAM, stream.__name__, str(stops_at)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )

    streams = (plain_stream, stateful_stream)
    for stream in streams:
        # From a file a model has one name, and hash, in every process.
        stream()[0].save(tmp_path / f"{stream.__name__}.keras")
    for stream, killed in [(stream, start(stream, 45)) for stream in streams]:
        while int(killed.stdout.readline()) < 45:
            pass
        partial = tmp_path / f"{stream.__name__}.zarr.partial"
        while json.loads((partial / "progress.json").read_text())["samples"] < 40:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        killed.stdout.close()
        assert partial.exists()
        assert not (tmp_path / f"{stream.__name__}.zarr").exists()
    resumed = [start(stream, 1000) for stream in streams]
    told = [process.communicate(timeout=120)[0] for process in resumed]
    assert [process.returncode for process in resumed] == [0, 0]
    # What was written is not told again.
    assert all(int(lines.split()[0]) > 40 for lines in told)
    monkeypatch.setattr("keras_lstm_gates.tracing.store.BLOCK", 8)
    for stream in streams:
        _, data, batch_size = stream()
        model = keras.saving.load_model(tmp_path / f"{stream.__name__}.keras")
        whole, again = tmp_path / "whole.zarr", tmp_path / f"{stream.__name__}.zarr"
        assert tracing.trace(model, data, batch_size, False, to=whole)["lstm"]["f"].shape == (100, 6, 4)
        files = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
        assert len(files) > 100
        for file in files:
            assert (again / file).read_bytes() == (whole / file).read_bytes(), file
        shutil.rmtree(whole)


def test_another_model_does_not_go_on_with_a_partial_trace(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_lstm_gates.tracing.store.BLOCK", 2)

    def broken(data):
        yield data[:3]
        raise OSError("the disk is gone")

    model, data = small_model()
    with pytest.raises(OSError, match="the disk is gone"):
        tracing.trace(model, broken(data), progress=False, to=tmp_path / "gates.zarr")
    model.set_weights([weights + 1 for weights in model.get_weights()])
    with pytest.raises(ValueError, match=r"a trace of weights_sha256=.*; received weights_sha256=.*Delete that folder"):
        tracing.trace(model, data, progress=False, to=tmp_path / "gates.zarr")


def test_a_stateful_model_is_traced_as_it_predicts_after_reset_state():
    sequence = keras.Input(batch_shape=(2, 5, 3))
    model = keras.Model(sequence, keras.layers.LSTM(4, return_sequences=True, stateful=True, name="lstm")(sequence))
    data = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    # What the model has read before must not matter; from batch to batch its states go on, as in predict.
    model.predict(data, batch_size=2, verbose=0)
    traced = tracing.trace(model, data, batch_size=2, progress=False)["lstm"]
    model.get_layer("lstm").reset_state()
    np.testing.assert_allclose(traced["h"], model.predict(data, batch_size=2, verbose=0), atol=1e-6)
    weights = model.get_layer("lstm").get_weights()
    first = lstm(data[:2], *weights)
    second = lstm(data[2:], *weights, h0=first["h"][:, -1], c0=first["c"][:, -1])
    np.testing.assert_allclose(traced["f"], np.concatenate([first["f"], second["f"]]), atol=1e-6)


def stateful_model():
    sequence = keras.Input(batch_shape=(2, 5, 3))
    return keras.Model(sequence, keras.layers.LSTM(4, stateful=True, name="lstm")(sequence))


@pytest.mark.parametrize("stateful", [False, True])
def test_traces_of_one_model_take_no_more_memory(stateful):
    def taken():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    model, data = (stateful_model(), np.zeros((4, 5, 3), "float32")) if stateful else small_model()
    for _ in range(3):
        tracing.trace(model, data, progress=False)
    before = taken()
    for _ in range(20):
        tracing.trace(model, data, progress=False)
    # A graph that is made and compiled anew each time takes 1.7 MiB, which TensorFlow keeps.
    assert taken() - before < 10.0


def test_a_trace_of_a_stateful_model_within_another_has_states_of_its_own():
    model, data = stateful_model(), np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    within = []

    def batches():
        for start in (0, 2):
            yield data[start : start + 2]
            within.append(tracing.trace(model, data, progress=False)["lstm"]["c"])

    outer = tracing.trace(model, batches(), progress=False)["lstm"]["c"]
    for one in (outer, *within):
        np.testing.assert_array_equal(one, tracing.trace(model, data, progress=False)["lstm"]["c"])


def made_for(model):
    with opened_model(model, None) as opened:
        return opened.model


def test_a_trace_follows_what_changes_in_the_model():
    model, data = small_model()
    lstm = next(layer for layer in model.layers if isinstance(layer, keras.layers.LSTM))
    before = tracing.trace(model, data, progress=False)
    lstm.set_weights([2 * weights for weights in lstm.get_weights()])
    after = tracing.trace(model, data, progress=False)
    other, _ = small_model()
    other.set_weights(model.get_weights())
    for gate in "ifgoch":
        assert not np.array_equal(before["lstm"][gate], after["lstm"][gate])
        np.testing.assert_array_equal(after["lstm"][gate], tracing.trace(other, data, progress=False)["lstm"][gate])
    assert made_for(model) is (made := made_for(model))
    with use_path("portable"):
        assert made_for(model) is not made
    with pytest.raises(ValueError, match="received 'none', no layer"):
        tracing.trace(model, data, progress=False, layers=["none"])
