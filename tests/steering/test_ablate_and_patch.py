"""Many interventions as one batch: each is that of `steer` alone, and what ablation and patching make of them."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_lstm_gates import expose, plots, reporting, trace, tracing
from keras_lstm_gates.steering import Mean, Replace, Scale, Set, ablate, patch, patch_gates, run_each, steer
from keras_lstm_gates.steering.measures import mean_and_spread
from keras_lstm_gates.steering.resumable_rows import KeptRows

T, D, U, N = 5, 3, 4, 3
QUIET = {"progress": False}


def sequences(seed, masked=True):
    x = np.random.default_rng(seed).normal(size=(N, T, D)).astype("float32")
    if masked:
        x[1, 3:] = 0
    return x


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    read = keras.Input((T, D))
    hidden = layers.Bidirectional(layers.LSTM(U, return_sequences=True), name="both")(layers.Masking()(read))
    return keras.Model(read, layers.Dense(2, activation="softmax", name="dense")(layers.LSTM(3, name="last")(hidden)))


PATHS = ["both/forward", "both/backward", "last"]


def test_each_of_many_is_the_model_that_is_steered_by_it_alone(model):
    x = sequences(1)
    many = [
        {},
        {"last/f": Set(0.0, units=[1])},
        {"both/backward/i": Scale(0.5, steps=[0, 2]), "last/c": Set(0.2, steps=1)},
        {"both/forward/h": Replace(np.arange(N * T * U).reshape(N, T, U) / 60.0)},
    ]
    # 7 divides no number of samples here, so that an intervention is spread over batches.
    received = run_each(model, x, many, batch_size=7)
    for one, outputs in zip(many, received, strict=True):
        expected = steer(model, one, return_gates=False, samples=N).predict(x, verbose=0)
        np.testing.assert_allclose(outputs, expected, 0, 1e-6)
    assert np.abs(received[1:] - received[0]).max(axis=(1, 2)).min() > 1e-4


def test_patching_nothing_is_the_corrupted_run_bit_for_bit_and_all_of_the_clean_run_is_the_clean_run(model):
    clean, corrupted = sequences(1), sequences(2)
    everything = {f"{path}/{gate}": Replace(trace(model, clean, progress=False)) for path in PATHS for gate in "ifgoch"}
    nothing, patched = run_each(model, corrupted, [{}, everything])
    np.testing.assert_array_equal(nothing, expose(model).predict(corrupted, verbose=0)["dense"])
    np.testing.assert_allclose(patched, model.predict(clean, verbose=0), 0, 1e-6)


def test_what_a_patch_restores_is_its_part_of_the_difference(model, tmp_path):
    clean, corrupted = sequences(1), sequences(2)
    tree = patch(model, clean, corrupted, metric=1, gates="fch", store=tmp_path / "patch.zarr", **QUIET)
    np.testing.assert_allclose(tree["clean"], model.predict(clean, verbose=0)[:, 1], 0, 1e-6)
    assert list(tree.children["both"].children) == ["forward", "backward"]
    node, source = tree["both/backward"], trace(model, clean, progress=False)
    assert dict(node["restored"].sizes) == {"gate": 3, "time": T, "unit": U}
    alone = steer(model, {"both/backward/c": Replace(source, steps=[2], units=[3])}, False, samples=N)
    answers = alone.predict(corrupted, verbose=0)[:, 1]
    np.testing.assert_allclose(node["patched"].sel(gate="c", time=2, unit=3), answers, 0, 1e-6)
    gap = (tree["clean"] - tree["corrupted"]).values
    expected = ((answers - tree["corrupted"].values) * gap).sum() / (gap**2).sum()
    assert float(node["restored"].sel(gate="c", time=2, unit=3)) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_array_equal(tracing.load(tmp_path / "patch.zarr")["last"]["low"], tree["last"]["low"])
    assert [path.name for path in tmp_path.iterdir()] == ["patch.zarr"]
    assert len(plots.patching(tree).axes) == 3 * 3 + 1


def test_a_whole_state_restores_the_clean_answer(model):
    clean, corrupted = sequences(1, masked=False), sequences(2, masked=False)
    restored = patch_gates(model, clean, corrupted, 0, "ih", layers="last", **QUIET)["last"]["restored"]
    assert float(restored.sel(gate="h")) == pytest.approx(1, abs=1e-4)
    assert abs(float(restored.sel(gate="i")) - 1) > 1e-3


@pytest.mark.parametrize("what", ["units", "gates", "steps"])
def test_an_ablation_is_the_loss_of_the_model_that_is_steered(model, what):
    x, y = sequences(1), np.array([0, 1, 1])
    loss = "sparse_categorical_crossentropy"
    result = ablate(model, x, y, loss, what, "mean" if what == "units" else 0, **QUIET)
    mean = trace(model, x, progress=False)
    name, acted_on = {
        "units": ("last[2]", {f"last/{gate}": Mean(mean, units=[2]) for gate in "ch"}),
        "gates": ("last/f", {"last/f": Set(0.0)}),
        "steps": ("last[step 2]", {"last/i": Set(0.0, steps=2), "last/g": Set(0.0, steps=2)}),
    }[what]

    def losses(predictions):
        return -np.log(predictions[np.arange(N), y])

    without = losses(steer(model, acted_on, return_gates=False).predict(x, verbose=0))
    np.testing.assert_allclose(result["metric"].sel(part=name), without, 1e-5)
    difference = without - losses(model.predict(x, verbose=0))
    assert float(result["worse"].sel(part=name)) == pytest.approx(difference.mean(), abs=1e-6)
    assert result.sizes["part"] == {"units": 2 * U + 3, "gates": 12, "steps": 3 * T}[what]
    assert len(plots.ablation(result).axes) == 3


def test_accuracy_is_worse_where_it_is_lower():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((T, 1)), layers.LSTM(1, name="lstm"), layers.Dense(1, activation="sigmoid")])
    *all_but_the_bias, bias = model.get_weights()
    model.set_weights([*(np.full(one.shape, 8.0) for one in all_but_the_bias), np.zeros_like(bias)])
    x = np.repeat([[[2.0]], [[-2.0]]], T, axis=1).astype("float32")
    result = ablate(model, x, np.array([1, 0]), "accuracy", "gates", 0, **QUIET)
    assert result["intact"].values.tolist() == [1, 1]
    # Without its output gate it says 0 of both, and a half of them is right.
    assert float(result["worse"].sel(part="lstm/o")) == 0.5


def test_an_interrupted_run_resumes_and_gives_the_same(model, tmp_path, monkeypatch):
    x, y = sequences(1), np.array([0, 1, 1])
    monkeypatch.setattr("keras_lstm_gates.steering.resumable_rows.SECONDS", 0.0)
    arguments = (model, x, y, "sparse_categorical_crossentropy", "gates")
    seen = []

    def stop(done):
        seen.append(done)
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(*arguments, store=tmp_path / "a.zarr", progress=stop)
    with pytest.raises(ValueError, match=r"expected to resume .*a.zarr.partial.npz, of to=mean; received to=0"):
        ablate(*arguments, 0, store=tmp_path / "a.zarr", **QUIET)
    result = ablate(*arguments, store=tmp_path / "a.zarr", progress=seen.append)
    assert seen == list(range(1, 14))
    expected = ablate(*arguments, **QUIET)
    for name in ("worse", "low", "metric"):
        np.testing.assert_allclose(result[name], expected[name], 0, 1e-7)
    with pytest.raises(FileExistsError):
        ablate(*arguments, store=tmp_path / "a.zarr", **QUIET)


def test_kept_rows_of_another_shape_are_refused(tmp_path):
    KeptRows(1, 3, tmp_path / "rows").append(np.ones(3))
    with pytest.raises(ValueError, match=r"of shape=\[1, 3\]; received shape=\[2, 3\]"):
        KeptRows(2, 3, tmp_path / "rows")


def test_the_spread_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(size=(2, 400)) * [[1], [2]]
    mean, low, high = mean_and_spread(values)
    np.testing.assert_allclose(mean, values.mean(axis=1))
    # Of a mean of 400 normal numbers: 1.96 standard errors to each side.
    np.testing.assert_allclose(high - low, 2 * 1.96 * values.std(axis=1) / 20, rtol=0.15)
    assert np.isnan(mean_and_spread(values[:, :1])[1]).all()


def test_refusals(model):
    x, y = sequences(1), np.array([0, 1, 1])
    with pytest.raises(ValueError, match=r"expected what among \['units', 'gates', 'steps'\]; received 'unit'"):
        ablate(model, x, y, "mse", "unit")
    with pytest.raises(ValueError, match="expected to='mean' or 0; received 1"):
        ablate(model, x, y, "mse", to=1)
    with pytest.raises(ValueError, match="received metric=None and loss=None"):
        ablate(model, x, y)
    with pytest.raises(ValueError, match=r"expected layers of \['both', 'last'\], .*; received 'dense'"):
        patch(model, x, x, 0, layers="dense")
    with pytest.raises(ValueError, match="expected two runs whose answers differ"):
        patch_gates(model, x, x, 0, "c", **QUIET)
    with pytest.raises(ValueError, match="expected pairs with the same real steps"):
        patch(model, x, sequences(2, masked=False), 0)
    with pytest.raises(ValueError, match=r"expected accuracy, or the name of a loss of Keras .* received 'acuracy'"):
        ablate(model, x, y, "acuracy", **QUIET)
    with pytest.raises(ValueError, match=r"expected metric, 1 indices into .*; received 2"):
        patch_gates(model, x, sequences(2), 2, "c", **QUIET)
    with pytest.raises(ValueError, match=r"expected over among \('time', 'unit'\); received \('step',\)"):
        patch(model, x, x, over="step")
    stateful = keras.Sequential([keras.Input((T, D), batch_size=N), layers.LSTM(2, stateful=True, name="lstm")])
    with pytest.raises(ValueError, match="expected LSTMs that begin each batch anew; received 'lstm'"):
        run_each(stateful, x, [{}])
    words = keras.Sequential([keras.Input((2, T, D)), layers.TimeDistributed(layers.LSTM(2), name="words")])
    with pytest.raises(ValueError, match="cannot act sample by sample on the LSTM 'words"):
        run_each(words, np.ones((1, 2, T, D)), [{}])


def test_the_page_and_the_command_line(model, command, tmp_path):
    x, other = sequences(1), sequences(2)
    model.save(tmp_path / "model.keras")
    for name, array in {"x": x, "other": other, "y": np.array([0, 1, 1])}.items():
        np.save(tmp_path / f"{name}.npy", array)
    loss = "sparse_categorical_crossentropy"
    code, printed, _ = command(
        "ablate", "model.keras", "x.npy", "y.npy", "--metric", loss, "--what", "gates", "--to", "0", "--out", "a"
    )
    assert code == 0
    result = ablate(model, x, np.array([0, 1, 1]), loss, "gates", 0, **QUIET)
    assert f"without {result['part'].values[result['worse'].values.argmax()]}" in printed
    kept = tracing.load(tmp_path / "a" / "ablation.zarr").to_dataset()
    np.testing.assert_allclose(kept["worse"], result["worse"], 0, 1e-6)
    code, printed, _ = command(
        "patch", "model.keras", "x.npy", "other.npy", "--metric", 1, "--over", "gates", "--gates", "ch", "--out", "p"
    )
    assert code == 0
    assert "most is restored in" in printed
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"patching.csv", "patching.png", "patching.zarr"}
    tree = tracing.load(tmp_path / "p" / "patching.zarr")
    rows = (tmp_path / "p" / "patching.csv").read_text().splitlines()
    assert float(rows[2].split(",")[2]) == pytest.approx(float(tree["both/forward"]["restored"][1]), abs=1e-9)
    traced = trace(model, x, progress=False)
    page = reporting.report(traced, tmp_path / "page.html", ablation=kept, patching=tree).read_text(encoding="utf-8")
    assert 'id="ablation-title"' in page
    assert 'id="patching-title"' in page
    with pytest.raises(ValueError, match=r"expected ablation of .*steering.ablate; received another"):
        reporting.report(traced, tmp_path / "page.html", ablation=traced)
    code, _, errors = command("patch", "model.keras", "x.npy", "other.npy", "--metric", "a", "--out", "q")
    assert code == 1
    assert "expected --metric as 1 or 3,1, indices into the output; received 'a'" in errors
