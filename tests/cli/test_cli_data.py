"""Data as they come: several inputs by name, long tables, models of a fixed batch, tokens, and none at all."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from small import arrays

from keras_lstm_gates import tracing


def saved(folder):
    """Models and data as users have them, in a folder."""
    keras.utils.set_random_seed(0)
    words, series = keras.Input((None,), dtype="int32", name="words"), keras.Input((None, 3), name="series")
    x = layers.LSTM(3, name="text")(layers.Embedding(9, 4)(words))
    x = layers.Concatenate()([x, layers.LSTM(4, name="lstm")(series)])
    keras.Model([words, series], layers.Dense(2, name="score")(x)).save(folder / "two.keras")
    keras.Sequential(
        [keras.Input(batch_shape=(4, 6, 3)), layers.LSTM(4, name="lstm"), layers.Dense(1, name="score")]
    ).save(folder / "fixed.keras")
    keras.Sequential([keras.Input((None,), name="ids"), layers.Embedding(9, 4), layers.LSTM(3, name="lstm")]).save(
        folder / "tokens.keras"
    )
    random = np.random.default_rng(0)
    two = {"series": random.normal(size=(5, 7, 3)), "words": random.integers(0, 9, (5, 6))}
    # In another order than the model has them.
    np.savez_compressed(folder / "two.npz", **two)
    np.savez(folder / "wrong.npz", series=two["series"], wrds=two["words"])
    np.savez(folder / "unlike.npz", series=two["series"][:3], words=two["words"])
    np.savez(folder / "other_tokens.npz", series=two["series"], words=two["words"] + 4)
    np.savetxt(folder / "long.csv", random.normal(size=(45, 3)), delimiter=",")
    np.savetxt(folder / "tokens.csv", [1, 8, 0, 4], fmt="%d")
    np.save(folder / "wide.npy", np.zeros((6, 5)))
    for name, tokens in (("at", [1, 9]), ("below", [1, -1]), ("between", [1, 0.5])):
        np.save(folder / f"{name}.npy", tokens)
    return two


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    saved(folder)
    return folder


def test_several_inputs_by_name(command, folder, tmp_path):
    model, data = keras.models.load_model(folder / "two.keras"), arrays(folder / "two.npz")
    expected = model([data["words"], data["series"]])
    assert command("trace", folder / "two.keras", folder / "two.npz", "--layer", "text", "--out", "trace")[0] == 0
    tree = tracing.load(tmp_path / "trace" / "gates.zarr")
    np.testing.assert_allclose(tree["score"], expected, atol=1e-6)
    np.testing.assert_array_equal(tree["input_words"], data["words"])
    code, printed, _ = command("report", "trace")
    assert (code, "trace/report.html" in printed) == (0, True)
    code, printed, _ = command("gradients", folder / "two.keras", folder / "two.npz", "--out", "gradients")
    assert (code, "100/100" in printed) == (0, True)
    gradients = tracing.load(tmp_path / "gradients" / "gradients.zarr")
    assert gradients["two/text"].sizes["time"] == 6
    assert gradients["two/lstm"].attrs["norms"] == "exact"
    assert command("report", "trace", "--gradients", "gradients", "--out", "both.html")[0] == 0


def test_several_inputs_exported(command, folder, tmp_path):
    data = arrays(folder / "two.npz")
    options = ("--format", "tflite", "--out", "out")
    code, printed, errors = command("export", folder / "two.keras", folder / "two.npz", *options)
    assert (code, errors) == (0, "")
    assert "over 5 sequences" in printed
    assert command("run", "out/model.tflite", folder / "two.npz", "--out", "out.npz")[0] == 0
    model = keras.models.load_model(folder / "two.keras")
    expected = model([data["words"], data["series"]])
    np.testing.assert_allclose(arrays(tmp_path / "out.npz")["score"], expected, atol=1e-6)
    code, printed, _ = command("drift", folder / "two.keras", "out/model.tflite", folder / "two.npz", "--out", "drift")
    assert (code, "text/c" in printed, "lstm/c" in printed) == (0, True, True)
    rows = (tmp_path / "drift" / "drift.csv").read_text().splitlines()
    # The words have six steps, the series seven.
    assert [len(row.split(",")[2]) > 0 for row in rows if row.startswith("text/c,")] == [True] * 6 + [False]
    assert [len(row.split(",")[2]) > 0 for row in rows if row.startswith("lstm/c,")] == [True] * 7


def test_a_long_table_and_a_fixed_batch(command, folder, tmp_path):
    """Seven windows of six steps, in batches of four; the last three steps fill none."""
    code, printed, _ = command("trace", folder / "fixed.keras", folder / "long.csv", "--window", 6, "--out", "out")
    assert (code, "the last 3 of 45 steps fill no window of 6: left out" in printed) == (0, True)
    tree = tracing.load(tmp_path / "out" / "gates.zarr")
    windows = np.loadtxt(folder / "long.csv", delimiter=",")[:42].reshape(7, 6, 3)
    np.testing.assert_array_equal(tree["input"], windows)
    model = keras.models.load_model(folder / "fixed.keras")
    expected = np.concatenate([model(windows[:4]), model(windows[3:])[1:]])
    np.testing.assert_allclose(tree["score"], expected, atol=1e-6)


def test_tokens_in_a_table(command, folder, tmp_path):
    assert command("trace", folder / "tokens.keras", folder / "tokens.csv", "--out", "out")[0] == 0
    np.testing.assert_array_equal(tracing.load(tmp_path / "out" / "gates.zarr")["input"], [[1, 8, 0, 4]])


def test_made_up_data(command, folder, tmp_path):
    options = ("--random", 3, "--window", 8, "--batch-size", 2, "--out", "out")
    assert command("trace", folder / "two.keras", *options)[0] == 0
    tree = tracing.load(tmp_path / "out" / "gates.zarr")
    assert tree["input_series"].shape == (3, 8, 3)
    assert set(np.unique(tree["input_words"])) <= set(range(9))
    code, _, _ = command("gradients", folder / "two.keras", "--random", 2, "--norms", "estimated", "--out", "gradients")
    assert code == 0
    assert tracing.load(tmp_path / "gradients" / "gradients.zarr")["two/lstm"].attrs["norms"] == "estimated"


def test_mistakes_come_before_the_work(command, folder, tmp_path, monkeypatch):
    def work(*args, **kwargs):
        raise AssertionError("worked before it told the mistake")

    monkeypatch.setattr("keras_lstm_gates.tracing.trace", work)
    monkeypatch.setattr("keras_lstm_gates.gradients.summary", work)
    two, data = folder / "two.keras", folder / "two.npz"
    tokens = "expected tokens from 0 to 8, as the model's Embedding knows them, for the input"
    mistakes = [
        (("trace", two, folder / "wrong.npz"), "['series', 'wrds']: 'words' is missing, 'wrds' is unknown"),
        (("trace", two, folder / "unlike.npz"), "as many samples of every input; received {'words': 5, 'series': 3}"),
        (("trace", two, folder / "other_tokens.npz"), f"{tokens} 'words'; received "),
        (("trace", two, folder / "long.csv"), "an .npz file with an array for each of the inputs ['words', 'series']"),
        (("trace", two), "expected a file of data or --random N; received neither"),
        (("trace", two, data, "--random", 3), "expected a file of data or --random N; received both"),
        (("trace", two, data, "--layer", "txt"), "expected one of the layers ['text', 'lstm']; received 'txt'"),
        (("trace", two, data, "--sample", 5), "expected a sample from 0 to 4; received 5"),
        (("trace", folder / "fixed.keras", folder / "wide.npy"), "(any, 6, 3); received (6, 5)"),
        (
            ("trace", folder / "fixed.keras", folder / "long.csv", "--window", 50),
            "expected a table of 50 or more steps",
        ),
        (("trace", folder / "tokens.keras", folder / "at.npy"), f"{tokens} 'ids'; received 9 at index (0, 1)"),
        (("trace", folder / "tokens.keras", folder / "below.npy"), "received -1 at index (0, 1)"),
        (("export", folder / "tokens.keras", folder / "between.npy"), "expected whole numbers, tokens, for the input"),
        (("gradients", two, data, "--layer", "txt"), "expected one of the layers ['text', 'lstm']; received 'txt'"),
        (("gradients", two, data, "--norms", "fast"), "expected --norms auto, exact or estimated; received 'fast'"),
        (("gradients", two, folder / "wrong.npz"), "'words' is missing, 'wrds' is unknown"),
    ]
    for arguments, text in mistakes:
        code, _, errors = command(*arguments)
        assert (code, len(errors.splitlines())) == (1, 1), (arguments, errors)
        assert text in errors, (arguments, errors)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_leaves_no_empty_folder(command, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    for out in ((), ("--out", "out"), ("--out", "mine")):
        code, _, errors = command("export", folder / "fixed.keras", "--random", 2, "--format", "tflight", *out)
        assert (code, "received 'tflight'" in errors) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_libraries_say_is_not_shown(folder, tmp_path):
    """In a process of its own, where Python's filters are as a user has them."""
    code = "import sys; from keras_lstm_gates.cli import main; sys.argv[0] = 'x'; main()"
    options = ["--random", "2", "--format", "tflite", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", code, "export", str(folder / "two.keras"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
