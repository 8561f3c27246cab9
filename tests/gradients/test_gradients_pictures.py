"""`plots.gradient_chain` and the command `gradients`."""

import sys

import keras
import numpy as np
import pytest
import xarray as xr

from keras_lstm_gates import cli, plots
from keras_lstm_gates.gradients import compare, gradient_chain


def model_of(kind, name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 2))
    return keras.Model(inputs, kind(3, name="memory")(keras.layers.Masking()(inputs)), name=name)


KINDS = {"lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU}


@pytest.fixture(scope="module")
def x():
    x = np.random.default_rng(0).normal(size=(3, 9, 2)).astype("float32")
    x[0, 5:] = 0
    return x


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_terms_products_and_models_are_drawn_with_their_numbers(x):
    tree = compare([model_of(kind, name) for name, kind in KINDS.items()], x)
    terms, paths, models = plots.gradient_chain(tree).axes
    assert labels(terms) == ["through f", "through i", "through g", "direct", "sum: $dc_t/dc_{t-1}$"]
    assert [label.partition(":")[0] for label in labels(paths)] == ["direct", "full", "chain", "state"]
    assert labels(models) == ["lstm, memory", "rnn, memory", "gru, memory"]
    node = tree["lstm/memory"]
    direct = node["spectral"].sel(term="direct").where(node["mask"]).median("sample")
    np.testing.assert_allclose(terms.lines[3].get_ydata(), direct)
    chain = node["product_frobenius"].sel(path="chain")
    np.testing.assert_allclose(paths.lines[2].get_ydata(), (chain / chain[:, :1].values).median("sample"))
    assert (paths.get_yscale(), models.get_yscale()) == ("log", "log")
    for axes in (terms, paths, models):
        assert axes.get_xlabel()
        assert axes.get_ylabel()


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_other_layers_have_terms_of_their_own(x, name):
    terms, paths, _ = plots.gradient_chain(gradient_chain(model_of(KINDS[name], name), x), title="mine").axes
    assert {"rnn": "through recurrent", "gru": "through r"}[name] in labels(terms)
    assert len(labels(paths)) == {"rnn": 1, "gru": 2}[name]


def test_an_unknown_layer_is_refused(x):
    tree = gradient_chain(model_of(keras.layers.LSTM, "lstm"), x)
    with pytest.raises(ValueError, match=r"expected one of the layers \['memory'\]; received 'gru'"):
        plots.gradient_chain(tree, layer="gru")


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["keras-lstm-gates", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_the_command_compares_models(x, tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "x.npy", x)
    for name in ("lstm", "rnn"):
        model_of(KINDS[name], name).save(tmp_path / f"{name}.keras")
    files = [tmp_path / name for name in ("lstm.keras", "rnn.keras", "x.npy")]
    out = tmp_path / "out"
    assert run(monkeypatch, "gradients", *files, "--out", out, "--samples", 2) == 0
    said = capsys.readouterr().out
    assert "lstm, layer memory: " in said
    assert "rnn, layer memory: " in said
    assert "of its start: the gain of dc_t/dc_{t-1}" in said
    assert "│ every term and product" in said
    assert {path.name for path in out.iterdir()} == {"gradients.zarr", "gradients.png"}
    with xr.open_datatree(out / "gradients.zarr", engine="zarr", consolidated=False) as tree:
        assert tree["rnn/memory"].sizes["sample"] == 2
    assert run(monkeypatch, "gradients", files[2]) == 1
    assert "expected one or more model files, then the sequences; received" in capsys.readouterr().err
    assert run(monkeypatch, "gradients", files[0], files[0], files[2]) == 1
    assert "expected model files with names that differ; received 'lstm' twice" in capsys.readouterr().err
