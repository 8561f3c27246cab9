"""`shrink` as a user types it."""

import keras
import numpy as np
import pandas as pd
import pytest
from small import small_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    model, data = small_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(folder / "model.keras")
    np.save(folder / "data.npy", data)
    np.save(folder / "targets.npy", np.arange(5) % 2)
    return folder


def test_a_smaller_model_and_its_tables(command, files, tmp_path):
    options = ["--keep", "0.5", "--metric", "accuracy", "--fine-tune", "1", "--no-export", "--output", "out"]
    code, printed, errors = command(
        "shrink", files / "model.keras", files / "data.npy", files / "targets.npy", *options
    )
    assert code == 0, errors
    assert keras.models.load_model(tmp_path / "out" / "model.keras").get_layer("lstm").units == 2
    sizes = pd.read_csv(tmp_path / "out" / "sizes.csv", index_col="model")
    assert sizes["units"].tolist() == [4, 2]
    assert set(sizes) == {"units", "parameters", "accuracy"}
    removed = pd.read_csv(tmp_path / "out" / "removed.csv")
    assert removed["layer"].tolist() == ["lstm", "lstm"]
    curve = pd.read_csv(tmp_path / "out" / "shrinking.csv")
    assert curve["units"].tolist() == [4, 3, 2]
    assert "epoch 1 of 1: loss" in printed
    assert (tmp_path / "out" / "shrinking.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--keep", "half"], "expected --keep as 0.5, or as lstm=12,encoder/lstm=8; received 'half'"),
        (["--keep", "gru=2"], "expected keep of the LSTMs ['lstm']; received 'gru'"),
        (["--fine-tune", "1"], "expected targets y and a compiled model to fine-tune; received no targets"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(command, files, tmp_path, options, text):
    code, _, errors = command("shrink", files / "model.keras", files / "data.npy", *options)
    assert code == 1
    assert errors == f"error: {text}\n"
    assert list(tmp_path.iterdir()) == []
