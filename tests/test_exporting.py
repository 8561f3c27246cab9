"""The exported files against the model, the equations, and a process without this package."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from reference import lstm
from small import small_model

from keras_lstm_gates import exporting
from keras_lstm_gates.edge import Runner


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model, data = small_model()
    folder = tmp_path_factory.mktemp("exported")
    return exporting.export(model, folder, data), model, data


def test_gates_of_the_tflite_file_obey_the_equations(exported):
    written, model, data = exported
    received = Runner(written.files["tflite"]).gates(data)
    normalized = (data - 0.1) / np.sqrt(2.0)
    expected = lstm(normalized, *model.get_layer("lstm").get_weights(), mask=np.any(data != 0, axis=-1))
    for name in "ifgoch":
        np.testing.assert_allclose(received[name], expected[name], atol=2e-6, err_msg=name)


def test_differences_are_told_for_every_named_output(exported):
    for differences in exported[0].differences.values():
        assert sorted(differences) == ["gates", "predict"]
        assert sorted(differences["gates"]) == ["c", "f", "g", "h", "i", "o", "probabilities"]
        assert 0 <= max(max(outputs.values()) for outputs in differences.values()) < 1e-5


def test_tflite_has_builtin_operators_only(exported, capfd):
    tf.lite.experimental.Analyzer.analyze(model_path=str(exported[0].files["tflite"]))
    operators = set(re.findall(r"Op#\d+ (\w+)\(", capfd.readouterr().out))
    assert {"WHILE", "FULLY_CONNECTED"} <= operators
    assert not {name for name in operators if name.startswith(("Flex", "CUSTOM"))}


def test_saved_model_answers_by_name_without_this_package(exported, tmp_path):
    written, model, data = exported
    np.save(tmp_path / "x.npy", data[:, :4])
    code = (
        "import sys; sys.modules['keras_lstm_gates'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"signatures = tf.saved_model.load({str(written.files['saved_model'])!r}).signatures\n"
        f"x = tf.constant(np.load({str(tmp_path / 'x.npy')!r}))\n"
        "gates = signatures['gates'](sequence=x)\n"
        "assert sorted(gates) == ['c', 'f', 'g', 'h', 'i', 'o', 'probabilities'], sorted(gates)\n"
        "predicted = signatures['predict'](sequence=x)['probabilities']\n"
        f"np.savez({str(tmp_path / 'out.npz')!r}, **gates, predicted=predicted)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(out["predicted"], model(data[:, :4]), atol=1e-6)
    np.testing.assert_array_equal(out["predicted"], out["probabilities"])
    assert out["f"].shape == (5, 4, 4)


def test_fixed_time(tmp_path):
    model, data = small_model()
    written = exporting.export(model, tmp_path, data, formats=("tflite",), time=6)
    assert Runner(written.files["tflite"]).signatures["gates"]["inputs"] == {"sequence": (1, 6, 3)}


def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    model, data = small_model()
    (tmp_path / "model.tflite").write_text("an earlier run's file")
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(
        ArithmeticError, match=r"model\.tflite differs from the model: predict/probabilities by .*allowed"
    ):
        exporting.export(model, tmp_path, data, formats=("tflite",))
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]
    assert (tmp_path / "model.tflite").read_text() == "an earlier run's file"


def test_unknown_format(tmp_path):
    model, data = small_model()
    with pytest.raises(ValueError, match=r"expected formats of \['saved_model', 'tflite'\]; received 'onnx'"):
        exporting.export(model, tmp_path, data, formats=("onnx",))


def test_data_of_another_shape(tmp_path):
    model, data = small_model()
    with pytest.raises(ValueError, match=r"\(samples, time, features\) = \(any, any, 3\); received \(5, 6, 2\)"):
        exporting.export(model, tmp_path, data[..., :2])
