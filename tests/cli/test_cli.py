"""The command line as a user types it: what it leaves, and one clear line for each mistake."""

import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from small import arrays, small_model

from keras_lstm_gates import exporting, tracing
from keras_lstm_gates.edge import Runner
from keras_lstm_gates.models import CharacterLanguageModel


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, its TFLite file and data as a user would have them."""
    folder = tmp_path_factory.mktemp("files")
    model, data = small_model()
    model.save(folder / "model.keras")
    exporting.export(model, folder, data, formats=("tflite",))
    np.save(folder / "data.npy", data)
    np.savetxt(folder / "one.csv", data[0], delimiter=",", header="a,b,c", comments="")
    return folder


def test_demo(command, tmp_path):
    code, printed, _ = command("demo", "--seed", 1)
    assert code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    made = {path.name for path in folder.iterdir()}
    assert {"model.keras", "gates.zarr", "gates.png", "saved_model", "model.tflite", "recipe.json"} <= made
    assert all(name in printed for name in made)
    accuracy = float(printed.partition("test accuracy ")[2].split(",")[0])
    assert accuracy >= 0.96
    tree = tracing.load(folder / "gates.zarr")
    assert tree["lstm"]["f"].shape == (370, 29, 64)
    assert ((tree["probabilities"].argmax(axis=-1) == tree["target"]).mean()) == pytest.approx(accuracy, abs=6e-4)
    assert f"keras-lstm-gates run {folder.relative_to(tmp_path)}/model.tflite" in printed


def test_trace(command, files, tmp_path):
    code, printed, _ = command("trace", files / "model.keras", files / "data.npy", "--out", "out")
    assert code == 0
    assert tracing.load(tmp_path / "out" / "gates.zarr")["lstm"]["c"].shape == (5, 6, 4)
    assert (tmp_path / "out" / "gates.png").read_bytes().startswith(b"\x89PNG")
    assert "gates.zarr" in printed


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ('load,"wind", sun \n', ["load", "wind", "sun"]),
        ("load,wind,sun,more\n", None),
        ("", None),
    ],
)
def test_trace_keeps_the_names_of_a_csv(command, files, tmp_path, header, columns):
    (tmp_path / "named.csv").write_text(f"{header}1,2,3\n4,5,6\n")
    code, _, errors = command("trace", files / "model.keras", "named.csv", "--out", "named")
    assert code == 0, errors
    tree = tracing.load(tmp_path / "named" / "gates.zarr")
    np.testing.assert_array_equal(tree["input"], [[[1, 2, 3], [4, 5, 6]]])
    assert tree.attrs.get("columns") == columns


def test_trace_makes_a_new_folder_each_time(command, files, tmp_path):
    for _ in range(2):
        assert command("trace", files / "model.keras", files / "one.csv")[0] == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_export_and_run(command, files, tmp_path):
    code, printed, _ = command("export", files / "model.keras", files / "data.npy", "--out", "out")
    assert code == 0
    assert "saved_model" in printed
    code, printed, _ = command(
        "run", "out/model.tflite", files / "one.csv", "--signature", "gates", "--out", "gates.npz"
    )
    assert code == 0
    assert "probabilities" in printed
    saved = arrays(tmp_path / "gates.npz")
    model, data = small_model()
    np.testing.assert_allclose(saved["probabilities"], model(data[:1])[0], atol=1e-6)
    assert saved["f"].shape == (6, 4)


def test_run_as_a_stream(command, files, tmp_path):
    code, printed, _ = command(
        "run", files / "model.tflite", files / "one.csv", "--stream", "--interval", 0, "--out", "steps.npz"
    )
    assert code == 0
    assert "step 6 of 6" in printed
    assert printed.count("█") >= 6 * 4
    saved, whole = arrays(tmp_path / "steps.npz"), Runner(files / "model.tflite").gates(small_model()[1][0])
    np.testing.assert_allclose(saved["h"], whole["h"], atol=1e-6)
    np.testing.assert_allclose(saved["probabilities"][-1], whole["probabilities"], atol=1e-6)


def test_export_and_run_of_tokens(command, tmp_path):
    model = CharacterLanguageModel(vocabulary=9, units=4, embedding=5, seed=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "tokens.npy", np.arange(8) % 9)
    assert command("export", "model.keras", "tokens.npy", "--out", "out")[0] == 0
    assert command("run", "out/model.tflite", "tokens.npy", "--out", "out.npz")[0] == 0
    expected = model(np.arange(8)[None] % 9)[0]
    np.testing.assert_allclose(arrays(tmp_path / "out.npz")["probabilities"], expected, atol=1e-6)


def test_help_tells_a_stranger_what_each_command_does(command):
    code, printed, _ = command("--help")
    assert code == 0
    for name in ("demo", "train", "tune", "zoo", "trace", "export", "run"):
        assert name in printed
        assert command(name, "--help")[0] == 0


def test_what_tensorflow_says_of_the_machine_is_not_shown():
    code = "import sys; sys.argv[1:] = ['zoo']; from keras_lstm_gates.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "japanese_vowels" in done.stdout


def test_mistakes(command, files, tmp_path):
    model, tflite, data = files / "model.keras", files / "model.tflite", files / "data.npy"
    np.save("rank.npy", np.zeros(3))
    np.save("nan.npy", np.full((4, 3), np.nan))
    np.save("wide.npy", np.zeros((4, 5)))
    (tmp_path / "short.npy").write_bytes(data.read_bytes()[:150])
    (tmp_path / "short.keras").write_bytes(model.read_bytes()[:2000])
    (tmp_path / "short.tflite").write_bytes(tflite.read_bytes()[:2000])
    (tmp_path / "text.csv").write_text("1,2,3\n4,five,6\n")
    (tmp_path / "ragged.csv").write_text("1,2,3\n4,5\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("earlier work")
    mistakes = [
        (("run", tflite, "rank.npy"), "received shape (3,)"),
        (("run", tflite, "nan.npy"), "expected finite numbers; received nan at index (0, 0)"),
        (("run", tflite, "wide.npy"), "3 features; received shape (4, 5)"),
        (
            ("run", tflite, data, "--signature", "steps"),
            "one of the signatures ['gates', 'predict', 'step']; received 'steps'",
        ),
        (("run", tflite, data, "--out", "a.txt"), "expected --out with the ending .npz; received a.txt"),
        (("run", tflite, data, "--out", "/proc/a.npz"), "/proc/a.npz"),
        (("run", "none.tflite", data), "no such file: none.tflite"),
        (("run", "short.tflite", data), "short.tflite is not a whole TFLite file"),
        (("run", tflite, "none.npy"), "no such file: none.npy"),
        (("run", tflite, "short.npy"), "expected short.npy to be a whole .npy file of numbers"),
        (("run", tflite, "data.txt"), "no such file: data.txt"),
        (("run", tflite, "text.csv"), "expected text.csv to hold one time step of numbers a row"),
        (("run", tflite, "ragged.csv"), "expected ragged.csv to hold one time step of numbers a row"),
        (("run", tflite, "empty.csv"), "received no numbers"),
        (("run", tflite, tflite), "expected a file that ends with .npy or .csv"),
        (("trace", model, "wide.npy"), "= (any, any, 3); received (4, 5)"),
        (("trace", model, "nan.npy"), "expected finite numbers; received nan at index (0, 0, 0)"),
        (("trace", model, data, "--sample", "5"), "expected a sample from 0 to 4; received 5"),
        (("trace", model, data, "--layer", "gru"), "expected one of the layers ['lstm']; received 'gru'"),
        (("trace", model, data, "--out", "taken"), "expected a new or empty folder; taken is taken"),
        (("trace", model, data, "--out", "/proc/here"), "/proc/here"),
        (("trace", "short.keras", data), "short.keras is not a whole zip archive"),
        (("trace", "none.keras", data), "no such file: none.keras"),
        (("export", model, data, "--out", "taken"), "expected a new or empty folder; taken is taken"),
    ]
    for arguments, text in mistakes:
        code, _, errors = command(*arguments)
        assert code == 1, arguments
        assert errors.strip().startswith("error: "), (arguments, errors)
        assert len(errors.strip().splitlines()) == 1, (arguments, errors)
        assert text in errors, (arguments, errors)
    assert (tmp_path / "taken" / "mine.txt").read_text() == "earlier work"
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("command", ["trace", "export"])
def test_a_full_disk_leaves_nothing_half_written(files, tmp_path, command):
    def no_file_above_20_kib():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 * 1024, 20 * 1024))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", "import sys; from keras_lstm_gates.cli import main; sys.argv[0] = 'x'; main()"]
        + [command, str(files / "model.keras"), str(files / "data.npy"), "--out", str(tmp_path / "out")],
        preexec_fn=no_file_above_20_kib,
        capture_output=True,
        text=True,
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path / "matplotlib")},
        check=False,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(tmp_path / "out") in line
    assert "Traceback" not in done.stderr
    left = list((tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else []
    assert not [path for path in left if path.suffix in (".png", ".tflite") or path.name.startswith(".")]
