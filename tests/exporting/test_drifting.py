"""Precisions of `export`, and `drift`: how far a file in smaller numbers leaves its model."""

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from keras_lstm_gates import drift, exporting, plots
from keras_lstm_gates.cli.app import app
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.exporting.comparing import differences
from keras_lstm_gates.layers import GatedLSTM

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model whose unit 0 is always open, all others not; every precision of it; its data."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            GatedLSTM(48, return_sequences=True, name="lstm"),
            keras.layers.Dense(2, name="scores"),
        ]
    )
    kernel, recurrent, bias = model.layers[0].get_weights()
    bias[48] = 9.0
    model.layers[0].set_weights([kernel, recurrent, bias])
    data = np.random.default_rng(5).normal(size=(4, 24, 3)).astype("float32")
    folder = tmp_path_factory.mktemp("exported")
    return model, folder, data, exporting.export(model, folder, data, formats=("tflite",), precisions=PRECISIONS)


def test_each_precision_is_a_file_that_was_compared(exported):
    model, folder, data, written = exported
    assert {path.name for path in folder.iterdir()} == {
        *(f"model{end}.tflite" for end in ("", "_float16", "_dynamic_int8", "_int8")), "manifest.json",
        "README.md", "edge.py",
    }  # fmt: skip
    told = json.loads((folder / "manifest.json").read_text())["formats"]
    assert list(told) == list(written.files) == ["tflite", "tflite_float16", "tflite_dynamic_int8", "tflite_int8"]
    assert [one["precision"] for one in told.values()] == list(PRECISIONS)
    of_int8 = {name: one["precision"] for name, one in told["tflite_int8"]["signatures"].items()}
    assert of_int8 == {"predict": "dynamic_int8", "gates": "dynamic_int8", "step": "int8"}
    expected = model.predict(data, verbose=0)
    for name, path in written.files.items():
        error = np.max(np.abs(Runner(path).predict(data)["scores"] - expected))
        assert written.differences[name]["predict"]["scores"] == pytest.approx(error, abs=1e-6)
        assert error < {"float32": 1e-5, "float16": 1e-3}.get(told[name]["precision"], 0.05)
    assert 0 < written.differences["tflite_int8"]["step"]["f"] < 0.02
    assert "| `step` | int8 |" in (folder / "README.md").read_text()


def test_a_precision_alone(exported, tmp_path):
    model, _, data, _ = exported
    written = exporting.export(model, tmp_path, data, ("tflite",), ("float16",), signatures=("predict",))
    assert list(written.files) == ["tflite_float16"]
    assert not (tmp_path / "model.tflite").exists()


def test_a_file_out_of_tolerance_is_not_kept(exported, tmp_path):
    model, _, data, _ = exported
    with pytest.raises(ArithmeticError, match=r"model_float16\.tflite differs from the model: predict/scores by"):
        exporting.export(
            model, tmp_path / "out", data, ("tflite",), ("float16",), ("predict",), tolerances={"float16": 1e-9}
        )
    assert not (tmp_path / "out").exists()


def test_a_gate_that_turns_at_one_step_is_no_broken_file(rng):
    values = rng.uniform(-1, 1, (2, 50, 3))
    turned = values.copy()
    turned[1, 20, 2] *= -1
    wanted = {"gates": {"g": (values, True)}}
    allowed = exporting.TOLERANCES
    (off,) = differences("a", {"gates": {"g": turned}}, wanted, "int8", allowed["int8"])["gates"].values()
    assert off == 2 * abs(values[1, 20, 2])
    with pytest.raises(ArithmeticError, match=r"a differs from the model: gates/g by .*, allowed 0\.0001"):
        differences("a", {"gates": {"g": turned}}, wanted, "float32", allowed["float32"])
    with pytest.raises(ArithmeticError, match=r"a differs from the model: gates/g by 0\.[6-9].*, allowed 0\.1"):
        differences("a", {"gates": {"g": values[::-1]}}, wanted, "int8", allowed["int8"])


def test_a_microcontroller_takes_float32_and_int8(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, 2)), GatedLSTM(8, name="lstm")])
    data = np.random.default_rng(0).normal(size=(3, 9, 2)).astype("float32")
    written = exporting.export(model, tmp_path / "out", data, ("micro",), PRECISIONS)
    assert {name: path.name for name, path in written.files.items()} == {"micro": "micro", "micro_int8": "micro_int8"}
    assert max(written.differences["micro"]["step"].values()) < 1e-6
    assert 0 < max(written.differences["micro_int8"]["step"].values()) < 0.03
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())["formats"]
    assert told["micro_int8"]["precision"] == "int8"
    assert told["micro_int8"]["arena_bytes"] > 0
    with pytest.raises(ValueError, match=r"expected precisions of \['float32', 'int8'\] for the format 'micro'"):
        exporting.export(model, tmp_path / "none", data, ("micro",), ("float16",))
    # A mistake of the caller's, where another format is written too.
    with pytest.raises(ValueError, match=r"expected precisions of \['float32', 'int8'\] for the format 'micro'"):
        exporting.export(model, tmp_path / "none", data, ("tflite", "micro"), ("float16",))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("asked", [{"precisions": ("int4",)}, {"tolerances": {"int4": 1}}])
def test_unknown_precision(exported, tmp_path, asked):
    model, _, data, _ = exported
    with pytest.raises(ValueError, match=r"expected precisions of \['float32', .*; received 'int4'"):
        exporting.export(model, tmp_path / "out", data, **asked)


def test_drift_is_the_difference_at_every_step(exported):
    model, _, data, written = exported
    found = drift(model, written.files["tflite_dynamic_int8"], data, "gates")
    expected = keras.Model(model.inputs[0], model.layers[0].output)(data)
    received = Runner(written.files["tflite_dynamic_int8"]).gates(data)["h"]
    difference = np.abs(received - np.asarray(expected))
    np.testing.assert_allclose(found["mean_difference"].sel(output="h"), difference.mean(axis=(0, 2)), atol=1e-6)
    np.testing.assert_allclose(found["largest_difference"].sel(output="h"), difference.max(axis=(0, 2)), atol=1e-6)
    means = found["mean_difference"].sel(output="h").values
    assert float(found["growth"].sel(output="h")) == pytest.approx(means[-6:].mean() / means[:6].mean(), rel=1e-5)
    assert found.attrs["signature"] == "gates"
    assert set(found["output"].values) == {*"ifgoch", "scores"}


def test_drift_of_float32_is_rounding_and_its_signature_step(exported):
    model, _, data, written = exported
    found = drift(model, written.files["tflite"], data)
    assert found.attrs["signature"] == "step"
    assert float(found["largest_difference"].max()) < 1e-5
    assert int(found["class_changes"].sum()) == 0


def test_a_gate_that_leaves_its_class_is_warned_of(exported, tmp_path):
    """The file of a model whose unit 0 forgets: in the model it is always open."""
    model, _, data, _ = exported
    other = keras.models.clone_model(model)
    kernel, recurrent, bias = model.layers[0].get_weights()
    other.set_weights([kernel, recurrent, np.where(np.arange(len(bias)) == 48, 0.0, bias), *model.get_weights()[3:]])
    path = exporting.export(other, tmp_path, data, ("tflite",), signatures=("gates",)).files["tflite"]
    with pytest.warns(UserWarning, match="f leaves its saturation class: unit 0 always open in the model, neither in"):
        found = drift(model, path, data)
    assert int(found["class_changes"].sel(output="f")) == 1


def test_masked_steps_count_nowhere(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Masking(), GatedLSTM(4, name="lstm")])
    data = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("float32")
    data[:, 4:] = 0
    path = exporting.export(model, tmp_path, data, ("tflite",), ("float16",), ("gates",)).files["tflite_float16"]
    found = drift(model, path, data)
    assert np.isnan(found["mean_difference"].sel(output="c").values).tolist() == [False] * 4 + [True] * 2
    assert np.isfinite(float(found["growth"].sel(output="c")))


def test_another_models_file(exported, tmp_path):
    model, _, data, _ = exported
    other = keras.Sequential([keras.Input((None, 3)), GatedLSTM(8), keras.layers.Dense(2, name="classes")])
    path = exporting.export(other, tmp_path, data, ("tflite",), signatures=("predict",)).files["tflite"]
    with pytest.raises(ValueError, match=r"is not of this model: expected the outputs \['scores'\] of 'predict'"):
        drift(model, path, data)
    with pytest.raises(ValueError, match=r"expected a signature of \['predict'\]; received 'gates'"):
        drift(model, path, data, "gates")


def test_figure_and_command(exported, tmp_path):
    model, _, data, written = exported
    figure = plots.drift(drift(model, written.files["tflite_int8"], data))
    titles = [f"{row}: {what} difference" for row in ("layer", "outputs") for what in ("mean", "largest")]
    assert sorted(axes.get_title(loc="left") for axes in figure.axes) == sorted(titles)
    assert len(figure.axes[0].lines) + len(figure.axes[2].lines) == 7
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "data.npy", data)
    names = [str(tmp_path / "model.keras"), str(written.files["tflite_int8"]), str(tmp_path / "data.npy")]
    done = CliRunner().invoke(app, ["drift", *names, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "signature step" in done.output
    for word in ("output", "mean", "largest", "last quarter / first", "units of another class"):
        assert f"  {word}: " in done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"drift.csv", "drift.png"}
