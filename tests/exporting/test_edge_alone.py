"""`edge.py` copied by itself, in a virtual environment with nothing but its two packages, as on a small device."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from small import arrays, small_model

from keras_lstm_gates import edge, exporting

NO_NETWORK = r"NewConnectionError|ConnectTimeout|ReadTimeout|name resolution|Network is unreachable|ProxyError"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment made with the line that edge.py tells."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, capture_output=True)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    (told,) = re.findall(r"`pip install ([^`]+)`", edge.__doc__)
    command = [python, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "10", *told.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 and re.search(NO_NETWORK, done.stderr):
        pytest.skip(f"pip has no network: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return python


def test_runs_without_tensorflow_and_keras(python, tmp_path):
    model, data = small_model()
    exporting.export(model, tmp_path, data, formats=("tflite",))
    shutil.copy(tmp_path / "model.tflite", tmp_path / "alone.bin")
    np.save(tmp_path / "x.npy", data)
    (tmp_path / "run.py").write_text(
        "import importlib.util, numpy as np, edge\n"
        "print([name for name in ('tensorflow', 'keras', 'keras_lstm_gates') if importlib.util.find_spec(name)])\n"
        "x = np.load('x.npy')\n"
        "runner = edge.Runner('model.tflite')\n"
        "stream = edge.Runner('alone.bin').stream()\n"
        "h = [stream.push(step)['h'] for step in x[0]]\n"
        "np.savez('out.npz', h=h, **{f'gates_{name}': value for name, value in runner.gates(x).items()})\n"
    )
    done = subprocess.run([python, "-E", "-W", "error", "run.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    out = arrays(tmp_path / "out.npz")
    np.testing.assert_allclose(out["gates_probabilities"], model(data), atol=1e-6)
    np.testing.assert_allclose(out["h"], out["gates_h"][0], atol=1e-6)
