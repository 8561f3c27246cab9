"""PyTorch's LSTMs: the same numbers here, and there again."""

import itertools

import keras
import numpy as np
import pytest

from keras_lstm_gates.layers import Bidirectional, GatedLSTM
from keras_lstm_gates.opening import from_torch, to_torch

torch = pytest.importorskip("torch")
CONFIGURATIONS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first, "bias": bias}
    for layers, both, first, bias in itertools.product((1, 2, 3), (False, True), (False, True), (False, True))
]


def module(seed=0, features=3, units=4, **options):
    torch.manual_seed(seed)
    return torch.nn.LSTM(features, units, **options).eval()


def answers(of_torch, x):
    """What PyTorch gives for (batch, time, features)."""
    with torch.no_grad():
        given = torch.from_numpy(x if of_torch.batch_first else x.swapaxes(0, 1).copy())
        output = of_torch(given)[0].numpy()
    return output if of_torch.batch_first else output.swapaxes(0, 1)


def through(layers, x):
    for layer in layers:
        x = layer(x)
    return np.asarray(x)


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda options: "-".join(str(one) for one in options.values()))
def test_both_ways(options, rng):
    there, x = module(**options), rng.normal(size=(5, 7, 3)).astype("float32")
    layers = from_torch(there)
    assert len(layers) == options["num_layers"]
    assert {type(layer) for layer in layers} == {Bidirectional if options["bidirectional"] else GatedLSTM}
    np.testing.assert_allclose(through(layers, x), answers(there, x), atol=1e-6)
    again = to_torch(layers, batch_first=options["batch_first"])
    np.testing.assert_allclose(answers(again, x), answers(there, x), atol=1e-6)
    for key, value in again.state_dict().items():
        if key.startswith("weight"):
            assert torch.equal(value, there.state_dict()[key]), key
    # The summed biases: as those of layers that are read once more.
    for one, other in zip(layers, from_torch(again.state_dict()), strict=True):
        for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def bigger():
    """A model with two LSTMs, a GRU and a linear layer."""
    torch.manual_seed(1)
    encoder = torch.nn.ModuleDict(
        {"embedding": torch.nn.Embedding(9, 3), "lstm": torch.nn.LSTM(3, 4, bidirectional=True)}
    )
    return torch.nn.ModuleDict(
        {
            "encoder": encoder,
            "decoder": torch.nn.LSTM(8, 5),
            "reader": torch.nn.GRU(3, 2),
            "head": torch.nn.Linear(5, 2),
        }
    )


def test_an_lstm_within_a_bigger_model(bigger):
    (encoder,) = from_torch(bigger, prefix="encoder.lstm")
    assert isinstance(encoder, Bidirectional)
    (decoder,) = from_torch(bigger.state_dict(), "decoder")
    assert decoder.units == 5
    for prefix in (None, "encoder"):
        text = rf"expected prefix, one of \['decoder', 'encoder.lstm', 'reader'\]; received {prefix!r}"
        with pytest.raises(ValueError, match=text):
            from_torch(bigger, prefix)
    with pytest.raises(
        ValueError, match=r"expected 'reader.weight_hh_l0' of shape \(4 \* units.*\(6, 2\), as of a GRU"
    ):
        from_torch(bigger, "reader")


@pytest.mark.parametrize("kind", ["state dict", "checkpoint", "safetensors", "old torch.save"])
def test_files(tmp_path, kind, rng):
    there, x = module(batch_first=True), rng.normal(size=(2, 5, 3)).astype("float32")
    path = tmp_path / "weights"
    if kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(there.state_dict(), path)
    else:
        saved = {"epoch": 3, "model": {"lstm": there.state_dict()}} if kind == "checkpoint" else there.state_dict()
        torch.save(saved, path, _use_new_zipfile_serialization=kind != "old torch.save")
    np.testing.assert_allclose(through(from_torch(path), x), answers(there, x), atol=1e-6)
    np.testing.assert_allclose(through(from_torch(str(path)), x), answers(there, x), atol=1e-6)


class Payload:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a file ran')",)


def test_files_that_are_refused(tmp_path):
    torch.save(module(), tmp_path / "module.pt")
    torch.save({"weight_hh_l0": Payload()}, tmp_path / "hostile.pt")
    (tmp_path / "text.pt").write_text("no weights at all")
    (tmp_path / "short.safetensors").write_bytes((20).to_bytes(8, "little") + b'{"a": 1' + bytes(40))
    for name in ("module.pt", "hostile.pt", "text.pt"):
        with pytest.raises(
            ValueError, match=r"expected .* to be a state dict, saved by torch.save.*no code of a file is run"
        ):
            from_torch(tmp_path / name)
    with pytest.raises(ValueError, match=r"short.safetensors is no whole .safetensors file"):
        from_torch(tmp_path / "short.safetensors")
    with pytest.raises(FileNotFoundError, match="no such file"):
        from_torch(tmp_path / "none.pt")
    torch.save({"head.weight": torch.zeros(2, 3)}, tmp_path / "head.pt")
    with pytest.raises(
        ValueError, match=r"expected the weights of an LSTM, such as 'weight_hh_l0'; received \['head.weight'\]"
    ):
        from_torch(tmp_path / "head.pt")


def test_files_that_declare_more_than_they_hold(tmp_path):
    endless, doubled = {}, {"lstm": {}}
    endless["a"] = endless
    for _ in range(60):
        doubled = {"a": doubled, "b": doubled}
    for content, text in (
        (torch.zeros(1).expand(4 * 10**6, 10**6), r"expected arrays of up to 1,073,741,824 bytes; received 16,000,000"),
        (torch.zeros(8, 2, device="meta"), "expected 'weight_hh_l0' to be a tensor of numbers"),
        (endless, "expected the weights of an LSTM"),
        (doubled, "expected the weights of an LSTM"),
    ):
        torch.save({"weight_hh_l0": content}, tmp_path / "weights.pt")
        with pytest.raises(ValueError, match=text):
            from_torch(tmp_path / "weights.pt")


def test_what_is_no_lstm_of_ours():
    with pytest.raises(
        ValueError, match="expected an LSTM without projections; received 'weight_hr_l0', of proj_size > 0"
    ):
        from_torch(module(proj_size=2))
    state = dict(module(num_layers=2).state_dict())
    with pytest.raises(ValueError, match="expected 'weight_ih_l1' beside 'weight_hh_l1'; received none"):
        from_torch({key: value for key, value in state.items() if key != "weight_ih_l1"})
    with pytest.raises(ValueError, match="expected the weights 'weight_hh_l0' of 'the LSTM'; received none"):
        from_torch({key: value for key, value in state.items() if not key.endswith("_l0")})
    with pytest.raises(ValueError, match=r"expected a torch.nn.LSTM, a state dict or a file of one; received a int"):
        from_torch(3)


def built(layer, features=3):
    layer.build((None, None, features))
    return layer


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (
            lambda: built(GatedLSTM(4, activation="relu", name="a")),
            "the layer 'a' to PyTorch: its activation is 'relu'",
        ),
        (lambda: built(GatedLSTM(4, go_backwards=True, name="a")), "the layer 'a' to PyTorch: it reads backwards"),
        (lambda: built(keras.layers.GRU(4, name="a")), "it is a GRU; expected a built GatedLSTM or LSTM"),
        (lambda: built(Bidirectional(GatedLSTM(4), merge_mode="sum", name="a")), "its merge_mode is 'sum'"),
        (lambda: [built(GatedLSTM(4)), built(GatedLSTM(5), 4)], r"expected layers of the same \(directions, units"),
        (
            lambda: [built(GatedLSTM(4)), built(GatedLSTM(4), 6)],
            r"that read 4 features after the first; received \[3, 6\]",
        ),
    ],
)
def test_what_pytorch_does_not_have(layers, text):
    with pytest.raises(ValueError, match=text):
        to_torch(layers())


def test_a_stock_layer_goes_there_too(rng):
    layer, x = keras.layers.LSTM(4, return_sequences=True), rng.normal(size=(2, 5, 3)).astype("float32")
    expected = np.asarray(layer(x))
    np.testing.assert_allclose(answers(to_torch(layer), x), expected, atol=1e-6)
